"""Line appearance: the colour of each line of an animal's body, by which parts are compared.

The colours of a part, such as a head, may differ from those of the whole body as much as those
of two animals do. A part is therefore compared with the same lines of each animal: the edges of
the skeleton.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from deeplabstream.pose.tracking.appearance_model import ENOUGH, FLOOR, LONG
from deeplabstream.pose.tracking.identity_evidence import Array


class LineAppearance:
    """Line appearance of the animals of one camera, and their recent parts."""

    def __init__(self, animals: int, most_views: int) -> None:
        self.counts: Array = np.zeros(animals)
        """By animal: views in `costs`; a part counts as its share of a view."""
        self.costs: Array = np.zeros((animals, animals))
        """(animal, name): distance of the recent parts of an animal to the lines of each one, in
        squared standard deviations."""
        self._most_views = most_views
        self._views: Array = np.zeros((animals, 0, 0))
        """(animal, line, channel): views that the mean is taken over."""
        self._mean = self._spread = self._views

    def learn(self, animal: int, colours: Array) -> None:
        """Update the lines of an animal with a view (line, channel); NaN: it is not clear."""
        shape = (len(self.counts), *colours.shape)
        if self._mean.shape != shape:  # the first view; from grey to colour, or back
            self._views, self._mean, self._spread = np.zeros((3, *shape))
        clear = np.isfinite(colours)
        self._views[animal, clear] += 1
        # As in `AppearanceModel.learn`
        share = 1 / np.minimum(self._views[animal, clear], LONG)
        off = colours[clear] - self._mean[animal, clear]
        self._mean[animal, clear] += share * off
        spread = self._spread[animal, clear]
        self._spread[animal, clear] += share * (off * off * (1 - share) - spread)

    def add_part(self, animal: int, colours: Array, weight: float) -> None:
        """Add a view (line, channel) of a part, which counts as `weight` views.

        It is not used where an animal's appearance of one of these lines is not known.
        """
        clear = np.isfinite(colours)
        if self._mean.shape[1:] != colours.shape or not clear.any():
            return
        if self._views[:, clear].min() < ENOUGH:
            return
        # The median of the spreads, as in `AppearanceModel.costs`
        usual = np.median(self._spread[:, clear], axis=0) + FLOOR**2
        off = colours[clear] - self._mean[:, clear]
        costs = (off * off / usual).mean(axis=1)

        self.counts[animal] += weight
        share = weight / min(self.counts[animal], self._most_views)
        self.costs[animal] += share * (costs - self.costs[animal])

    def discard_parts(self, animals: Iterable[int]) -> None:
        """Discard the recent parts: the animals may be others from now on."""
        chosen = [*animals]
        self.counts[chosen] = self.costs[chosen] = 0.0

    def reset(self, animals: Iterable[int]) -> None:
        """Discard the appearance of these animals."""
        for values in (self._views, self._mean, self._spread):
            values[[*animals]] = 0.0

    def swap(self, one: int, other: int) -> None:
        """Swap the appearance of two animals."""
        for values in (self._views, self._mean, self._spread):
            values[[one, other]] = values[[other, one]]

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one; the appearance stays with the names."""
        self.counts, self.costs = self.counts[[*order]], self.costs[[*order]]
