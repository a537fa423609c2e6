"""Calibration monitor: which calibrated camera has turned, from the points it sees.

The signed epipolar error of each two views is explained by a small turn of one camera. The
error is the Sampson distance (Hartley and Zisserman, Multiple View Geometry, 2nd edition,
11.4.3); the turn of each camera is a regression with Huber's loss (Huber, Robust Statistics,
1981). The camera whose turn explains the errors best is the one that has turned, as in a
generalised likelihood ratio test (Basseville and Nikiforov, Detection of Abrupt Changes, 1993,
2.4.3). Turns of blocks of a second are compared with the calibration and with the first minute,
by their running median. No clock and no random number is used.

A block takes milliseconds, so it is computed in steps, one in each of the moments after its end:
the result is known at the same moment whenever the same views are added.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from itertools import combinations
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.lens_distortion import Floats
from deeplabstream.space.camera_group import CameraGroup

TURNED_DEG = 0.3
"""Turn since the first minute above which a camera has turned."""
SINCE_CALIBRATION = 1.4
"""The limit of a turn since the calibration, as a multiple: networks err by some of it."""
BLOCK_S = 1.0
"""Shortest time of a block."""
WINDOW = 5
"""Blocks of the running median."""
LEARNED = 60
"""Blocks whose median is the usual turn of each camera."""
MOST_POINTS = 100
"""Points of a block that are used: neighbouring moments err alike."""
_LEAST_POINTS = 20
_LEAST_EXPLAINED = 150.0
"""What a turn must explain in each block, in the median: the limit of the likelihood ratio.

Of 100 points a turn of 0.5° explains 240 to 420 at noise of 1 px, and the errors of a network
that depend on the posture explain up to about 100 without a turn.
"""
_USUALLY_EXPLAINED = 2.0
"""That limit, as a multiple of the 95th percentile in the first minute."""
_AMBIGUOUS = 0.9
"""Cameras that explain this share of what the best one explains may have turned too."""
_PRIOR_DEG = 1.0
"""Standard deviation of turns in general: a turn that the points do not show is 0."""
_SAME, _OTHER = 1 / 3, 2 / 3
"""Change of a turn since the first blocks, as a share of it, up to which it was there then,
and from which it was not."""
_HUBER, _ITERATIONS = 1.345, 4
_ITERATIONS_IN_STEP = 2
_LEAST_NOISE_PX = 0.5
_MAD = 1.4826
"""Standard deviation of normal noise, per median absolute deviation."""


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """How each camera would have turned, were it the only one, in each block.

    Attributes
    ----------
    degrees : numpy.ndarray of float64, shape (..., camera, 3)
        Turn about the axes of the world.
    explained : numpy.ndarray of float64, shape (..., camera)
        Decrease of the robust sum of squared errors, in variances of the noise.
    """

    degrees: Floats
    explained: Floats


class TurnedSince(Enum):
    """Since when a camera is known to have turned."""

    CALIBRATION = "calibration"
    """It is not known whether that was before the run."""
    BEFORE_RUN = "before run"
    """Before the run, or in its first `WINDOW` blocks."""
    RUN = "run"


_Result = TypeVar("_Result")
_Steps: TypeAlias = Generator[None, None, _Result]
"""A computation that yields after each step, and returns its result."""
_BlockTurns: TypeAlias = tuple[Turns, Turns | None, Floats | None]
"""Arguments of `CalibrationMonitor.add_turns`."""


def _computed(steps: _Steps[_Result]) -> _Result:
    """Return the result of a computation in steps."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            result: _Result = ended.value
            return result


def turns(errors: Floats, slopes: Floats) -> Turns:
    """Return the turn of each camera that explains `epipolar_errors`, each block its own."""
    return _computed(_turn_steps(errors, slopes))


def joint_turns(errors: Floats, slopes: Floats) -> Floats:
    """Return the turns (..., camera, 3) in degrees of all cameras together.

    The smallest ones that explain `epipolar_errors`.
    """
    return _computed(_joint_steps(errors, slopes))


