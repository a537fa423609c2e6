"""The command line's rig: counts its frames, measures, records, and ends by itself."""

import json
from pathlib import Path

import pytest

from DeepLabStream import main
from deeplabstream.engine.latency_statistics import Spread, Timings
from deeplabstream.engine.session.frame_counting_session import FrameCountingSession
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.recording.table_reader import read_events
from tests.engine.test_session import SETTINGS, SIMULATED, pictures
from tests.gui.fake_session import make_settings, make_step

pytestmark = pytest.mark.usefixtures("fork_server")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.ini"
    path.write_text(SETTINGS + SIMULATED, "utf-8")
    return path


def test_a_benchmark_counts_its_frames_and_writes_its_figures(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    words = [
        "--headless",
        "--benchmark-enabled",
        "--recording-enabled",
        "--frames",
        "40",
    ]
    assert main(["--settings", str(settings), *words, "--json", str(out)]) == 0
    facts = json.loads(out.read_text("utf-8"))
    assert facts["frames"] == 40
    assert 0 < facts["analysis_ms"]["p50"] <= facts["overall_ms"]["max"]
    assert facts["lost_share"] == 0
    assert set(facts["overall_ms"]) == {*Spread.__annotations__}
    run = next((tmp_path / "runs").iterdir())
    assert json.loads((run / "benchmark.json").read_text("utf-8")) == facts
    accounts = json.loads((run / "run.json").read_text("utf-8"))["accounting"]
    (recorded,) = (
        each["recorded"]
        for each in accounts
        if (each["camera"], each["span"]) == ("top", "recording")
    )
    video = run / "top.mkv"
    assert recorded == (pictures(video) if video.exists() else 0)
    said = capsys.readouterr().out
    assert "40 frames of camera top analysed" in said
    assert str(run) in said


def test_a_camera_test_ends_after_its_frames_and_writes_nothing(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--settings", str(settings), "--headless", "--frames", "20"]) == 0
    assert "camera side: 120×90 colour 8 bit at 50/s" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_a_rig_without_a_network_records_and_says_what_an_analysis_needs(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = settings.read_text("utf-8")
    settings.write_text(text.replace("MODEL = stand-in:0\n", "MODEL =\n"), "utf-8")
    words = ["--settings", str(settings), "--headless", "--recording-enabled"]
    assert main([*words, "--frames", "20"]) == 0
    run = next((tmp_path / "runs").iterdir())
    assert pictures(run / "top.mkv") >= 20

    assert main([*words, "--experiment"]) == 1
    said = capsys.readouterr().out
    assert "Cannot start the analysis: [Pose Estimation] MODEL is empty" in said


def test_the_program_ends_with_its_experiment(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = settings.read_text("utf-8")
    text = text.replace("[Experiment]", "[Experiment]\nEXP_TIME_S = 0.5")
    settings.write_text(text, "utf-8")
    assert main(["--settings", str(settings), "--headless", "--experiment"]) == 0
    said = capsys.readouterr().out
    assert "ends with the experiment (EXP_TIME_S = 0.5)" in said
    run = next((tmp_path / "runs").iterdir())
    assert json.loads((run / "run.json").read_text("utf-8"))["how"] == "stopped"
    events = read_events(run / "events.csv")
    ended = next(e for e in events if "EXP_TIME_S" in e["text"])
    assert ended["kind"] == "note"
    assert float([e for e in events if e["kind"] == "edge"][-1]["level"]) == 0
    assert pictures(run / "top.mkv") > 0


def test_frames_are_counted_when_all_that_was_asked_for_runs() -> None:
    agenda = RequestQueue(AGENDAS["experiment"])
    session = FrameCountingSession(make_settings("arena"), 2, True, agenda)
    session._news += [make_step(0), make_step(1), make_step(2)]
    session.poll()
    assert not session.enough
    agenda.drop()
    session._news += [make_step(3), make_step(4)]
    session.poll()
    assert session.enough
    assert session.timings.frames == 2


def test_settings_that_are_wrong_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.ini"
    path.write_text("[Camera top]\nKIND = Webcm\n[Streeming]\n", "utf-8")
    assert main(["--settings", str(path), "--headless", "--frames", "1"]) == 2
    said = capsys.readouterr().err
    assert "[Camera top] KIND = Webcm" in said
    assert "[Streeming]" in said
    assert "Traceback" not in said


def test_cameras_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-cameras"]) == 0
    assert "cameras found" in capsys.readouterr().out


def test_no_frames_no_figures() -> None:
    timings = Timings("top", 0.5, 10)
    assert timings.facts()["overall_ms"] is None
    assert "0 frames" in next(timings.lines())
