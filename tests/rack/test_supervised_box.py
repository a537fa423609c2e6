"""Supervision of boxes, each a small program."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from time import perf_counter
from typing import Protocol

import pytest

from deeplabstream.core.clock import ManualClock, rest
from deeplabstream.core.daily_span import read_daily_span
from deeplabstream.rack.box_process import HANG_NS, START_NS
from deeplabstream.rack.box_restart import Interruption, Restart, read_restart
from deeplabstream.rack.box_status import (
    FINISHED,
    STOPPED,
    BoxStatus,
    note_over,
    over_file,
    restart_file,
    status_file,
    waiting_file,
)
from deeplabstream.rack.supervised_box import LEFT_NS, SupervisedBox
from deeplabstream.settings.rack_file import BoxSection, RackBox

GIVE_UP_S = 60.0
SECOND_NS = 1_000_000_000
WAITS = "sys.stdin.read()"
REPORTS = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2]); "


def report(finished: bool = False, **processes: int) -> str:
    """Return the status of a box as its file has it."""
    status = BoxStatus(
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
        run_folder="runs/monday",
        finished=finished,
        processes=processes,
    )
    return json.dumps(vars(status))


class Box:
    """A supervised box on a clock that the test sets; what it has said is kept."""

    def __init__(
        self, folder: Path, program: str, status: str = "", restarts: int = 2
    ) -> None:
        self.rack = folder / "rack.ini"
        section = BoxSection(rig=folder, restarts=restarts, backoff_s=10)
        file = status_file(self.rack, "left")
        reports = REPORTS if status else "import sys; "
        command = [sys.executable, "-S", "-c", reports + program, str(file), status]
        self.clock = ManualClock()
        box = RackBox("left", section, {})
        self.box = SupervisedBox(self.rack, box, command, self.clock)
        self.said = [*self.box.start()]

    def watch(self) -> None:
        self.said += self.box.watch()

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait for real processes; the clock of the box stands."""
        give_up = perf_counter() + GIVE_UP_S
        while not reached():
            assert perf_counter() < give_up, self.said
            self.watch()
            rest(0.005)

    def wait_for_end(self) -> None:
        self.wait(lambda: not self.box.running)

    def end(self) -> None:
        self.box.stop()
        self.wait(lambda: not self.box.active)

    def advance(self, ns: int) -> None:
        """Let time pass, with a look at the box each second."""
        for _ in range(ns // SECOND_NS):
            self.clock.set(self.clock.now_ns() + SECOND_NS)
            self.watch()

    def told(self, text: str) -> int:
        return sum(text in said for said in self.said)


class NewBox(Protocol):
    def __call__(self, program: str, status: str = "", restarts: int = 2) -> Box: ...


@pytest.fixture
def new_box(tmp_path: Path) -> Iterator[NewBox]:
    """Return a function that starts a box in a folder; it is stopped after the test."""
    boxes: list[Box] = []

    def start(program: str, status: str = "", restarts: int = 2) -> Box:
        boxes.append(Box(tmp_path, program, status, restarts))
        return boxes[-1]

    yield start
    for box in boxes:
        box.end()


@contextmanager
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_unexpected_end_is_restarted_after_doubled_pauses_up_to_the_limit(
    new_box: NewBox,
) -> None:
    box = new_box("sys.exit(1)")
    for pause_s in (10, 20):
        box.wait_for_end()
        assert box.box.active
        box.advance((pause_s - 1) * SECOND_NS)
        assert not box.box.running
        box.advance(SECOND_NS)
        assert box.told(f"is being restarted, {pause_s}.0 s after its end") == 1
    box.wait_for_end()
    assert not box.box.active
    assert box.told("is not restarted: RESTARTS = 2 is reached") == 1
    assert box.box.failures == 3


def test_a_box_that_a_user_restarts_goes_on_at_once_and_counts_no_restart(
    new_box: NewBox,
) -> None:
    box = new_box(WAITS, report(), restarts=0)
    box.wait(lambda: box.box.status is not None)
    box.box.restart()
    box.wait(lambda: box.told("is being restarted, 0.0 s after its end") == 1)
    assert box.told("[Box left] is started again") == 1
    restart = read_restart(restart_file(box.rack, "left"))
    assert isinstance(restart, Restart) and restart.run_folder == "runs/monday"
    assert "(restart by a user)" in restart.sentence(0)
    assert (restart.number, box.box.failures) == (0, 0)


def test_a_stop_after_a_restart_is_a_stop(new_box: NewBox) -> None:
    box = new_box(WAITS, report(), restarts=0)
    box.wait(lambda: box.box.status is not None)
    box.box.restart()
    box.box.stop()
    box.wait_for_end()
    assert not box.box.active


def test_a_start_while_a_box_is_stopping_follows_its_end_as_a_new_run(
    new_box: NewBox,
) -> None:
    box = new_box(WAITS, report(), restarts=0)
    box.wait(lambda: box.box.status is not None)
    assert not box.box.stopping
    box.box.stop()
    box.box.note_stop()
    assert box.box.stopping
    box.said += box.box.start()
    assert box.told("[Box left] starts when it has ended") == 1
    box.wait(lambda: box.told("; see ") == 1 and box.box.running)
    assert not box.box.stopping
    assert not over_file(box.rack, "left").exists()
    assert read_restart(restart_file(box.rack, "left")) is None

    box.box.stop()
    assert [*box.box.start()]
    box.box.stop()
    box.wait_for_end()
    assert not box.box.active, "the last command was a stop"


def test_no_box_is_restarted_unless_its_section_says_so(new_box: NewBox) -> None:
    assert BoxSection(rig=Path("rig")).restarts == 0
    box = new_box("sys.exit(1)", restarts=0)
    box.wait_for_end()
    assert not box.box.active
    assert box.said == [f"[Box left] failed, exit code 1; see {box.box.printed}"]


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("sys.exit(0)", ""),
        ("sys.exit(128 + 15)", ""),
        ("sys.exit(1)", report(finished=True)),
    ],
    ids=["planned", "asked by a signal", "finished, with an alarm"],
)
def test_an_expected_end_is_not_restarted(
    new_box: NewBox, program: str, status: str
) -> None:
    box = new_box(program, status)
    box.wait_for_end()
    assert not box.box.active
    assert not box.told("restart")


