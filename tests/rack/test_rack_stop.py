"""The order in which a rack stops its boxes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.journal_entries import Note
from deeplabstream.rack.box_session import BoxSession
from deeplabstream.rack.page_process import PageProcess
from deeplabstream.rack.rack_commands import CommandQueue
from deeplabstream.rack.rack_run import _RackRun
from deeplabstream.rack.supervised_box import SupervisedBox
from deeplabstream.settings.loading import parse
from deeplabstream.settings.rack_file import BoxSection, RackBox


class NotingBox(SupervisedBox):
    """A box that waits for its start, and notes what is done with it."""

    def __init__(self, rack: Path, name: str, done: list[str]) -> None:
        section = BoxSection(rig=rack.parent)
        super().__init__(rack, RackBox(name, section, {}), [], ManualClock())
        self.done = done

    @property
    def active(self) -> bool:
        return self.name != "idle"

    def prepare(self) -> None:
        self.done.append(f"prepare {self.name}")

    def stop(self) -> None:
        self.done.append(f"stop {self.name}")

    def note_stop(self) -> None:
        self.done.append(f"note {self.name}")


class Outlet:
    """Notes the alarms of the rack."""

    def __init__(self) -> None:
        self.raised: list[tuple[str, str, bool]] = []

    def raise_alarm(self, source: str, text: str, urgent: bool) -> None:
        self.raised.append((source, text, urgent))

    def watch(self, well: bool) -> None:
        """Do nothing."""


def test_a_window_that_is_lost_while_boxes_run_is_one_alarm(tmp_path: Path) -> None:
    outlet, done = Outlet(), list[str]()
    boxes = {"left": NotingBox(tmp_path / "rack.ini", "left", done)}
    run = _RackRun(boxes, done.append, ManualClock(), outlet, False)
    run.lose_window()
    run.lose_window()
    text = "the window has ended: all boxes are being stopped"
    assert outlet.raised == [("", text, True)]
    assert done == ["stop left", "All boxes are being stopped: the window has ended."]


def test_a_page_that_ends_by_itself_is_reported_as_lost() -> None:
    lost: Queue[str] = Queue()
    command = [sys.executable, "-c", "pass"]
    page = PageProcess(command, CommandQueue(), lambda _text: None, lost.put)
    assert "has ended; the boxes go on" in lost.get(timeout=60)
    page.close()


def test_a_camera_that_is_lost_is_an_urgent_alarm_and_its_return_a_warning(
    tmp_path: Path,
) -> None:
    settings = parse("[Camera top]\nKIND = SimulatedCamera\n", tmp_path)
    session = BoxSession(settings, tmp_path / "status.json")
    for text in ("is lost (was unplugged)", "has more", "is back after 2.00 s"):
        session._count(Note("camera", f"[Camera top] {text}", 1))
    alarms = [(alarm.text, alarm.urgent) for alarm in session.status(1).alarms]
    assert alarms == [
        ("[Camera top] is lost (was unplugged)", True),
        ("[Camera top] is back after 2.00 s", False),
    ]


def test_all_boxes_are_stopped_before_anything_is_written(tmp_path: Path) -> None:
    done: list[str] = []
    names = ("left", "idle", "right")
    boxes = {name: NotingBox(tmp_path / "rack.ini", name, done) for name in names}
    run = _RackRun(
        boxes, lambda _text: done.append("report"), ManualClock(), None, True
    )
    run.carry_out("stop")
    stops, notes = [f"stop {name}" for name in names], ["note left", "note right"]
    assert done == [*stops, *notes, "report", "report"]

    done.clear()
    run.carry_out("stop left")
    assert done == ["stop left", "note left", "report"]


class StoppingBox(NotingBox):
    """A box that a user has stopped, whose process still runs."""

    running = stopping = True  # type: ignore[assignment]

    def start(self) -> Iterator[str]:
        self.done.append(f"start {self.name}")
        yield f"{self.name} starts when it has ended"


def test_a_box_that_is_stopping_can_be_started_unless_the_rack_ends(
    tmp_path: Path,
) -> None:
    done: list[str] = []
    boxes = {it: StoppingBox(tmp_path / "rack.ini", it, done) for it in ("a", "b")}
    run = _RackRun(boxes, lambda _text: None, ManualClock(), None, False)
    run.carry_out("stop")
    assert run.carry_out("start a") == "ok: start a"
    assert run.carry_out("start b") == "ok: start b"
    assert done.count("start a") == done.count("start b") == 1
    assert run.carry_out("start a m1").startswith("error: [Box a] runs already")

    done.clear()
    run.carry_out("stop")
    assert done[:2] == ["stop a", "stop b"], "a start takes back a stop, once"
    run.carry_out("start a")
    run.stop_all("Ctrl-C")
    assert run.carry_out("start a") == "error: the rack is being stopped"


def test_settings_are_read_ahead_of_one_box_at_a_time(tmp_path: Path) -> None:
    done: list[str] = []
    boxes = {name: NotingBox(tmp_path / "rack.ini", name, done) for name in "ab"}
    run = _RackRun(boxes, lambda _text: None, ManualClock(), None, False)
    for _ in range(3):
        run.watch()
    assert done == ["prepare a", "prepare b", "prepare a"]
