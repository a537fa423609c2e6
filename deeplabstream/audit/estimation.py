"""Estimation of an audit: precision, recall and wrong pulses per hour, with 95 % intervals.

The run is a finite population: of its N decisions in a stratum, n were judged, and k of these
were right. What is unknown is K, the number of right ones among all N. Its posterior is the
beta-binomial distribution: p ~ Beta(k + a, n - k + b), K = k + Binomial(N - n, p) (Ericson
1969, Journal of the Royal Statistical Society B 31:195-233). Precision and recall are ratios
of sums of such K over the strata, so their intervals are quantiles of draws.

a = b = 1/2 is the prior of Jeffreys (Brown, Cai and DasGupta 2001, Statistical Science
16:101-133). In large strata in which nearly all decisions are alike, it expects too many of
the rare kind: recall was covered in 72 to 95 of 100 samples. There the rare side has a
smaller prior, `RARE` or `MISSED`, chosen on ten simulated runs. benchmarks/audit.py measures
on others how often the intervals contain the truth; docs/audit.md has its figures.

Raters who disagree about a clip count as they are divided: each draw takes the word of one
of them by chance. A clip that no rater could judge is left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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

DRAWS = 4000
USUAL, MISSED, RARE = 0.5, 0.25, 0.15
"""Prior counts: usual; of conditions missed by unknown answers, and by false ones near a
change; of the rare side of steady answers."""
_QUANTILES = (0.5, 0.025, 0.975)
_SEED = 20
"""Seed of the draws, so that equal verdicts give equal figures."""
Draws = NDArray[np.float64]


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
    return AuditResults(
        rows=tuple(_rows(sample, shares, np.random.default_rng(_SEED))),
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


def _rows(
    sample: AuditSample, shares: Mapping[int, float], random: Generator
) -> Iterator[AuditRow]:
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
            for measure, interval in _figures(group, cells, sum(running_s), random):
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
    group: Group, cells: Sequence[_Cell], running_s: float, random: Generator
) -> Iterator[tuple[Measure, Interval]]:
    """Yield the figures of one trigger, output or animal for which there are clips."""
    if group == "output":
        if running_s > 0 and any(cell.shares for cell in cells):
            wrong = np.sum([cell.size - _held(cell, random) for cell in cells], axis=0)
            yield "wrong pulses per hour", interval_of(wrong / (running_s / HOUR_S))
        return

    held = {id(cell): _held(cell, random) for cell in cells}
    fired = [cell for cell in cells if cell.stratum.answer is True]
    if any(cell.shares for cell in fired):
        true = np.sum([held[id(cell)] for cell in fired], axis=0)
        yield "precision", interval_of(true / sum(cell.size for cell in fired))

        # Each kind of answer needs clips: else the prior alone would say what was missed.
        judged = {cell.stratum.answer for cell in cells if cell.shares}
        if judged == {cell.stratum.answer for cell in cells}:
            whole = np.sum([*held.values()], axis=0)
            yield "recall", interval_of(true / np.maximum(whole, 1))


def _held(cell: _Cell, random: Generator) -> Draws:
    """Return draws of the number of decisions of a cell at which the condition held."""
    return draw_held(cell.size, cell.shares, prior_of(cell.stratum), random)


def prior_of(stratum: Stratum) -> tuple[float, float]:
    """Return the prior counts of decisions at which the condition held, and did not hold."""
    if stratum.kind == "output":
        return USUAL, USUAL
    if stratum.answer is True:
        return USUAL, USUAL if stratum.near else RARE
    if stratum.answer is False and not stratum.near:
        return RARE, USUAL
    return MISSED, USUAL


def draw_held(
    size: int,
    shares: Sequence[float],
    prior: tuple[float, float],
    random: Generator,
    draws: int = DRAWS,
) -> Draws:
    """Return draws of how many of `size` decisions held, from the judged ones.

    Parameters
    ----------
    size : int
        Number of decisions.
    shares : sequence of float
        Of each judged decision: 1, it held; 0, it did not; between: raters disagree.
    prior : tuple of float
        Prior counts: held, not held.
    random : numpy.random.Generator
        Source of the draws.
    draws : int
        Number of draws.
    """
    judged = np.asarray(shares, np.float64)
    divided = judged[(judged > 0) & (judged < 1)]
    held = np.full(draws, float((judged == 1).sum()))
    held += (random.random((draws, len(divided))) < divided).sum(axis=1)
    rate = random.beta(held + prior[0], len(judged) - held + prior[1])
    return np.asarray(held + random.binomial(size - len(judged), rate))


def interval_of(draws: Draws) -> Interval:
    """Return the median and the 95 % interval of draws."""
    value, low, high = np.quantile(draws, _QUANTILES)
    return Interval(float(value), float(low), float(high))


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
