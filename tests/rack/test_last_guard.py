"""The rack as last guard of a box, with a real port and processes that stand for the box's."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import psutil
import pytest

from deeplabstream.core.clock import ManualClock, rest
from deeplabstream.engine.processes import guard
from deeplabstream.rack.box_process import BoxProcess, runs
from deeplabstream.rack.box_status import BoxStatus
from deeplabstream.rack.last_guard import SUSPENDED_NS, LastGuard, recorded_as_off
from deeplabstream.settings.rack_file import BoxSection, RackBox

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)
GIVE_UP_S = 60.0
RIG = """
[Camera arena]
KIND = SimulatedCamera
[Output laser]
KIND = SerialLine
PORT = {port}
"""
BOARD = """
[Output valve]
KIND = BoardPin
PORT = {port}
PIN = 7
WATCHDOG_MS = 150
"""


@dataclass
class Ended:
    """What the rack knows of a box that has ended."""

    status: BoxStatus
    processes: dict[str, psutil.Process] = field(default_factory=dict)

    def left_of(self, names: Collection[str] = ()) -> list[psutil.Process]:
        found = self.processes.items()
        return [it for name, it in found if (not names or name in names) and runs(it)]


def report(run: Path | None = None, **facts: Any) -> BoxStatus:
    return BoxStatus(
        **dict(
            number=1,
            state="streaming",
            rates={},
            trials=0,
            latency_ms=None,
            lost=0,
            lost_to_video=0,
            skipped=0,
            disk_free_gb=None,
            alarm="",
            run_folder=str(run or ""),
            processes={},
            **facts,
        )
    )


class Desk:
    """A box with an output on a pseudo-terminal, and its last guard."""

    def __init__(self, folder: Path, rig: str = RIG) -> None:
        import tty

        self.ours, self.theirs = os.openpty()
        tty.setraw(self.theirs)
        self.port = folder / "port"
        self.plug_in()
        (folder / "settings.ini").write_text(rig.format(port=self.port), "utf-8")
        self.clock = ManualClock()
        box = RackBox("left", BoxSection(rig=folder), {})
        self.guard = LastGuard(box, self.clock)
        self.guard.box_starts()
        self.said: list[tuple[str, bool]] = []

    def plug_in(self) -> None:
        self.port.symlink_to(os.ttyname(self.theirs))

    def end(self, status: BoxStatus, **processes: psutil.Process) -> None:
        self.guard.box_ended(cast("BoxProcess", Ended(status, processes)))

    def heard(self) -> bytes:
        if not select.select([self.ours], [], [], 0)[0]:
            return b""
        return os.read(self.ours, 100)

    def watch(self) -> None:
        self.said += [(it.text, it.urgent) for it in self.guard.watch()]

    def wait(self, reached: Callable[[], bool]) -> None:
        give_up_s = perf_counter() + GIVE_UP_S
        while not reached():
            assert perf_counter() < give_up_s, self.said
            self.watch()
            rest(0.005)

    def told(self, text: str) -> bool:
        return any(text in said for said, _ in self.said)

    def close(self) -> None:
        self.guard.box_starts()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    """A process that stands for a guard of the box."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def test_what_nobody_else_can_switch_off_the_rack_does_at_once(desk: Desk) -> None:
    desk.end(report())
    assert desk.guard.active
    desk.wait(lambda: desk.heard() == b"L")
    desk.wait(lambda: desk.told("the rack has switched [Output laser] off"))
    desk.wait(lambda: not desk.guard.active)
    assert [urgent for _, urgent in desk.said] == [False, False]
    assert desk.told("all its processes were killed: the rack switches")


def test_a_box_that_has_closed_its_record_is_left_alone(desk: Desk) -> None:
    desk.end(report(ended=True))
    assert not desk.guard.active
    desk.watch()
    assert (desk.said, desk.heard()) == ([], b"")


def test_settings_that_have_changed_count_from_the_next_start_on(
    desk: Desk, tmp_path: Path
) -> None:
    text = (tmp_path / "settings.ini").read_text("utf-8")
    (tmp_path / "settings.ini").write_text(text.partition("[Output")[0], "utf-8")
    desk.guard.box_starts()
    desk.end(report())
    assert not desk.guard.active
    (tmp_path / "settings.ini").write_text(text, "utf-8")
    desk.guard.prepare()
    desk.guard.box_starts()
    desk.end(report())
    desk.wait(lambda: desk.heard() == b"L")


def test_the_rack_opens_no_port_while_a_guard_lives(
    desk: Desk, sleeper: psutil.Process
) -> None:
    desk.end(report(), **{"second guard": sleeper})
    for _ in range(10):
        desk.clock.set(desk.clock.now_ns() + SUSPENDED_NS)
        desk.watch()
    assert desk.guard.active
    assert (desk.said, desk.heard()) == ([], b"")
    sleeper.kill()
    desk.wait(lambda: desk.heard() == b"L")


def test_a_suspended_guard_is_killed_after_some_seconds(
    desk: Desk, sleeper: psutil.Process
) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    desk.wait(lambda: sleeper.status() == psutil.STATUS_STOPPED)
    desk.end(report(), guard=sleeper)
    desk.watch()
    assert runs(sleeper) and desk.heard() == b""
    desk.clock.set(desk.clock.now_ns() + SUSPENDED_NS)
    desk.wait(lambda: desk.heard() == b"L")
    assert not runs(sleeper)


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("ended; the guard acted for it; outputs are off", True),
        ("ended; the guard acted for it; [Output laser] may still be on", False),
    ],
)
def test_the_rack_acts_unless_the_record_says_that_outputs_are_off(
    desk: Desk, tmp_path: Path, text: str, off: bool
) -> None:
    events = tmp_path / "events.csv"
    rows = f"1.0,note,guard,acts\n1.5,note,engine,{text}\n"
    events.write_text(f"time_s,kind,name,text\n{rows}", "utf-8")
    assert recorded_as_off(tmp_path) == off
    desk.end(report(tmp_path))
    if off:
        desk.watch()
        assert (desk.said, desk.heard(), desk.guard.active) == ([], b"", False)
    else:
        desk.wait(lambda: desk.heard() == b"L")


def test_a_port_that_is_gone_is_an_urgent_alarm_and_tried_until_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ANSWER_S", 0.1)
    desk.port.unlink()
    desk.end(report())
    desk.wait(lambda: not desk.guard.active)
    desk.wait(lambda: len(desk.said) == 2)
    text, urgent = desk.said[1]
    assert urgent and text.startswith("[Box left] [Output laser] ")
    assert text.endswith("it may still be on")
    desk.plug_in()
    desk.wait(lambda: desk.heard() == b"L")
    desk.wait(lambda: desk.told("the rack has switched [Output laser] off"))


def test_of_a_board_it_says_that_its_watchdog_acts(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RIG + BOARD)
    desk.end(report())
    watchdog = (
        "[Output valve] is switched off by the watchdog of its board, at most 150 ms"
    )
    desk.wait(lambda: desk.told(watchdog))
    desk.wait(lambda: desk.heard() == b"L")
    desk.close()
