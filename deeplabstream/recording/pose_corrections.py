"""Pose corrections: changes by a user to the poses of a run, beside the recorded data.

`corrections.json` in the run folder is a list to which entries are only added; undoing one
is an entry too. The recorded tables never change. Results and exports use
corrected poses.
"""

import getpass
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.pose import (
    AMBIGUOUS,
    REJECTED,
    Skeleton,
    is_rejected,
    part_names,
)
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.cell_formats import flags_text, identity_of, parse_flags
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.run_schema import CORRECTIONS

SCHEMA = 2
_READ = (1, 2)
"""Schemas that can be read; 1 has no `switch`."""
Kind = Literal["swap", "switch", "confirm", "remove", "set", "interpolate", "undo"]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Correction:
    """One correction of the poses of one camera.

    Attributes
    ----------
    kind : {"swap", "switch", "confirm", "remove", "set", "interpolate", "undo"}
        swap: two animals have each other's names. switch: the same, and ambiguous frames
        stay ambiguous. confirm: the names are right, though
        identity was ambiguous. remove: the points are wrong, and none is known. set: a
        point is at `position`. interpolate: the points lie on the line between the nearest
        known ones before and after. undo: an earlier correction does not count.
    camera : str
        The camera whose poses these are.
    frames : tuple of int
        First and last frame, both included: `frame` of `CAMERA.csv`. Frames that were not
        analysed stay as they are.
    animals : tuple of str
        Names of the animals; empty: all.
    bodyparts : tuple of str
        Names of the body parts; empty: all.
    position : tuple of float, optional
        Of `set`: x, y in pixels of the image.
    undoes : int
        Of `undo`: the number of the correction, counted from 1; 0: none.
    who : str
        Who corrected.
    when : str
        Time of the correction, ISO 8601.
    why : str
        Reason.
    """

    kind: Kind
    camera: str = ""
    frames: tuple[int, int] = (0, 0)
    animals: tuple[str, ...] = ()
    bodyparts: tuple[str, ...] = ()
    position: tuple[float, float] | None = None
    undoes: int = 0
    who: str = ""
    when: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise DeepLabStreamError(f"{self.kind}: {problem}")

    def _problem(self) -> str:
        """Return the problems that do not depend on the run; empty: nothing."""
        if self.kind not in get_args(Kind):
            return f"no such correction; known: {', '.join(get_args(Kind))}"
        if self.kind == "undo":
            return "" if self.undoes > 0 else "needs the number of a correction"
        if self.frames[1] < self.frames[0]:
            return f"last frame {self.frames[1]} is before first frame {self.frames[0]}"
        if self.kind in ("swap", "switch", "confirm") and self.bodyparts:
            return "concerns whole animals; name no body part"
        two = len(self.animals) == len({*self.animals}) == 2
        if self.kind in ("swap", "switch") and not two:
            return "needs the names of two animals"
        if self.kind == "set" and not (
            self.position
            and len(self.position) == 2
            and all(map(isfinite, self.position))
        ):
            return "needs x and y in pixels"
        return ""

    def __str__(self) -> str:
        if self.kind == "undo":
            return f"undo {self.undoes}"
        first, last = self.frames
        span = f"frame {first}" if first == last else f"frames {first} to {last}"
        of = " of ".join(
            ", ".join(names) for names in (self.bodyparts, self.animals) if names
        )
        at = f" at {self.position[0]:g} {self.position[1]:g}" if self.position else ""
        return f"{self.kind} {of or 'all points'}{at}, {span} of {self.camera}"


def read_corrections(run: Path) -> tuple[Correction, ...]:
    """Return all corrections of a run in order; DeviceError: the file is damaged."""
    path = run / CORRECTIONS
    if not path.exists():
        return ()
    try:
        found = read_json(path)
        if found["schema"] not in _READ:
            raise ValueError(f"schema = {found['schema']}, this program reads {SCHEMA}")
        return tuple(_parsed(entry) for entry in found["corrections"])
    except (OSError, ValueError, TypeError, KeyError, DeepLabStreamError) as error:
        raise DeviceError(
            f"{path} can't be read: {error}; correct it, or rename it to use the poses as "
            "they were recorded"
        ) from error


def _parsed(entry: Mapping[str, Any]) -> Correction:
    first, last = entry["frames"]
    position = entry.get("position")
    if position is not None:
        x, y = position
        position = float(x), float(y)
    return Correction(
        **{
            **entry,
            "frames": (int(first), int(last)),
            "animals": tuple(map(str, entry["animals"])),
            "bodyparts": tuple(map(str, entry["bodyparts"])),
            "position": position,
        }
    )


def in_force(corrections: Sequence[Correction]) -> dict[int, Correction]:
    """Return the effective corrections by number, without undone ones and undos."""
    undone: set[int] = set()
    for number in range(len(corrections), 0, -1):
        correction = corrections[number - 1]
        if correction.kind == "undo" and number not in undone:
            undone.add(correction.undoes)
    return {
        number: correction
        for number, correction in enumerate(corrections, start=1)
        if number not in undone and correction.kind != "undo"
    }