def test_a_box_that_was_stopped_is_not_restarted(new_box: NewBox) -> None:
    box = new_box("sys.exit(len(sys.stdin.read()))")
    box.box.stop()
    box.wait_for_end()
    assert box.box.failures == 1
    assert not box.box.active


def test_a_box_that_waits_for_its_restart_says_so_until_it_runs(
    new_box: NewBox, tmp_path: Path
) -> None:
    box = new_box("sys.exit(1)", restarts=1)
    box.wait_for_end()
    assert told_waiting(tmp_path) == "failed, exit code 1; restart 1 of 1 follows"
    box.advance(10 * SECOND_NS)
    assert box.told("is being restarted") == 1
    box.wait_for_end()
    assert not told_waiting(tmp_path)


def test_a_stop_cancels_a_restart_and_a_start_counts_anew(new_box: NewBox) -> None:
    box = new_box("sys.exit(1)", restarts=1)
    box.wait_for_end()
    box.box.stop()
    box.advance(60 * SECOND_NS)
    assert not box.box.active
    box.said += box.box.start()
    assert read_restart(restart_file(box.rack, "left")) is None
    box.wait_for_end()
    assert box.box.active
    assert box.told("(restart 1 of 1)") == 2


def test_the_restarted_box_finds_its_last_end(new_box: NewBox) -> None:
    box = new_box("sys.exit(1)", report())
    box.wait_for_end()
    box.advance(10 * SECOND_NS)
    restart = read_restart(restart_file(box.rack, "left"))
    assert restart is not None
    assert restart.sentence(box.clock.now_ns()) == (
        "restarted after a gap of 10.0 s (restart 1 of 2) because the box failed, exit "
        "code 1; previous run folder: runs/monday"
    )


def test_a_box_is_restarted_only_when_its_other_processes_have_ended(
    new_box: NewBox,
) -> None:
    with sleeper() as guard:
        box = new_box("sys.exit(1)", report(guard=guard.pid))
        box.wait_for_end()
        box.advance(60 * SECOND_NS)
        assert box.box.active and not box.box.running
        guard.kill()
        guard.wait()
        box.wait(lambda: bool(box.told("is being restarted")))


