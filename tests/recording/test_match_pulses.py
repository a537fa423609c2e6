"""`utils/MatchPulses.py`: a run that was closed, one that was not, and one without pulses."""

import json
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.journal_entries import Pulsed
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.video_writer import VideoWriter
from tests.recording.small_run import FORM, START, STARTED
from utils.MatchPulses import main

PERIOD_NS = 33_000_000
LOST = {60, 61, 200}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Frames of one camera, 14 ms after their pulses; not closed."""
    late_ns = np.random.default_rng(2).integers(0, 3_000_000, 400).tolist()
    words = {"cameras": ["top"], "generates": True, "most_delay_ms": 100.0}
    facts = RunFacts(START, {"top": FORM}, more={"pulse_inputs": {"trigger": words}})
    folder = RunFolder.create_at(tmp_path / "run", STARTED, "", facts)
    with RunWriter(folder, START) as run, VideoWriter(
        folder.new_video_path("top"), FORM
    ) as film:  # fmt: skip
        for number in range(400):
            at_ns = START + 10**9 + number * PERIOD_NS + late_ns[number]
            times = at_ns, at_ns + 400_000, at_ns // 1000 % 2**40
            run.entry(Pulsed("trigger", number, *times))
            if number not in LOST:
                image = np.zeros(FORM.shape, np.uint8)
                film.write(image, number, at_ns + 14_000_000, at_ns + 15_000_000)
    return folder.path


def test_a_run_that_was_not_closed_is_matched_and_then_shown(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run)]) == 0
    said = capsys.readouterr().out
    assert "[Camera top] 397 of 397 frames have a pulse of trigger; 3 pulses" in said
    assert "Lost: pulse 60, 61, 200" in said
    assert main([str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["cameras"][0]["lost_pulses"] == sorted(LOST)
    assert json.loads((run / "run.json").read_text("utf-8"))["pulses"] == facts


def test_another_limit_replaces_the_table_only_when_asked(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run)]) == 0
    before = (run / "top.pulses.csv").read_bytes()
    assert main([str(run), "--most-delay-ms", "5"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert (run / "top.pulses.csv").read_bytes() == before
    assert main([str(run), "--most-delay-ms", "5", "--overwrite"]) == 1
    assert "the frames fit only with a delay beyond" in capsys.readouterr().out


def test_pulses_between_two_recordings_are_not_lost(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recording was stopped and started again within 2 s, without analysis."""
    header, *lines = (run / "top.frames.csv").read_text("utf-8").splitlines()
    first = [line for line in lines if int(line.split(",")[1]) < 250]
    rest = [line.split(",", 1)[1] for line in lines if int(line.split(",")[1]) >= 290]
    second = [f"{number},{row}" for number, row in enumerate(rest)]
    for name, own in (("top", first), ("top_2", second)):
        (run / f"{name}.frames.csv").write_text("\n".join([header, *own, ""]), "utf-8")
    accounts = [
        FrameCounts(
            "top", "recording", delivered=count, recorded=count, recording_losses=0,
            files=(f"{name}.mkv", f"{name}.frames.csv"),
        )
        for name, count in (("top", len(first)), ("top_2", len(second)))
    ]  # fmt: skip
    RunFolder(run).finish(STARTED, "stopped", accounts)
    assert main([str(run)]) == 0
    said = capsys.readouterr().out
    assert "Lost: pulse 60, 61, 200" in said
    assert "40 pulses while no frames came, or between two recordings" in said
    states = (run / "top.pulses.csv").read_text("utf-8")
    assert states.count(",silent") == 40 and states.count(",lost") == 3


@pytest.mark.parametrize("damage", [{"cameras": 3}, {"cameras": [{}], "skew": []}, 7])
def test_a_damaged_summary_is_computed_again(
    run: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    RunFolder(run).update(pulses=damage)
    assert main([str(run)]) == 0
    assert "Lost: pulse 60, 61, 200" in capsys.readouterr().out


def test_a_run_without_pulses_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RunFolder(run).update(pulse_inputs={})
    assert main([str(run)]) == 2
    assert "has no exposure pulses with frames" in capsys.readouterr().err