def corrections_of(run: Path, camera: str) -> dict[int, Correction]:
    """Return the effective corrections of a camera, by number."""
    found = in_force(read_corrections(run))
    return {
        number: correction
        for number, correction in found.items()
        if correction.camera == camera
    }


def poses_in_use(run: Path, corrected: bool, camera: str = "") -> str:
    """Return a sentence on whether poses have the corrections; empty: there are none.

    Without a `camera`, corrections of all cameras count. A damaged file is an error for
    corrected poses only (DeviceError).
    """
    try:
        found = in_force(read_corrections(run)).values()
    except DeviceError as error:
        if corrected:
            raise
        return f"recorded poses: {error}"
    count = sum(camera in ("", correction.camera) for correction in found)
    if not count:
        return ""
    corrections = "1 correction" if count == 1 else f"{count} corrections"
    return (
        f"corrected poses, with {corrections}"
        if corrected
        else f"recorded poses, without {corrections}"
    )


def signed(correction: Correction) -> Correction:
    """Return a correction with the present time; an empty `who` becomes the login name."""
    who = correction.who
    if not who:
        with suppress(OSError, KeyError, ImportError):  # the account has no name
            who = getpass.getuser()
    return replace(
        correction, who=who, when=datetime.now(UTC).isoformat(timespec="seconds")
    )


def append_correction(run: Path, correction: Correction) -> int:
    """Add a correction to those of a run; return its number.

    Whether it fits the poses is not checked here. Nothing is lost when several programs add
    at the same time. DeepLabStreamError: an undo of a correction that does not exist.
    DeviceError: the file can't be read or written.
    """
    with exclusive(run / CORRECTIONS):
        known = read_corrections(run)
        if correction.undoes > len(known):
            raise DeepLabStreamError(
                f"{run.name} has no correction {correction.undoes}; it has {len(known)}"
            )
        content = {
            "schema": SCHEMA,
            "corrections": [asdict(entry) for entry in (*known, correction)],
        }
        write_json(run / CORRECTIONS, content)
    return len(known) + 1


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
        ends. Identity is known where two animals were swapped or confirmed.

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

        if correction.kind in ("swap", "switch"):
            self._swap(rows, animals)

        # Interpolation changes only points between known ones; the other corrections all.
        if correction.kind == "interpolate":
            changed = self._interpolate(rows, animals, parts)
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
        elif correction.kind == "switch":
            self._ambiguous[np.ix_(rows, animals)] = self._ambiguous[
                np.ix_(rows, animals[::-1])
            ]
        else:
            self._rejected[changed] = False
            names = np.array(self._names)
            self._drop_flags(rows, lambda row: names[changed[row].ravel()])

    def result(self) -> CorrectedPoses:
        """Return the poses."""
        identity = self._table.identity
        if len(identity):
            skeleton = self._table.skeleton
            parsed = map(parse_flags, self._flags)
            identity = [identity_of(skeleton, flags) for flags in parsed]
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
        count = len(self._table.skeleton.bodyparts)
        first, second = ([*range(at * count, (at + 1) * count)] for at in animals)
        names = {
            self._names[a]: self._names[b] for a, b in zip(first, second, strict=True)
        }
        one, other = animals
        names[self._table.animals[one]] = self._table.animals[other]
        names |= {new: old for old, new in names.items()}
        for row in self._flagged(rows):
            flags = parse_flags(self._flags[row])
            swapped = {names.get(name, name): flag for name, flag in flags.items()}
            self._flags[row] = flags_text(swapped)

    def _interpolate(self, rows: Indices, animals: Indices, parts: Indices) -> Bools:
        """Interpolate each point that is known before and after; return which these are."""
        # Imported poses may have no times: then frames count as evenly spaced.
        times_s = self._table.times_s
        t = times_s if np.isfinite(times_s).all() else self._table.frames

        # Only points that a user would rely on may be the ends of an interpolation.
        known = np.isfinite(self._points).all(axis=-1)
        known &= (self._confidence >= self._threshold) & ~self._rejected
        known &= ~self._ambiguous[..., None]
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

    def _drop_flags(
        self, rows: Indices, names: Callable[[int], Collection[str]]
    ) -> None:
        """Remove the flags of points or animals, by row, that no longer apply."""
        for row in self._flagged(rows):
            flags, gone = parse_flags(self._flags[row]), names(row)
            kept = {name: flag for name, flag in flags.items() if name not in gone}
            self._flags[row] = flags_text(kept)

    def _flagged(self, rows: Indices) -> list[int]:
        return [int(row) for row in rows if self._flags[row]]


def _indices(what: str, names: Sequence[str], known: Sequence[str]) -> Indices:
    if missing := [name for name in names if name not in known]:
        raise DeepLabStreamError(
            f"no {what} {missing[0]!r}; known: {', '.join(known) or 'none'}"
        )
    return np.array([known.index(name) for name in names or known], np.intp)
