"""Appearance samples: how often the appearance of an animal distinguishes it from another one.

Successive frames of an animal at one place are nearly the same, and the light of that place
belongs to them as much as its coat. A sample is therefore the mean of a few successive views,
and the next one is taken at another place and later. Each sample of two animals is compared
with the mean of the other samples of its own animal, and with that of the other animal
(leave-one-out cross-validation): the share that is nearer to its own animal by enough has an
interval. A sample of two ambiguous animals that fits both, and no other one better, counts as not
nearer. One that fits one of the two may be right: it raises the upper limit only. One that fits
neither says nothing about the two: it may be of a third one.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import dist

import numpy as np

from deeplabstream.numerics.share_interval import wilson_interval
from deeplabstream.pose.tracking.appearance_model import FLOOR
from deeplabstream.pose.tracking.identity_evidence import Array

LEAST_VIEWS, VIEWS = 2, 5
"""Views whose mean is a sample: at least, and at most."""
LASTS_S = 0.5
"""Longest duration of a sample."""
APART_S = 0.5
"""Shortest time between the beginnings of two samples of one animal."""
APART = 0.5
"""Shortest distance between the places of two successive samples, in lengths."""
MOST = 30
"""Samples of an animal that are kept, the newest ones."""


@dataclass(frozen=True, slots=True)
class PairTrials:
    """Samples of two animals, and how many of them distinguish the two."""

    right: int = 0
    """Samples that are nearer to their own animal, by enough."""
    tried: int = 0
    unverified: int = 0
    """Samples, besides, that distinguish the two while they were ambiguous: may be right."""
    contradicted: int = 0
    """Samples among `tried` of an animal that look like the other one: may be of that one."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share of right ones.

        The upper limit counts all that distinguish the two as right, whatever their names.
        """
        low, _ = wilson_interval(self.right, self.tried)
        distinguish = self.right + self.contradicted + self.unverified
        return low, wilson_interval(distinguish, self.tried + self.unverified)[1]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Animals that one may be: an ambiguous one, or one that looks like another."""

    rivals: tuple[int, ...] = ()
    """Other possible animals; empty: its identity is known."""
    is_named: bool = False
    """Whether it is not ambiguous: it looks like another one, as after an identity switch."""
    learned: dict[int, Array] = field(default_factory=dict)
    """Mean appearance (feature,) of all animals whose appearance is known."""


KNOWN = Candidates()
"""Those of an animal whose identity is known."""


@dataclass(slots=True)
class _Progress:
    """The last sample of one animal, and its views while it is not complete."""

    began_s: float = -np.inf
    place: tuple[float, float] = (np.inf, np.inf)
    views: list[Array] | None = None
    """None: it is complete, or was interrupted."""
    candidates: Candidates = KNOWN


