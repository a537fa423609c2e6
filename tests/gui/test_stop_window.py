"""STOP and Esc act while the main thread of the window is blocked or its process suspended."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from math import inf
from pathlib import Path
from time import perf_counter

import pytest
from PyQt5.QtCore import QPoint, QRect, Qt
from PyQt5.QtGui import QGuiApplication
from PyQt5.QtTest import QTest
from pytestqt.qtbot import QtBot

from deeplabstream.core.clock import rest
from deeplabstream.engine.session.session_state import Action
from deeplabstream.files.atomic_replace import RewrittenFile
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.stop_window import (
    OutputStopper,
    SilenceWatch,
    StopWindow,
    WindowHeartbeat,
)
from deeplabstream.ipc.journal import create_journal
from deeplabstream.ipc.semaphore import opened_semaphore
from deeplabstream.ipc.stop_link import StopLink, StopRequester
from deeplabstream.rack.box_status import STOPPED, over_file, status_file
from deeplabstream.rack.control_link import ControlServer
from deeplabstream.rack.rack_commands import CommandQueue
from deeplabstream.settings.loading import load
from tests.engine.tolerant import GIVE_UP_S
from tests.gui import x_input
from tests.gui.fake_session import FakeSession
from tests.gui.main_windows import start
from tests.gui.window_rig import WindowRig, window_with_laser_on
from tests.web.test_rack_page import STATUS

LEFT = Qt.MouseButton.LeftButton
PLACE = 200, 300, 98, 70
SOON = 300_000  # ms
real = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="needs pseudo-terminals and pidfds: Linux"
)
STALLS = [
    pytest.param(WindowRig.block, id="blocked"),
    pytest.param(WindowRig.block_with_menu, id="blocked with a menu"),
    pytest.param(WindowRig.suspend, id="suspended"),
]


@real
@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("key", ["STOP", "Esc"])
def test_the_laser_goes_off_while_the_window_does_not_respond(
    tmp_path: Path, stall: Callable[[WindowRig], None], key: str
) -> None:
    if reason := x_input.why_not():
        pytest.skip(reason)
    with window_with_laser_on(tmp_path) as rig, x_input.x_input() as user:
        stall(rig)
        rig.hold_until_off(
            user.pressing_escape if key == "Esc" else lambda: user.clicking(rig.stop)
        )
        rig.resume()
        rig.close()
        rows = rig.events()
    notes = [row["text"] for row in rows if row["name"] == "experiment"]
    assert any(text.startswith("stopped: STOP was pressed") for text in notes), rows
    off = [row for row in rows if row["kind"] == "edge" and row["name"] == "laser"][2]
    assert (float(off["level"]), off["cause"]) == (0.0, "stop")


@real
def test_the_stop_window_ends_when_the_window_is_killed(tmp_path: Path) -> None:
    with window_with_laser_on(tmp_path) as rig:
        os.kill(rig.pids["main"], signal.SIGKILL)
        rig.wait_for_end()


def beat(watch: SilenceWatch, silent_s: float, at_s: float) -> None:
    watch.receive(WindowHeartbeat(PLACE, silent_s), round(at_s * 1e9))


def silent_at(watch: SilenceWatch, *at_s: float) -> list[bool]:
    return [watch.is_silent(round(each * 1e9)) for each in at_s]


def test_silence_is_measured_from_the_last_heartbeat() -> None:
    watch = SilenceWatch(0)
    assert silent_at(watch, 0.9, 1.8) == [False, False], "before the first heartbeat"
    beat(watch, 0.5, 2.0)
    assert silent_at(watch, 2.4, 2.6) == [False, True]
    beat(watch, 3.0, 2.7)
    assert silent_at(watch, 3.2, 4.0, 4.8, 5.6, 5.8) == [False] * 4 + [True]
    beat(watch, inf, 6.0)
    assert silent_at(watch, 6.9, 7.8) == [False, False]


def test_a_computer_that_slept_shows_no_stop_window() -> None:
    watch = SilenceWatch(0)
    beat(watch, 0.5, 0.1)
    assert silent_at(watch, 0.2, 100.0, 100.4) == [False, False, False]
    assert silent_at(watch, 100.6) == [True]


@pytest.fixture
def requests() -> list[bool]:
    """Return a list that grows with each stop request; an element is True when it is done."""
    return []


@pytest.fixture
def stop_window(qtbot: QtBot, requests: list[bool]) -> StopWindow:
    window = StopWindow(
        lambda: requests.append(False), lambda: "done" if all(requests) else "waiting"
    )
    qtbot.addWidget(window)
    window.show_at(PLACE)
    qtbot.waitUntil(
        lambda: QGuiApplication.focusWindow() is window.windowHandle(), timeout=SOON
    )
    return window


def test_its_stop_lies_over_the_stop_of_the_window(stop_window: StopWindow) -> None:
    stop = stop_window.stop
    shown = QRect(stop.mapToGlobal(stop.rect().topLeft()), stop.size())
    assert shown.contains(QRect(*PLACE))


def test_only_stop_and_escape_request_a_stop(
    stop_window: StopWindow, requests: list[bool]
) -> None:
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_S):
        QTest.keyClick(stop_window, key)
    assert not requests
    QTest.mouseClick(stop_window.stop, LEFT)
    QTest.keyClick(stop_window, Qt.Key.Key_Escape)
    assert len(requests) == 2


def test_each_box_of_a_rack_has_its_own_stop(qtbot: QtBot) -> None:
    stopped: list[str] = []
    window = StopWindow(lambda: stopped.append("all"), lambda: "told", stopped.append)
    qtbot.addWidget(window)
    window.show_boxes(["left", "right", "third"])
    window.show_at(PLACE)
    stop = QRect(window.stop.mapToGlobal(QPoint(0, 0)), window.stop.size())
    assert stop.contains(QRect(*PLACE))
    assert window.stop.text() == "STOP ALL"
    QTest.mouseClick(window.boxes["right"], LEFT)
    assert (stopped, window.text.text()) == (["right"], "told")

    ratio = window.devicePixelRatioF()
    place = window.boxes["third"].geometry().center()
    window.take_state(False, (round(place.x() * ratio), round(place.y() * ratio)))
    window.take_state(True, None)
    assert stopped == ["right", "third", "all"]
    window.show_boxes([])
    assert not window.boxes


def test_one_box_is_stopped_by_its_rack_or_without_it(tmp_path: Path) -> None:
    rack, queue = tmp_path / "rack.ini", CommandQueue()
    stopper = OutputStopper(None)
    stopper.watch_rack(rack)

    def result(text: str) -> bool:
        return text in stopper.result()

    with closing(ControlServer(rack, queue, print)):
        stopper.request_box("left")
        (request,) = queue.take(GIVE_UP_S)
        assert request.line == "stop left"
        assert result("left is being stopped")
        request.answer("ok: stop left")
        wait_until(lambda: result("left: ok: stop left"))

    stopper.request_box("left")
    wait_until(lambda: result("left was not found"))
    wait = "import sys; print(1, flush=True); sys.stdin.read()"
    words, pipe = [sys.executable, "-c", wait, str(rack)], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as box:
        assert box.stdout is not None
        box.stdout.readline()
        status = replace(STATUS, processes={"session": box.pid})
        status.write(RewrittenFile(status_file(rack, "left")))
        stopper.request_box("left")
        wait_until(lambda: result("left itself was asked to end"))
        box.wait(GIVE_UP_S)
    assert over_file(rack, "left").read_text("utf-8") == STOPPED


def wait_until(reached: Callable[[], bool]) -> None:
    give_up_s = perf_counter() + GIVE_UP_S
    while not reached():
        assert perf_counter() < give_up_s
        rest(0.01)


def test_it_reports_only_what_the_engine_has_done(
    stop_window: StopWindow, requests: list[bool]
) -> None:
    QTest.mouseClick(stop_window.stop, LEFT)
    assert stop_window.text.text() == "waiting"
    requests[0] = True
    stop_window.show_result()
    assert stop_window.text.text() == "done"
    stop_window.show_at(PLACE)
    stop_window.show_result()
    assert stop_window.text.text() != "done", "another silence"


def test_the_engine_is_asked_and_its_answer_shown() -> None:
    journal, wake = create_journal(16), opened_semaphore()
    stopper = OutputStopper(StopRequester(StopLink(journal.spec, wake)))
    stopper.request()
    assert wake.acquire(block=False)
    assert "has not answered" in stopper.result()
    journal.stops_done = journal.stops
    assert "has ended the experiment" in stopper.result()
    journal.close()
    journal.unlink()


def test_a_program_that_switches_an_output_is_ended() -> None:
    wait = "import sys; print(1, flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", wait]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as program:
        assert program.stdout is not None
        program.stdout.readline()
        stopper = OutputStopper(None)
        stopper.watch((program.pid,))
        assert "was asked to end" in stopper.result()
        stopper.request()
        program.wait(GIVE_UP_S)
        assert "has ended" in stopper.result()
        stopper.watch(())
        assert "program" not in stopper.result()


def test_keys_and_clicks_are_seen_that_do_not_arrive_as_events(
    stop_window: StopWindow, requests: list[bool]
) -> None:
    ratio, place = stop_window.devicePixelRatioF(), stop_window.stop.geometry().center()
    over_stop = round(place.x() * ratio), round(place.y() * ratio)
    stop_window.take_state(False, None)
    stop_window.take_state(False, (5, 5))
    assert not requests
    stop_window.take_state(False, over_stop)
    stop_window.take_state(False, over_stop)
    assert len(requests) == 1
    stop_window.take_state(False, None)
    stop_window.take_state(True, None)
    assert len(requests) == 2


def test_a_close_by_the_window_system_does_not_hide_it(stop_window: StopWindow) -> None:
    stop_window.close()
    assert stop_window.isVisible()


class StoppedSession(FakeSession):
    """A fake session whose experiment the stop window has ended, once."""

    stops = 0

    def stop_requested(self) -> bool:
        requested, self.stops = bool(self.stops), 0
        return requested


def test_the_window_takes_over_what_was_stopped(qtbot: QtBot, file: Path) -> None:
    rig = StoppedSession()
    rig.settings = load(file)
    window = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(window)
    window.show()
    start(window, (Action.START_STREAM, Action.START_ANALYSIS))
    window.bridge.begin()
    rig.update(armed=True)
    rig.stops = 1
    window.bridge.tick()
    assert rig.asked[-1] is Action.DISARM
    assert not window.bridge.starting
    assert not rig.state.experimenting
    assert "STOP was pressed in the stop window" in window.log.page.toPlainText()
