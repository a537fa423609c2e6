"""Moment scheduler: takes the newest frames of calibrated cameras when all show one moment."""

from collections.abc import Sequence

from deeplabstream.core.frame import Frame
from deeplabstream.ipc.ring import RingReader
from deeplabstream.space.moment_matching import MISSED

WAIT_SHARE = 0.8
"""Part of a period after which a missing view is not waited for: the next frame is near."""
MOST_LATE = 64
"""Largest number of late frames after which a camera is waited for again."""
UNKNOWN_RATE = 30.0
"""Frames per second of cameras that do not state it."""


class MomentScheduler:
    """Chooses which newest frames are analysed together.

    It waits most of a period for the frames of the same moment, and not for a camera that
    missed the last ones. The order of arrival plays no part: a camera whose frame is of the
    moment before is waited for. This only decides what is analysed; which frames belong
    together follows from their times of exposure (`engine.space_tracking`).
    """

    def __init__(self, readers: Sequence[RingReader]) -> None:
        self._readers = tuple(readers)
        rates = [reader.spec.format.rate or UNKNOWN_RATE for reader in readers]
        period_ns = 1e9 / max(rates, default=UNKNOWN_RATE)
        self._half_ns = round(period_ns / 2)
        self._wait_ns = round(period_ns * WAIT_SHARE)
        self._missed = {reader.camera: 0 for reader in readers}
        self._late = dict(self._missed)
        self._late_needed = dict.fromkeys(self._missed, 1)
        self._waits_for_ns: int | None = None
        """Exposure of the moment that is incomplete; None: none is."""
        self._since_ns = 0
        self._taken_ns: int | None = None
        """Exposure of the moment that was taken last."""

    def next(self, now_ns: int) -> list[Frame]:
        """Return the frames of one moment, not analysed yet; empty: there are none yet."""
        times = self._new_times()
        if not times:
            self._waits_for_ns = None
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
            self._missed[reader.camera] += 1
            if reader in present:
                self._missed[reader.camera] = 0
                self._late_needed[reader.camera] = 1
        frames = [reader.newest() for reader in present]
        return [frame for frame in frames if frame is not None]

    def reset(self) -> None:
        """Discard the state of earlier moments; all cameras are waited for again."""
        self._waits_for_ns, self._taken_ns = None, None
        self._missed = dict.fromkeys(self._missed, 0)

    def deadline_ns(self) -> int | None:
        """Return when to call `next` again although no frame has come; None: it waits for none."""
        if self._waits_for_ns is None:
            return None
        return self._since_ns + self._wait_ns

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
                self._note_late(reader.camera)
            else:
                times[reader] = stamp.time_ns
        return times

    def _note_late(self, camera: str) -> None:
        """Wait for a camera again that was not waited for: it delivers frames.

        Each time in vain, twice as many late frames are needed: one that is late in each
        moment would else delay all of them.
        """
        if self._missed[camera] < MISSED:
            return
        self._late[camera] += 1
        if self._late[camera] >= self._late_needed[camera]:
            self._missed[camera] = MISSED - 1
            self._late[camera] = 0
            self._late_needed[camera] = min(2 * self._late_needed[camera], MOST_LATE)

    def _waited(self, latest_ns: int, now_ns: int) -> bool:
        """Return whether the other views of a moment were waited for long enough."""
        waits_for_ns = self._waits_for_ns
        if waits_for_ns is not None and abs(latest_ns - waits_for_ns) <= self._half_ns:
            return now_ns - self._since_ns >= self._wait_ns
        self._waits_for_ns, self._since_ns = latest_ns, now_ns
        return False
