"""Range of rotation, and mirroring, for augmentation, from the labels.

A camera above sees all headings, and mirror images are possible; one beside a treadmill
sees neither. Training on impossible images makes a network worse for the others, and
confuses left and right.
"""

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.body_sides import mirrored
from deeplabstream.core.pose import Skeleton

FEWEST = 20
"""Fewest poses of three points or more; with fewer, all rotations and mirroring are allowed."""
ALL_ROUND_DEG = 60.0
"""Where poses are rotated further than this from the mean, any rotation is allowed."""
LEAST_DEG = 15.0
OUTLYING = 95
"""Percentile of the poses' rotations that counts: a wrong label rotates one."""
REMAINING = 0.4
"""Share of a pose's distance from the mean that may remain for the pose to count as rotated.
Parts that move independently fit little better when they are rotated."""
ROUNDS = 10
"""Iterations of fitting poses to their mean, and updating the mean."""

Shape = NDArray[np.complex128]
"""(bodypart,): x + iy; NaN: not labelled."""


def turns_and_mirror(
    points: NDArray[np.float32], skeleton: Skeleton
) -> tuple[float, bool]:
    """Return degrees, in both directions, and whether images may be mirrored.

    `points` are the labels, (pose, bodypart, 2) in pixels; NaN: not labelled. The angle
    is twice the rotation of poses from their mean (generalised Procrustes fit), 180 where
    they have all directions. A pose that fits the mean hardly better when rotated counts
    as not rotated: its body parts moved relative to each other. Images may be mirrored if
    the mirrored mean pose, with left and right swapped and rotated by at most that angle,
    is as similar to the mean pose as the poses are.
    """
    enough = np.isfinite(points).all(axis=2).sum(axis=1) >= 3
    poses = points[enough].astype(np.float64) @ np.array([1, 1j])
    if len(poses) < FEWEST:
        return 180.0, True

    # Procrustes: rotate all poses onto their mean, and compute the mean again. It begins
    # with the most complete pose.
    mean = poses[np.isfinite(poses).sum(axis=1).argmax()]
    for _ in range(ROUNDS):
        turn = np.array([_turn(pose, mean) for pose in poses])
        fitted = [
            _onto(mean, pose, angle) for pose, angle in zip(poses, turn, strict=True)
        ]
        mean = _mean(np.array(fitted))

    usual_turn = float(np.angle(np.exp(1j * turn).mean()))
    after = np.array([_misfit(pose, mean) for pose in fitted])
    before = np.array([_misfit(_onto(mean, pose, usual_turn), mean) for pose in poses])
    turn = np.angle(np.exp(1j * (turn - usual_turn)))
    turn[after > REMAINING * before] = 0

    spread = float(np.degrees(np.percentile(np.abs(turn), OUTLYING)))
    most = 180.0 if spread > ALL_ROUND_DEG else max(LEAST_DEG, 2 * spread)

    # The mirror image of complex x + iy along x is −conj.
    image = -np.conj(mean)[mirrored(skeleton)]
    limit = np.radians(most)
    image = _onto(mean, image, float(np.clip(_turn(image, mean), -limit, limit)))
    return most, bool(_misfit(image, mean) <= np.median(after))


def _turn(pose: Shape, mean: Shape) -> float:
    """Return the rotation that aligns `pose` best with `mean`, rad."""
    both = np.isfinite(pose) & np.isfinite(mean)
    own, its = _around_middle(pose, both), _around_middle(mean, both)
    return float(np.angle(np.vdot(own[both], its[both])))


def _onto(mean: Shape, pose: Shape, turn: float) -> Shape:
    """Return `pose` aligned with `mean` in rotation, size and position."""
    both = np.isfinite(pose) & np.isfinite(mean)
    own, its = _around_middle(pose, both), _around_middle(mean, both)
    size = float(np.linalg.norm(own[both]))
    scale = float(np.linalg.norm(its[both])) / size if size > 0 else 1.0
    return np.asarray(own * scale * np.exp(1j * turn) + _middle(mean, both))


def _misfit(pose: Shape, mean: Shape) -> float:
    """Return the distance of `pose` from `mean`, as a share of its size."""
    both = np.isfinite(pose) & np.isfinite(mean)
    size = float(np.linalg.norm(_around_middle(mean, both)[both]))
    return float(np.linalg.norm((pose - mean)[both])) / max(size, 1e-9)


def _around_middle(pose: Shape, of: NDArray[np.bool_]) -> Shape:
    return np.asarray(pose - _middle(pose, of))


def _middle(pose: Shape, of: NDArray[np.bool_]) -> complex:
    return complex(pose[of].mean()) if of.any() else 0j


def _mean(poses: NDArray[np.complex128]) -> Shape:
    """Return the mean of (pose, bodypart); NaN where a part is in none."""
    labelled = np.isfinite(poses)
    count = labelled.sum(axis=0)
    total = np.where(labelled, poses, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
