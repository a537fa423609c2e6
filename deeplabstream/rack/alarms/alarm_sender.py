"""Alarm sender: takes alarms of a rack, sends them, and notices that the rack is silent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, Queue

from deeplabstream.core.clock import Clock
from deeplabstream.rack.alarms.address_queue import FIRST_PAUSE_S, AddressQueue, Send
from deeplabstream.rack.alarms.alarm_filter import AlarmFilter
from deeplabstream.rack.alarms.alarm_log import AlarmEvent, AlarmLog
from deeplabstream.rack.alarms.alarm_messages import (
    AlarmMessage,
    AlarmSettled,
    RackAlive,
    RackEnded,
    RaisedAlarm,
    SenderReport,
)
from deeplabstream.rack.alarms.heartbeat_address import HeartbeatAddress
from deeplabstream.settings.alarm_section import AlarmSection

SILENCE_NS = 15_000_000_000
"""A rack that has sent nothing for so long does not answer."""
FINISH_NS = 60_000_000_000
"""Time after the end of a rack in which its last alarms are sent."""
_TICK_S = 0.5
_OWN = 0
"""Number of the sender's own alarms."""


class RackClosed:
    """The rack's end of the pipe is closed: its process has ended."""


@dataclass(frozen=True)
class _Outcome:
    """What an address has done with an alarm."""

    alarm: RaisedAlarm
    event: str
    ends: bool


Inbox = Queue[AlarmMessage | RackClosed | _Outcome]


class AlarmSender:
    """Decides in one thread; each address sends in a thread of its own."""

    def __init__(
        self,
        title: str,
        section: AlarmSection,
        addresses: Mapping[str, Send],
        log: AlarmLog,
        answer: Callable[[AlarmMessage], object],
        clock: Clock,
        heartbeat: HeartbeatAddress,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Start the threads of the addresses; `answer` takes messages to the rack."""
        self.inbox: Inbox = Queue()
        """Messages of the rack, put here by the thread that reads them."""
        self._filter = AlarmFilter(section)
        self._log, self._answer, self._clock = log, answer, clock
        self._heartbeat = heartbeat
        self._queues = [
            AddressQueue(name, title, send, self._put_outcome, clock, first_pause_s)
            for name, send in addresses.items()
        ]
        self._open: dict[int, int] = {}
        """Addresses that have not settled an alarm, by its number."""
        self._heard_ns = self._ticked_ns = clock.now_ns()
        self._silent = self._well = self._log_failed = False
        self._ended_ns: int | None = None

    def run(self, now: Callable[[], datetime]) -> None:
        """Work until the rack has ended and its alarms are sent; `now`: local time of day."""
        while not self._is_finished():
            try:
                items = [self.inbox.get(timeout=_TICK_S)]
            except Empty:
                items = []
            self.step(items, now())
        self._give_up_rest()

    def step(
        self, items: Iterable[AlarmMessage | RackClosed | _Outcome], moment: datetime
    ) -> None:
        """Take messages; check what has to be done at this time."""
        now_ns = self._clock.now_ns()
        for item in items:
            self._take(item, now_ns, moment)
        if self._ended_ns is None:
            self._check_silence(now_ns, moment)
            self._heartbeat.beat(now_ns, self._well and not self._silent)
        released = self._filter.release(moment, ending=self._ended_ns is not None)
        self._send(released)
        self._ticked_ns = now_ns

    def _take(
        self, item: AlarmMessage | RackClosed | _Outcome, now_ns: int, moment: datetime
    ) -> None:
        match item:
            case RaisedAlarm():
                self._raise(item, now_ns, moment)
            case RackAlive(well):
                self._heard_ns, self._well = now_ns, well
                self._answer(SenderReport())
                if self._silent:
                    self._silent = False
                    self._raise_own("the rack answers again", False, moment)
            case RackEnded():
                self._ended_ns = now_ns
            case RackClosed() if self._ended_ns is None:
                text = "the rack has ended unexpectedly; its boxes are ending too"
                self._raise_own(text, True, moment)
                self._ended_ns = now_ns
            case _Outcome(alarm, event, ends):
                self._write(alarm, event)
                if ends:
                    self._settle(alarm.number)
            case _:  # what only a sender says
                return

    def _check_silence(self, now_ns: int, moment: datetime) -> None:
        if now_ns - self._ticked_ns >= SILENCE_NS:  # this process was suspended
            self._heard_ns = now_ns
        if not self._silent and now_ns - self._heard_ns >= SILENCE_NS:
            self._silent = True
            silence_s = SILENCE_NS / 1e9
            text = f"the rack has not answered for {silence_s:.0f} s"
            self._raise_own(text, True, moment)

    def _raise_own(self, text: str, urgent: bool, moment: datetime) -> None:
        now_ns = self._clock.now_ns()
        self._raise(RaisedAlarm(_OWN, "", text, urgent, now_ns), now_ns, moment)

    def _raise(self, alarm: RaisedAlarm, now_ns: int, moment: datetime) -> None:
        self._write(alarm, "raised")
        chosen = self._filter.take(alarm, now_ns, moment)
        if chosen is not None:
            self._send([chosen])
        elif alarm.number != _OWN and self._filter.holds(alarm.number):
            self._write(alarm, "held until the end of the quiet hours")
        else:
            self._write(alarm, "not sent again so soon")
            self._settle(alarm.number)

    def _send(self, alarms: Sequence[RaisedAlarm]) -> None:
        if not alarms:
            return
        for alarm in alarms:
            self._open[alarm.number] = len(self._queues)
        for queue in self._queues:
            queue.put(alarms)

    def _put_outcome(self, alarm: RaisedAlarm, event: str, ends: bool) -> None:
        self.inbox.put(_Outcome(alarm, event, ends))

    def _settle(self, number: int) -> None:
        left = self._open.pop(number, 1) - 1
        if left > 0:
            self._open[number] = left
        elif number != _OWN:
            self._answer(AlarmSettled(number))

    def _write(self, alarm: RaisedAlarm, event: str) -> None:
        """Write an event into the log; a full disk must not stop the alarm."""
        after_s = max(0.0, (self._clock.now_ns() - alarm.raised_ns) / 1e9)
        entry = AlarmEvent(
            box=alarm.source,
            alarm=alarm.text,
            urgent=alarm.urgent,
            event=event,
            after_s=round(after_s, 3),
        )
        try:
            self._log.write(entry)
        except OSError as error:
            if not self._log_failed:
                text = f"{self._log.file} can't be written: {error.strerror}"
                self._answer(SenderReport(text))
            self._log_failed = True
        if event != "raised":
            source = f"[Box {alarm.source}]" if alarm.source else "Rack"
            self._answer(SenderReport(f"{source} {entry.sentence}"))

    def _is_finished(self) -> bool:
        if self._ended_ns is None:
            return False
        idle = self.inbox.empty() and all(queue.empty for queue in self._queues)
        return idle or self._clock.now_ns() - self._ended_ns >= FINISH_NS

    def _give_up_rest(self) -> None:
        for queue in self._queues:
            for alarm in queue.waiting:
                text = f"not delivered to {queue.name}: the rack has ended"
                self._write(alarm, text)
