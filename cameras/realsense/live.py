"""Live frames of a RealSense sensor, without the SDK's pipeline.

A pipeline pairs streams, and repeats or drops frames to do so; a sensor delivers each
frame once.
"""

from collections.abc import Callable
from typing import Any

from deeplabstream.plugin import ClockSync, CounterUnwrapper, DeviceError, SystemClock

_SILENT_MS, _FIRST_MS = 1000, 5000
_HELD = 10
"""Frames that the SDK buffers for a slow reader; older ones are lost."""


class LiveFrames:
    """A streaming sensor; `first` is its first frame."""

    def __init__(self, sensor: Any, profile: Any) -> None:
        import pyrealsense2 as rs

        self._sensor, self._profile = sensor, profile
        self._queue = rs.frame_queue(_HELD)
        self._clock = SystemClock()
        self._synchroniser, self._unwrapper = ClockSync(), CounterUnwrapper(bits=32)
        self._fresh = self._awaits_pulses = False
        option = rs.option.global_time_enabled
        if sensor.supports(option) and not sensor.is_option_read_only(option):
            sensor.set_option(option, 0)
        sensor.open(profile)
        try:
            sensor.start(self._queue)
            self.first = self._wait(_FIRST_MS)
        except BaseException:
            self.stop()
            raise
        domain = self.first.get_frame_timestamp_domain()
        self._wraps = domain == rs.timestamp_domain.hardware_clock
        self._stamps = domain != rs.timestamp_domain.system_time

    def wait_for_pulses(self, arm: Callable[[], object]) -> None:
        """Stop, arm and start the sensor: it exposes on pulses only from now on."""
        try:
            halt(self._sensor)
            arm()
            self._sensor.open(self._profile)
            self._sensor.start(self._queue)
        except BaseException:
            self.stop()
            raise
        self._awaits_pulses = True

    def next(self) -> tuple[Any, int] | None:
        """Wait for the next frame and return it with its time on the run's clock.

        Frames that arrived before the first call are dropped. None: it waits for a pulse.
        """
        while not self._fresh and self._queue.poll_for_frame():
            continue
        self._fresh = True
        try:
            frame = self._wait(_SILENT_MS)
        except DeviceError:
            if self._awaits_pulses:
                return None
            raise
        arrived_ns = self._clock.now_ns()
        if not self._stamps:
            return frame, arrived_ns
        stamp_us = round(frame.get_timestamp() * 1000)
        if self._wraps:  # the device counts microseconds with 32 bits: 72 minutes
            stamp_us = self._unwrapper.number(stamp_us % 2**32)
        return frame, self._synchroniser.moment(stamp_us * 1000, arrived_ns)

    @property
    def clock_jump_ns(self) -> int:
        """Jump of the device's clock, measured at the last frame."""
        return self._synchroniser.jump_ns

    def stop(self) -> None:
        """Stop the sensor; errors of an absent device are ignored."""
        halt(self._sensor)

    def _wait(self, at_most_ms: int) -> Any:
        arrived, frame = self._queue.try_wait_for_frame(at_most_ms)
        if not arrived:
            raise DeviceError(f"gave no frame for {at_most_ms / 1000:g} s")
        return frame


def halt(sensor: Any) -> None:
    """Stop and close a sensor in any state."""
    for step in (sensor.stop, sensor.close):
        try:
            step()
        except RuntimeError:
            continue
