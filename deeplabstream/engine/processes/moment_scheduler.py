"""Moment scheduler: takes the newest frames of calibrated cameras when all show one moment."""

from collections.abc import Sequence

from deeplabstream.core.frame import Frame
from deeplabstream.ipc.ring import RingReader
from deeplabstream.space.moment_matching import MISSED

UNKNOWN_RATE = 30.0
"""Frames per second of cameras that do not state it."""


class MomentScheduler:
    """Chooses which newest frames are analysed together.

    It waits up to half a period for the frames of the same moment, and not for a camera that
    missed the last ones. The order of arrival plays no part: a camera whose frame is of the
    moment before is waited for. This only decides what is analysed; which frames belong
    together follows from their times of exposure (`engine.space_tracking`).
    """

    def __init__(self, readers: Sequence[RingReader]) -> None:
        self._readers = tuple(readers)
        rates = [reader.spec.format.rate or UNKNOWN_RATE for reader in readers]
        self._half_ns = round(0.5e9 / max(rates, default=UNKNOWN_RATE))
        self._missed = {reader.camera: 0 for reader in readers}
        self._waits_for_ns: int | None = None
        """Exposure of the moment that is incomplete; None: none is."""
        self._since_ns = 0
        self._taken_ns: int | None = None
        """Exposure of the moment that was taken last."""

    def next(self, now_ns: int) -> list[Frame]:
        """Return the frames of one moment, not analysed yet; empty: there are none yet."""
        times = self._new_times()
        if not times:
            return []

        latest_ns = max(times.values())
        present = [
            reader
            for reader, time_ns in times.items()
            if latest_ns - time_ns <= self._half_ns
        ]
        awaited = any(
            self._missed[reader.camera] < MISSED
            for reader in self._readers
            if reader not in present
        )
        if awaited and not self._waited(latest_ns, now_ns):
            return []

        self._waits_for_ns, self._taken_ns = None, latest_ns
        for reader in self._readers:
            missed = 0 if reader in present else self._missed[reader.camera] + 1
            self._missed[reader.camera] = missed
        frames = [reader.newest() for reader in present]
        return [frame for frame in frames if frame is not None]

    def deadline_ns(self) -> int | None:
        """Return when to call `next` again although no frame has come; None: it waits for none."""
        if self._waits_for_ns is None:
            return None
        return self._since_ns + self._half_ns

    def _new_times(self) -> dict[RingReader, int]:
        """Return the exposures of the newest frames; those of a moment that was taken are late.

        A camera that was not waited for, and whose frame is late, has returned.
        """
        times: dict[RingReader, int] = {}
        for reader in self._readers:
            stamp = reader.newest_stamp
            if stamp is None:
                continue
            taken_ns = self._taken_ns
            if taken_ns is not None and stamp.time_ns - taken_ns <= self._half_ns:
                reader.skip()
                self._missed[reader.camera] = 0
            else:
                times[reader] = stamp.time_ns
        return times

    def _waited(self, latest_ns: int, now_ns: int) -> bool:
        """Return whether the other views of a moment were waited for long enough."""
        waits_for_ns = self._waits_for_ns
        if waits_for_ns is not None and abs(latest_ns - waits_for_ns) <= self._half_ns:
            return now_ns - self._since_ns >= self._half_ns
        self._waits_for_ns, self._since_ns = latest_ns, now_ns
        return False
