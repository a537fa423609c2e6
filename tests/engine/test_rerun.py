"""A recorded run is decided again from its poses: equal, or the difference is shown."""

import csv
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.engine.replay.rerun import compare, rerun_decisions
from deeplabstream.settings.loading import load, parse
from tests.engine.test_video_replay import SETTINGS, run_into
from utils.VideoAnalyzer import main


def test_the_same_settings_ask_for_the_same(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    settings = parse(folder.settings_text, folder.path)
    pairs = list(rerun_decisions(settings, folder))
    assert len(pairs) == 90
    assert sum(len(then.commands) for then, _ in pairs) > 8
    for then, now in pairs:
        assert then.commands == now.commands
        assert then.triggers == now.triggers
        assert (then.status, then.lost) == (now.status, now.lost)


def test_what_was_refused_and_held_is_refused_and_held_again(tmp_path: Path) -> None:
    text = SETTINGS + "[Tracking]\nMAX_SPEED = 500\nHOLD_MS = 100\n"
    text = text.replace("REGION =", "HOLD_MS = 60\nREGION =")
    folder = run_into(tmp_path / "run", text=text)
    pairs = list(rerun_decisions(parse(text, tmp_path), folder))
    flags = {what for then, _ in pairs for what in then.flags.values()}
    assert {"jump", "jump+held", "held"} <= flags
    for then, now in pairs:
        assert (then.commands, then.triggers) == (now.commands, now.triggers)
        assert then.flags == now.flags
    without = list(rerun_decisions(parse(SETTINGS, tmp_path), folder))
    assert any(then.triggers != now.triggers for then, now in without)


def test_a_changed_region_shows_what_would_have_fired(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    changed = SETTINGS.replace("circle 60 30 25", "circle 90 30 25")
    found = compare(parse(changed, tmp_path), folder)
    first = found.differences[0]
    assert first.index == 12  # inside of the first circle, not yet of the second
    assert first.now == ()
    assert str(first) == (
        "frame 12 of top (0.400 s): recorded 'trial 1', light on; now nothing"
    )
    lines = list(found.lines())
    assert lines[0] == "90 frames re-run, an experiment ran on 90 of them"
    then, now = [], []
    for step in folder.steps("top"):
        away = step.pose.points[0, 0]
        then.append(np.hypot(*(away - (60, 30))) <= 25)
        now.append(np.hypot(*(away - (90, 30))) <= 25)
    other = sum(one != two for one, two in zip(then, now, strict=True))
    begun = [n for n in range(90) if now[n] and not now[n - 1]]
    assert len(begun) == 2
    times = ", ".join(f"{n * 33_333_333 / 1e9:.3f}" for n in begun)
    assert (
        f"[Trigger spot] differs on {other} frames: it held "
        f"{np.mean(then):.1%} of the time, and would have held {np.mean(now):.1%}"
    ) in lines
    assert f"    onsets with these settings: 2, at {times} s" in lines


@pytest.mark.parametrize("changed", [False, True])
def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: bool
) -> None:
    folder = run_into(tmp_path / "run")
    words = ["--run", str(folder.path)]
    if changed:
        other = tmp_path / "other.ini"
        other.write_text(SETTINGS.replace("MAX_ON_S = 0.2", "MAX_ON_S = 0.1"), "utf-8")
        words += ["--settings", str(other)]
    assert main(words) == int(changed)
    said = capsys.readouterr().out
    assert ("commands, on the same frames" in said) is not changed


def test_what_would_have_fired_as_a_table(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    other, table = tmp_path / "other.ini", tmp_path / "differences.csv"
    other.write_text(SETTINGS.replace("circle 60 30 25", "circle 90 30 25"), "utf-8")
    words = ["--run", str(folder.path), "--settings", str(other)]
    assert main([*words, "--differences", str(table)]) == 1
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    found = compare(load(other), folder)
    assert len(rows) == len(found.differences) > 3
    assert rows[0]["recorded"] == "'trial 1', light on"
    assert rows[0]["now"] == "nothing"


def test_an_experiment_on_a_run_that_had_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_into(tmp_path / "run", experiment=False)
    words = ["--run", str(folder.path)]
    assert main(words) == 0
    assert "an experiment ran on 0 of them" in capsys.readouterr().out
    other = tmp_path / "pulses.ini"
    pulses = "[Experiment]\nEXP_NAME = it\n[Experiment it]\nKIND = Triggered\n"
    other.write_text(f"{pulses}TRIGGER = spot\nOUTPUT = light\nREST_S = 0\n", "utf-8")
    assert main([*words, "--experiment", str(other)]) == 1
    said = capsys.readouterr().out
    assert "(0.400 s): recorded nothing; now 'pulse 1', light on for 0.5 s" in said
    assert (
        "[Output light] was switched on 0 times, would be switched on 2 times" in said
    )


def test_settings_of_other_cameras_are_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_into(tmp_path / "run")
    other = tmp_path / "other.ini"
    other.write_text(SETTINGS.replace("[Camera top]", "[Camera side]"), "utf-8")
    assert main(["--run", str(folder.path), "--settings", str(other)]) == 2
    assert "no analysed frames of the cameras in these" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path)]) == 2
    assert "no run" in capsys.readouterr().err
