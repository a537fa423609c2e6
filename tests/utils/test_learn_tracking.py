"""Bones and speeds measured in a run refuse nothing of it, and what is far from it."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.engine.replay.rerun import filtered_poses
from deeplabstream.recording import run_opening
from deeplabstream.settings.loading import parse
from tests.training.walker import PLACE, RIG, run
from utils.LearnTracking import main

MM = "\nMM_PER_PIXEL = 0.5\n"


@pytest.mark.parametrize("unit", ["px", "mm"])
def test_what_is_printed_is_a_section_that_fits_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unit: str
) -> None:
    text = RIG.replace("SimulatedCamera", "SimulatedCamera" + MM) + PLACE
    folder, _ = run(text, tmp_path / "run", 1, 5)
    assert main([str(folder.path), "--unit", unit]) == 0
    printed = capsys.readouterr().out
    rig = parse(text + "\n" + printed, tmp_path)
    (rules,) = rig.tracking.values()
    assert len(rules.bones) == 3
    scale = 0.5 if unit == "mm" else 1.0
    snout_to_ear = np.hypot(15, 10) * scale
    assert rules.bones[0].shortest < snout_to_ear < rules.bones[0].longest
    assert rules.bones[0].longest < 2 * snout_to_ear
    doubtful = [
        sight.flags for _, sight in filtered_poses(rig, folder, "top") if sight.flags
    ]
    assert not doubtful


def test_a_killed_run_is_made_whole_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    folder, steps = run(RIG + PLACE, tmp_path / "run", 1, 5)
    folder.update(ended=None, how=None)
    with folder.table_path("top").open("ab") as table:
        table.write(b"9,0.3,1000")  # half a row
    assert main([str(folder.path)]) == 0
    told = capsys.readouterr()
    assert f"measured on {len(steps)} frames" in told.out
    assert "repaired" not in told.out  # what is printed is pasted into settings
    assert "repaired: top.csv: a half-written row was cut off" in told.err
    assert folder.facts["how"] == "killed"


def test_a_folder_that_is_no_run_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    folder, _ = run(RIG + PLACE, tmp_path / "run", 1, 1)
    assert main([str(folder.path), "--unit", "mm"]) == 2
    assert "MM_PER_PIXEL" in capsys.readouterr().err
    table = folder.table_path("top")
    for text in (table.read_text(), table.read_text().splitlines()[0] + "\n"):
        table.write_text(text)  # then without any frame
        assert main([str(folder.path)]) == 2
        assert "no edge is visible in 100 frames" in capsys.readouterr().err
