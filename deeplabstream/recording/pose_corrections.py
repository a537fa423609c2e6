"""Pose corrections: changes by a user to the poses of a run, beside the recorded data.

`corrections.json` in the run folder is a list to which entries are only added; undoing one
is an entry too. The recorded tables never change. Results and exports use
corrected poses (`corrected_poses`).
"""

import getpass
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.run_schema import CORRECTIONS

SCHEMA = 3
"""Newest format. 2 added `switch`, 3 `merge`, `split` and `check`: written only with these."""
Kind = Literal[
    "swap", "switch", "merge", "split", "confirm", "remove", "set", "interpolate", "check",
    "undo",
]  # fmt: skip
OF_TWO: tuple[Kind, ...] = ("swap", "switch", "merge", "split")
"""Corrections of two animals."""
OF_ANIMALS: tuple[Kind, ...] = (*OF_TWO, "confirm", "check")
"""Corrections of whole animals, not of body parts."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """One correction of the poses of one camera.

    Attributes
    ----------
    kind : str
        One of `Kind`. swap: two animals have each other's names. switch: the same, and
        ambiguous frames stay ambiguous. merge: both animals are the first one; the second
        is missing. split: the first animal is the second one; the first is missing.
        confirm: the names are right, though identity was ambiguous. remove: the points are
        wrong, and none is known. set: a point is at `position`. interpolate: the points lie
        on the line between the nearest known ones before and after. check: an uncertain
        place was checked, and stays as it is. undo: an earlier correction does not count.
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
    keep : str
        Of `merge`: the animal whose points stay on frames with points of both; empty: the
        first. Of `split`: the second animal, if its old points become those of the first;
        empty: they are removed.
    reason : str
        Of `check`: why the place is uncertain; empty: all reasons.
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
    keep: str = ""
    reason: str = ""
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
        if self.kind in OF_ANIMALS and self.bodyparts:
            return "concerns whole animals; name no body part"
        two = len(self.animals) == len({*self.animals}) == 2
        if self.kind in OF_TWO and not two:
            return "needs the names of two animals"
        kept = {"merge": self.animals, "split": self.animals[1:]}.get(self.kind, ())
        if self.keep and self.keep not in kept:
            expected = " or ".join(kept) or "none"
            return f"can't keep the points of {self.keep!r}; expected: {expected}"
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
        if self.kind == "merge":
            of = "{1} into {0}".format(*self.animals)
        if self.kind == "split":
            of = "{1} from {0}".format(*self.animals)
        everything = "all animals" if self.kind in OF_ANIMALS else "all points"
        at = f" at {self.position[0]:g} {self.position[1]:g}" if self.position else ""
        kept = f", keep {self.keep}" if self.keep else ""
        kept += f" ({self.reason})" if self.reason else ""
        return f"{self.kind} {of or everything}{at}{kept}, {span} of {self.camera}"


class _NewerError(DeviceError):
    """The corrections were written by a newer version."""


def read_corrections(run: Path) -> tuple[Correction, ...]:
    """Return all corrections of a run in order; DeviceError: the file is damaged."""
    path = run / CORRECTIONS
    if not path.exists():
        return ()
    try:
        found = read_json(path)
        schema = found["schema"]
        if isinstance(schema, int) and schema > SCHEMA:
            raise _NewerError(
                f"{path} is of a newer DeepLabStream (schema {schema}; this one reads up to "
                f"{SCHEMA}): update DeepLabStream, or use the recorded poses"
            )
        if schema not in range(1, SCHEMA + 1):
            raise ValueError(f"schema = {schema}, expected 1 to {SCHEMA}")
        return tuple(_parsed(entry) for entry in found["corrections"])
    except _NewerError:
        raise
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


def _written(correction: Correction) -> dict[str, Any]:
    """Return the entry of a correction, as older versions read it where they can."""
    newer = "keep", "reason"
    entry = asdict(correction)
    return {name: value for name, value in entry.items() if value or name not in newer}


def _schema_of(correction: Correction) -> int:
    """Return the oldest schema that has a kind of correction."""
    return SCHEMA if correction.kind in ("merge", "split", "check") else 2


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
    """Return the effective corrections of a camera's poses, by number."""
    found = effective_entries(run, camera)
    return {number: entry for number, entry in found.items() if entry.kind != "check"}


def checks_of(run: Path, camera: str) -> dict[int, Correction]:
    """Return the effective checks of a camera's uncertain places, by number."""
    found = effective_entries(run, camera)
    return {number: entry for number, entry in found.items() if entry.kind == "check"}


def effective_entries(run: Path, camera: str) -> dict[int, Correction]:
    """Return the effective corrections and checks of a camera, by number."""
    found = in_force(read_corrections(run))
    return {number: entry for number, entry in found.items() if entry.camera == camera}


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
    count = sum(
        camera in ("", correction.camera)
        for correction in found
        if correction.kind != "check"
    )
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
        entries = *known, correction
        content = {
            "schema": max(map(_schema_of, entries)),
            "corrections": [_written(entry) for entry in entries],
        }
        write_json(run / CORRECTIONS, content)
    return len(known) + 1
