"""Estimation of an audit: precision, recall and wrong pulses per hour, with 95 % intervals.

The run is a finite population of decisions. A random sample of each stratum was judged;
`intervals` has the method. Raters who disagree about a clip count as they are divided.
A clip that no rater could judge is left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

from deeplabstream.audit.intervals import Number, number_held, share_of, share_of_both
from deeplabstream.audit.sampling import HOUR_S
from deeplabstream.recording.audit_files import (
    AuditClip,
    AuditFile,
    AuditSample,
    GivenVerdict,
    Stratum,
    in_force,
)
from deeplabstream.recording.audit_results import (
    AuditResults,
    AuditRow,
    Group,
    Interval,
    Measure,
    RaterAgreement,
)


@dataclass(frozen=True, eq=False)
class _Cell:
    """A stratum, or one hour of it: its size, and the judged clips."""

    stratum: Stratum
    size: int
    shares: Sequence[float]
    """Of each judged clip: share of its raters who say that the condition held."""


def estimate(file: AuditFile) -> AuditResults:
    """Return the figures of the verdicts so far."""
    sample = file.sample
    verdicts = in_force(file.verdicts)
    shares = shares_of(sample, verdicts.values())
    raters: dict[str, int] = defaultdict(int)
    for _, rater in verdicts:
        raters[rater] += 1
    judged = {clip for clip, _ in verdicts}
    rows = tuple(_rows(sample, shares))
    with_figures = {row.name for row in rows if row.group == "trigger"}
    return AuditResults(
        rows=rows,
        without_figures=tuple(
            dict.fromkeys(
                stratum.of
                for stratum in sample.strata
                if stratum.kind == "trigger" and stratum.of not in with_figures
            )
        ),
        clips=len(sample.clips),
        judged=len(shares),
        verdicts=len(file.verdicts),
        cannot_say=len(judged - {*shares}),
        raters=dict(sorted(raters.items())),
        agreements=tuple(_agreements(verdicts.values())),
        not_recorded=sample.not_recorded,
        facts=sample.facts,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def shares_of(
    sample: AuditSample, verdicts: Iterable[GivenVerdict]
) -> dict[int, float]:
    """Return by clip: share of the raters with a verdict who say that the condition held."""
    clips = {clip.number: clip for clip in sample.clips}
    said: dict[int, list[bool]] = defaultdict(list)
    for given in verdicts:
        if given.verdict == "undo":
            continue
        held = clips[given.clip].held(given.verdict)
        if held is not None:
            said[given.clip].append(held)
    return {clip: sum(held) / len(held) for clip, held in said.items()}


def _rows(sample: AuditSample, shares: Mapping[int, float]) -> Iterator[AuditRow]:
    hours = len(sample.experiment_s)
    # Figures of the only hour are those of the whole run.
    spans: list[int | None] = [None, *(range(hours) if hours > 1 else ())]
    for hour in spans:
        groups: dict[tuple[Group, str], list[_Cell]] = defaultdict(list)
        for cell in _cells(sample, shares, hour):
            stratum = cell.stratum
            groups[stratum.kind, stratum.of].append(cell)
            if stratum.kind == "trigger" and stratum.animal:
                groups["animal", stratum.animal].append(cell)
        running_s = sample.experiment_s if hour is None else [sample.experiment_s[hour]]
        for (group, name), cells in groups.items():
            clips = sum(len(cell.shares) for cell in cells)
            for measure, interval in _figures(group, cells, sum(running_s)):
                yield AuditRow(
                    group=group,
                    name=name,
                    hour=hour,
                    measure=measure,
                    interval=interval,
                    clips=clips,
                )


def _cells(
    sample: AuditSample, shares: Mapping[int, float], hour: int | None
) -> Iterator[_Cell]:
    """Yield the strata that have decisions in an hour; None: in the whole run."""
    clips: dict[str, list[AuditClip]] = defaultdict(list)
    for clip in sample.clips:
        if clip.number in shares and hour in (None, int(max(clip.time_s, 0) // HOUR_S)):
            clips[clip.stratum].append(clip)
    for stratum in sample.strata:
        size = stratum.size if hour is None else stratum.hours[hour]
        if size:
            own = [shares[clip.number] for clip in clips[stratum.name]]
            yield _Cell(stratum, size, own)


def _figures(
    group: Group, cells: Sequence[_Cell], running_s: float
) -> Iterator[tuple[Measure, Interval]]:
    """Yield the figures of one trigger, output or animal for which there are clips."""
    if group == "output":
        if running_s > 0 and any(cell.shares for cell in cells):
            yield "wrong pulses per hour", _wrong(cells, running_s / HOUR_S)
        return

    answers: dict[bool | None, list[_Cell]] = defaultdict(list)
    for cell in cells:
        answers[cell.stratum.answer].append(cell)
    judged = {
        answer: any(cell.shares for cell in found) for answer, found in answers.items()
    }
    if not judged.get(True, False):
        return
    right = _held(answers[True])
    yield "precision", share_of(right, sum(cell.size for cell in answers[True]))

    # Each kind of answer needs clips: else nothing says what was missed.
    if all(judged.values()):
        missed = sum(
            (_held(found) for answer, found in answers.items() if answer is not True),
            Number(),
        )
        recall = share_of_both(right, missed)
        if recall is not None:
            yield "recall", recall


def _held(cells: Sequence[_Cell]) -> Number:
    return number_held((cell.size, cell.shares) for cell in cells)


def _wrong(cells: Sequence[_Cell], hours: float) -> Interval:
    wrong = number_held(
        (cell.size, [1 - share for share in cell.shares]) for cell in cells
    )
    return Interval(wrong.value / hours, wrong.low / hours, wrong.high / hours)


def _agreements(
    verdicts: Iterable[GivenVerdict],
) -> Iterator[RaterAgreement]:
    """Yield the agreement of each pair of raters."""
    by_rater: dict[str, dict[int, bool]] = defaultdict(dict)
    for given in verdicts:
        if given.verdict in ("right", "wrong"):
            by_rater[given.rater][given.clip] = given.verdict == "right"
    for first, second in combinations(sorted(by_rater), 2):
        one, other = by_rater[first], by_rater[second]
        common = sorted(one.keys() & other.keys())
        if common:
            yield RaterAgreement(
                raters=(first, second),
                clips=len(common),
                same=sum(one[clip] is other[clip] for clip in common),
                kappa=cohens_kappa(
                    [one[clip] for clip in common], [other[clip] for clip in common]
                ),
            )


def cohens_kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Return Cohen's kappa (1960) of two raters; None: both gave one and the same verdict.

    >>> cohens_kappa([True, True, False, False], [True, True, False, True])
    0.5
    """
    count = len(one)
    same = sum(a is b for a, b in zip(one, other, strict=True)) / count
    right, other_right = sum(one) / count, sum(other) / count
    by_chance = right * other_right + (1 - right) * (1 - other_right)
    return None if by_chance == 1 else (same - by_chance) / (1 - by_chance)
