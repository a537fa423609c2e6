"""Runs recorded once are decided again for ever: the same commands on the same frames."""

from pathlib import Path

import pytest

from deeplabstream.engine.replay.rerun import commands_text, rerun_decisions
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import load
from deeplabstream.simulation.space_arena import BodyWalk
from tests.golden.make_runs import (
    CHANGED,
    MOMENT_RATE,
    REARING,
    RUNS,
    WELLS,
    commands_of,
)
from utils.VideoAnalyzer import main

FOLDERS = sorted(path for path in RUNS.iterdir() if path.is_dir())


def test_all_are_there() -> None:
    assert {path.name for path in FOLDERS} == {*CHANGED, WELLS, REARING}


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_the_decisions_are_those_of_the_record(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(path)
    expected = (path / "commands.txt").read_text("utf-8")
    again = rerun_decisions(load(path / "settings.ini"), folder)
    decided = [
        (now.index, commands_text(now.commands)) for _, now in again if now.commands
    ]
    assert "".join(f"{index} {what}\n" for index, what in decided) == expected
    assert commands_of(folder) == expected
    assert expected.count("\n") >= 6
    assert main(["--run", str(path)]) == 0
    assert "commands, on the same frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "key", "value", "line"),
    [
        (
            "conditional",
            "REGION",
            "circle 160 240 90",
            "[Trigger in the corner] differs",
        ),
        ("optogenetic", "ANGLE", "40", "[Output laser] was switched on 5 times"),
        ("stages", "REWARDS", "2", "now valve on for 0.2 s, 'stage 2'"),
        ("trial_based", "SEED", "1", "'trial 2: tone', tone on for 4 s; now nothing"),
    ],
)
def test_a_changed_value_shows_what_would_have_been(
    name: str,
    key: str,
    value: str,
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (RUNS / name / "settings.ini").read_text("utf-8")
    lines = [
        f"{key} = {value}" if t.startswith(f"{key} =") else t for t in text.split("\n")
    ]
    if key == "SEED":  # of the experiment, at the end, not of the camera
        lines = [*text.rstrip().split("\n"), "SEED = 1"]
    other = tmp_path / "other.ini"
    other.write_text("\n".join(lines), "utf-8")
    assert main(["--run", str(RUNS / name), "--settings", str(other)]) == 1
    said = capsys.readouterr().out
    assert line in said
    assert "frames with different commands" in said


def test_the_laser_of_the_rearing_run_was_on_only_while_the_nose_was_high() -> None:
    walk, on = BodyWalk(), False
    rows = (RUNS / REARING / "commands.txt").read_text("utf-8").splitlines()
    for index, what in (row.split(" ", 1) for row in rows):
        on = what.endswith("laser on")
        # a frame before or after the crossing is within the error of the points
        near = [walk.rears((int(index) + by) / MOMENT_RATE, 40.0) for by in (-2, 0, 2)]
        assert on in near, (index, what)
    assert not on
