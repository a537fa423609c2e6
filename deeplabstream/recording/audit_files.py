"""Audit file: the clips of an audit and their verdicts, beside the recorded data of a run.

`audit.json` in the run folder has the sample, which is drawn once, and a list of verdicts to
which entries are only added; taking one back is an entry too. `audit_results` has the
figures that are computed from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.run_schema import AUDIT

SCHEMA = 1
Verdict: TypeAlias = Literal["right", "wrong", "cannot say"]
ClipKind: TypeAlias = Literal["trigger", "output"]
DAMAGED = OSError, ValueError, TypeError, KeyError, AttributeError, DeepLabStreamError
"""Exceptions raised when a damaged file is read."""


# --- sample


@dataclass(frozen=True, kw_only=True)
class AuditClip:
    """A decision that is judged: a trigger's answer on a frame, or a switch-on.

    Attributes
    ----------
    number : int
        Counted from 1, in the order in which clips are shown.
    kind : {"trigger", "output"}
        Whether the answer of a trigger is judged, or that an output was switched on.
    name : str
        Trigger or output.
    animal : str
        The animals that the trigger names, separated by commas; empty: none.
    answer : bool, optional
        Answer of the trigger; None: unknown. True of an output.
    camera : str
        Camera of the frame.
    frame : int
        `frame` of `CAMERA.csv` on which it was decided.
    time_s : float
        Exposure of that frame, seconds since Start Stream: the end of the clip.
    stratum : str
        Name of the stratum that it was drawn from.
    """

    number: int
    kind: ClipKind
    name: str
    animal: str
    answer: bool | None
    camera: str
    frame: int
    time_s: float
    stratum: str

    def held(self, verdict: Verdict) -> bool | None:
        """Return whether the condition held, or the output was rightly on; None: not said.

        An unknown answer is right when the condition did not hold: it was right not to fire.
        """
        if verdict == "cannot say":
            return None
        return (verdict == "right") is (self.answer is True)


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Decisions of one kind, from which clips are drawn at random.

    Attributes
    ----------
    name : str
        Name of the stratum.
    kind : {"trigger", "output"}
        Whether they are answers of a trigger, or switch-ons of an output.
    of : str
        Trigger or output.
    animal : str
        As in `AuditClip`.
    answer : bool, optional
        Answer of the trigger; None: unknown. True of an output.
    near : bool
        Whether the answer changes within a second; False for outputs.
    hours : tuple of int
        Number of decisions in each hour since Start Stream.
    """

    name: str
    kind: ClipKind
    of: str
    animal: str
    answer: bool | None
    near: bool
    hours: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of decisions in the run."""
        return sum(self.hours)


@dataclass(frozen=True, kw_only=True)
class AuditFacts:
    """What an audit rests on: the run, its networks, settings and cameras."""

    run: str
    """Name of the run folder."""
    started: str
    """Start of the run, ISO 8601."""
    application: str
    """Version of the program that decided."""
    networks: Mapping[str, str]
    """SHA-256 of the networks by name; empty: the network has no file."""
    settings: Mapping[str, Mapping[str, str]]
    """Sections of the run's settings on which the answers depend, as they were written."""


@dataclass(frozen=True, kw_only=True)
class AuditSample:
    """Clips drawn from a run, and what they stand for.

    Attributes
    ----------
    clips : tuple of AuditClip
        In random order, so that the first of them are a random sample too.
    strata : tuple of Stratum
        The decisions of the run. A decision whose frame was not recorded is in none.
    seed : int
        Seed of the drawing.
    facts : AuditFacts
        What the sample rests on.
    experiment_s : tuple of float
        Seconds for which an experiment ran, in each hour since Start Stream.
    not_recorded : int
        Decisions left out because their frame was not recorded.
    """

    clips: tuple[AuditClip, ...]
    strata: tuple[Stratum, ...]
    seed: int
    facts: AuditFacts
    experiment_s: tuple[float, ...]
    not_recorded: int = 0


# --- verdicts


@dataclass(frozen=True, kw_only=True)
class GivenVerdict:
    """A verdict that a rater gave, or took back."""

    clip: int = 0
    """Number of the clip."""
    rater: str
    verdict: Verdict | Literal["undo"]
    """undo: the verdict with the number `undoes` does not count."""
    seconds: float = 0.0
    """Time that the rater took."""
    when: str = ""
    """Time of the verdict, ISO 8601."""
    undoes: int = 0
    """Number of the entry, counted from 1; 0: none."""

    def __post_init__(self) -> None:
        if self.verdict not in (*get_args(Verdict), "undo"):
            known = ", ".join(get_args(Verdict))
            raise DeepLabStreamError(f"verdict {self.verdict!r}: expected {known}")
        if not self.rater.strip():
            raise DeepLabStreamError("a verdict needs the name of the rater")


