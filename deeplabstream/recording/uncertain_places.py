"""Uncertain places: spans of a run in which animals may have the wrong name, or are missing."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.corrected_poses import ABSENT
from deeplabstream.recording.pose_corrections import Correction
from deeplabstream.recording.recorded_frames import RecordedFrames

MISSING_S = 1.0
"""Shortest time without a known point of an animal that counts, seconds."""
JOIN_S = 0.5
"""Longest time between two places of the same reason and animal that become one, seconds."""

Reason = Literal["ambiguous", "stray", "renamed", "motion", "missing"]
REASONS: dict[Reason, str] = {
    "ambiguous": "identities are ambiguous",
    "stray": "perhaps a false detection",
    "renamed": "the tracker swapped the names",
    "motion": "names accepted from motion alone",
    "missing": "no point is known",
}
"""What each reason means."""
_REASON_OF: dict[str, Reason] = {
    "stray": "stray",
    "exchanged": "renamed",
    "believed": "motion",
}
"""Reasons by flags of `Pose.identity`, except those of ambiguous groups."""

Bools = NDArray[np.bool_]
_Group = tuple[Reason, frozenset[int]]


@dataclass(frozen=True, kw_only=True)
class UncertainPlace:
    """A span of frames that a user should check.

    Attributes
    ----------
    reason : {"ambiguous", "stray", "renamed", "motion", "missing"}
        ambiguous: the animals may have each other's names. stray: the animal may be a false
        detection. renamed: the tracker swapped the names on this frame. motion: the names
        were accepted from motion alone. missing: no point of the animal is known, and it is
        in no shelter.
    frames : tuple of int
        First and last frame, both included: `frame` of `CAMERA.csv`.
    start_s : float
        Time of the first frame, seconds since Start Stream.
    duration_s : float
        Seconds from the first frame to the end of the last one.
    animals : tuple of str
        Names of the animals.
    checked : bool
        Whether a user has checked it (correction `check`).
    """

    reason: Reason
    frames: tuple[int, int]
    start_s: float
    duration_s: float
    animals: tuple[str, ...]
    checked: bool = False

    @property
    def animal_s(self) -> float:
        """Number of animals times duration, seconds."""
        return len(self.animals) * self.duration_s

    def __str__(self) -> str:
        first, last = self.frames
        span = f"frame {first}" if first == last else f"frames {first} to {last}"
        return (
            f"{span}, {self.start_s:.2f} s, for {self.duration_s:.2f} s: "
            f"{', '.join(self.animals)}: {REASONS[self.reason]}"
            f"{' (checked)' if self.checked else ''}"
        )


@dataclass
class _Open:
    """A place that may go on."""

    reason: Reason
    animals: frozenset[int]
    first: int
    last: int


def uncertain_places(
    frames: RecordedFrames, checks: Iterable[Correction] = ()
) -> tuple[UncertainPlace, ...]:
    """Return the uncertain places of a camera, checked ones last.

    Those of most animals × duration come first. Names that were swapped or confirmed by a
    correction count as certain. `checks`: corrections `check` of the camera.
    """
    checks = tuple(checks)
    poses = frames.poses
    analysed = np.flatnonzero(frames.analysed)
    if not len(analysed):
        return ()
    times_s = poses.times_s[analysed]
    known = poses.confidence[analysed] >= frames.folder.thresholds.of(frames.camera)

    # Few different states occur: each is parsed once.
    animals = len(poses.animals)
    identity = poses.identity or [("",) * animals] * len(poses)
    number_of: dict[tuple[str, ...], int] = {}
    states = np.array(
        [number_of.setdefault(identity[int(row)], len(number_of)) for row in analysed]
    )
    groups = [tuple(_groups(state)) for state in number_of]
    expected = np.array([_expected(state) for state in number_of], np.bool_)

    missing = ~known.any(axis=2) & expected[states]
    found = [*_of_identity(states, groups, times_s), *_missing(missing, times_s)]
    interval_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    places = [
        UncertainPlace(
            reason=place.reason,
            frames=(
                int(poses.frames[analysed[place.first]]),
                int(poses.frames[analysed[place.last]]),
            ),
            start_s=float(times_s[place.first]),
            duration_s=float(times_s[place.last] - times_s[place.first]) + interval_s,
            animals=tuple([poses.animals[at] for at in sorted(place.animals)]),
        )
        for place in found
    ]
    places = [
        replace(place, checked=any(_covers(check, place) for check in checks))
        for place in places
    ]
    return tuple(
        sorted(
            places, key=lambda place: (place.checked, -place.animal_s, place.start_s)
        )
    )


def next_place(places: Iterable[UncertainPlace], frame: int) -> UncertainPlace | None:
    """Return the first unchecked place that starts after a frame, else the first of all.

    None: none is unchecked.
    """
    return min(
        (place for place in places if not place.checked),
        key=lambda place: (place.frames[0] <= frame, place.frames),
        default=None,
    )


def last_frame_before(
    places: Iterable[UncertainPlace],
    analysed: NDArray[np.int64],
    first: int,
    animals: Collection[str] = (),
) -> int | None:
    """Return the last analysed frame before the next unchecked place of one of the animals.

    The place starts after `first`; without one, the last of `analysed` counts. No `animals`:
    places of all. None: no frame is analysed from `first` on.
    """
    starts = [
        place.frames[0]
        for place in places
        if place.frames[0] > first
        and not place.checked
        and (not animals or {*animals} & {*place.animals})
    ]
    after = analysed[analysed >= first]
    if not len(after):
        return None
    before = after[after < min(starts, default=after[-1] + 1)]
    return max(first, int(before.max(initial=first)))


def _covers(check: Correction, place: UncertainPlace) -> bool:
    """Return whether a check concerns the whole place."""
    first, last = place.frames
    return (
        check.reason in ("", place.reason)
        and check.frames[0] <= first
        and last <= check.frames[1]
        and (not check.animals or {*place.animals} <= {*check.animals})
    )


def _groups(state: Sequence[str]) -> Iterator[_Group]:
    """Yield the reasons of one `Pose.identity`, each with its animals."""
    animals: dict[str, set[int]] = {}
    for animal, flags in enumerate(state):
        for flag in flags.split("+"):
            if flag.startswith("doubt") or flag in _REASON_OF:
                # each false detection is a place of its own
                key = f"{flag} {animal}" if flag == "stray" else flag
                animals.setdefault(key, set()).add(animal)
    for key, group in animals.items():
        yield _REASON_OF.get(key.partition(" ")[0], "ambiguous"), frozenset(group)


def _expected(state: Sequence[str]) -> list[bool]:
    """Return which animals should have points.

    Not those in a shelter, those that are listed as ambiguous, and those that a correction
    merged or renamed.
    """
    return [
        not flags.startswith("doubt") and "shelter" not in flags and flags != ABSENT
        for flags in state
    ]


def _of_identity(
    states: NDArray[np.int_],
    groups: Sequence[Sequence[_Group]],
    times_s: NDArray[np.float64],
) -> list[_Open]:
    """Return the places of flags; groups that share an animal and follow each other are one."""
    starts = np.flatnonzero(np.diff(states, prepend=-1))
    lasts = np.append(starts[1:], len(states)) - 1
    flagged = np.array([bool(group) for group in groups])[states[starts]]
    open_, closed = list[_Open](), list[_Open]()
    for first, last in zip(starts[flagged], lasts[flagged], strict=True):
        ended = [
            place for place in open_ if times_s[first] - times_s[place.last] > JOIN_S
        ]
        closed += ended
        open_ = [place for place in open_ if place not in ended]
        for reason, animals in groups[states[first]]:
            place = _Open(reason, animals, int(first), int(last))
            joined = [
                other
                for other in open_
                if other.reason == reason and other.animals & animals
            ]
            for other in joined:
                place.animals |= other.animals
                place.first = min(place.first, other.first)
            open_ = [*(other for other in open_ if other not in joined), place]
    return closed + open_


def _missing(missing: Bools, times_s: NDArray[np.float64]) -> Iterator[_Open]:
    """Yield the spans of at least MISSING_S in which an animal is missing."""
    for animal, mask in enumerate(missing.T):
        edges = np.diff(mask.astype(np.int8), prepend=0, append=0)
        firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
        long = times_s[lasts] - times_s[firsts] >= MISSING_S
        for first, last in zip(firsts[long], lasts[long], strict=True):
            yield _Open("missing", frozenset({animal}), int(first), int(last))
