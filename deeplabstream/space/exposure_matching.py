"""Exposure matching: frames of several cameras that show the same moment.

Never by the order of arrival: one lost frame would shift all later ones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
PERIOD_QUANTILE = 0.1
"""Quantile of the times between two frames that is the period of a camera: after losses, their
median would be that of every second frame."""


def match_numbers(numbers: Sequence[Ints]) -> Ints:
    """Return the frames of each moment, by numbers that the cameras share.

    Parameters
    ----------
    numbers : sequence of numpy.ndarray of int64, shape (frame,)
        For each camera the number of each frame: of its pulse, or in its video. Below 0: the
        frame has none.

    Returns
    -------
    numpy.ndarray of int64, shape (moment, camera)
        Index of the frame of each camera, in the order of the numbers; -1: it has none.

    >>> match_numbers([np.array([0, 1, 3]), np.array([1, 2, 3])]).tolist()
    [[0, -1], [1, 0], [-1, 1], [2, 2]]
    """
    known = np.unique(np.concatenate([own[own >= 0] for own in numbers]))
    matched = np.full((len(known), len(numbers)), -1, np.int64)
    for camera, own in enumerate(numbers):
        frames = np.flatnonzero(own >= 0)
        matched[np.searchsorted(known, own[frames]), camera] = frames
    return matched


def match_times(times_ns: Sequence[Ints]) -> Ints:
    """Return the frames of each moment, by their times of exposure.

    Frames belong to one moment when they were exposed within half a period of the fastest
    camera after its first frame. A camera has at most one frame of a moment.

    Parameters
    ----------
    times_ns : sequence of numpy.ndarray of int64, shape (frame,)
        For each camera the growing times of exposure, on one clock.

    Returns
    -------
    numpy.ndarray of int64, shape (moment, camera)
        Index of the frame of each camera, in the order of the times; -1: it has none.

    >>> match_times([np.array([0, 10, 20]), np.array([1, 19])]).tolist()
    [[0, 0], [1, -1], [2, 1]]
    """
    half_ns = _shortest_period(times_ns) // 2
    every_time = np.concatenate(list(times_ns))
    cameras = np.repeat(np.arange(len(times_ns)), [len(own) for own in times_ns])
    frames = np.concatenate([np.arange(len(own)) for own in times_ns])

    moments: list[list[int]] = []
    begun_ns = 0
    for place in np.argsort(every_time, kind="stable").tolist():
        camera, time_ns = int(cameras[place]), int(every_time[place])
        is_new = not moments or time_ns - begun_ns > half_ns
        if is_new or moments[-1][camera] >= 0:
            moments.append([-1] * len(times_ns))
            begun_ns = time_ns
        moments[-1][camera] = int(frames[place])
    return np.array(moments, np.int64).reshape(-1, len(times_ns))


def _shortest_period(times_ns: Sequence[Ints]) -> int:
    """Return the time between two frames of the fastest camera; 0: not known."""
    steps = [
        np.quantile(np.diff(own), PERIOD_QUANTILE) for own in times_ns if len(own) > 1
    ]
    return int(min(steps, default=0))
