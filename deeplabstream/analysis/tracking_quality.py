"""Tracking quality: when the tracking of an animal was poor, by limits that stand only here.

Reports, notes of results and tables of runs take them from `RULES`; docs/results.md lists
them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deeplabstream.analysis.run_data import RunData
from deeplabstream.analysis.totals import TrackPart
from deeplabstream.analysis.tracks import Bools


@dataclass(frozen=True, slots=True)
class QualityRule:
    """A share above which tracking counts as poor."""

    name: str
    limit: float
    definition: str


RULES = (
    QualityRule("missing", 0.2, "1 − tracked / duration"),
    QualityRule("interpolated", 0.2, "time with an interpolated position / tracked"),
    QualityRule(
        "low_confidence", 0.25,
        "points of all body parts with a confidence below the threshold / all points of the "
        "analysed frames",
    ),
    QualityRule(
        "rejected", 0.1,
        "points with enough confidence that `[Tracking]` rejected / all points",
    ),
    QualityRule(
        "ambiguous", 0.1,
        "analysed frames on which the identity of the animal was ambiguous / analysed frames",
    ),
    QualityRule(
        "not_analysed", 0.5,
        "frames that were lost at the device or skipped / exposed frames of the analysis",
    ),
)  # fmt: skip
"""Shares from 0 to 1, of the period of the results."""
_SENTENCES: Mapping[str, str] = {
    "interpolated": "the position of {animal} is interpolated for {share:.0%} of the tracked "
    "time",
    "low_confidence": "{share:.0%} of the points of {animal} are below the confidence "
    "threshold {threshold:g}",
    "rejected": "[Tracking] rejected {share:.0%} of the points of {animal}",
    "ambiguous": "the identity of {animal} was ambiguous on {share:.0%} of the frames",
    "not_analysed": "{share:.0%} of the exposed frames of camera {camera} were lost or skipped",
}


@dataclass(frozen=True, slots=True)
class Quality:
    """One share of one animal."""

    rule: QualityRule
    share: float
    """NaN: not known."""
    sentence: str
    """The value of the animal; without the limit."""

    @property
    def is_poor(self) -> bool:
        """Whether the share is above the limit."""
        return self.share > self.rule.limit

    def __str__(self) -> str:
        return f"{self.sentence} (limit {self.rule.limit:.0%})"


def tracking_quality(
    data: RunData, animal: int, part: TrackPart, position: list[int]
) -> tuple[Quality, ...]:
    """Return every share of `RULES` for one animal.

    Parameters
    ----------
    data : RunData
        The run.
    animal : int
        Index of the animal.
    part : TrackPart
        Its track in the period.
    position : list of int
        Body parts that make its position.
    """
    counted = part.clock.holds(data.t)
    values: dict[str, Any] = {
        "animal": data.animals[animal],
        "camera": data.camera,
        "threshold": data.threshold,
    }
    shares = dict(_shares(data, animal, part, counted))
    found = []
    for rule in RULES:
        share = shares[rule.name]
        sentence = (
            _missing(data, animal, position, counted, share)
            if rule.name == "missing"
            else _SENTENCES[rule.name].format(share=share, **values)
        )
        found.append(Quality(rule, share, sentence))
    return tuple(found)


def _shares(
    data: RunData, animal: int, part: TrackPart, counted: Bools
) -> Iterator[tuple[str, float]]:
    tracked_s = part.tracked_s
    yield "missing", 1 - tracked_s / part.clock.total_s
    filled_s = float(part.seconds[part.track.interpolated].sum())
    yield "interpolated", filled_s / tracked_s if tracked_s else np.nan
    low = ~(data.confidence[counted, animal] >= data.threshold)
    yield "low_confidence", _mean(low)
    yield "rejected", _mean(data.rejected[counted, animal] & ~low)
    yield "ambiguous", _mean(data.ambiguous[counted, animal])
    yield "not_analysed", not_analysed(data.facts, data.camera)


def _mean(flags: Bools) -> float:
    return float(flags.mean()) if flags.size else np.nan


def not_analysed(facts: Mapping[str, Any], camera: str) -> float:
    """Return the share of a camera's exposed frames that were not analysed; NaN: not known."""
    spans = [
        account
        for account in facts.get("accounting") or ()
        if (account["camera"], account["span"]) == (camera, "analysis")
    ]
    exposed = sum(
        span["delivered"] + (span["lost"] or span.get("dropped") or 0) for span in spans
    )
    analysed = sum(span["analysed"] or 0 for span in spans)
    return 1 - analysed / exposed if exposed else np.nan


def _missing(
    data: RunData, animal: int, position: list[int], counted: Bools, share: float
) -> str:
    """Return how long the position is not known, and the body part that causes it."""
    known = np.isfinite(data.points[counted][:, animal, position, 0])
    found = known.mean(axis=0) if len(known) else np.full(len(position), np.nan)
    worst = int(found.argmin())
    return (
        f"the position of {data.animals[animal]} is not known for {share:.0%} of the period; "
        f"{data.skeleton.bodyparts[position[worst]]} was found on {found[worst]:.0%} of the "
        "frames (option position chooses body parts)"
    )