def expected_errors(slopes: Floats, degrees: Floats) -> Floats:
    """Return the errors (..., pair × point) in px of turns (..., camera, 3)."""
    return np.asarray(np.einsum("...pck,...ck->...p", slopes, np.radians(degrees)))


def _turn_steps(errors: Floats, slopes: Floats) -> _Steps[Turns]:
    rest_before = errors[..., None, :]
    by_camera = np.moveaxis(slopes, -2, -3)
    shape = (*errors.shape[:-1], slopes.shape[-2], errors.shape[-1])
    same = np.broadcast_to(rest_before, shape)
    turn, rest = yield from _regression_steps(same, by_camera)
    explained = _huber(rest_before).sum(axis=-1) - _huber(rest).sum(axis=-1)
    return Turns(np.degrees(turn), explained)


def _joint_steps(errors: Floats, slopes: Floats) -> _Steps[Floats]:
    count = slopes.shape[-2]
    together = slopes.reshape(*slopes.shape[:-2], 3 * count)
    turn, _ = yield from _regression_steps(errors, together)
    return np.asarray(np.degrees(turn).reshape(*turn.shape[:-1], count, 3))


def _regression_steps(errors: Floats, slopes: Floats) -> _Steps[tuple[Floats, Floats]]:
    """Return the coefficients (..., k) and the errors that are left, by Huber's loss."""
    prior = np.eye(slopes.shape[-1]) / np.radians(_PRIOR_DEG) ** 2
    weight = np.ones_like(errors)
    for iteration in range(_ITERATIONS):
        if iteration and iteration % _ITERATIONS_IN_STEP == 0:
            yield
        weighted = (slopes * weight[..., None]).swapaxes(-1, -2)
        right = weighted @ errors[..., None]
        found = np.linalg.solve(weighted @ slopes + prior, right)
        rest = errors - (slopes @ found)[..., 0]
        spread = _MAD * np.median(np.abs(rest), axis=-1, keepdims=True)
        limit = _HUBER * np.maximum(spread, _LEAST_NOISE_PX)
        weight = limit / np.maximum(np.abs(rest), limit)
    return found[..., 0], rest


def _huber(errors: Floats) -> Floats:
    """Return Huber's loss, for noise of 1 px."""
    apart = np.abs(errors)
    linear = _HUBER * (apart - _HUBER / 2)
    return np.where(apart <= _HUBER, apart**2 / 2, linear)


def epipolar_errors(
    cameras: CameraGroup, pixels: NDArray[np.floating]
) -> tuple[Floats, Floats]:
    """Return signed errors (..., pair × point) in px, 0 where unknown, and their slopes.

    Parameters
    ----------
    cameras : CameraGroup
        Calibrated cameras.
    pixels : numpy.ndarray of float, shape (camera, ..., point, 2)
        x, y in the image of each camera; NaN: not seen.

    Returns
    -------
    tuple of numpy.ndarray of float64
        The errors, and their slopes (..., pair × point, camera, 3): px for each radian that
        a camera turns about the axes of the world.
    """
    return _computed(_error_steps(cameras, pixels))


