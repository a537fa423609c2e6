"""The animals found in one frame, before their identity is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.appearance_model import view
from deeplabstream.pose.tracking.motion_model import Array, Mask

SAID = ("swapped", "confirmed")
"""Words of `Pose.identity` that a user set."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The animals of one frame of which any body part is visible."""

    pose: Pose
    """The pose as the network gave it."""
    rows: list[int]
    """Index of each animal in the pose."""
    points: Array
    """(detection, bodypart, 2), px; NaN: not visible."""
    seen: Mask
    """(detection, bodypart)."""
    middles: Array
    """(detection, 2), px: the mean of the visible points."""

    def clear_views(
        self, image: Image, hidden: Sequence[Array], length: float, clear: float
    ) -> dict[int, Array]:
        """Return the features of each animal that is clear of all others.

        Its points must be `clear` lengths from those of all others, and its centre a
        `length` (px) from the last position of those that are `hidden`.
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
        """Return the rows of the pose in the animals' order, and their identity words.

        `of`: the detection of each animal. A detection without an animal takes the row
        of an animal that was not found, and has the word `stray`.
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
    """Return the animals with a body part of at least `threshold` confidence."""
    seen = np.asarray(pose.confidence >= threshold) & np.isfinite(pose.points[..., 0])
    rows = np.flatnonzero(seen.any(axis=1)).tolist()
    seen = seen[rows]
    points = np.where(seen[..., None], pose.points[rows].astype(np.float64), np.nan)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    middles = np.where(seen[..., None], points, 0.0).sum(axis=1) / count
    return Detections(pose, rows, points, seen, middles)


def _stray(word: str) -> str:
    """Return the word for a stray detection; a word set by the user stays."""
    said = word.rpartition("+")[2]
    return f"stray+{said}" if said in SAID else "stray"
