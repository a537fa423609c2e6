"""A recorded run is decided again from its poses: equal, or the difference is shown."""

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Mark
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.replay.rerun import compare, rerun_decisions
from deeplabstream.pose.placeholder_network import PlaceholderNetwork
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import load, parse
from deeplabstream.simulation.virtual_output import virtual_outputs
from tests.engine.test_video_replay import SETTINGS, dark_spot, run_into
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


RESTART = Callable[[Loop, OutputBank, RunWriter, ManualClock], None]


def _interrupted(folder: Path, text: str, restart: RESTART, at: int) -> RunFolder:
    """Record 90 frames as a rig does; before one of them something is started again."""
    settings, network = parse(text, folder), PlaceholderNetwork()
    model = ModelFacts("stand-in:0", "", network.threshold, network.provider)
    facts = RunFacts(0, {"top": ImageFormat((60, 120), 30.0)}, network.skeleton, model)
    made = RunFolder.create_at(folder, datetime.now(UTC), settings.text, facts)
    clock, triggers = ManualClock(), settings.new_triggers()
    with (
        RunWriter(made, 0) as writer,
        opened(virtual_outputs(settings.outputs), clock, writer.entry) as bank,
    ):
        writer.begin("top", network.skeleton, tuple(triggers))
        rules = settings.experiment
        loop = Loop(network, rules, "top", clock, writer.entry, zero_ns=0)
        loop.begin(settings.new_experiment(), triggers, bank)
        for frame in dark_spot(90):
            if frame.index == at:
                clock.set(clock.now_ns() + 7_654_321)
                restart(loop, bank, writer, clock)
            catch_up(bank, clock, frame.time_ns + 5_123_456)
            loop.step(frame)
        loop.end()
    return made


def _next_experiment(
    loop: Loop, bank: OutputBank, _writer: RunWriter, _clock: ManualClock
) -> None:
    settings = parse(SETTINGS, Path())
    loop.end()
    loop.begin(settings.new_experiment(), settings.new_triggers(), bank)


def _next_analysis(
    loop: Loop, bank: OutputBank, writer: RunWriter, clock: ManualClock
) -> None:
    settings = parse(DWELLS, Path())
    loop.end()
    loop.set_triggers(settings.new_triggers())
    writer.entry(Note("analysis", "started", clock.now_ns()))


DWELLS = SETTINGS.replace("REGION =", "MIN_DWELL_S = 0.3\nREGION =")


def _assert_same(folder: RunFolder, text: str = SETTINGS) -> list[Step]:
    pairs = list(rerun_decisions(parse(text, folder.path), folder))
    assert len(pairs) == 90
    for then, now in pairs:
        assert then.commands == now.commands, then.index
        assert then.triggers == now.triggers, then.index
    return [then for then, _ in pairs]


def test_two_experiments_without_a_frame_between_them_are_two(tmp_path: Path) -> None:
    folder = _interrupted(tmp_path / "run", SETTINGS, _next_experiment, 50)
    steps = _assert_same(folder)
    marks = [order.text for it in steps for order in it.commands if type(order) is Mark]
    assert marks.count("trial 1") == 2


@pytest.mark.parametrize("at", [14, 18, 55])
def test_an_analysis_that_was_started_again_is_replayed(
    tmp_path: Path, at: int
) -> None:
    folder = _interrupted(tmp_path / "run", DWELLS, _next_analysis, at)
    steps = _assert_same(folder, DWELLS)
    assert [bool(step.status) for step in steps] == [True] * at + [False] * (90 - at)


def test_a_run_whose_events_do_not_say_when_experiments_began_is_replayed(
    tmp_path: Path,
) -> None:
    folder = run_into(tmp_path / "run")
    rows = folder.events_path.read_text("utf-8").splitlines(keepends=True)
    kept = [row for row in rows if ",note," not in row]
    assert len(kept) == len(rows) - 2
    folder.events_path.write_text("".join(kept), "utf-8")
    _assert_same(folder)


def test_an_experiment_that_was_not_started_ends_none(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run")
    rows = folder.events_path.read_text("utf-8").splitlines(keepends=True)
    started = next(row for row in rows if row.endswith("started\n"))
    place = next(number for number, row in enumerate(rows) if ",mark," in row)
    time_s = rows[place].partition(",")[0]
    refused = started.replace(",started", ",not started: no space").partition(",")[2]
    rows.insert(place, f"{time_s},{refused}")
    folder.events_path.write_text("".join(rows), "utf-8")
    _assert_same(folder)


def test_frames_with_an_empty_status_are_of_the_experiment(tmp_path: Path) -> None:
    """Earlier versions took the status from an empty mark."""
    folder = run_into(tmp_path / "run")
    table = folder.table_path("top")
    rows = table.read_text("utf-8").splitlines(keepends=True)
    rows[20:30] = [re.sub(r",trial \d,", ",,", row) for row in rows[20:30]]
    table.write_text("".join(rows), "utf-8")
    assert sum(not step.status for step in folder.steps("top")) == 10
    _assert_same(folder)


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