def _error_steps(
    cameras: CameraGroup, pixels: NDArray[np.floating]
) -> _Steps[tuple[Floats, Floats]]:
    flat = cameras.undistort(np.asarray(pixels, np.float64))
    rays = []
    for camera, at in zip(cameras.cameras, flat, strict=True):
        ray = np.concatenate([at, np.ones_like(at[..., :1])], axis=-1) @ camera.rotation
        rays.append(ray / np.linalg.norm(ray, axis=-1, keepdims=True))
    px = [1 / np.mean(np.diag(camera.matrix)[:2]) for camera in cameras.cameras]

    errors, slopes = [], []
    for one, other in combinations(range(len(cameras)), 2):
        yield
        base = cameras.cameras[other].centre - cameras.cameras[one].centre
        base = base / np.linalg.norm(base)
        # the triple product is 0 where the rays meet; these are its gradients
        by_one = np.cross(rays[other], base)
        by_other = np.cross(base, rays[one])
        error = (rays[one] * by_one).sum(axis=-1)
        slope_one = np.cross(rays[one], by_one)
        slope_other = np.cross(rays[other], by_other)
        noise = np.sqrt(
            (px[one] ** 2) * (slope_one**2).sum(axis=-1)
            + (px[other] ** 2) * (slope_other**2).sum(axis=-1)
        )
        known = np.isfinite(error) & (noise > 1e-3 * px[one])
        noise = np.where(known, noise, 1.0)
        slope = np.zeros((*error.shape, len(cameras), 3))
        # a turned camera sees the point elsewhere: its ray is turned back
        slope[..., one, :] = -slope_one / noise[..., None]
        slope[..., other, :] = -slope_other / noise[..., None]
        errors.append(np.where(known, error / noise, 0.0))
        slopes.append(np.where(known[..., None, None], slope, 0.0))
    return np.concatenate(errors, axis=-1), np.concatenate(slopes, axis=-3)


def _block_steps(
    cameras: CameraGroup, pixels: Floats, usual: Floats | None
) -> _Steps[_BlockTurns]:
    """Return the turns of a block of views (camera, point, 2)."""
    errors, slopes = yield from _error_steps(cameras, pixels)
    yield
    if usual is None:
        whole = yield from _turn_steps(errors, slopes)
        yield
        joint = yield from _joint_steps(errors, slopes)
        return whole, None, joint

    beyond = errors - expected_errors(slopes, usual)
    pair, twice = np.stack([errors, beyond]), np.stack([slopes, slopes])
    both = yield from _turn_steps(pair, twice)
    whole, since = (Turns(both.degrees[it], both.explained[it]) for it in (0, 1))
    return whole, since, None


