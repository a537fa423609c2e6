"""Plate watch: whether the plate still lies where its arenas are, while frames are analysed.

::

    in place ── moved in CONFIRMED checks, hidden for HIDDEN_S, unchecked for STALE_S ──► away
       ▲                                                                                   │
       └──────────────────────────── in place in CONFIRMED checks ─────────────────────────┘

While the plate is away, the arenas are somewhere else in the image, so all poses are unknown.
The record has these unknown poses, so that a re-run takes the same decisions without the watch,
and a flag of each of these frames, for a replay of the video.
"""

from dataclasses import dataclass
from math import nan
from typing import Protocol

from deeplabstream.ipc.ring import RingSpec
from deeplabstream.settings.arenas import ARENAS, Arenas

PLATE = "plate"
"""Kind of the notes on the plate."""
AWAY_FLAG = {f"[{ARENAS}]": "away"}
"""Flag of the steps while the plate is away: see `Step.flags`."""
CHECK_S = 1.0
"""Interval of the checks."""
CONFIRMED = 2
"""Checks in a row that show a movement, or the end of one.

A hand in the image can shift a marker's corner in a single one.
"""
HIDDEN_S = 5.0
"""Time for which markers may be hidden, such as by a hand, before the place is unknown."""
STALE_S = 10.0
"""Time without a check from which the place is unknown, such as on a computer that is too slow."""


@dataclass(frozen=True, slots=True)
class WatchPlate:
    """From the engine to the plate process: look for the markers in these frames."""

    ring: RingSpec
    plate: Arenas
    """With the corners of the markers where they were at the start of the stream."""


@dataclass(frozen=True, slots=True)
class PlateProcessReady:
    """From the plate process to the engine: it has started, and needs a `WatchPlate`."""


@dataclass(frozen=True, slots=True)
class PlateSeen:
    """From the plate process to the engine: result of a check: where the plate was in a frame."""

    time_ns: int
    """Exposure of the frame."""
    moved_px: float = nan
    """Largest movement of a marker since the start of the stream; NaN: not known."""
    problem: str = ""
    """Why the movement is not known."""


class PlateKnown(Protocol):
    """Tells for each frame whether the plate is in place."""

    def reset(self) -> None:
        """Assume that it is in place: an analysis starts, before which that was checked."""

    def problem_at(self, time_ns: int) -> str:
        """Return why the arenas are unknown in the frame of a time; empty: they are known."""


class PlateWatch:
    """Follows the checks. `tolerance_px`: movement that is harmless."""

    def __init__(self, tolerance_px: float) -> None:
        self._tolerance_px = tolerance_px
        self._problem = ""
        self._checked_ns: int | None = None
        """Time of the last check; None: no frame was analysed yet."""
        self._located_ns: int | None = None
        """Time of the last check that found the plate."""
        self._moved = self._in_place = 0
        """Checks in a row with that result."""

    def reset(self) -> None:
        """Assume that the plate is in place."""
        self._problem = ""
        self._checked_ns = self._located_ns = None
        self._moved = self._in_place = 0

    def take(self, seen: PlateSeen) -> None:
        """Take the result of a check."""
        self._checked_ns = seen.time_ns
        if self._located_ns is None:
            self._located_ns = seen.time_ns
        if seen.problem:
            self._moved = self._in_place = 0
            if seen.time_ns - self._located_ns >= HIDDEN_S * 1e9:
                self._problem = self._problem or f"{seen.problem} (for {HIDDEN_S:g} s)"
            return

        self._located_ns = seen.time_ns
        if seen.moved_px > self._tolerance_px:
            self._moved, self._in_place = self._moved + 1, 0
            if self._moved >= CONFIRMED:
                self._problem = (
                    f"the plate has moved by {seen.moved_px:.1f} px since the start of the "
                    f"stream, more than {self._tolerance_px:.1f} px"
                )
        else:
            self._moved, self._in_place = 0, self._in_place + 1
            if self._in_place >= CONFIRMED:
                self._problem = ""

    def problem_at(self, time_ns: int) -> str:
        """Return why the arenas are unknown in the frame of a time; empty: they are known."""
        if self._checked_ns is None:
            self._checked_ns = time_ns
        if time_ns - self._checked_ns > STALE_S * 1e9:
            return f"the markers were not looked for in the last {STALE_S:g} s"
        return self._problem


def away_sentence(index: int, problem: str) -> str:
    """Return the alarm when the plate is away from a frame on."""
    return (
        f"[Arenas] MARKERS: {problem}. All arenas are unknown from frame {index} on: put the "
        "plate back, or stop the stream and start it again"
    )


def back_sentence(index: int) -> str:
    """Return the note when the plate is in place again."""
    return f"the plate is in place: the arenas are known again from frame {index} on"