@dataclass(slots=True)
class AppearanceSamples:
    """Samples of the animals of one camera."""

    animals: int
    least: float
    """Difference of two distances from which a sample counts as right, in squared standard
    deviations."""
    _samples: list[deque[Array]] = field(init=False)
    """By animal, while its identity was known."""
    _ambiguous: list[deque[tuple[Array, Candidates]]] = field(init=False)
    """By animal, while it was ambiguous, or looked like another one."""
    _progress: list[_Progress] = field(init=False)
    _trials: dict[tuple[int, int], PairTrials] | None = field(init=False, default=None)
    """None: samples have changed."""

    def __post_init__(self) -> None:
        self._samples = [deque(maxlen=MOST) for _ in range(self.animals)]
        self._ambiguous = [deque(maxlen=MOST) for _ in range(self.animals)]
        self._progress = [_Progress() for _ in range(self.animals)]

    def add(
        self,
        animal: int,
        view: Array,
        place: tuple[float, float],
        length: float,
        time_s: float,
        candidates: Candidates = KNOWN,
    ) -> None:
        """Add a view of an animal.

        Parameters
        ----------
        animal : int
            The animal.
        view : numpy.ndarray of float, shape (feature,)
            Its appearance.
        place : tuple of float
            Its position, px.
        length : float
            Length of an animal, px.
        time_s : float
            Time of the view.
        candidates : Candidates, optional
            Possible animals; without them, its identity is known.
        """
        now = self._progress[animal]
        if now.views is not None and now.candidates.rivals != candidates.rivals:
            now.views = None
        if now.views is not None and time_s - now.began_s >= LASTS_S:
            self._end(animal)
        if now.views is None:
            moved = dist(place, now.place) >= APART * length
            if not moved or time_s - now.began_s < APART_S:
                return
            now = _Progress(time_s, place, [], candidates)
            self._progress[animal] = now

        if now.views is not None:
            now.views.append(view)
            if len(now.views) == VIEWS:
                self._end(animal)

    def _end(self, animal: int) -> None:
        """Keep the sample in progress, if it has enough views."""
        now = self._progress[animal]
        views, now.views = now.views, None
        if views is None or len(views) < LEAST_VIEWS:
            return
        self._trials = None

        sample = np.mean(views, axis=0)
        kept = next((it[0] for it in self._samples if it), sample)
        if len(kept) != len(sample):  # from grey to colour, or back
            self.reset(range(self.animals))
        if now.candidates.rivals:
            self._ambiguous[animal].append((sample, now.candidates))
        else:
            self._samples[animal].append(sample)

    def interrupt(self, animals: Iterable[int]) -> None:
        """Discard samples in progress: the animals may be others from now on."""
        for animal in animals:
            self._progress[animal].views = None

    def reset(self, animals: Iterable[int]) -> None:
        """Discard all samples of these animals, and those that may be of them."""
        discarded = {*animals}
        for animal in discarded:
            self._samples[animal].clear()
            self._ambiguous[animal].clear()
        for kept in self._ambiguous:
            others = [it for it in kept if discarded.isdisjoint(it[1].rivals)]
            kept.clear()
            kept.extend(others)
        self._trials = None

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one; samples stay with the names."""
        self._progress = [self._progress[n] for n in order]
        self.interrupt(n for n, old in enumerate(order) if n != old)

    def trials(self, one: int, other: int) -> PairTrials:
        """Return how many samples of two animals, one below the other, distinguish them."""
        if self._trials is None:
            self._trials = self._compare()
        return self._trials.get((one, other), PairTrials())

    def _compare(self) -> dict[tuple[int, int], PairTrials]:
        """Return the trials of all pairs that have any."""
        samples = {
            animal: np.array(kept)
            for animal, kept in enumerate(self._samples)
            if len(kept) > 1
        }
        counts = self._compare_ambiguous(samples)
        if not samples:
            return counts
        # One variance for all animals, as in `AppearanceModel`; their median, since one sample
        # that shows another animal makes that of one of them large
        variances = [kept.var(axis=0, ddof=1) for kept in samples.values()]
        usual = np.median(variances, axis=0) + FLOOR**2
        means = np.array([kept.mean(axis=0) for kept in samples.values()])
        for own, (animal, kept) in enumerate(samples.items()):
            of_rest = (kept.sum(axis=0) - kept) / (len(kept) - 1)
            to_own = ((kept - of_rest) ** 2 / usual).mean(axis=-1)
            to_all = ((kept[:, None] - means[None]) ** 2 / usual).mean(axis=-1)
            right = (to_all - to_own[:, None] >= self.least).sum(axis=0).tolist()
            for position, other in enumerate(samples):
                if position != own:
                    pair = min(animal, other), max(animal, other)
                    so_far = counts.get(pair, PairTrials())
                    counts[pair] = replace(
                        so_far,
                        right=so_far.right + right[position],
                        tried=so_far.tried + len(kept),
                    )
        return counts

    def _compare_ambiguous(
        self, samples: dict[int, Array]
    ) -> dict[tuple[int, int], PairTrials]:
        """Return the trials of samples of animals that may be others: they fit one, or both.

        Which one an ambiguous animal is is not known, but whether its sample says so is.
        """
        counts: dict[tuple[int, int], PairTrials] = defaultdict(PairTrials)
        known = {animal: kept.mean(axis=0) for animal, kept in samples.items()}
        # The variance of another animal, such as a white one, may be larger than theirs, and
        # hide how much they differ. So it is the smallest one
        usual = FLOOR**2 + min(
            (float(kept.var(axis=0, ddof=1).mean()) for kept in samples.values()),
            default=0.0,
        )
        for animal, ambiguous in enumerate(self._ambiguous):
            for sample, candidates in ambiguous:
                misfits = {
                    other: float(((sample - mean) ** 2).mean()) / usual
                    for other, mean in (candidates.learned | known).items()
                }
                fits = min(misfits.values()) + self.least
                for rival in candidates.rivals:
                    pair = min(animal, rival), max(animal, rival)
                    of = counts[pair]
                    if max(misfits[animal], misfits[rival]) < fits:
                        counts[pair] = replace(of, tried=of.tried + 1)
                    elif min(misfits[animal], misfits[rival]) >= fits:
                        continue
                    elif candidates.is_named:
                        counts[pair] = replace(
                            of, tried=of.tried + 1, contradicted=of.contradicted + 1
                        )
                    else:
                        counts[pair] = replace(of, unverified=of.unverified + 1)
        return counts
