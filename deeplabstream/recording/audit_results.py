"""Audit results: figures of a run's audit with their intervals, and what they rest on.

They stand in `audit_results.json` in the run folder, so that reports and exports need no
computation. `deeplabstream.audit` computes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.audit_files import (
    DAMAGED,
    SCHEMA,
    AuditFacts,
    checked,
    facts_from,
)
from deeplabstream.recording.run_schema import AUDIT_RESULTS

Group: TypeAlias = Literal["trigger", "output", "animal"]
Measure: TypeAlias = Literal["precision", "recall", "wrong pulses per hour"]


@dataclass(frozen=True)
class Interval:
    """A figure with the interval that contains it with a probability of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A figure of an audit."""

    group: Group
    """What `name` is."""
    name: str
    hour: int | None
    """Hour since Start Stream, counted from 0; None: the whole run."""
    measure: Measure
    interval: Interval
    clips: int
    """Number of judged clips on which it rests."""

    @property
    def texts(self) -> tuple[str, str, str]:
        """Value, lower and upper end of the interval, as they are shown."""
        interval = self.interval
        value, low, high = (
            f"{float(f'{number:.2g}'):g}"  # 200 instead of 2e+02
            if self.measure == "wrong pulses per hour"
            else f"{number:.1%}"
            for number in (interval.value, interval.low, interval.high)
        )
        return value, low, high

    def __str__(self) -> str:
        what = {"trigger": "[Trigger {}]", "output": "[Output {}]", "animal": "{}"}
        when = "" if self.hour is None else f", hour {self.hour + 1}"
        value, low, high = self.texts
        interval = f"(95 %: {low} to {high})"
        if self.measure == "wrong pulses per hour":
            text = f"{value} {self.measure} {interval}"
        else:
            text = f"{self.measure} {value} {interval}"
        about = what[self.group].format(self.name)
        return f"{about}{when}: {text}, from {counted(self.clips, 'clip')}"


@dataclass(frozen=True, kw_only=True)
class RaterAgreement:
    """Agreement of two raters on the clips that both judged right or wrong."""

    raters: tuple[str, str]
    clips: int
    same: int
    """Number of clips with the same verdict."""
    kappa: float | None
    """Cohen's kappa; None: not defined, because both always gave one and the same verdict."""

    def __str__(self) -> str:
        first, second = self.raters
        kappa = "not defined" if self.kappa is None else f"{self.kappa:.2f}"
        return (
            f"{first} and {second} agree on {self.same} of {counted(self.clips, 'clip')}; "
            f"Cohen's kappa {kappa}"
        )


@dataclass(frozen=True, kw_only=True)
class AuditResults:
    """Figures of an audit.

    Attributes
    ----------
    rows : tuple of AuditRow
        By trigger, output and animal, of the whole run and of each hour. A figure for which
        clips are missing has no row.
    clips, judged, verdicts : int
        Number of clips in the sample; of clips that were judged right or wrong; of entries
        in `audit.json` when the figures were computed.
    cannot_say : int
        Number of clips that no rater could judge.
    raters : mapping of str to int
        Number of clips that each rater judged.
    agreements : tuple of RaterAgreement
        Of each pair of raters with clips in common.
    not_recorded : int
        Decisions that the sample can't stand for.
    facts : AuditFacts
        What the audit rests on.
    made : str
        Time of the computation, ISO 8601.
    settings : tuple of str
        Sentences on settings that would have met a wished rate, if they were looked for.
    without_figures : tuple of str
        Triggers without a judged true answer.
    """

    rows: tuple[AuditRow, ...]
    clips: int
    judged: int
    verdicts: int
    cannot_say: int
    raters: Mapping[str, int]
    agreements: tuple[RaterAgreement, ...]
    not_recorded: int
    facts: AuditFacts
    made: str = ""
    settings: tuple[str, ...] = ()
    without_figures: tuple[str, ...] = ()

    def find(
        self, group: Group, name: str, measure: Measure, hour: int | None = None
    ) -> Interval | None:
        """Return a figure; None: clips are missing for it."""
        wanted = group, name, measure, hour
        for row in self.rows:
            if (row.group, row.name, row.measure, row.hour) == wanted:
                return row.interval
        return None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa of the two raters with the most clips in common; None: not defined."""
        most = max(self.agreements, key=lambda pair: pair.clips, default=None)
        return None if most is None else most.kappa

    def lines(self, by_hour: bool = True) -> Iterator[str]:
        """Yield the results as lines of text; `by_hour`: with the figures of each hour."""
        judged, *others = self.remarks()
        yield judged
        for row in self.rows:
            if by_hour or row.hour is None:
                yield str(row)
        yield from others

    def remarks(self) -> Iterator[str]:
        """Yield all but the figures: the judged clips, agreement of raters, and settings."""
        raters = ", ".join(f"{name} {count}" for name, count in self.raters.items())
        yield (
            f"{self.judged} of {counted(self.clips, 'clip')} judged"
            + (f" ({raters})" if raters else "")
            + (f", {self.cannot_say} could not be judged" if self.cannot_say else "")
        )
        yield from map(str, self.agreements)
        if self.without_figures:
            names = ", ".join(f"[Trigger {name}]" for name in self.without_figures)
            yield f"no figures of {names}: no true answer was judged"
        if self.not_recorded:
            yield (
                f"not covered: {counted(self.not_recorded, 'decision')} whose frame was not "
                "recorded"
            )
        yield from self.settings


def read_results(run: Path) -> AuditResults | None:
    """Return the stored figures of a run; None: there are none. DeviceError: damaged."""
    path = run / AUDIT_RESULTS
    if not path.exists():
        return None
    try:
        found = dict(checked(read_json(path)))
        del found["schema"]
        return AuditResults(
            **{
                **found,
                "rows": tuple(_row(entry) for entry in found["rows"]),
                "agreements": tuple(
                    RaterAgreement(**{**entry, "raters": tuple(entry["raters"])})
                    for entry in found["agreements"]
                ),
                "facts": facts_from(found["facts"]),
                "settings": tuple(map(str, found["settings"])),
                # missing in audits of earlier versions
                "without_figures": tuple(map(str, found.get("without_figures", ()))),
            }
        )
    except DAMAGED as error:
        raise DeviceError(
            f"{path} can't be read: {error}; `deeplabstream audit {run}` writes it again"
        ) from error


def write_results(run: Path, results: AuditResults) -> None:
    """Store the figures of a run in place of earlier ones; DeviceError: not possible."""
    with exclusive(run / AUDIT_RESULTS):
        write_json(run / AUDIT_RESULTS, {"schema": SCHEMA, **asdict(results)})


def _row(entry: Mapping[str, Any]) -> AuditRow:
    interval = Interval(**{key: float(v) for key, v in entry["interval"].items()})
    return AuditRow(**{**entry, "interval": interval})
