"""Appearance samples: how often the appearance of an animal distinguishes it from another one.

Successive frames of an animal at one place are nearly the same, and the light of that place
belongs to them as much as its coat. A sample is therefore the mean of a few successive views,
and the next one is taken at another place and later. Each sample of two animals is compared
with the mean of the other samples of its own animal, and with that of the other animal
(leave-one-out cross-validation): the share that is nearer to its own animal by enough has an
interval. Samples of two ambiguous animals that fit both count as not nearer.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import dist
from types import MappingProxyType

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

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share of right ones."""
        return wilson_interval(self.right, self.tried)


@dataclass(slots=True)
class _Progress:
    """The last sample of one animal, and its views while it is not complete."""

    began_s: float = -np.inf
    place: tuple[float, float] = (np.inf, np.inf)
    views: list[Array] | None = None
    """None: it is complete, or was interrupted."""
    rivals: dict[int, list[float]] = field(default_factory=dict)
    """By animal that this one may be, too: by how much each view differs more from that one;
    empty: its identity is known."""


@dataclass(slots=True)
class AppearanceSamples:
    """Samples of the animals of one camera."""

    animals: int
    least: float
    """Difference of two distances from which a sample counts as right, in squared standard
    deviations."""
    _samples: list[deque[Array]] = field(init=False)
    """By animal, while its identity was known."""
    _unresolved: Counter[tuple[int, int]] = field(init=False, default_factory=Counter)
    """By ambiguous pair: samples that fitted both."""
    _progress: list[_Progress] = field(init=False)
    _trials: dict[tuple[int, int], PairTrials] | None = field(init=False, default=None)
    """None: samples have changed."""

    def __post_init__(self) -> None:
        self._samples = [deque(maxlen=MOST) for _ in range(self.animals)]
        self._progress = [_Progress() for _ in range(self.animals)]

    def add(
        self,
        animal: int,
        view: Array,
        place: tuple[float, float],
        length: float,
        time_s: float,
        rivals: Mapping[int, float] = MappingProxyType({}),
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
        rivals : mapping
            By animal that this one may be, too: by how much more the view differs from that
            one, in squared standard deviations; empty: its identity is known.
        """
        now = self._progress[animal]
        if now.views is not None and now.rivals.keys() != rivals.keys():
            now.views = None
        if now.views is not None and time_s - now.began_s >= LASTS_S:
            self._end(animal)
        if now.views is None:
            moved = dist(place, now.place) >= APART * length
            if not moved or time_s - now.began_s < APART_S:
                return
            now = _Progress(time_s, place, [], {other: [] for other in rivals})
            self._progress[animal] = now

        if now.views is not None:
            now.views.append(view)
            for other, differs in rivals.items():
                now.rivals[other].append(differs)
            if len(now.views) == VIEWS:
                self._end(animal)

    def _end(self, animal: int) -> None:
        """Keep the sample in progress, if it has enough views."""
        now = self._progress[animal]
        views, now.views = now.views, None
        if views is None or len(views) < LEAST_VIEWS:
            return
        self._trials = None

        # Which one an ambiguous animal is is not known, but whether its sample says so is.
        # One that says so ends the ambiguity, and is not counted: it can't be verified
        for other, differs in now.rivals.items():
            if abs(np.mean(differs)) < self.least:
                pair = min(animal, other), max(animal, other)
                self._unresolved[pair] = min(self._unresolved[pair] + 1, MOST)
        if now.rivals:
            return

        sample = np.mean(views, axis=0)
        kept = next((it[0] for it in self._samples if it), sample)
        if len(kept) != len(sample):  # from grey to colour, or back
            self.reset(range(self.animals))
        self._samples[animal].append(sample)

    def interrupt(self, animals: Iterable[int]) -> None:
        """Discard samples in progress: the animals may be others from now on."""
        for animal in animals:
            self._progress[animal].views = None

    def reset(self, animals: Iterable[int]) -> None:
        """Discard all samples of these animals."""
        for animal in animals:
            self._samples[animal].clear()
            for pair in [pair for pair in self._unresolved if animal in pair]:
                del self._unresolved[pair]
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
        counts = {
            pair: PairTrials(0, count) for pair, count in self._unresolved.items()
        }
        if len(samples) < 2:
            return counts
        # One variance for all animals, as in `AppearanceModel`
        degrees = sum(len(kept) - 1 for kept in samples.values())
        squares = [(kept - kept.mean(axis=0)) ** 2 for kept in samples.values()]
        usual = np.concatenate(squares).sum(axis=0) / degrees + FLOOR**2
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
                    counts[pair] = PairTrials(
                        so_far.right + right[position], so_far.tried + len(kept)
                    )
        return counts
