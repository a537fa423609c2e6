"""Rack alarms: the events of boxes that are sent as alarms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from deeplabstream.rack.box_status import SILENT
from deeplabstream.rack.supervised_box import SupervisedBox


class AlarmOutlet(Protocol):
    """Takes alarms; never waits and never fails."""

    def raise_alarm(self, source: str, text: str, urgent: bool) -> None:
        """Send an alarm of a box."""

    def watch(self, well: bool) -> None:
        """Show that the rack runs; called many times a second."""


class RackAlarms:
    """Finds new alarms of the boxes."""

    def __init__(self, boxes: Iterable[SupervisedBox], outlet: AlarmOutlet) -> None:
        self._boxes, self._outlet = [*boxes], outlet
        self._failures = {box.name: box.failures for box in self._boxes}
        self._sent_ns = dict.fromkeys(self._failures, 0)
        """Time of the last alarm of a box that was sent."""
        self._switched_ns = dict.fromkeys(self._failures, 0)
        """The same for outputs that the rack has switched off."""
        self._silent = dict.fromkeys(self._failures, False)

    def raise_alarm(self, text: str, urgent: bool) -> None:
        """Send an alarm of the rack itself."""
        self._outlet.raise_alarm("", text, urgent)

    def watch(self, said: Mapping[str, Sequence[str]]) -> None:
        """Send what is new; `said`: what the boxes have reported since the last call."""
        for box in self._boxes:
            self._send_reported(box)
            self._send_switched_off(box)
            self._send_silence(box)
            if box.failures > self._failures[box.name]:
                self._failures[box.name] = box.failures
                text = "; ".join(said.get(box.name, ())) or box.state
                self._outlet.raise_alarm(box.name, text, urgent=True)
        self._outlet.watch(self._is_well)

    def _send_reported(self, box: SupervisedBox) -> None:
        if box.status is None:
            return
        last_ns = self._sent_ns[box.name]
        for alarm in box.status.alarms:
            if alarm.time_ns > last_ns:
                self._sent_ns[box.name] = alarm.time_ns
                self._outlet.raise_alarm(box.name, alarm.text, alarm.urgent)

    def _send_switched_off(self, box: SupervisedBox) -> None:
        """Send what the rack has done in place of the guards of a box."""
        last_ns = self._switched_ns[box.name]
        for report in box.switched_off:
            if report.time_ns > last_ns:
                self._switched_ns[box.name] = report.time_ns
                self._outlet.raise_alarm(box.name, report.text, report.urgent)

    def _send_silence(self, box: SupervisedBox) -> None:
        silent = box.running and box.state == SILENT
        if silent != self._silent[box.name]:
            self._silent[box.name] = silent
            text = "the box does not answer" if silent else "the box answers again"
            # one that has ended meanwhile does not answer again
            if silent or box.running:
                self._outlet.raise_alarm(box.name, text, urgent=silent)

    @property
    def _is_well(self) -> bool:
        return all(
            box.running and box.state != SILENT
            for box in self._boxes
            if box.active and not box.scheduled
        )