def in_force(given: Sequence[GivenVerdict]) -> dict[tuple[int, str], GivenVerdict]:
    """Return the verdicts that count, by clip and rater: the last one that was not undone."""
    undone = {entry.undoes for entry in given if entry.verdict == "undo"}
    return {
        (entry.clip, entry.rater): entry
        for number, entry in enumerate(given, start=1)
        if entry.verdict != "undo" and number not in undone
    }


@dataclass(frozen=True)
class AuditFile:
    """Content of `audit.json`."""

    sample: AuditSample
    verdicts: tuple[GivenVerdict, ...] = ()


def has_audit(run: Path) -> bool:
    """Return whether a sample was drawn from a run."""
    return (run / AUDIT).exists()


def read_audit(run: Path) -> AuditFile:
    """Return sample and verdicts of a run; DeviceError: there are none, or it is damaged."""
    path = run / AUDIT
    try:
        found = checked(read_json(path))
        sample = found["sample"]
        return AuditFile(
            AuditSample(
                clips=tuple(_clip(clip) for clip in sample["clips"]),
                strata=tuple(_stratum(entry) for entry in sample["strata"]),
                seed=int(sample["seed"]),
                facts=facts_from(sample["facts"]),
                experiment_s=tuple(map(float, sample["experiment_s"])),
                not_recorded=int(sample["not_recorded"]),
            ),
            tuple(_verdict(entry) for entry in found["verdicts"]),
        )
    except FileNotFoundError as error:
        raise DeviceError(f"{run} has no audit: no sample was drawn from it") from error
    except DAMAGED as error:
        raise DeviceError(
            f"{path} can't be read: {error}; correct it, or rename it to draw a new sample"
        ) from error


def is_open_in_audit(run: Path) -> bool:
    """Return whether clips of a run's audit have no verdict yet, or can't be read."""
    if not has_audit(run):
        return False
    try:
        audit = read_audit(run)
    except DeviceError:
        return True
    judged = {clip for clip, _ in in_force(audit.verdicts)}
    return any(clip.number not in judged for clip in audit.sample.clips)


def write_sample(run: Path, sample: AuditSample) -> AuditFile:
    """Store a sample; return what the run has: the sample of another program, if it was first.

    DeviceError: the file can't be written.
    """
    with exclusive(run / AUDIT):
        if not has_audit(run):
            _write(run, AuditFile(sample))
        return read_audit(run)


def append_verdicts(run: Path, given: Sequence[GivenVerdict]) -> AuditFile:
    """Add verdicts to those of a run; return all of them with the sample.

    Nothing is lost when several programs add at the same time. DeepLabStreamError: a clip
    is not in the sample. DeviceError: the file can't be read or written.
    """
    with exclusive(run / AUDIT):
        known = read_audit(run)
        numbers = {clip.number for clip in known.sample.clips}
        for entry in given:
            if entry.verdict != "undo" and entry.clip not in numbers:
                raise DeepLabStreamError(
                    f"clip {entry.clip}: the sample of {run.name} has the clips 1 to "
                    f"{len(numbers)}"
                )
        whole = AuditFile(known.sample, (*known.verdicts, *given))
        _write(run, whole)
    return whole


def _write(run: Path, content: AuditFile) -> None:
    write_json(run / AUDIT, {"schema": SCHEMA, **asdict(content)})


def checked(found: Any) -> Any:
    """Return the content of a file of this schema; `DAMAGED`: it is of another one."""
    if found["schema"] != SCHEMA:
        raise ValueError(f"schema = {found['schema']}, this program reads {SCHEMA}")
    return found


def _clip(entry: Mapping[str, Any]) -> AuditClip:
    clip = AuditClip(**entry)
    if clip.answer not in (True, False, None) or not isfinite(clip.time_s):
        raise ValueError(f"clip {clip.number}: wrong answer or time")
    if clip.kind not in get_args(ClipKind):
        raise ValueError(f"clip {clip.number}: kind = {clip.kind}")
    return clip


def _stratum(entry: Mapping[str, Any]) -> Stratum:
    return Stratum(**{**entry, "hours": tuple(map(int, entry["hours"]))})


def _verdict(entry: Mapping[str, Any]) -> GivenVerdict:
    return GivenVerdict(
        **{**entry, "clip": int(entry["clip"]), "seconds": float(entry["seconds"])}
    )


def facts_from(entry: Mapping[str, Any]) -> AuditFacts:
    """Return facts as `asdict` writes them; `DAMAGED`: they are incomplete."""
    settings = {
        str(title): {str(key): str(text) for key, text in keys.items()}
        for title, keys in entry["settings"].items()
    }
    networks = {str(name): str(sha) for name, sha in entry["networks"].items()}
    return AuditFacts(**{**entry, "settings": settings, "networks": networks})
