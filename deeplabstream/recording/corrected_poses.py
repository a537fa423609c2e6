"""Corrected poses: the recorded poses of a camera with the corrections of the run."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import (
    AMBIGUOUS,
    REJECTED,
    Skeleton,
    is_rejected,
    part_names,
)
from deeplabstream.recording.cell_formats import flags_text, identity_of, parse_flags
from deeplabstream.recording.pose_corrections import OF_ANIMALS, Correction
from deeplabstream.recording.pose_table import PoseTable

Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]
Flags = Mapping[str, str]

ABSENT = "absent"
"""State in `Pose.identity` of an animal without points after a merge or a split."""


@dataclass(frozen=True, eq=False)
class CorrectedPoses:
    """Poses of a camera with corrections, and the corrected points.

    Attributes
    ----------
    table : PoseTable
        The poses.
    flags : sequence of str
        Flags of each row, as in the column `flags` of `CAMERA.csv`.
    corrected : numpy.ndarray of bool, shape (frame, animal, body part)
        Whether a correction concerns the point.
    """

    table: PoseTable
    flags: Sequence[str]
    corrected: Bools


def apply_corrections(
    table: PoseTable,
    flags: Sequence[object],
    threshold: float,
    corrections: Mapping[int, Correction],
) -> CorrectedPoses:
    """Return poses with corrections; the arguments are unchanged.

    Parameters
    ----------
    table : PoseTable
        The recorded poses of one camera.
    flags : sequence
        Flags of each row, as in the column `flags` of `CAMERA.csv`; other values count as empty.
    threshold : float
        Confidence from which on a point is known; interpolation begins and ends at such
        points.
    corrections : mapping of int to Correction
        By number, applied in this order.

    Returns
    -------
    CorrectedPoses
        Points that were removed are NaN with confidence 0; points that were set have
        confidence 1; interpolated points have the lower confidence of the points at the
        ends. Identity is known where two animals were swapped or confirmed. An animal
        without points after a merge or a split has the flag `absent`.

    Raises
    ------
    DeepLabStreamError
        A correction does not fit the poses; the message names it.
    """
    poses = _Poses(table, flags, threshold)
    for number, correction in corrections.items():
        try:
            poses.apply(correction)
        except DeepLabStreamError as error:
            raise DeepLabStreamError(f"correction {number}: {error}") from error
    return poses.result()


def rejected_points(flags: Sequence[object], skeleton: Skeleton) -> Bools:
    """Return which points (frame, animal, body part) a filter of [Tracking] rejected."""
    shape = len(flags), skeleton.count, len(skeleton.bodyparts)
    found = np.zeros(shape, np.bool_)
    places = {name: at for at, name in enumerate(part_names(skeleton, skeleton.count))}
    for row, cell in enumerate(flags):
        if not (isinstance(cell, str) and any(word in cell for word in REJECTED)):
            continue
        for name, flag in parse_flags(cell).items():
            if name in places and is_rejected(flag):
                found[row].flat[places[name]] = True
    return found


def ambiguous_animals(identity: Sequence[tuple[str, ...]], animals: int) -> Bools:
    """Return on which frames each animal (frame, animal) is ambiguous."""
    found = np.zeros((len(identity), animals), np.bool_)
    for row, states in enumerate(identity):
        for animal, state in enumerate(states[:animals]):
            found[row, animal] = state.startswith(AMBIGUOUS)
    return found


class _Poses:
    """Poses while they are corrected."""

    def __init__(
        self, table: PoseTable, flags: Sequence[object], threshold: float
    ) -> None:
        if (np.diff(table.frames) <= 0).any():
            raise DeepLabStreamError(
                f"the frame numbers of {table.camera} do not increase; its poses can't be "
                "corrected"
            )
        self._table, self._threshold = table, threshold
        self._points, self._confidence = table.points.copy(), table.confidence.copy()
        self._flags = [cell if isinstance(cell, str) else "" for cell in flags]
        self._names = part_names(table.skeleton, table.skeleton.count)
        self._corrected = np.zeros(table.confidence.shape, np.bool_)
        self._rejected = rejected_points(self._flags, table.skeleton)
        self._ambiguous = np.zeros(table.confidence.shape[:2], np.bool_)
        if len(table.identity):
            self._ambiguous = ambiguous_animals(table.identity, len(table.animals))

        # Frames without a pose can't be corrected: nothing was decided on them.
        self._analysed = ~np.isnan(table.confidence).all(axis=(1, 2))

    def apply(self, correction: Correction) -> None:
        """Apply one correction; DeepLabStreamError: it does not fit."""
        rows = self._rows(correction.frames)
        animals = _indices("animal", correction.animals, self._table.animals)
        bodyparts = self._table.skeleton.bodyparts
        parts = _indices("body part", correction.bodyparts, bodyparts)
        if correction.kind == "set" and len(animals) * len(parts) > 1:
            raise DeepLabStreamError("set: name one animal and one body part")
        if correction.kind == "check":
            return

        if correction.kind in ("swap", "switch"):
            self._swap(rows, animals)
        if correction.kind == "split":
            self._split(rows, animals, bool(correction.keep))

        # Interpolation changes only points between known ones, and a merge those of rows
        # with the second animal; the other corrections all.
        if correction.kind == "interpolate":
            changed = self._interpolate(rows, animals, parts)
        elif correction.kind == "merge":
            second_stays = correction.keep == correction.animals[1]
            changed = self._merge(rows, animals, second_stays)
        else:
            changed = np.zeros(self._corrected.shape, np.bool_)
            changed[np.ix_(rows, animals, parts)] = True
        if correction.kind == "remove":
            self._points[changed], self._confidence[changed] = np.nan, 0.0
        if correction.kind == "set":
            self._points[changed], self._confidence[changed] = correction.position, 1.0
        self._corrected |= changed

        # A flag describes the recorded point or identity, which the user has now
        # corrected.
        if correction.kind in ("swap", "confirm"):
            self._ambiguous[np.ix_(rows, animals)] = False
            gone = [self._table.animals[at] for at in animals]
            self._drop_flags(rows, lambda row: gone)
        elif correction.kind in OF_ANIMALS:
            self._update_ambiguous(rows, animals)
        else:
            self._rejected[changed] = False
            names = np.array(self._names)
            self._drop_flags(rows, lambda row: names[changed[row].ravel()])

    def result(self) -> CorrectedPoses:
        """Return the poses."""
        identity = self._table.identity
        if len(identity):
            identity = self._identity(self._flags)
        table = replace(
            self._table,
            points=self._points,
            confidence=self._confidence,
            identity=identity,
        )
        return CorrectedPoses(table, self._flags, self._corrected)

    def _rows(self, frames: tuple[int, int]) -> Indices:
        first, last = frames
        numbers = self._table.frames
        rows = np.flatnonzero((numbers >= first) & (numbers <= last) & self._analysed)
        if not len(rows):
            analysed = numbers[self._analysed]
            has = f"{analysed[0]} to {analysed[-1]}" if len(analysed) else "none"
            raise DeepLabStreamError(
                f"no analysed frame from {first} to {last}; camera {self._table.camera} "
                f"has {has}"
            )
        return rows

    def _swap(self, rows: Indices, animals: Indices) -> None:
        # The rejection flags move with the points.
        forward, back = np.ix_(rows, animals), np.ix_(rows, animals[::-1])
        for array in (self._points, self._confidence, self._rejected):
            array[forward] = array[back]

        # Flags contain the names of animals: swap those of the two animals.
        first, second = (self._names_of(int(animal)) for animal in animals)
        names = dict(zip(first, second, strict=True))
        names |= {new: old for old, new in names.items()}
        self._edit_flags(
            rows,
            lambda flags: {names.get(name, name): flag for name, flag in flags.items()},
        )

    def _merge(self, rows: Indices, animals: Indices, second_stays: bool) -> Bools:
        """Give the points of the second animal to the first; return what has changed."""
        first, second = (int(animal) for animal in animals)
        found: Bools = np.asarray(self._known()[rows].any(axis=2))
        if not found[:, second].any():
            raise DeepLabStreamError(
                f"merge: no point of {self._table.animals[second]} is known in the span"
            )

        changed = np.zeros(self._corrected.shape, np.bool_)
        changed[rows, second] = np.isfinite(self._points[rows, second]).all(axis=-1)
        taken = rows[found[:, second] & (second_stays | ~found[:, first])]
        changed[taken, first] = True

        # They are one animal: neither ambiguous with each other, nor a false detection.
        names = {self._table.animals[animal] for animal in (first, second)}
        self._edit_flags(rows, lambda flags: _without_own_doubt(flags, names))
        self._move(taken, second, first)
        name = self._table.animals[first]
        self._edit_flags(taken, lambda flags: _without_stray(flags, name))
        self._empty(rows, second)
        return changed

    def _split(self, rows: Indices, animals: Indices, second_stays: bool) -> None:
        """Give the points of the first animal to the second."""
        if second_stays:
            self._swap(rows, animals)
            return
        first, second = (int(animal) for animal in animals)
        self._move(rows, first, second)
        self._empty(rows, first)

    def _move(self, rows: Indices, source: int, target: int) -> None:
        """Replace points and flags of an animal by those of another."""
        for array in (self._points, self._confidence, self._rejected):
            array[rows, target] = array[rows, source]

        old, new = self._names_of(source), self._names_of(target)
        renamed = dict(zip(old, new, strict=True))

        def edited(flags: Flags) -> Flags:
            kept = {name: flag for name, flag in flags.items() if name not in new}
            return {renamed.get(name, name): flag for name, flag in kept.items()}

        self._edit_flags(rows, edited)

    def _empty(self, rows: Indices, animal: int) -> None:
        """Remove points and flags of an animal that is not there."""
        self._points[rows, animal], self._confidence[rows, animal] = np.nan, 0.0
        self._rejected[rows, animal] = False
        names, name = self._names_of(animal), self._table.animals[animal]

        def edited(flags: Flags) -> Flags:
            kept = {other: flag for other, flag in flags.items() if other not in names}
            return {**kept, name: ABSENT}

        self._edit_flags(rows, edited)

    def _names_of(self, animal: int) -> list[str]:
        """Return the names of flags of an animal: its own, and those of its points."""
        count = len(self._table.skeleton.bodyparts)
        points = self._names[animal * count : (animal + 1) * count]
        return [self._table.animals[animal], *points]

    def _update_ambiguous(self, rows: Indices, animals: Indices) -> None:
        """Take over from the flags which animals are ambiguous."""
        states = self._identity([self._flags[row] for row in rows])
        found = ambiguous_animals(states, len(self._table.animals))
        self._ambiguous[np.ix_(rows, animals)] = found[:, animals]

    def _identity(self, flags: Sequence[str]) -> list[tuple[str, ...]]:
        """Return `Pose.identity` of rows with these flags."""
        skeleton = self._table.skeleton
        states = {text: identity_of(skeleton, parse_flags(text)) for text in {*flags}}
        return [states[text] for text in flags]

    def _interpolate(self, rows: Indices, animals: Indices, parts: Indices) -> Bools:
        """Interpolate each point that is known before and after; return which these are."""
        # Imported poses may have no times: then frames count as evenly spaced.
        times_s = self._table.times_s
        t = times_s if np.isfinite(times_s).all() else self._table.frames

        # Only points that a user would rely on may be the ends of an interpolation.
        known = self._known() & ~self._ambiguous[..., None]
        changed = np.zeros(self._corrected.shape, np.bool_)
        for animal in animals:
            for part in parts:
                at = np.flatnonzero(known[:, animal, part])
                before, after = at[at < rows[0]], at[at > rows[-1]]
                if not (len(before) and len(after)):
                    continue

                ends = [before[-1], after[0]]
                for axis in range(2):
                    values = self._points[ends, animal, part, axis]
                    self._points[rows, animal, part, axis] = np.interp(
                        t[rows], t[ends], values
                    )

                # An interpolated point is no more certain than the worse of its ends.
                confidence = self._confidence[ends, animal, part].min()
                self._confidence[rows, animal, part] = confidence
                changed[rows, animal, part] = True
        if not changed.any():
            raise DeepLabStreamError(
                "interpolate: no such point is known both before and after the span"
            )
        return changed

    def _known(self) -> Bools:
        """Return which points (frame, animal, body part) are found and not rejected."""
        known: Bools = np.isfinite(self._points).all(axis=-1)
        known &= (self._confidence >= self._threshold) & ~self._rejected
        return known

    def _drop_flags(
        self, rows: Indices, names: Callable[[int], Collection[str]]
    ) -> None:
        """Remove the flags of points or animals, by row, that no longer apply."""
        for row in rows:
            if not self._flags[row]:
                continue
            flags, gone = parse_flags(self._flags[row]), names(int(row))
            kept = {name: flag for name, flag in flags.items() if name not in gone}
            self._flags[row] = flags_text(kept)

    def _edit_flags(self, rows: Indices, edit: Callable[[Flags], Flags]) -> None:
        """Replace the flags of rows; equal ones are edited once, because few differ."""
        edited: dict[str, str] = {}
        for row in rows:
            text = self._flags[row]
            if text not in edited:
                edited[text] = flags_text(edit(parse_flags(text)))
            self._flags[row] = edited[text]


def _without_own_doubt(flags: Flags, names: Set[str]) -> Flags:
    """Return flags without the ambiguities that concern only animals of these names."""
    groups: dict[str, set[str]] = {}
    for name, state in flags.items():
        for part in state.split("+"):
            if part.startswith("doubt"):
                groups.setdefault(part, set()).add(name)
    solved = {group for group, members in groups.items() if members <= names}
    return {
        name: left
        for name, state in flags.items()
        if (left := "+".join(part for part in state.split("+") if part not in solved))
    }


def _without_stray(flags: Flags, name: str) -> Flags:
    """Return flags without the one that means that an animal may be a false detection."""
    states = flags.get(name, "").split("+")
    left = "+".join(state for state in states if state != "stray")
    kept = {other: flag for other, flag in flags.items() if other != name}
    return {**kept, name: left} if left else kept


def _indices(what: str, names: Sequence[str], known: Sequence[str]) -> Indices:
    if missing := [name for name in names if name not in known]:
        raise DeepLabStreamError(
            f"no {what} {missing[0]!r}; known: {', '.join(known) or 'none'}"
        )
    return np.array([known.index(name) for name in names or known], np.intp)
