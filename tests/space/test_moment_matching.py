"""Moments of frames that come one by one."""

import numpy as np
import pytest

from deeplabstream.space.exposure_matching import match_times
from deeplabstream.space.moment_matching import MISSED, Moment, MomentMatcher

PERIOD = 10_000_000
CAMERAS = ("left", "right", "front")
Frames = list[tuple[str, int]]


def warm() -> MomentMatcher[int]:
    """A matcher that knows the period: three moments have ended."""
    matcher = MomentMatcher[int](CAMERAS)
    for number in range(-4, 0):
        for camera in CAMERAS:
            matcher.add(camera, number * PERIOD, number)
    return matcher


def moments(
    matcher: MomentMatcher[int], frames: Frames
) -> list[tuple[int, tuple[str, ...]]]:
    found: list[Moment[int] | None] = [
        matcher.add(camera, time_ns, time_ns) for camera, time_ns in frames
    ]
    return [(it.at, tuple(sorted(it.views))) for it in found if it is not None]


def test_a_moment_ends_with_the_last_expected_camera() -> None:
    matcher = warm()
    assert moments(matcher, [("left", 0), ("front", 2)]) == []
    assert moments(matcher, [("right", -1)]) == [(-1, ("front", "left", "right"))]


def test_a_frame_of_a_later_moment_ends_one_that_lacks_a_camera() -> None:
    frames = [("left", 0), ("right", 1), ("left", PERIOD)]
    assert moments(warm(), frames) == [(0, ("left", "right"))]


def test_frames_are_not_matched_by_the_order_of_arrival() -> None:
    # front lost its frame of the first moment: its next one is of the second
    frames = [
        ("left", 0),
        ("right", 0),
        ("front", PERIOD),
        ("left", PERIOD),
        ("right", PERIOD),
    ]
    assert moments(warm(), frames) == [
        (0, ("left", "right")),
        (PERIOD, ("front", "left", "right")),
    ]


def test_a_lost_camera_is_not_waited_for_after_three_moments() -> None:
    matcher = warm()
    frames = [(c, n * PERIOD) for n in range(MISSED + 1) for c in CAMERAS[:2]]
    # the last one has ended with its second camera
    assert len(moments(matcher, frames)) == MISSED + 1
    assert matcher.expected == set(CAMERAS[:2])
    # without a frame of a later moment
    now = (MISSED + 1) * PERIOD
    assert moments(matcher, [("left", now), ("right", now)]) == [
        (now, ("left", "right"))
    ]


def test_a_camera_that_returns_is_waited_for_again() -> None:
    matcher = warm()
    frames = [(c, n * PERIOD) for n in range(MISSED + 1) for c in CAMERAS[:2]]
    moments(matcher, frames)
    now = (MISSED + 1) * PERIOD
    # its first frame comes when the others have ended the moment already
    moments(matcher, [("left", now), ("right", now), ("front", now)])
    assert matcher.late == 1
    later = [(camera, now + PERIOD) for camera in CAMERAS]
    assert moments(matcher, later[:2]) == []
    assert moments(matcher, later[2:]) == [(now + PERIOD, tuple(sorted(CAMERAS)))]


def test_a_frame_of_a_moment_that_has_ended_is_not_used() -> None:
    matcher = warm()
    frames = [("left", 0), ("right", 0), ("left", PERIOD), ("front", 0)]
    assert moments(matcher, frames) == [(0, ("left", "right"))]
    assert matcher.late == 1
    rest = [("right", PERIOD), ("front", PERIOD)]
    assert moments(matcher, rest) == [(PERIOD, ("front", "left", "right"))]


def test_frames_without_a_period_are_not_matched_unless_their_times_are_equal() -> None:
    matcher = MomentMatcher[int](CAMERAS)
    frames = [("left", 0), ("right", 1), ("front", 1)]
    assert moments(matcher, frames) == [(0, ("left",))]


@pytest.mark.parametrize("seed", range(20))
def test_the_moments_are_those_of_a_recording_and_their_times_increase(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    times = []
    for _ in CAMERAS:
        own = np.arange(400) * PERIOD + rng.integers(-400_000, 400_000, 400)
        kept = (rng.random(400) > 0.2) | (np.arange(400) < 20)
        times.append(own[kept])
    frames = sorted(
        (int(t), camera)
        for camera, own in zip(CAMERAS, times, strict=True)
        for t in own
    )
    matcher = MomentMatcher[int](CAMERAS)
    found = [m for t, camera in frames if (m := matcher.add(camera, t, t)) is not None]

    began = [moment.at for moment in found]
    assert began == sorted(set(began))
    offline = {
        tuple(
            int(own[row]) if row >= 0 else -1
            for own, row in zip(times, rows, strict=True)
        )
        for rows in match_times(times)
    }
    live = {tuple(m.views.get(camera, -1) for camera in CAMERAS) for m in found[10:]}
    # a camera that returns after three losses is late once
    assert len(live - offline) <= 2 * matcher.late < 20
    assert len(live) > 380
