"""The window of a rack: what it shows of the boxes, and what it has the rack do."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.gui import rack_window
from deeplabstream.gui.rack_window import RackWindow
from deeplabstream.gui.stop_window import OutputStopper
from deeplabstream.rack.box_status import (
    STOPPED,
    BoxStatus,
    over_file,
    status_file,
    waiting_file,
)
from deeplabstream.rack.control_link import ControlServer
from deeplabstream.rack.rack_commands import COMMANDS, CommandQueue
from deeplabstream.settings.rack_file import RackFile, load_rack
from tests.rack.alarms.alarm_services import (
    address_file,
    http_service,
    json_address,
)
from tests.web.test_rack_page import STATUS, camera_ring, running, write_frame

SETTINGS = """
[Pose Estimation]
MODEL = stand-in:0
[Camera top]
KIND = SimulatedCamera
[Trigger corner]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 20 20
"""
DEAF = "import time\ntime.sleep(600)"
"""Stand in for a program of a rack that hangs."""
ECHO = "import sys\nfor line in sys.stdin: print('ok:', line.strip(), flush=True)"
"""Stand in for the program of a rack: says that each command was carried out."""


def rack_of(folder: Path, more: str = "") -> RackFile:
    """Return a rack of two boxes."""
    for name in ("left", "right"):
        (folder / f"{name}.ini").write_text(SETTINGS, "utf-8")
    file = folder / "rack.ini"
    boxes = "[Box left]\nRIG = left.ini\nANIMAL = m1\n[Box right]\nRIG = right.ini\n"
    file.write_text(more + boxes, "utf-8")
    return load_rack(file)


class Make(Protocol):
    def __call__(self, rack: RackFile, program: str = ECHO) -> RackWindow: ...


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Make]:
    """Return a function that shows the window of a rack."""
    made: list[RackWindow] = []

    def show(rack: RackFile, program: str = ECHO) -> RackWindow:
        command = [sys.executable, "-u", "-c", program]
        window = RackWindow(rack, [*rack.boxes], command, clock=ManualClock())
        qtbot.addWidget(window)
        made.append(window)
        window.stop_window.follow_programs = lambda: None  # type: ignore[method-assign]
        window.show()
        QApplication.setActiveWindow(window)
        return window

    yield show
    for window in made:
        window.end()
        if window.process._process is not None:
            if window.process._command[-1] == DEAF:
                window.process.kill()
            window.process._process.wait(60)


@pytest.fixture
def rack(tmp_path: Path) -> RackFile:
    return rack_of(tmp_path)


def told(window: RackWindow) -> str:
    return window.log.page.toPlainText()


def advance(window: RackWindow, seconds: float) -> None:
    """Let time pass for the window."""
    clock = window._clock
    assert isinstance(clock, ManualClock)
    clock.set(clock.now_ns() + round(seconds * 1e9))
    window.tick()


def read_again(window: RackWindow) -> None:
    """Show the states that are reported now."""
    window._read_ns = None
    window.tick()


def test_a_tile_shows_state_figures_alarm_and_image(rack: RackFile, make: Make) -> None:
    window = make(rack)
    left, right = window.tiles.values()
    assert left.head.state.text() == right.head.state.text() == "not started"
    assert left.figures.values["subject"].text() == "m1"
    with camera_ring((48, 64, 3)) as ring:
        seen: BoxStatus = replace(STATUS, rings={"top": ring.spec}, alarm="disk full")
        seen = replace(seen, light=LightMoment("dark", 14.25))
        with running(rack, "left", seen):
            read_again(window)
            write_frame(ring, 200)
            window.tick()
            assert left.view.place is not None
            assert left.head.state.text() == "streaming, analysing"
            assert left.head.alarm.text() == "disk full"
            assert left.figures.values["trials"].text() == "2"
            assert left.figures.values["light"].text() == "dark, ZT 14.2"
            assert left.figures.values["frames/s"].text() == "30.0"
            assert window.summary.text() == "1 of 2 boxes run, 1 needs attention"
            assert not left.start.isEnabled() and right.start.isEnabled()
        read_again(window)
    assert left.view.place is None
    assert left.view.empty_text == "ended unexpectedly"


def test_start_and_stop_are_sent_for_one_box_and_for_all(
    rack: RackFile, make: Make, qtbot: QtBot
) -> None:
    window = make(rack)
    window.tiles["left"].start.click()
    qtbot.waitUntil(lambda: "ok: start left" in told(window), timeout=60_000)
    window.start_all.click()
    window.tiles["right"].stop.click()
    window.stop_all.click()
    qtbot.waitUntil(lambda: told(window).endswith("ok: stop"), timeout=60_000)
    assert "ok: start right\nok: stop right" in told(window)


def restart_by_menu(window: RackWindow) -> None:
    """Choose *Restart …* in the menu of the left box."""
    menu = window.tiles["left"].more.menu()
    assert menu is not None
    (entry,) = menu.actions()
    assert entry.text() == "Restart …"
    entry.trigger()


def test_a_box_that_runs_is_restarted_after_a_confirmation(
    rack: RackFile, make: Make, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    window = make(rack)
    asked: list[str] = []
    answers = ["Cancel", "Restart"]

    def ask(_window: object, question: str, *offered: str) -> str:
        asked.append(question)
        assert offered == ("Restart", "Cancel")
        return answers.pop(0)

    monkeypatch.setattr(rack_window, "show_question", ask)
    window.start("left")
    qtbot.waitUntil(lambda: "ok: start left" in told(window), timeout=60_000)
    with running(rack, "left"):
        read_again(window)
        assert window.tiles["left"].more.isEnabled()
        assert not window.tiles["right"].more.isEnabled()
        restart_by_menu(window)
        window.show_in_full("left")
        assert window.full is not None and window.full.more.isEnabled()
        window.full.restart_requested.emit("left")
        qtbot.waitUntil(lambda: "ok: restart left" in told(window), timeout=60_000)
    assert told(window).count("restart") == 1, "the first was cancelled"
    assert asked == 2 * [f"Restart left? {COMMANDS['restart'].consequence}"]


def test_escape_stops_what_is_shown(rack: RackFile, make: Make, qtbot: QtBot) -> None:
    window = make(rack)
    window.tiles["right"].full.click()
    with running(rack, "right"), running(rack, "left"):
        read_again(window)
        qtbot.keyClick(window, Qt.Key.Key_Escape)
        qtbot.waitUntil(lambda: "ok: stop right" in told(window), timeout=60_000)
        window.show_tiles()
        qtbot.keyClick(window, Qt.Key.Key_Escape)
        qtbot.waitUntil(lambda: told(window).endswith("ok: stop"), timeout=60_000)


def test_a_clicked_tile_is_shown_in_full_until_back(
    rack: RackFile, make: Make, qtbot: QtBot
) -> None:
    window = make(rack)
    qtbot.mouseClick(window.tiles["left"].view, Qt.MouseButton.LeftButton)
    assert window.full is not None and window.full.isVisible()
    view = window.full.grid.views["top"]
    assert [zone.trigger for zone in view.zones] == ["corner"]
    with camera_ring((48, 64, 3)) as ring:
        seen = replace(STATUS, rings={"top": ring.spec})
        with running(rack, "left", seen):
            read_again(window)
            write_frame(ring, 90)
            window.tick()
            assert view.place is not None
        read_again(window)
    assert view.place is None
    window.full.back.click()
    assert window.full is None and window.tiles["left"].isVisible()


def test_a_rack_that_another_program_runs_is_shown_and_not_started(
    rack: RackFile, make: Make
) -> None:
    window = make(rack)
    with exclusive(rack.path):
        read_again(window)
        assert not window.start_all.isEnabled()
        assert not window.tiles["left"].start.isEnabled()
        assert "Another program runs this rack" in window.summary.text()
        window.start("left")
    assert "Another program runs this rack" in told(window)
    assert not window.process.number


@pytest.mark.parametrize(
    ("policy", "choices"),
    [
        ("stop", ["Stop them and close", "Stay"]),
        ("go on", ["Stop them and close", "Close, they go on", "Stay"]),
    ],
)
def test_closing_asks_while_boxes_run(
    tmp_path: Path,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
    policy: str,
    choices: list[str],
) -> None:
    rack = rack_of(tmp_path, f"[Rack]\nIF_WINDOW_LOST = {policy}\n")
    window = make(rack)
    window.start("left")
    asked: list[str] = []
    answers = ["Stay", "Stop them and close"]

    def ask(_window: object, question: str, *offered: str) -> str:
        asked.append(question)
        assert [*offered] == choices
        return answers.pop(0)

    monkeypatch.setattr(rack_window, "show_question", ask)
    with running(rack, "left"):
        read_again(window)
        window.close()
        assert window.isVisible() and asked == [
            "Boxes run or wait for their time: left."
        ]
        window.close()
        qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert not answers
    printed = status_file(rack.path, "left").parents[1] / "printed.txt"
    assert printed.read_text("utf-8").split("\n")[:2] == ["ok: start left", "ok: stop"]


def test_a_rack_with_alarms_has_a_button_that_tests_them(
    tmp_path: Path, make: Make, qtbot: QtBot
) -> None:
    file = rack_of(tmp_path).path
    assert not make(load_rack(file)).test_alarms.isVisible()
    with http_service() as service:
        address_file(tmp_path, json_address(service), "json://127.0.0.1:1/")
        with file.open("a", encoding="utf-8") as rack:
            rack.write("[Alarms]\nADDRESS_FILE = addresses.txt\n")
        window = make(load_rack(file))
        qtbot.mouseClick(window.test_alarms, Qt.MouseButton.LeftButton)
        assert not window.test_alarms.isEnabled()
        qtbot.waitUntil(window.test_alarms.isEnabled, timeout=60_000)
        assert len(service.texts) == 1 and "This is a test" in service.texts[0]
    assert "json (line 1): accepted" in told(window)
    assert "json (line 2): NOT accepted" in told(window)


def press_stop_all(window: RackWindow) -> None:
    window.stop_all.click()


def press_stop_of_a_box(window: RackWindow) -> None:
    window.tiles["left"].stop.click()


def press_escape(window: RackWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_Escape)


def press_escape_in_full(window: RackWindow) -> None:
    window.show_in_full("left")
    press_escape(window)


STOPS = [press_stop_all, press_stop_of_a_box, press_escape, press_escape_in_full]


@pytest.mark.parametrize("press", STOPS)
def test_each_stop_ends_a_rack_that_another_program_runs(
    rack: RackFile, make: Make, press: Callable[[RackWindow], None]
) -> None:
    window = make(rack)
    sleep = [sys.executable, "-c", "import time; time.sleep(600)", str(rack.path)]
    with exclusive(rack.path), subprocess.Popen(sleep) as other:
        try:
            press_stop_all(window)
            assert "was not found" in told(window)
            number = status_file(rack.path, "left").parents[1] / "process.txt"
            number.parent.mkdir(exist_ok=True)
            number.write_text(str(os.getpid()))  # of another program
            press_stop_all(window)
            number.write_text(str(other.pid))
            with running(rack, "left"):
                read_again(window)
                press(window)
            assert other.wait(60) != 0
            assert over_file(rack.path, "left").read_text("utf-8") == STOPPED
            assert not over_file(rack.path, "right").exists()
        finally:
            other.kill()


def test_the_stop_window_ends_the_rack_and_start_starts_it_again(
    rack: RackFile, make: Make, qtbot: QtBot
) -> None:
    window = make(rack)
    window.start("left")
    qtbot.waitUntil(lambda: "ok: start left" in told(window), timeout=60_000)
    programs = window.stop_window._programs
    assert programs() == ()
    with running(rack, "left"):
        read_again(window)
        first = window.process.number
        assert programs() == (first,)
        stopper = OutputStopper(None)
        stopper.watch(programs())
        stopper.request()
        qtbot.waitUntil(lambda: not window.process.number, timeout=60_000)
    read_again(window)
    assert programs() == ()
    window.start("left")
    assert window.process.number not in (0, first)


@pytest.mark.parametrize("press", [press_stop_all, press_stop_of_a_box])
def test_a_rack_that_does_not_answer_a_stop_is_killed_after_3_s(
    rack: RackFile, make: Make, qtbot: QtBot, press: Callable[[RackWindow], None]
) -> None:
    window = make(rack, DEAF)
    window.start("left")
    press(window)
    advance(window, 60)  # no box runs: the rack may be starting
    assert window.process.number
    with running(rack, "left"):
        read_again(window)
        advance(window, 2.9)
        assert window.process.number
        advance(window, 0.1)
        qtbot.waitUntil(lambda: not window.process.number, timeout=60_000)
    assert "The rack does not answer: it is killed" in told(window)
    assert over_file(rack.path, "left").read_text("utf-8") == STOPPED


def test_a_rack_that_answers_a_stop_is_not_killed(
    rack: RackFile, make: Make, qtbot: QtBot
) -> None:
    window = make(rack)
    with running(rack, "left"):
        read_again(window)
        window.stop("left")
        window.stop_everything()
        qtbot.waitUntil(lambda: told(window).endswith("ok: stop"), timeout=60_000)
        advance(window, 60)
    assert window.process.number
    assert "killed" not in told(window)


def test_escape_stops_a_box_that_starts_or_waits_for_its_restart(
    rack: RackFile, make: Make, qtbot: QtBot
) -> None:
    window = make(rack)
    window.start("left")
    press_escape(window)
    qtbot.waitUntil(lambda: told(window).endswith("ok: stop"), timeout=60_000)

    waiting = waiting_file(rack.path, "left")
    waiting.parent.mkdir(parents=True, exist_ok=True)
    waiting.write_text("failed; restart 1 of 2 follows", "utf-8")
    with exclusive(rack.path):
        read_again(window)
        press_escape_in_full(window)
        qtbot.waitUntil(lambda: told(window).endswith("ok: stop left"), timeout=60_000)


def test_a_window_controls_each_box_of_a_rack_that_another_program_runs(
    rack: RackFile, make: Make, qtbot: QtBot
) -> None:
    queue = CommandQueue()
    with (
        exclusive(rack.path),
        closing(ControlServer(rack.path, queue, print)),
        running(rack, "left"),
    ):
        window = make(rack)
        read_again(window)
        assert "its boxes are controlled from here" in window.summary.text()
        assert window.tiles["right"].start.isEnabled()
        for press, line in (
            (window.tiles["left"].stop.click, "stop left"),
            (window.tiles["right"].start.click, "start right"),
            (window.stop_all.click, "stop"),
        ):
            press()
            (request,) = queue.take(60.0)
            assert request.line == line
            request.answer(f"ok: {line}")

            def shown(line: str = line) -> bool:
                window.tick()
                return told(window).endswith(f"ok: {line}")

            qtbot.waitUntil(shown, timeout=60_000)
    assert not over_file(rack.path, "left").exists()
