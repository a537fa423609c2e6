"""Alarm filter: which alarms are sent now, later, or not again."""

import re
from collections import deque
from dataclasses import replace
from datetime import datetime

from deeplabstream.rack.alarms.alarm_messages import RaisedAlarm
from deeplabstream.settings.alarm_section import AlarmSection

MOST_HELD = 500
"""Alarms that are held until the end of the quiet hours; then the oldest is dropped."""
_MOST_KNOWN = 2000
_NUMBER = re.compile(r"(\[[^\]]*\])|(?<![\w.-])\d+(\.\d+)?(?![\w-])")
"""A number, not one in a name such as `cam1`; or a section in brackets, which is kept."""


class AlarmFilter:
    """Holds alarms in quiet hours, and sends the same alarm once in a while only."""

    def __init__(self, section: AlarmSection) -> None:
        self._section = section
        self._repeat_ns = round(60e9 * section.repeat_min)
        self._sent_ns: dict[tuple[str, str], int] = {}
        self._unsent: dict[tuple[str, str], int] = {}
        """How often an alarm was not sent again since it was sent."""
        self._held: deque[RaisedAlarm] = deque(maxlen=MOST_HELD)

    def take(
        self, alarm: RaisedAlarm, now_ns: int, moment: datetime
    ) -> RaisedAlarm | None:
        """Return the alarm to send now; None: it is held, or was sent a short time ago.

        Alarms that differ in numbers only, not in names, are the same. `holds` tells the two
        apart.
        """
        key = alarm.source, _NUMBER.sub(lambda it: it[1] or "#", alarm.text)
        last_ns = self._sent_ns.get(key)
        if last_ns is not None and now_ns - last_ns < self._repeat_ns:
            self._unsent[key] = self._unsent.get(key, 0) + 1
            return None

        if len(self._sent_ns) >= _MOST_KNOWN:
            self._forget(now_ns)
        self._sent_ns[key] = now_ns
        if count := self._unsent.pop(key, 0):
            alarm = replace(alarm, text=f"{alarm.text} ({count} more before)")
        if not alarm.urgent and self._section.is_quiet(moment):
            self._held.append(alarm)
            return None
        return alarm

    def holds(self, number: int) -> bool:
        """Return whether the alarm of that number waits for the end of the quiet hours."""
        return any(alarm.number == number for alarm in self._held)

    def release(self, moment: datetime, ending: bool = False) -> list[RaisedAlarm]:
        """Return the held alarms if the quiet hours, or the rack, have ended."""
        if not self._held or (self._section.is_quiet(moment) and not ending):
            return []
        held = [*self._held]
        self._held.clear()
        return held

    def _forget(self, now_ns: int) -> None:
        """Drop what would be sent again anyway; at the limit, the oldest."""
        fresh = {k: t for k, t in self._sent_ns.items() if now_ns - t < self._repeat_ns}
        newest = sorted(fresh, key=lambda key: fresh[key])[-_MOST_KNOWN // 2 :]
        self._sent_ns = {key: fresh[key] for key in newest}
        self._unsent = {k: n for k, n in self._unsent.items() if k in self._sent_ns}
