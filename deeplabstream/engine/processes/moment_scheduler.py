"""Moment scheduler: takes the newest frames of calibrated cameras when all show one moment."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from deeplabstream.core.frame import Frame
from deeplabstream.ipc.ring import RingReader
from deeplabstream.space.moment_matching import MISSED
from deeplabstream.space.pulse_numbering import PulsedFrame

PulseOf: TypeAlias = Callable[[str, int, int], PulsedFrame | None]
"""Returns the pulse of a frame not analysed yet, by camera, number and time of exposure in ns;
None: not certain."""

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
    together follows from their times of exposure or their pulses (`engine.space_tracking`).

    With `pulse_of`, frames are of one moment when they have its pulse, however late their times
    are. One that comes after its moment was taken is analysed at once, on its own. Those without
    a pulse are never late: the numbering learns from them.
    """

    def __init__(
        self, readers: Sequence[RingReader], pulse_of: PulseOf | None = None
    ) -> None:
        self._readers = tuple(readers)
        self._pulse_of = pulse_of
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
        self._taken_pulse: int | None = None
        """Its pulse; None: its frames had none."""

    def next(self, now_ns: int) -> list[Frame]:
        """Return the frames of one moment, not analysed yet; empty: there are none yet."""
        times, pulses = self._new_frames()
        if not times:
            self._waits_for_ns = None
            return []

        pulse = max(pulses.values(), default=None)
        if pulse is not None and pulse == self._taken_pulse:
            return self._taken([*pulses])

        latest_ns = max(times[reader] for reader in pulses or times)
        if pulse is not None:
            # a frame without a pulse gives no point: the others do not wait for its camera
            present = [it for it in times if pulses.get(it, pulse) == pulse]
        else:
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

        self._waits_for_ns = None
        self._taken_ns, self._taken_pulse = latest_ns, pulse
        for reader in self._readers:
            self._missed[reader.camera] += 1
        return self._taken(present)

    def _taken(self, readers: Sequence[RingReader]) -> list[Frame]:
        """Return the newest frames of cameras, which are not missing."""
        for reader in readers:
            self._missed[reader.camera] = 0
            self._late_needed[reader.camera] = 1
        frames = [reader.newest() for reader in readers]
        return [frame for frame in frames if frame is not None]

    def reset(self) -> None:
        """Discard the state of earlier moments; all cameras are waited for again."""
        self._waits_for_ns, self._taken_ns, self._taken_pulse = None, None, None
        self._missed = dict.fromkeys(self._missed, 0)

    def deadline_ns(self) -> int | None:
        """Return when to call `next` again although no frame has come; None: it waits for none."""
        if self._waits_for_ns is None:
            return None
        return self._since_ns + self._wait_ns

    def _new_frames(self) -> tuple[dict[RingReader, int], dict[RingReader, int]]:
        """Return times and, where they are known, pulses of the newest frames.

        Late ones, of a moment that was taken, are skipped. A camera that was not waited for,
        and whose frame is late, has returned.
        """
        times: dict[RingReader, int] = {}
        pulses: dict[RingReader, int] = {}
        for reader in self._readers:
            stamp = reader.newest_stamp
            if stamp is None:
                continue
            pulsed = None
            if self._pulse_of is not None:
                pulsed = self._pulse_of(reader.camera, stamp.index, stamp.time_ns)
            if self._is_late(pulsed, stamp.time_ns):
                reader.skip()
                self._note_late(reader.camera)
            elif pulsed is None:
                times[reader] = stamp.time_ns
            else:
                times[reader], pulses[reader] = pulsed.time_ns, pulsed.number
        return times, pulses

    def _is_late(self, pulsed: PulsedFrame | None, time_ns: int) -> bool:
        """Return whether the moment of a frame has passed."""
        if self._pulse_of is None:
            taken_ns = self._taken_ns
            return taken_ns is not None and time_ns - taken_ns <= self._half_ns
        if pulsed is None or self._taken_pulse is None:
            return False
        return pulsed.number < self._taken_pulse

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
