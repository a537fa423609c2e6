"""Identity evidence: what the identity tracker needs of a model of the animals' appearance.

Evidence has the unit of a misfit, squared standard deviations: costs of different sources
add up. It adds to motion, and never forbids an assignment.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Coat:
    """Mean appearance of an animal in a run."""

    features: tuple[float, ...]
    """Quartiles of the grey levels along its body, of colour frames nine, of grey ones three."""
    views: int
    """Views that they are the mean of."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is remembered of an animal, or seen of it before it is recognised."""

    coat: tuple[float, ...]
    """Features of `Coat`."""
    coat_views: int = 0
    marks: tuple[float, ...] = ()
    """Contrast along its tail, of `tail_marks`; empty: not seen often enough."""
    length_px: float = 0.0
    """Length of its body; 0: not seen often enough."""


class IdentityEvidence(Protocol):
    """Appearance of the animals of one camera, learned while their identity is known."""

    @property
    def learned(self) -> Mask:
        """(animal,): whether the appearance is known."""

    @property
    def differences(self) -> Array:
        """(animal, animal): difference of their appearance, as the cost of one as the other."""

    def view(self, image: Image, points: Array, seen: Mask, clear: Array) -> Array:
        """Return the features (feature,) of one animal in one frame.

        `points` (bodypart, 2), px, with `seen`; `clear` (point, 2), px: points along its
        body that no other animal covers. They may be of a part of it only: what is beside
        them may be another animal.
        """

    def line_colours(self, image: Image, body: Array, clear: Mask) -> Array:
        """Return the colour of each line of a body (line, channel), 0 to 255.

        `body` (point, 2), px: points of all lines, as many of each; NaN: not visible.
        `clear` (point,): whether no other animal covers it. NaN: no point of the line is
        clear. Without any line: this model does not compare parts.
        """

    def learn(self, animal: int, view: Array, views: int = 1) -> None:
        """Update an animal's appearance with features (feature,), the mean of `views` views."""

    def costs(self, views: Array) -> Array:
        """Return the distance of views (view, feature) to each animal, (view, animal).

        In squared standard deviations; 0 where nothing is known.
        """

    def brightness(self, views: Array) -> Array:
        """Return the brightness (view,) of views (view, feature), for the first names."""

    def coat(self, animal: int) -> Coat:
        """Return the mean of an animal's views so far."""

    def reset(self, animals: list[int]) -> None:
        """Discard the appearance of these animals."""

    def swap(self, one: int, other: int) -> None:
        """Swap the appearance of two animals."""