class CalibrationMonitor:
    """Says which camera has turned; it stays so until `reset`.

    `turned` names it. Several names: the points do not show which has turned, as with two
    cameras.
    """

    def __init__(self, cameras: CameraGroup, limit_deg: float = TURNED_DEG) -> None:
        self.cameras = cameras
        self._limit_deg = limit_deg
        self.reset()

    def reset(self) -> None:
        """Discard all that was seen."""
        self.turned: tuple[str, ...] = ()
        self.degrees: tuple[float, ...] = (0.0,) * len(self.cameras)
        """Turn of each camera since the calibration, were it the only one."""
        self.turned_deg = 0.0
        """Turn of the first of `turned`."""
        self.turned_since = TurnedSince.CALIBRATION
        """Since when the first of `turned` has turned."""
        self._began_ns: int | None = None
        self._points: list[Floats] = []
        self._steps: _Steps[_BlockTurns] | None = None
        """Computation of the last block; None: it has ended."""
        self._learned: list[tuple[float, Floats]] = []
        self._usual: Floats | None = None
        self._least_explained = _LEAST_EXPLAINED
        self._first: Floats | None = None
        """Median turn of each camera (camera, 3) in the first blocks, in degrees."""
        self._whole: deque[Turns] = deque(maxlen=WINDOW)
        self._since: deque[Turns] = deque(maxlen=WINDOW)

    def add(self, pixels: NDArray[np.floating], time_ns: int) -> bool:
        """Add the views (camera, point, 2) of a moment; return whether a camera has turned now."""
        if self.turned:
            return False
        has_turned = self._compute_step()
        self._collect(pixels, time_ns)
        if not self._block_has_ended(time_ns):
            return has_turned

        # few moments in a second: the rest of the block before
        while self._steps is not None and not self.turned:
            has_turned = self._compute_step()
        points = np.concatenate(self._points, axis=1)
        self._points, self._began_ns = [], time_ns
        chosen = points[:, :: -(-points.shape[1] // MOST_POINTS)]
        self._steps = _block_steps(self.cameras, chosen, self._usual)
        return has_turned

    def _collect(self, pixels: NDArray[np.floating], time_ns: int) -> None:
        seen = np.isfinite(pixels).all(axis=-1).sum(axis=0) >= 2
        if seen.any():
            self._points.append(np.asarray(pixels[:, seen], np.float64))
        if self._began_ns is None:
            self._began_ns = time_ns

    def _block_has_ended(self, time_ns: int) -> bool:
        if self._began_ns is None or time_ns - self._began_ns < BLOCK_S * 1e9:
            return False
        count: int = sum(points.shape[1] for points in self._points)
        return count >= _LEAST_POINTS

    def _compute_step(self) -> bool:
        """Compute the next step of the last block; return whether a camera has turned now."""
        if self._steps is None:
            return False
        try:
            next(self._steps)
        except StopIteration as ended:
            self._steps = None
            found: _BlockTurns = ended.value
            return self.add_turns(*found)
        return False

    def add_block(self, pixels: Floats) -> bool:
        """Add the views (camera, point, 2) of a block; return whether a camera has turned now."""
        return self.add_turns(
            *_computed(_block_steps(self.cameras, pixels, self._usual))
        )

    @property
    def usual(self) -> Floats | None:
        """Usual turn of each camera (camera, 3) in degrees; None: not learned yet."""
        return self._usual

    def add_turns(
        self, whole: Turns, since: Turns | None, joint: Floats | None = None
    ) -> bool:
        """Add the turns of a block; return whether a camera has turned now.

        `whole` are turns since the calibration, `since` those beyond `usual`; None: it is not
        known yet, and `joint` are the turns from which it is learned.
        """
        if self.turned:
            return False
        self._whole.append(whole)
        if self._first is None and len(self._whole) == WINDOW:
            self._first = _median(self._whole)
        if since is not None:
            self._since.append(since)
        elif joint is not None:
            self._learn(whole, joint)
        self.degrees = tuple(np.linalg.norm(_median(self._whole), axis=-1).tolist())
        return self._decide(
            self._whole, SINCE_CALIBRATION * self._limit_deg
        ) or self._decide(self._since, self._limit_deg)

    def _decide(self, blocks: deque[Turns], limit_deg: float) -> bool:
        """Return whether the camera that explains most has turned by more than a limit."""
        if len(blocks) < WINDOW:
            return False
        explained = np.sum([block.explained for block in blocks], axis=0)
        best = int(np.argmax(explained))
        turn = _median(blocks)[best]
        size = float(np.linalg.norm(turn))
        least = float(np.median([block.explained[best] for block in blocks]))
        if not (size > limit_deg and least > self._least_explained):
            return False
        share = explained / explained[best]
        order = sorted(range(len(share)), key=lambda camera: -share[camera])
        names = self.cameras.names
        self.turned = tuple(names[it] for it in order if share[it] >= _AMBIGUOUS)
        self.turned_deg = size
        if blocks is self._since:
            self.turned_since = TurnedSince.RUN
        elif self._first is not None:
            changed = float(np.linalg.norm(turn - self._first[best])) / size
            if changed >= _OTHER:
                self.turned_since = TurnedSince.RUN
            elif changed <= _SAME:
                self.turned_since = TurnedSince.BEFORE_RUN
        return True

    def _learn(self, block: Turns, joint: Floats) -> None:
        """Learn the usual turns, and what they explain, from the first blocks."""
        self._learned.append((float(block.explained.max()), joint))
        if len(self._learned) < LEARNED:
            return
        explained, together = zip(*self._learned, strict=True)
        usually = _USUALLY_EXPLAINED * float(np.percentile(explained, 95))
        self._least_explained = max(_LEAST_EXPLAINED, usually)
        self._usual = np.asarray(np.median(together, axis=0))
        self._learned = []


def _median(blocks: deque[Turns]) -> Floats:
    return np.asarray(np.median([block.degrees for block in blocks], axis=0))