def test_processes_that_do_not_end_are_killed_before_a_restart(new_box: NewBox) -> None:
    with sleeper() as camera:
        box = new_box("sys.exit(1)", report(camera=camera.pid))
        box.wait_for_end()
        box.advance(LEFT_NS)
        box.wait(lambda: bool(box.told("is being restarted")))


@pytest.mark.parametrize(
    ("status", "limit_ns"), [("", START_NS), (report(), HANG_NS)], ids=["start", "run"]
)
def test_a_box_that_does_not_report_is_killed_after_its_limit_and_restarted(
    new_box: NewBox, status: str, limit_ns: int
) -> None:
    box = new_box(WAITS, status)
    if status:
        box.wait(lambda: box.box.status is not None)
    box.advance(limit_ns - SECOND_NS)
    assert box.box.running
    box.advance(SECOND_NS)
    box.wait_for_end()
    seconds = limit_ns // SECOND_NS
    assert box.told(f"[Box left] killed after {seconds} s without an answer") == 1
    assert box.box.active


def test_a_suspended_rack_kills_no_box(new_box: NewBox) -> None:
    box = new_box(WAITS, report())
    box.wait(lambda: box.box.status is not None)
    box.clock.set(box.clock.now_ns() + 10 * HANG_NS)
    box.watch()
    box.advance(HANG_NS - SECOND_NS)
    assert box.box.running
    box.advance(SECOND_NS)
    box.wait_for_end()


class SetCalendar:
    """A calendar that the test sets."""

    zone: tzinfo | None = UTC

    def __init__(self) -> None:
        self.hour = 12

    def now(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=self.hour)


def daily_box(folder: Path, calendar: SetCalendar) -> SupervisedBox:
    """Return a box that runs each night until it is stopped."""
    section = BoxSection(rig=folder, daily=read_daily_span("19:00 - 07:00"))
    command = [sys.executable, "-S", "-c", f"import sys; {WAITS}"]
    rack, box = folder / "rack.ini", RackBox("left", section, {})
    return SupervisedBox(rack, box, command, ManualClock(), calendar)


def told_waiting(folder: Path) -> str:
    file = waiting_file(folder / "rack.ini", "left")
    return file.read_text("utf-8") if file.exists() else ""


def test_a_daily_box_waits_runs_and_waits_again(tmp_path: Path) -> None:
    calendar = SetCalendar()
    box = daily_box(tmp_path, calendar)
    said = [*box.start(), *box.watch()]
    assert said == ["[Box left] waits until 19:00"]
    assert told_waiting(tmp_path) == "waits until 19:00"
    assert box.active
    assert not box.running

    calendar.hour = 19
    said += box.watch()
    assert box.running
    assert not told_waiting(tmp_path)

    calendar.hour = 24 + 7
    give_up = perf_counter() + GIVE_UP_S
    while box.running:
        assert perf_counter() < give_up, said
        said += box.watch()
        rest(0.005)
    stops = "[Box left] is being stopped: DAILY = 19:00 - 07:00 is over"
    assert said.count(stops) == 1
    assert box.state == "waits until 19:00"
    assert box.failures == 0
    box.stop()
    assert not box.active


def test_a_daily_box_that_a_user_stops_does_not_wait_for_the_next_day(
    tmp_path: Path,
) -> None:
    calendar = SetCalendar()
    calendar.hour = 20
    box = daily_box(tmp_path, calendar)
    assert [*box.start()] == []
    box.stop()
    give_up = perf_counter() + GIVE_UP_S
    while box.active:
        assert perf_counter() < give_up
        list(box.watch())
        rest(0.005)
    assert box.state == "ended"


@contextmanager
def box_at(folder: Path, program: str, daily: bool = False) -> Iterator[SupervisedBox]:
    """Make a box of a new rack, which knows nothing of the one before; 20:00 it is."""
    calendar = SetCalendar()
    calendar.hour = 20
    section = BoxSection(
        rig=folder, daily=read_daily_span("19:00 - 07:00") if daily else None
    )
    file = status_file(folder / "rack.ini", "left")
    words = [REPORTS + program, str(file), report(finished=True)]
    command = [sys.executable, "-S", "-c", *words]
    rack, box = folder / "rack.ini", RackBox("left", section, {})
    made = SupervisedBox(rack, box, command, ManualClock(), calendar)
    yield made
    made.stop()
    until_idle(made)


