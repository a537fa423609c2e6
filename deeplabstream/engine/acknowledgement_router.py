"""Acknowledgement router: passes the reports of devices from their threads to the bank."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from deeplabstream.core.journal_entries import Acknowledged, Edge
from deeplabstream.engine.output_channel import NEVER, OutputChannel
from deeplabstream.plugins.output import DeviceReport


class AcknowledgementRouter:
    """Forwards acknowledgements at once; queues unrequested actions of a device.

    A device's thread never waits for the bank, which may be waiting for the device.
    """

    def __init__(self, watch: Callable[[Acknowledged], object]) -> None:
        self.watch = watch
        self._device_actions: deque[tuple[str, DeviceReport]] = deque()

    def register(self, channel: OutputChannel) -> None:
        """Receive the reports of this output's device, if it sends reports."""
        if channel.reporting is not None:
            channel.reporting.on_report = lambda report: self._receive(channel, report)

    def apply_reports(self, channels: Mapping[str, OutputChannel]) -> Iterator[Edge]:
        """Update outputs that their device switched off; yield an edge for each."""
        while self._device_actions:
            name, report = self._device_actions.popleft()
            channel, at_ns = channels.get(name), report.acted_ns
            # a report from before the last write is stale: the output may be on again
            if channel is not None and channel.write_started_ns <= at_ns:
                channel.cancel_pulses()
                channel.level, channel.limit_ns = 0.0, NEVER
                channel.settle(at_ns)
                channel.record_off(at_ns, report.cause)
                yield Edge(name, 0.0, report.cause, at_ns, at_ns)

    def _receive(self, channel: OutputChannel, report: DeviceReport) -> None:
        """Pass a report on, in the thread of the device."""
        name, level, sent_ns = channel.name, report.level, report.sent_ns
        if level == 0:
            channel.acknowledged_off_ns = sent_ns
        if report.cause:  # only what the device did by itself has a cause
            self._device_actions.append((name, report))
        times = sent_ns, report.acted_ns, report.received_ns
        self.watch(Acknowledged(name, level, *times, report.cause))
