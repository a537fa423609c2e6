"""Detections: the animals found in one frame, before their identity is known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.appearance_model import (
    body_lengths,
    body_points,
    line_points,
)
from deeplabstream.pose.tracking.identity_evidence import IdentityEvidence
from deeplabstream.pose.tracking.motion_model import Array, Mask

CLEAR = 0.2
"""Lengths between a pixel of an animal and all others' points and edges. The body of a mouse
extends 0.2 lengths to each side of its midline."""
CLEAR_TO_LEARN = 0.3
"""The same before the first names: the appearance is learned from these views."""
WHOLE = 0.8
"""Share of the usual length from which a body is whole: bodies bend and rear."""
_FIRST_STEP, _STEP = 1.02, 1.001
"""Factors by which the usual length changes in a frame: in the first ones, and later. While all
but the head of the only visible animal is hidden, it must not become the length of a head."""
_FIRST = 100
"""Frames with the first factor."""
USER_FLAGS = ("swapped", "confirmed")
"""Flags of `Pose.identity` that a user set."""


@dataclass(frozen=True, slots=True)
class ClearView:
    """The appearance of one detection, where it is clear of all others."""

    features: Array
    """(feature,)"""
    share: float
    """Share of a whole body that is clear: parts that are not visible count too."""
    lines: Array
    """(line, channel): `IdentityEvidence.line_colours`."""


class UsualLength:
    """Length of all lines of a whole body, px: the running median of the longest in each frame.

    A median, as two animals that are found as one may have long lines; and of what is found,
    as a network may never find some body parts.
    """

    def __init__(self) -> None:
        self.px = 0.0
        """0: no line was seen yet."""
        self._frames = 0

    def update(self, lengths: Sequence[Array]) -> None:
        """Take the lengths of the lines (point,) of all animals in a frame."""
        longest = max((float(each.sum()) for each in lengths), default=0.0)
        if not longest or not self.px:
            self.px = self.px or longest
        else:
            self._frames += 1
            step = _FIRST_STEP if self._frames <= _FIRST else _STEP
            self.px *= step if longest > self.px else 1 / step


@dataclass(frozen=True, slots=True)
class Detections:
    """The animals of one frame with at least one visible body part."""

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
        self,
        image: Image,
        appearance: IdentityEvidence,
        covering: Collection[int] = (),
        distance: float = 0.0,
        least: float = 0.0,
        usual_px: float = 0.0,
    ) -> dict[int, ClearView]:
        """Return the view of each animal whose clear share is at least `least`.

        Clear are pixels `distance` (px) from the points and edges of all others. A
        detection that may be `covering` a hidden animal is not used: its pixels may be that
        one's. The share is that of a whole body, of the length `usual_px`; without it, that of
        the visible body parts.
        """
        lengths = self.lengths()
        bodies = [
            body_points(points, seen, self.pose.skeleton)
            for points, seen in zip(self.points, self.seen, strict=True)
        ]
        occupied = [
            np.concatenate([body, points[seen]])
            for body, points, seen in zip(bodies, self.points, self.seen, strict=True)
        ]
        views = {}
        for one, (body, seen) in enumerate(zip(bodies, self.seen, strict=True)):
            if seen.sum() < min(2, len(seen)) or one in covering:
                continue

            apart = np.ones(len(body), bool)
            for other, pixels in enumerate(occupied):
                if other != one:
                    off = body[:, None] - pixels[None]
                    nearest = (off * off).sum(axis=-1).min(axis=1)
                    apart &= nearest > distance**2
            length = lengths[one]
            most = max(float(length.sum()), WHOLE * usual_px)
            share = float(length[apart].sum()) / most if most else float(apart.mean())
            if share > 0 and share >= least:
                features = appearance.view(image, self.points[one], seen, body[apart])
                # Without a visible line, the points of `body` are on none
                points = line_points(self.points[one], self.pose.skeleton)
                visible = np.isfinite(points[:, 0])
                clear = visible.copy()
                if visible.any():
                    clear[visible] = apart
                lines = appearance.line_colours(image, points, clear)
                views[one] = ClearView(features, share, lines)
        return views

    def lengths(self) -> list[Array]:
        """Return `body_lengths` (point,), px, of each detection."""
        return [
            body_lengths(points, seen, self.pose.skeleton)
            for points, seen in zip(self.points, self.seen, strict=True)
        ]

    def others(self) -> list[Array]:
        """Return (point, 2) for each detection: points and edges of all others, px."""
        occupied = [
            np.concatenate(
                [body_points(points, seen, self.pose.skeleton), points[seen]]
            )
            for points, seen in zip(self.points, self.seen, strict=True)
        ]
        nothing = np.zeros((0, 2))
        return [
            np.concatenate([nothing, *occupied[:one], *occupied[one + 1 :]])
            for one in range(len(occupied))
        ]

    def in_order(
        self, of: dict[int, int], flags: list[str]
    ) -> tuple[list[int], list[str]]:
        """Return the rows of the pose in the animals' order, and their identity flags.

        `of`: the detection of each animal. A detection without an animal takes the row
        of an animal that was not found, and has the flag `stray`.
        """
        rows = {animal: self.rows[one] for animal, one in of.items()}
        taken = set(rows.values())

        # Every row of the pose is used once, so that no detection is lost from the record
        left = [row for row in range(len(self.pose.points)) if row not in taken]
        strays = [row for row in left if row in self.rows]
        free = [animal for animal in range(len(flags)) if animal not in rows]
        others = [*strays, *(row for row in left if row not in strays)]
        for animal, row in zip(free, others, strict=False):
            rows[animal] = row
        flagged = [
            _stray(flag) if rows[animal] in strays else flag
            for animal, flag in enumerate(flags)
        ]
        return [rows[animal] for animal in range(len(flags))], flagged


def detections(pose: Pose, threshold: float) -> Detections:
    """Return the animals with a body part of at least `threshold` confidence."""
    seen = np.asarray(pose.confidence >= threshold) & np.isfinite(pose.points[..., 0])
    rows = np.flatnonzero(seen.any(axis=1)).tolist()
    seen = seen[rows]
    points = np.where(seen[..., None], pose.points[rows].astype(np.float64), np.nan)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    middles = np.where(seen[..., None], points, 0.0).sum(axis=1) / count
    return Detections(pose, rows, points, seen, middles)


def _stray(flag: str) -> str:
    """Return the flag of a stray detection; a flag set by the user stays."""
    last = flag.rpartition("+")[2]
    return f"stray+{last}" if last in USER_FLAGS else "stray"
