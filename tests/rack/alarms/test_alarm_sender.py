"""What becomes of alarms, at addresses that accept, refuse or hang."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http.client import BadStatusLine, InvalidURL
from pathlib import Path

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.rack.alarms.address_queue import (
    GIVE_UP_NS,
    MOST_WAITING,
    AddressQueue,
)
from deeplabstream.rack.alarms.alarm_log import AlarmLog, AlarmLogReader
from deeplabstream.rack.alarms.alarm_messages import (
    AlarmMessage,
    AlarmSettled,
    RackAlive,
    RackEnded,
    RaisedAlarm,
    SenderReport,
)
from deeplabstream.rack.alarms.alarm_sender import SILENCE_NS, AlarmSender, RackClosed
from deeplabstream.rack.alarms.heartbeat_address import INTERVAL_NS, HeartbeatAddress
from deeplabstream.settings.alarm_section import AlarmSection
from tests.rack.alarms.alarm_services import wait

DAY = datetime.fromisoformat("2026-11-25 12:00+00:00")
LOST = RaisedAlarm(7, "left", "camera top is lost", True, 0)


@dataclass
class Desk:
    """A sender on a clock that the test sets, and what has come of its alarms."""

    folder: Path
    send: Callable[[str, str], bool] | None = None
    sent: list[str] = field(default_factory=list)
    answers: list[AlarmMessage] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)
    calls: list[int] = field(default_factory=list)
    most_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        section = AlarmSection(address_file=Path("a.txt"), repeat_min=30)
        self.log = AlarmLog(self.folder / "boxes" / "alarms.jsonl", self.most_bytes)
        self.sender = AlarmSender(
            "rack",
            section,
            {"json (line 1)": self.send or self._accept},
            self.log,
            self.answers.append,
            self.clock,
            HeartbeatAddress(lambda: self.calls.append(self.clock.now_ns())),
            first_pause_s=0.01,
        )

    def _accept(self, title: str, text: str) -> bool:
        self.sent.append(text)
        return True

    def step(self, *items: AlarmMessage | RackClosed) -> None:
        """Pass on messages and what the addresses have done since the last step."""
        done = []
        while not self.sender.inbox.empty():
            done.append(self.sender.inbox.get())
        self.sender.step([*items, *done], DAY)

    def wait_until_sent(self, part: str) -> None:
        wait(lambda: any(part in text for text in self.sent), lambda: self.sent)
        wait(lambda: not self.sender.inbox.empty())
        self.step()

    def events(self) -> list[str]:
        lines = self.log.file.read_text("utf-8").splitlines()
        return [json.loads(line)["event"] for line in lines]


def test_an_alarm_is_sent_and_its_delivery_is_logged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.step(LOST)
    desk.wait_until_sent("box left: camera top is lost")
    assert desk.events() == ["raised", "delivered to json (line 1)"]
    assert AlarmSettled(7) in desk.answers


def test_an_alarm_that_is_not_sent_again_is_settled(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.step(LOST)
    desk.wait_until_sent("camera top")
    desk.step(RaisedAlarm(8, "left", LOST.text, True, 0))
    assert AlarmSettled(8) in desk.answers
    assert desk.events()[-2:] == ["raised", "not sent again so soon"]


def test_a_rack_that_is_silent_is_an_alarm_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.step(RackAlive(True))
    for second in range(1, 40):
        desk.clock.set(second * 1_000_000_000)
        desk.step()
    desk.wait_until_sent("rack: the rack has not answered for 15 s")
    desk.step(RackAlive(True))
    desk.wait_until_sent("rack: the rack answers again")
    assert len(desk.sent) == 2


def test_a_sender_that_was_suspended_itself_does_not_blame_the_rack(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    desk.step(RackAlive(True))
    desk.clock.set(100 * SILENCE_NS)
    desk.step()
    assert not desk.log.file.exists()


def test_a_rack_that_was_killed_is_an_alarm_and_one_that_was_stopped_is_none(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    desk.step(RackClosed())
    desk.wait_until_sent("the rack has ended unexpectedly")

    stopped = Desk(tmp_path / "stopped")
    stopped.step(RackEnded(), RackClosed())
    assert not stopped.log.file.exists()


def test_the_heartbeat_stops_when_a_box_or_the_rack_does_not_answer(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    desk.step(RackAlive(True))
    wait(lambda: len(desk.calls) == 1)
    desk.clock.set(INTERVAL_NS)
    desk.step(RackAlive(False))
    desk.step(RackAlive(True))
    wait(lambda: len(desk.calls) == 2)
    desk.clock.set(3 * INTERVAL_NS // 2)
    desk.step(RackAlive(True))
    desk.step(RackAlive(False))
    assert desk.calls == [0, INTERVAL_NS]


@pytest.mark.parametrize(
    "error", [InvalidURL("control"), BadStatusLine("220"), OSError(), ValueError()]
)
def test_an_address_that_can_t_be_called_is_no_error_of_the_heartbeat(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    called = threading.Event()

    def call() -> None:
        called.set()
        raise error

    address = HeartbeatAddress(call)
    address.beat(0, well=True)
    assert called.wait(60)
    wait(
        lambda: not any(it.name.startswith("heartbeat") for it in threading.enumerate())
    )
    assert not failed


def test_a_log_that_can_t_be_written_does_not_stop_an_alarm(tmp_path: Path) -> None:
    (tmp_path / "boxes").write_text("a file where the folder should be")
    desk = Desk(tmp_path)
    desk.step(LOST)
    desk.wait_until_sent("camera top")
    reports = [it.text for it in desk.answers if isinstance(it, SenderReport)]
    assert sum("can't be written" in text for text in reports) == 1


def test_a_refused_alarm_is_sent_again(
    tmp_path: Path,
) -> None:
    sent: list[str] = []

    def refuse_twice(title: str, text: str) -> bool:
        sent.append(text)
        return len(sent) > 2

    desk = Desk(tmp_path, refuse_twice)
    desk.step(LOST)
    wait(lambda: len(sent) == 3)
    wait(lambda: desk.sender.inbox.qsize() == 2)
    desk.step()
    again = "not delivered to json (line 1) yet: it is sent again"
    assert desk.events() == ["raised", again, "delivered to json (line 1)"]


def test_an_address_that_hangs_delays_nothing_and_its_queue_has_a_limit() -> None:
    answers = threading.Event()
    outcomes: list[str] = []
    queue = AddressQueue(
        "json",
        "rack",
        lambda title, text: answers.wait(),
        lambda alarm, event, ends: outcomes.append(event),
        ManualClock(),
    )
    for number in range(1, MOST_WAITING + 100):
        queue.put([RaisedAlarm(number, "left", "lost", True, 0)])
    assert outcomes.count("not delivered to json: too many wait") >= 79
    answers.set()
    wait(lambda: queue.empty)


def test_an_alarm_that_can_t_be_delivered_is_given_up_after_a_day() -> None:
    outcomes: list[tuple[str, bool]] = []
    AddressQueue(
        "json",
        "rack",
        lambda title, text: 1 / 0 > 0,
        lambda alarm, event, ends: outcomes.append((event, ends)),
        ManualClock(GIVE_UP_NS),
    ).put([LOST])
    wait(lambda: bool(outcomes))
    assert outcomes == [("not delivered to json: given up", True)]


def test_the_log_begins_anew_when_it_is_large_and_its_reader_follows(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, most_bytes=1000)
    reader = AlarmLogReader(desk.log.file)
    found = []
    for number in range(1, 20):
        desk.step(RaisedAlarm(number, "left", LOST.text, True, 0))
        found += reader.read()
    assert sum(event.event == "raised" for event in found) == 19
    assert (desk.log.file.with_stem("alarms before")).exists()