def until_idle(box: SupervisedBox) -> list[str]:
    """Wait until a box does not run; return what it says."""
    said: list[str] = []
    give_up = perf_counter() + GIVE_UP_S
    while box.running:
        assert perf_counter() < give_up, said
        said += box.watch()
        rest(0.005)
    return said


def test_a_run_that_is_over_is_not_repeated_with_the_computer(tmp_path: Path) -> None:
    with box_at(tmp_path, "sys.exit(0)") as box:
        assert [*box.resume()] == []
        until_idle(box)
    with box_at(tmp_path, "sys.exit(0)") as box:
        assert [*box.resume()] == [
            "[Box left] is not started again: its experiment has ended"
        ]
        assert not box.active
        list(box.start())
        assert box.running


def test_a_box_that_a_user_has_stopped_is_not_started_with_the_computer(
    tmp_path: Path,
) -> None:
    with box_at(tmp_path, WAITS, daily=True) as box:
        list(box.resume())
        box.stop()
        box.note_stop()
        until_idle(box)
    with box_at(tmp_path, WAITS, daily=True) as box:
        assert [*box.resume()] == [
            "[Box left] is not started again: a user has stopped it"
        ]


def test_a_box_whose_reason_was_emptied_by_a_power_cut_is_not_started(
    tmp_path: Path,
) -> None:
    over = over_file(tmp_path / "rack.ini", "left")
    over.parent.mkdir(parents=True)
    over.write_text("")
    with box_at(tmp_path, WAITS, daily=True) as box:
        assert [*box.resume()] == [
            "[Box left] is not started again: a user has stopped it"
        ]


def test_the_reason_for_no_repetition_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rack = tmp_path / "rack.ini"
    synced: list[bool] = []
    monkeypatch.setattr(
        os, "fsync", lambda _file: synced.append(over_file(rack, "left").exists())
    )
    note_over(rack, "left", FINISHED)
    assert synced[0] is False  # then its folder, with the name
    assert over_file(rack, "left").read_text("utf-8") == FINISHED


def test_a_stop_by_a_user_is_on_the_disk_and_replaces_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rack = tmp_path / "rack.ini"
    note_over(rack, "left", FINISHED)
    over = over_file(rack, "left")
    synced: list[str] = []

    def record(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append(f"{kind}: {over.read_text('utf-8')}")

    monkeypatch.setattr(os, "fsync", record)
    note_over(rack, "left", STOPPED)
    assert synced == [f"file: {STOPPED}", f"folder: {STOPPED}"]


def test_the_end_of_the_rack_is_no_end_of_a_run(tmp_path: Path) -> None:
    waits = WAITS + "; pathlib.Path(sys.argv[1]).unlink()"
    with box_at(tmp_path, waits) as box:
        list(box.resume())
    with box_at(tmp_path, waits) as box:
        assert [*box.resume()] == []
        assert box.running


def at(hour: int, file: Path) -> None:
    """Let a file be changed at an hour of the calendar's first day."""
    moment = datetime(2026, 6, 1, hour, tzinfo=UTC).timestamp()
    os.utime(file, (moment, moment))


@pytest.mark.parametrize(("ended", "runs"), [(19, False), (18, True)])
def test_a_daily_run_that_is_over_is_not_repeated_on_its_day(
    tmp_path: Path, ended: int, runs: bool
) -> None:
    with box_at(tmp_path, "sys.exit(0)", daily=True) as box:
        list(box.resume())
        until_idle(box)
    at(ended, over_file(tmp_path / "rack.ini", "left"))
    with box_at(tmp_path, WAITS, daily=True) as box:
        list(box.resume())
        assert box.active
        assert box.running is runs


def test_a_box_that_was_cut_off_names_the_run_before(tmp_path: Path) -> None:
    file = status_file(tmp_path / "rack.ini", "left")
    file.parent.mkdir(parents=True)
    file.write_text(report())
    at(3, file)
    with box_at(tmp_path, WAITS) as box:
        (said,) = box.resume()
        assert "started again after an interruption" in said
        left = read_restart(restart_file(tmp_path / "rack.ini", "left"))
        assert isinstance(left, Interruption)
        assert left.run_folder == "runs/monday"
        assert left.last_report.startswith("2026-0")
        assert said.endswith(left.sentence(0))
