"""Distinctness: which animals their appearance distinguishes, as far as it is known.

Two animals look different if, at 95 % certainty, at least `LEAST_PAIR` of their samples are
nearer to their own animal; alike if, at the same certainty, fewer are. Otherwise there are not
enough samples yet, or the share is near that limit: they may look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np

from deeplabstream.pose.tracking.appearance_folder import LEAST_PAIR
from deeplabstream.pose.tracking.appearance_samples import AppearanceSamples, PairTrials
from deeplabstream.pose.tracking.embedding_evidence import EmbeddingEvidence
from deeplabstream.pose.tracking.identity_evidence import IdentityEvidence

Pair: TypeAlias = tuple[int, int]
Verdict: TypeAlias = Literal["alike", "undecided", "different"]

LEAST_TRIALS = 6
"""Samples of two animals before they are said to look alike: of fewer, one that shows another
animal decides. To look different takes 16."""


@dataclass(frozen=True, slots=True)
class Distinctness:
    """Which animals look alike, which may, and whose appearance is not known."""

    alike: tuple[Pair, ...]
    """Pairs whose appearance differs too little to end an ambiguity."""
    unlearned: tuple[int, ...]
    """Animals whose appearance is not known yet: they may be alike."""
    undecided: tuple[Pair, ...] = ()
    """Pairs that may look alike: too few samples, or a share near the limit."""
    trials: tuple[PairTrials, ...] = ()
    """Samples of all pairs, in the order of `alike`, then of `undecided`, then of those that
    look different; empty: not stated."""
    remark: str = ""
    """Why a learned appearance is off; empty: it is not."""

    def sentences(self, names: Sequence[str]) -> tuple[str, str, str]:
        """Return which animals look alike, which may, and whose appearance is not known; or ""."""
        alike, undecided, unlearned = "", "", ""
        if self.alike:
            trials = self.trials[: len(self.alike)]
            alike = f"{_pair_names(self.alike, names)} look alike{_certainty(trials)}"
        if self.undecided:
            begin = len(self.alike)
            trials = self.trials[begin : begin + len(self.undecided)]
            pairs = _pair_names(self.undecided, names)
            undecided = f"{pairs} may look alike{_certainty(trials)}"
        if self.unlearned:
            unknown = listed([names[animal] for animal in self.unlearned])
            unlearned = f"the appearance of {unknown} is not learned yet"
        return alike, undecided, unlearned

    @property
    def certainty(self) -> str:
        """How certain it is that the other pairs look different, in brackets; or empty."""
        return _certainty(self.trials[len(self.alike) + len(self.undecided) :])


def nothing_learned(animals: int) -> Distinctness:
    """Return that the appearance of no animal is known."""
    return Distinctness((), tuple(range(animals)))


def distinctness_of(
    appearance: IdentityEvidence,
    samples: AppearanceSamples,
    least: float,
    embeddings: EmbeddingEvidence | None = None,
    decisive: float = 0.0,
) -> Distinctness:
    """Return which animals look alike.

    Parameters
    ----------
    appearance : IdentityEvidence
        Appearance of the animals.
    samples : AppearanceSamples
        Samples of it.
    least : float
        Difference of the means, in squared standard deviations, below which the appearance
        ends no ambiguity.
    embeddings : EmbeddingEvidence, optional
        A learned appearance. Two animals look different where one of both says so.
    decisive : float
        Evidence below which the learned appearance ends no ambiguity.
    """
    learned = appearance.learned
    known = np.flatnonzero(learned).tolist()
    if len(known) < 2:
        return Distinctness((), tuple(np.flatnonzero(~learned).tolist()))
    can_end = appearance.differences >= least
    if embeddings is not None:
        embedded_can_end = embeddings.distinct(decisive)
    verdicts: dict[Verdict, dict[Pair, PairTrials]] = {
        "alike": {},
        "undecided": {},
        "different": {},
    }
    for pair in combinations(known, 2):
        trials = samples.trials(*pair)
        verdict = verdict_of(trials, bool(can_end[pair]))
        if embeddings is not None and verdict != "different":
            embedded = embeddings.trials(*pair)
            by_network = verdict_of(embedded, bool(embedded_can_end[pair]))
            if by_network != "alike":
                trials, verdict = embedded, by_network
        verdicts[verdict][pair] = trials
    return Distinctness(
        tuple(verdicts["alike"]),
        tuple(np.flatnonzero(~learned).tolist()),
        tuple(verdicts["undecided"]),
        tuple(it for pairs in verdicts.values() for it in pairs.values()),
    )


def verdict_of(trials: PairTrials, can_end: bool = True) -> Verdict:
    """Return how two animals look.

    `can_end`: whether their appearance differs enough to end an ambiguity.
    """
    low, high = trials.interval
    if high < LEAST_PAIR and trials.tried >= LEAST_TRIALS:
        return "alike"
    return "different" if low >= LEAST_PAIR and can_end else "undecided"


def listed(names: Sequence[str]) -> str:
    """Return names as text: `anna, bob and carl`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _pair_names(pairs: Sequence[Pair], names: Sequence[str]) -> str:
    """Return the pairs; all animals at once where each is paired with every other."""
    animals = sorted({animal for pair in pairs for animal in pair})
    if len(pairs) == len(list(combinations(animals, 2))):
        return listed([names[animal] for animal in animals])
    return ", ".join([listed([names[one], names[other]]) for one, other in pairs])


def _certainty(trials: Sequence[PairTrials]) -> str:
    """Return the share of samples that distinguish the two, of one pair or of several."""
    if not trials:
        return ""
    low = min(it.interval[0] for it in trials)
    high = max(it.interval[1] for it in trials)
    fewest, most = min(it.tried for it in trials), max(it.tried for it in trials)
    count = str(fewest) if fewest == most else f"{fewest} to {most}"
    return (
        f" (told apart in {low:.0%} to {high:.0%} of views: 95 % interval of {count}; "
        f"{LEAST_PAIR:.0%} needed)"
    )
