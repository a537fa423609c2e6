"""Trait views: tail marks and body length of the animals of one camera, from many frames.

A single view is wrong where a tail lies on another one, or an animal crouches: the median of
many views, and the upper quartile of the lengths, are not.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.aligned_crops import BodyAxis, body_axis
from deeplabstream.pose.tracking.embedding_evidence import View
from deeplabstream.pose.tracking.identity_evidence import Array
from deeplabstream.pose.tracking.tail_marks import tail_marks

TAIL_VIEWS, LENGTH_VIEWS = 10, 30
"""Views of a tail, and of a body, needed for the marks and the length of an animal."""
APART_S = 0.09
"""Shortest time between two views of one animal."""
MOST_VIEWS = 150
"""Newest views that are kept."""
_UPPER = 0.75
"""Quantile of the lengths: a bent body is shorter than a straight one."""


class _Views:
    """Views of each animal."""

    def __init__(self, animals: int) -> None:
        self.tails = [deque[Array](maxlen=MOST_VIEWS) for _ in range(animals)]
        self.lengths = [deque[float](maxlen=MOST_VIEWS) for _ in range(animals)]

    def add_tail(self, animal: int, marks: Array) -> None:
        tails = self.tails[animal]
        if tails and len(tails[0]) != len(marks):  # from grey to colour, or back
            tails.clear()
        tails.append(marks)

    def clear(self, animals: Iterable[int]) -> None:
        for animal in animals:
            self.tails[animal].clear()
            self.lengths[animal].clear()

    def traits(self, animal: int) -> tuple[tuple[float, ...], float]:
        tails, lengths = self.tails[animal], self.lengths[animal]
        marks = tuple[float, ...]()
        if len(tails) >= TAIL_VIEWS:
            marks = tuple(np.median(np.stack(tails), axis=0).round(3).tolist())
        enough = len(lengths) >= LENGTH_VIEWS
        length = round(float(np.quantile(lengths, _UPPER)), 2) if enough else 0.0
        return marks, length


class TraitViews:
    """Views of animals by which they are recognised, and those of certain identity."""

    def __init__(self, skeleton: Skeleton) -> None:
        animals = len(skeleton.animals)
        self._axis: BodyAxis | None
        try:
            self._axis = body_axis(skeleton)
        except DeepLabStreamError:  # no front and rear: the coat is all there is
            self._axis = None
        self._recent, self._learned = _Views(animals), _Views(animals)
        self._traced_s, self._measured_s = [-np.inf] * animals, [-np.inf] * animals

    def add(
        self,
        image: Image,
        shown: Mapping[int, View],
        certain: Collection[int],
        time_s: float,
    ) -> None:
        """Add the lengths of animals, and the tail of one of them: it takes time.

        Parameters
        ----------
        image : numpy.ndarray
            The frame.
        shown : mapping
            By animal, if it is clear of others: its points (bodypart, 2), px, with (bodypart,)
            whether each is visible, and (point, 2), px: points and edges of all others.
        certain : collection of int
            Animals of certain identity: their views are remembered.
        time_s : float
            Time of the frame.
        """
        if self._axis is None:
            return
        for animal, (points, seen, _) in shown.items():
            ends = [self._axis.front, self._axis.rear]
            if time_s - self._measured_s[animal] < APART_S or not seen[ends].all():
                continue
            self._measured_s[animal] = time_s
            length = float(np.hypot(*np.subtract(*points[ends])))
            self._recent.lengths[animal].append(length)
            if animal in certain:
                self._learned.lengths[animal].append(length)

        oldest = min(shown, key=self._traced_s.__getitem__, default=None)
        if oldest is None or time_s - self._traced_s[oldest] < APART_S:
            return
        self._traced_s[oldest] = time_s
        marks = tail_marks(image, *shown[oldest], self._axis)
        if marks is not None:
            self._recent.add_tail(oldest, marks)
            if oldest in certain:
                self._learned.add_tail(oldest, marks)

    def recent(self, animal: int) -> tuple[tuple[float, ...], float]:
        """Return tail marks and length (px) of an animal, since it may have been swapped.

        Empty, and 0: not seen often enough.
        """
        return self._recent.traits(animal)

    def learned(self, animal: int) -> tuple[tuple[float, ...], float]:
        """Return the same, of the views in which its identity was certain."""
        return self._learned.traits(animal)

    def begin(self, animals: Iterable[int]) -> None:
        """Discard the recent views of animals that may be others from now on."""
        self._recent.clear(animals)

    def reset(self, animals: Iterable[int]) -> None:
        """Discard what was learned of these animals."""
        self._learned.clear(animals)

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one; what was learned stays with the names."""
        self._recent.tails = [self._recent.tails[n] for n in order]
        self._recent.lengths = [self._recent.lengths[n] for n in order]
        self._traced_s = [self._traced_s[n] for n in order]
        self._measured_s = [self._measured_s[n] for n in order]
