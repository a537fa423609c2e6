"""The live page offers to resume the last run, if it was interrupted and can go on."""

from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.earlier_run import (
    EarlierRun,
    Resumption,
    interrupted_run,
)
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui import interrupted_run_finder
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.settings.loading import load
from deeplabstream.settings.sections import Settings
from tests.engine.loop_rig import IN, OUT
from tests.engine.test_resumed_runs import PULSES, RIG, Recorded, record
from tests.gui.main_windows import opened, rig_of

LEFT = Qt.MouseButton.LeftButton
ALL = [Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT]
NAME = "2026-03-01_12-00-00"


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Return the settings of a rig whose runs are in `output`."""
    text = RIG.format(limits="", experiment=PULSES)
    file = tmp_path / "settings.ini"
    file.write_text(
        "[Session]\nANIMAL = m1\n[Streaming]\nOUTPUT_DIRECTORY = output\n" + text
    )
    return file


def recorded(rig: Path, name: str = NAME, ends: str = "", first: int = 0) -> Recorded:
    """Record a run; without `ends` it has no end, as after a power cut."""
    path = rig.with_name("output") / name
    return record(path, load(rig), [IN, OUT, OUT, IN, OUT], first, ends)


def opened_and_looked(qtbot: QtBot, rig: Path) -> MainWindow:
    window = opened(qtbot, rig)
    qtbot.waitUntil(lambda: not window.live.finder.busy)
    return window


def tick(window: MainWindow) -> None:
    for _ in range(10):
        window.bridge.tick()


def test_an_interrupted_run_goes_on_by_its_button(qtbot: QtBot, rig: Path) -> None:
    run = recorded(rig)
    window = opened_and_looked(qtbot, rig)
    controls = window.live.controls
    assert controls.resume.isVisible() and controls.resume.isEnabled()
    assert f"The last run, {NAME}, was interrupted" in controls.message.text()

    qtbot.mouseClick(controls.resume, LEFT)
    resumes = window.bridge.session.resumes
    assert resumes is not None and resumes.required
    assert resumes.run == run.folder.path
    tick(window)
    assert rig_of(window).asked == ALL
    assert not controls.resume.isVisible()
    window.end()


@pytest.mark.parametrize("refused_before", [False, True])
def test_start_begins_a_new_run(qtbot: QtBot, rig: Path, refused_before: bool) -> None:
    run = recorded(rig)
    window = opened_and_looked(qtbot, rig)
    if refused_before:
        window.bridge.session.resumes = Resumption(run.folder.path)
    qtbot.mouseClick(window.live.controls.start, LEFT)
    assert window.bridge.session.resumes is None
    window.end()


def test_the_single_step_of_the_stream_begins_a_new_run(
    qtbot: QtBot, rig: Path
) -> None:
    recorded(rig)
    window = opened_and_looked(qtbot, rig)
    window.live.resume()
    window.live.request(Action.START_STREAM)
    assert window.bridge.session.resumes is None
    window.end()


def test_a_run_that_is_interrupted_while_the_window_is_open_is_offered_afterwards(
    qtbot: QtBot, rig: Path
) -> None:
    window = opened_and_looked(qtbot, rig)
    assert not window.live.controls.resume.isVisible()
    window.bridge.do(Action.START_STREAM)
    tick(window)
    recorded(rig)
    window.bridge.do(Action.STOP_STREAM)
    tick(window)
    qtbot.waitUntil(window.live.controls.resume.isVisible)
    window.end()


def test_the_window_does_not_wait_for_the_search(
    qtbot: QtBot, rig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(rig)
    may_end = Event()
    look = interrupted_run_finder.interrupted_run

    def slowly(settings: Settings) -> Path | None:
        assert may_end.wait(60)
        return look(settings)

    monkeypatch.setattr(interrupted_run_finder, "interrupted_run", slowly)
    window = opened(qtbot, rig)
    assert window.live.controls.start.isEnabled()
    assert not window.live.controls.resume.isVisible()
    may_end.set()
    qtbot.waitUntil(window.live.controls.resume.isVisible)
    window.end()


def test_only_the_last_run_is_offered(rig: Path) -> None:
    assert interrupted_run(load(rig)) is None
    first = recorded(rig)
    assert interrupted_run(load(rig)) == first.folder.path
    recorded(rig, "later", ends="stopped", first=100)
    assert interrupted_run(load(rig)) is None


def test_an_interrupted_run_that_was_repaired_is_offered_too(rig: Path) -> None:
    run = recorded(rig)
    run.folder.update(ended="2026-03-01T12:00:01+00:00", how="killed")
    assert interrupted_run(load(rig)) == run.folder.path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ANIMAL = m1", "ANIMAL = m2"),
        ("PULSE_S = 0.1", "PULSE_S = 0.2"),
        ("circle 50", "circle 5"),
    ],
)
def test_a_run_of_another_animal_or_other_settings_is_not_offered(
    rig: Path, before: str, after: str
) -> None:
    recorded(rig)
    rig.write_text(rig.read_text("utf-8").replace(before, after), "utf-8")
    assert interrupted_run(load(rig)) is None


def test_a_run_whose_experiment_was_stopped_is_not_offered(rig: Path) -> None:
    run = recorded(rig, ends="stopped")
    run.folder.update(ended=None, how=None)
    assert interrupted_run(load(rig)) is None


def test_a_seed_that_was_drawn_for_the_run_is_no_other_setting(rig: Path) -> None:
    drawn = rig.read_text("utf-8").replace(
        "[Trigger spot]", "[Trigger spot]\nPROBABILITY = 0.5\nSEED = 7"
    )
    rig.write_text(drawn, "utf-8")
    run = recorded(rig)
    rig.write_text(drawn.replace("SEED = 7", "SEED = new"), "utf-8")
    assert interrupted_run(load(rig)) == run.folder.path


def test_of_a_long_run_only_the_events_of_experiments_are_read(rig: Path) -> None:
    run = recorded(rig)
    events = run.folder.events_path
    lines = events.read_text("utf-8").splitlines(keepends=True)
    # a broken line between others is found, and named, when the run is resumed
    events.write_text("".join([*lines[:3], "no event\n", *lines[3:]]), "utf-8")
    settings = load(rig)
    assert interrupted_run(settings) == run.folder.path
    began = datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(DeviceError, match=r"line 4 of events\.csv is broken"):
        EarlierRun(run.folder.path).resumed(settings, 0, began)


@pytest.mark.parametrize("file", ["run.json", "settings.ini", "events.csv"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", "\0\0"])
def test_a_damaged_run_is_not_offered_and_raises_nothing(
    rig: Path, file: str, content: str | None
) -> None:
    run = recorded(rig).folder.path
    if content is None:
        (run / file).unlink()
    else:
        (run / file).write_text(content)
    assert interrupted_run(load(rig)) is None
