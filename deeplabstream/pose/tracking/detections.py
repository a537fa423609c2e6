"""What a network found in one picture, before it is known who is who."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.appearance_model import view
from deeplabstream.pose.tracking.motion_model import Array, Mask

SAID = ("swapped", "confirmed")
"""Words of `Pose.identity` by which a person settled who it is."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The animals of one picture of which anything was seen."""

    pose: Pose
    """As the network gave it."""
    rows: list[int]
    """Where each is in it."""
    points: Array
    """(detection, body part, 2), px; NaN: not seen."""
    seen: Mask
    """(detection, body part)."""
    middles: Array
    """(detection, 2), px: the mean of what was seen."""

    def clear_views(
        self, image: Image, hidden: Sequence[Array], length: float, clear: float
    ) -> dict[int, Array]:
        """Return how each one looks that is clear of all others.

        Its points must be `clear` lengths from those of all others, and its middle a
        `length` (px) from where those were last that are `hidden`.
        """
        count, parts = self.seen.shape
        flat = self.points.reshape(-1, 2)
        off = flat[:, None] - flat[None]
        apart = (off * off).sum(axis=-1).reshape(count, parts, count, parts)
        nearest = np.fmin.reduce(np.fmin.reduce(apart, axis=3), axis=1)
        views = {}
        for one, seen in enumerate(self.seen.sum(axis=1).tolist()):
            near = min(
                (float(nearest[one, other]) for other in range(count) if other != one),
                default=np.inf,
            )
            if seen < min(2, parts) or near <= (clear * length) ** 2:
                continue
            if any(np.hypot(*(self.middles[one] - place)) < length for place in hidden):
                continue
            args = self.points[one], self.seen[one], self.pose.skeleton
            views[one] = view(image, *args)
        return views

    def in_order(
        self, of: dict[int, int], words: list[str]
    ) -> tuple[list[int], list[str]]:
        """Return the rows of the network's pose in the animals' order, and their words.

        `of`: which animal is which detection. A detection that is nobody's takes the row of
        an animal that was not found, and is called a stray.
        """
        rows = {animal: self.rows[one] for animal, one in of.items()}
        taken = set(rows.values())
        left = [row for row in range(len(self.pose.points)) if row not in taken]
        strays = [row for row in left if row in self.rows]
        free = [animal for animal in range(len(words)) if animal not in rows]
        others = [*strays, *(row for row in left if row not in strays)]
        for animal, row in zip(free, others, strict=False):
            rows[animal] = row
        called = [
            _stray(word) if rows[animal] in strays else word
            for animal, word in enumerate(words)
        ]
        return [rows[animal] for animal in range(len(words))], called


def detections(pose: Pose, threshold: float) -> Detections:
    """Return the animals of which a body part was seen, at `threshold` or surer."""
    seen = np.asarray(pose.confidence >= threshold) & np.isfinite(pose.points[..., 0])
    rows = np.flatnonzero(seen.any(axis=1)).tolist()
    seen = seen[rows]
    points = np.where(seen[..., None], pose.points[rows].astype(np.float64), np.nan)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    middles = np.where(seen[..., None], points, 0.0).sum(axis=1) / count
    return Detections(pose, rows, points, seen, middles)


def _stray(word: str) -> str:
    """Return the word for a stray; what a person said of the animal stays."""
    said = word.rpartition("+")[2]
    return f"stray+{said}" if said in SAID else "stray"
