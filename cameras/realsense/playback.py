"""Frames of a RealSense recording: paced like a live camera, or all of them.

The SDK's own pacing drops single frames; so the SDK waits for the reader, and this
module paces.
"""

from datetime import timedelta
from queue import Empty, Full, Queue
from threading import Event
from typing import Any

from deeplabstream.plugin import DeviceError, Pacer, SystemClock

from .live import halt

_AHEAD = 4
_STEP_S, _SILENT_STEPS = 0.02, 45
_LONGEST_NS = 900_000_000
"""Longest pause in a playback, because a stream must not be silent for a second."""


class PlayedFrames:
    """A recording whose playback begins with the first reading; `first` is its first frame."""

    clock_jump_ns = 0

    def __init__(
        self, device: Any, sensor: Any, profile: Any, paced: bool, repeat: bool
    ) -> None:
        self._playback, self._sensor, self._profile = device, sensor, profile
        self._paced, self._repeat = paced, repeat
        self._clock = SystemClock()
        self._pacer: Pacer | None = None
        self._start_ns = self._time_ns = 0
        self._stamp_ms: float | None = None
        device.set_real_time(False)
        self._play()
        self._held: tuple[Any, int] | None = None
        try:
            self._held = self._take()
            if self._held is None:
                raise DeviceError("the recording has no frames of that stream")
        except DeviceError:
            self.stop()
            raise
        self.first = self._held[0]

    def next(self) -> tuple[Any, int] | None:
        """Wait for the next frame that is due; return it with its time; None: no more.

        Paced, frames that were not read in time are lost; otherwise the time counts from
        the recording's start.
        """
        if self._pacer is None:
            self._pacer = Pacer(1e9)  # its ticks are nanoseconds
            self._start_ns = self._pacer.wait(0)
        elapsed_ns = self._clock.now_ns() - self._start_ns
        while self._held is not None:
            (frame, time_ns), self._held = self._held, self._take()
            late = self._held is not None and self._held[1] <= elapsed_ns
            if self._paced and late:
                continue
            return frame, self._pacer.wait(time_ns) if self._paced else time_ns
        return None

    def stop(self) -> None:
        """Stop the playback; queued frames are dropped."""
        self._stopping.set()
        halt(self._sensor)

    def _play(self) -> None:
        frames: Queue[Any] = Queue(_AHEAD)
        stopping = Event()

        def deliver(frame: Any) -> None:
            while not stopping.is_set():
                try:
                    return frames.put(frame, timeout=_STEP_S)
                except Full:
                    continue

        self._frames, self._stopping = frames, stopping
        self._began = False
        self._sensor.open(self._profile)
        self._sensor.start(deliver)

    def _take(self) -> tuple[Any, int] | None:
        """Return the next frame of the file and its time from the start."""
        import pyrealsense2 as rs

        for _ in range(_SILENT_STEPS):
            stopped = self._playback.current_status() == rs.playback_status.stopped
            try:
                frame = self._frames.get(timeout=_STEP_S)
            except Empty:
                if not stopped or not self._began:
                    continue
            else:
                self._began = True
                return self._timed(frame)
            if not self._repeat:
                return None
            self.stop()
            self._playback.seek(timedelta(0))
            self._play()
        raise DeviceError("the recording gave no frame for 1 s")

    def _timed(self, frame: Any) -> tuple[Any, int]:
        stamp_ms = frame.get_timestamp()
        if self._stamp_ms is not None:
            step_ns = round((stamp_ms - self._stamp_ms) * 1e6)
            if (
                step_ns <= 0
            ):  # the recording was repeated, or the device's clock has wrapped
                step_ns = 10**9 // max(1, self._profile.fps())
            self._time_ns += min(step_ns, _LONGEST_NS)
        self._stamp_ms = stamp_ms
        return frame, self._time_ns
