"""Address queue: alarms that wait for one address, sent by a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from deeplabstream.core.clock import Clock
from deeplabstream.rack.alarms.alarm_messages import RaisedAlarm

MOST_WAITING = 200
"""Alarms that wait for an address; then the oldest is given up."""
FIRST_PAUSE_S = 2.0
MOST_PAUSE_S = 300.0
GIVE_UP_NS = 24 * 3_600_000_000_000
"""Age at which an alarm that can't be delivered is given up."""
_MOST_IN_ONE = 20
"""Alarms in one message."""

Send = Callable[[str, str], bool]
"""Sends a title and a text; returns whether the address has accepted them."""
Report = Callable[[RaisedAlarm, str, bool], object]
"""Takes an alarm, what happened to it, and whether that is its end at this address."""


def pause_s(failures: int, first_s: float = FIRST_PAUSE_S) -> float:
    """Return the pause after that many failures in a row (1, 2, ...): doubled each time.

    >>> [pause_s(failures) for failures in (1, 2, 3, 20)]
    [2.0, 4.0, 8.0, 300.0]
    """
    return min(first_s * 2.0 ** min(failures - 1, 20), MOST_PAUSE_S)


class AddressQueue:
    """Sends alarms to one address; all that wait go into one message."""

    def __init__(
        self,
        name: str,
        title: str,
        send: Send,
        report: Report,
        clock: Clock,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Start the thread; `report` is called from it."""
        self.name = name
        self._title, self._send, self._report = title, send, report
        self._clock, self._first_pause_s = clock, first_pause_s
        self._waiting: deque[RaisedAlarm] = deque()
        self._sending = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is being sent."""
        with self._changed:
            return not self._waiting and not self._sending

    @property
    def waiting(self) -> list[RaisedAlarm]:
        """The alarms that wait."""
        with self._changed:
            return [*self._waiting]

    def put(self, alarms: Sequence[RaisedAlarm]) -> None:
        """Add alarms; never waits for the address."""
        dropped: list[RaisedAlarm] = []
        with self._changed:
            self._waiting.extend(alarms)
            while len(self._waiting) > MOST_WAITING:
                dropped.append(self._waiting.popleft())
            self._changed.notify()
        for alarm in dropped:
            self._report(alarm, f"not delivered to {self.name}: too many wait", True)

    def _work(self) -> None:
        failures = 0
        while True:
            alarms = self._take(
                pause_s(failures, self._first_pause_s) if failures else 0.0
            )
            if self._is_sent(alarms):
                failures = 0
                for alarm in alarms:
                    self._report(alarm, f"delivered to {self.name}", True)
            else:
                failures += 1
                self._put_back(alarms, failures)
            with self._changed:
                self._sending = 0

    def _take(self, pause: float) -> list[RaisedAlarm]:
        """Wait for the pause, then for an alarm; return all that wait."""
        with self._changed:
            if pause:
                # nothing ends the pause early: `wait_for` goes on after a notification
                self._changed.wait_for(lambda: False, pause)
            self._changed.wait_for(lambda: bool(self._waiting))
            count = min(len(self._waiting), _MOST_IN_ONE)
            self._sending = count
            return [self._waiting.popleft() for _ in range(count)]

    def _is_sent(self, alarms: Sequence[RaisedAlarm]) -> bool:
        try:
            return self._send(self._title, "\n".join(map(as_line, alarms)))
        except Exception:  # a service's code must not end the thread
            return False

    def _put_back(self, alarms: Sequence[RaisedAlarm], failures: int) -> None:
        now_ns = self._clock.now_ns()
        kept = [alarm for alarm in alarms if now_ns - alarm.raised_ns < GIVE_UP_NS]
        with self._changed:
            self._waiting.extendleft(reversed(kept))
        for alarm in alarms:
            if alarm not in kept:
                self._report(alarm, f"not delivered to {self.name}: given up", True)
            elif failures == 1:
                again = f"not delivered to {self.name} yet: it is sent again"
                self._report(alarm, again, False)


def as_line(alarm: RaisedAlarm) -> str:
    """Return an alarm as a line of a message."""
    source = f"box {alarm.source}" if alarm.source else "rack"
    return f"{source}: {' '.join(alarm.text.split())}"
