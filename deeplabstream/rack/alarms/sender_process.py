"""Sender process: the process that sends alarms, as the rack sees it."""

import subprocess
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

from deeplabstream.core.clock import Clock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.rack.alarms.alarm_messages import (
    LONGEST_TEXT,
    AlarmDecoder,
    AlarmMessage,
    AlarmSettled,
    RackAlive,
    RackEnded,
    RaisedAlarm,
    SenderReport,
    encode,
)
from deeplabstream.rack.program_start import start_program

MOST_UNSETTLED = 1000
"""Alarms that are kept until the process has settled them; then the oldest is dropped."""
HANG_NS = 60_000_000_000
"""A process that has not answered for so long is killed and started again."""
FIRST_PAUSE_NS, MOST_PAUSE_NS = 1_000_000_000, 300_000_000_000
_ALIVE_NS = 1_000_000_000
_PATIENCE_S = 10.0
"""Time that the end of the rack waits for the last alarms; the process goes on alone."""
_READ = 65536


class SenderProcess:
    """Passes alarms to a process that sends them; starts it again when it ends or hangs.

    No call waits for the process: a thread of its own writes to its pipe. Alarms that it has
    not settled when it ends are given to the next one.
    """

    def __init__(
        self,
        command: Sequence[str],
        report: Callable[[str], object],
        clock: Clock,
        hang_ns: int = HANG_NS,
    ) -> None:
        """Store the command of the process; `report` gets sentences for the user."""
        self._hang_ns = hang_ns
        self._command, self._report, self._clock = command, report, clock
        self._numbers = count(1)
        self._unsettled: OrderedDict[int, RaisedAlarm] = OrderedDict()
        self._running: _Running | None = None
        self._due_ns = clock.now_ns()
        self._pause_ns = FIRST_PAUSE_NS
        self._alive_ns = 0
        self._well = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send an alarm after an unexpected error, then close."""
        if isinstance(error, Exception) and not isinstance(error, DeepLabStreamError):
            text = f"the rack has failed, its boxes are ending: {error!r}"
            self.raise_alarm("", text, urgent=True)
        self.close()

    @property
    def pid(self) -> int | None:
        """Number of the process; None: none runs."""
        return self._running.process.pid if self._running else None

    def raise_alarm(self, source: str, text: str, urgent: bool) -> None:
        """Send an alarm of a box; an empty `source` is the rack."""
        alarm = RaisedAlarm(
            next(self._numbers),
            source,
            text[:LONGEST_TEXT],
            urgent,
            self._clock.now_ns(),
        )
        self._unsettled[alarm.number] = alarm
        if len(self._unsettled) > MOST_UNSETTLED:
            self._unsettled.popitem(last=False)
        if self._running is not None:
            self._running.put(alarm)

    def watch(self, well: bool) -> None:
        """Read answers, show that the rack runs; start the process again if needed."""
        now_ns = self._clock.now_ns()
        if self._running is None:
            if now_ns >= self._due_ns:
                self._start(now_ns)
            return
        for message in self._running.answers():
            self._take(message, now_ns)
        if now_ns - self._alive_ns >= _ALIVE_NS:
            self._alive_ns = now_ns
            self._running.put(RackAlive(well))

        code = self._running.process.poll()
        if code is None and now_ns - self._running.heard_ns >= self._hang_ns:
            self._running.process.kill()
            code = self._running.process.wait()
        if code is not None:
            pause_s = self._pause_ns / 1e9
            self._report(
                f"The process that sends alarms has ended, exit code {code}; the boxes go "
                f"on; it is started again in {pause_s:g} s."
            )
            self._end_running(now_ns)

    def close(self) -> None:
        """Tell the process that the rack ends; wait a little for the last alarms."""
        if self._running is None:
            return
        running, self._running = self._running, None
        running.put(RackEnded())
        running.close()
        try:
            running.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._report("The last alarms are still being sent, for a minute at most.")
        for message in running.answers():
            self._take(message, self._clock.now_ns())

    def _take(self, message: AlarmMessage, now_ns: int) -> None:
        if self._running is not None:
            self._running.heard_ns = now_ns
        match message:
            case AlarmSettled(number):
                self._unsettled.pop(number, None)
                self._pause_ns = FIRST_PAUSE_NS
            case SenderReport(text) if text:
                self._report(text)
            case _:
                return

    def _start(self, now_ns: int) -> None:
        try:
            self._running = _Running(self._command, now_ns)
        except OSError as error:
            self._report(f"The process that sends alarms can't be started: {error}")
            self._end_running(now_ns)
            return
        for alarm in [*self._unsettled.values()]:  # other threads add some
            self._running.put(alarm)

    def _end_running(self, now_ns: int) -> None:
        if self._running is not None:
            self._running.close()
        self._running = None
        self._due_ns = now_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, MOST_PAUSE_NS)


class _Running:
    """One start of the process, with the threads of its pipes."""

    def __init__(self, command: Sequence[str], now_ns: int) -> None:
        self.process = start_program(command, subprocess.PIPE)
        self.heard_ns = now_ns
        self._outgoing: Queue[AlarmMessage | None] = Queue(2 * MOST_UNSETTLED)
        self._incoming: Queue[AlarmMessage] = Queue()
        for work in (self._write, self._read):
            threading.Thread(target=work, daemon=True).start()

    def put(self, message: AlarmMessage) -> None:
        """Pass on a message; if the process reads none, it is lost, and the process killed."""
        with suppress(Full):
            self._outgoing.put_nowait(message)

    def answers(self) -> list[AlarmMessage]:
        """Return what the process has answered since the last call."""
        found = []
        with suppress(Empty):
            while True:
                found.append(self._incoming.get_nowait())
        return found

    def close(self) -> None:
        """Close the pipe to the process when all messages are written."""
        with suppress(Full):
            self._outgoing.put_nowait(None)

    def _write(self) -> None:
        line = self.process.stdin
        with suppress(OSError, ValueError):  # the process has ended
            while line is not None and (message := self._outgoing.get()) is not None:
                line.write(encode(message))
        with suppress(OSError):
            if line is not None:
                line.close()

    def _read(self) -> None:
        decoder, output = AlarmDecoder(), self.process.stdout
        if output is None:
            return
        with output:
            while data := output.read(_READ):
                for message in decoder.decode(data):
                    self._incoming.put(message)
