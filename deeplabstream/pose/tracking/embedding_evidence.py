"""Embedding evidence: which animals the crops of a learned appearance show.

Successive frames of an animal are nearly the same, so they are one piece of evidence: the mean
embedding of a burst of frames. Bursts of one animal are `APART_S` apart. What one burst may say
is limited for each pair of animals by how often bursts of certain identity fitted the other one
better, before they were learned, and by the best pair of the cross-validation. All bursts may
say `MOST_BURSTS` times as much: an error that lasts does not become certain by repetition. Pairs
that are confused often therefore stay ambiguous.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import TypeAlias

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.aligned_crops import (
    body_axis,
    crop,
    crop_transform,
    is_clear,
)
from deeplabstream.pose.tracking.appearance_folder import (
    LEAST_PAIR,
    AppearanceFolder,
    CropEmbedder,
)
from deeplabstream.pose.tracking.appearance_samples import PairTrials
from deeplabstream.pose.tracking.identity_evidence import Array, Mask

BURST = 5
"""Embeddings of a burst, as in the cross-validation."""
BURST_S = 0.5
"""Longest duration of a burst."""
APART_S = 1.0
"""Shortest time between the beginnings of two bursts of one animal."""
MOST_BURSTS = 3
"""Bursts whose evidence adds up."""
KNOWN = 10
"""Bursts of certain identity after which the mean embedding of an animal is known."""
LONG = 200
"""Bursts after which the mean embedding follows slow changes."""


View: TypeAlias = tuple[Array, Mask, Array]


@dataclass(slots=True)
class _Burst:
    began_s: float = -np.inf
    embeddings: list[Array] = field(default_factory=list)

    def lasts(self, time_s: float) -> bool:
        """Return whether it needs more embeddings, and is not too old for them."""
        return len(self.embeddings) < BURST and time_s - self.began_s < BURST_S


class EmbeddingEvidence:
    """Mean embeddings of the animals of one camera, and evidence of bursts of frames."""

    def __init__(
        self, folder: AppearanceFolder, embedder: CropEmbedder, skeleton: Skeleton
    ) -> None:
        animals = len(skeleton.animals)
        self._embedder, self._scale = embedder, folder.scale
        self._axis = body_axis(skeleton, folder.axis)
        self._largest = largest_evidence(folder)
        self._tried: Array = np.zeros((animals, animals))
        """(animal, other): bursts of certain identity that were compared with the other one."""
        self._wrong: Array = np.zeros((animals, animals))
        """Those that fitted the other one better."""
        self._bursts = [_Burst() for _ in range(animals)]
        self._against: Array = np.zeros((animals, animals))
        """(animal, name): evidence of its bursts since it became ambiguous."""
        self._count = np.zeros(animals)
        self._mean: Array = np.zeros((animals, folder.features))

    @property
    def known(self) -> Mask:
        """(animal,): whether the mean embedding is known."""
        return np.asarray(self._count >= KNOWN)

    def due(
        self, animals: Iterable[int], ambiguous: Collection[int], time_s: float
    ) -> list[int]:
        """Return the animals to embed, the most urgent first.

        Those with a burst in progress, then those that are ambiguous, then by the last burst.
        """
        bursts = self._bursts
        lasting = {n for n in animals if bursts[n].lasts(time_s)}
        due = {n for n in animals if time_s - bursts[n].began_s >= APART_S}
        return sorted(
            lasting | due,
            key=lambda n: (n not in lasting, n not in ambiguous, bursts[n].began_s, n),
        )

    def add(
        self,
        image: Image,
        shown: Mapping[int, View],
        ambiguous: Collection[int],
        time_s: float,
    ) -> None:
        """Add the first clear view of a frame: embedding takes time.

        Parameters
        ----------
        image : numpy.ndarray
            The frame.
        shown : mapping
            By animal, those that are `due`: its points (bodypart, 2), px, with (bodypart,)
            whether each is visible, and (point, 2), px: the points and edges of all others.
        ambiguous : collection of int
            Animals with an ambiguous identity; bursts of the others are learned.
        time_s : float
            Time of the frame.
        """
        for animal, (points, seen, others) in shown.items():
            transform = crop_transform(points, seen, self._axis)
            if transform is None or not is_clear(transform, others):
                continue
            burst = self._bursts[animal]
            if not burst.lasts(time_s):
                burst = self._bursts[animal] = _Burst(time_s)
            (embedding,) = self._embedder.embed(crop(image, transform)[None])
            burst.embeddings.append(embedding)
            if len(burst.embeddings) == BURST:
                mean = np.mean(burst.embeddings, axis=0)
                use = self._gather if animal in ambiguous else self._learn
                use(animal, mean)
            return

    @property
    def limits(self) -> Array:
        """(animal, animal): the largest evidence of one burst between the two.

        By the share of bursts of certain identity that fitted the other one better, before
        they were learned, with one more of each outcome (Laplace's rule of succession).
        """
        rates = (self._wrong + 1) / (self._tried + 2)
        worse = np.maximum(rates, rates.T)
        found = [[_evidence(rate) for rate in row] for row in worse.tolist()]
        return np.minimum(found, self._largest)

    def distinct(self, least: float) -> Mask:
        """Return (animal, animal): whether the evidence on two can reach `least`."""
        both = np.logical_and.outer(self.known, self.known)
        return np.asarray(both & (2 * MOST_BURSTS * self.limits >= least))

    def trials(self, one: int, other: int) -> PairTrials:
        """Return how many bursts of two animals fitted their own one, before they were learned."""
        pair = [one, other], [other, one]
        tried = int(self._tried[pair].sum())
        return PairTrials(tried - int(self._wrong[pair].sum()), tried)

    def _learn(self, animal: int, mean: Array) -> None:
        known = self.known
        if known[animal]:
            costs = self._costs(mean)
            others = known & (np.arange(len(known)) != animal)
            self._tried[animal, others] += 1
            wrong = others & (costs <= costs[animal])
            self._wrong[animal, wrong] += 1
            # perhaps an unnoticed identity switch: it must not change the mean
            if wrong.any():
                return
        self._count[animal] += 1
        weight = 1 / min(self._count[animal], LONG)
        self._mean[animal] += weight * (mean - self._mean[animal])

    def _gather(self, animal: int, mean: Array) -> None:
        known = self.known
        if known.sum() < 2:
            return
        costs = self._costs(mean)
        best = int(np.where(known, costs, np.inf).argmin())
        limits = self.limits
        against = np.minimum(costs - costs[best], limits[best])
        self._against[animal] += np.where(known, against, 0.0)
        # relative to the name that fits best by now
        row = self._against[animal]
        leading = int(np.where(known, row, np.inf).argmin())
        row -= row[leading]
        np.clip(row, 0.0, MOST_BURSTS * limits[leading], out=row)
        row[~known] = 0.0

    def _costs(self, mean: Array) -> Array:
        """Return the cost (animal,) of the mean embedding of a burst as each animal's."""
        off = mean - self._mean
        return np.asarray(self._scale * (off * off).sum(axis=1))

    def evidence(self, group: Sequence[int]) -> Array:
        """Return the evidence against each name (animal, name) of a group."""
        return np.asarray(self._against[np.ix_(group, group)])

    def begin(self, animals: Iterable[int]) -> None:
        """Discard the evidence of animals that may be others from now on."""
        for animal in animals:
            self._against[animal] = 0.0
            self._bursts[animal] = _Burst()

    def reset(self, animals: list[int]) -> None:
        """Discard what was learned of these animals."""
        self._count[animals] = 0.0
        self._mean[animals] = 0.0
        for counts in (self._tried, self._wrong):
            counts[animals] = 0.0
            counts[:, animals] = 0.0

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one; what was learned stays with the names."""
        self._against = self._against[list(order)]
        self._bursts = [self._bursts[n] for n in order]


def largest_evidence(folder: AppearanceFolder) -> float:
    """Return the largest evidence of one burst: that of the best pair of the validation.

    Twice the log of the odds with which single left-out views were of the right one of two
    animals.
    """
    views = 2 * folder.scores.views / max(1, len(folder.scores.pairs))
    rates = [
        (views * (1 - pair.rank1) + 1) / (views + 2) for pair in folder.scores.pairs
    ]
    return _evidence(min(rates, default=1.0))


def _evidence(wrong: float) -> float:
    """Return the evidence, twice the log odds, of an assignment that is wrong so often."""
    return 2 * log((1 - wrong) / wrong) if wrong < 1 - LEAST_PAIR else 0.0
