"""Calibration monitor: names the camera that has turned, and no other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplabstream.simulation.space_arena import BodyWalk, simulated_cameras, turned
from deeplabstream.space import calibration_monitor
from deeplabstream.space.calibration_monitor import (
    LEARNED,
    CalibrationMonitor,
    TurnedSince,
    epipolar_errors,
    turns,
)
from deeplabstream.space.camera_group import CameraGroup
from tests.space.cameras import four_cameras, points_in_arena

NAMES = ("left", "right", "front")
CAMERAS = simulated_cameras().select(NAMES)


def with_turned(cameras: CameraGroup, name: str, degrees: float) -> CameraGroup:
    return CameraGroup(
        tuple(turned(c, degrees) if c.name == name else c for c in cameras.cameras)
    )


def projected(
    cameras: CameraGroup, points: NDArray[np.float64], noise_px: float, seed: int = 0
) -> NDArray[np.float64]:
    pixels = np.stack([camera.project(points) for camera in cameras.cameras])
    return pixels + np.random.default_rng(seed).normal(0, noise_px, pixels.shape)


def watched(
    monitor: CalibrationMonitor,
    name: str = "",
    at_s: int = 0,
    seconds: int = 20,
    degrees: float = 0.5,
) -> float | None:
    """Show a body at 10 moments a second; return when a camera was found to have turned."""
    walk = BodyWalk(0)
    after = with_turned(monitor.cameras, name, degrees)
    for number in range(10 * seconds):
        time_s = number / 10
        cameras = after if time_s >= at_s else monitor.cameras
        pixels = projected(cameras, walk.at(time_s).points, 1.0, number)
        if monitor.add(pixels, round(1e9 * time_s)):
            return time_s
    return None


@pytest.mark.parametrize("at_s", [0, 8, LEARNED + 5])
@pytest.mark.parametrize("name", NAMES)
def test_a_camera_that_turned_by_half_a_degree_is_named_within_10_s(
    name: str, at_s: int
) -> None:
    monitor = CalibrationMonitor(CAMERAS)
    found_s = watched(monitor, name, at_s, at_s + 12)
    assert found_s is not None
    assert found_s - at_s < 10
    assert monitor.turned == (name,)


@pytest.mark.parametrize(
    ("at_s", "since"),
    [
        (0, TurnedSince.BEFORE_RUN),
        (12, TurnedSince.RUN),
        (LEARNED + 8, TurnedSince.RUN),
    ],
)
def test_it_says_since_when_a_camera_has_turned(at_s: int, since: TurnedSince) -> None:
    monitor = CalibrationMonitor(CAMERAS)
    assert watched(monitor, "front", at_s, at_s + 12, 0.7) is not None
    assert monitor.turned_since is since
    monitor.reset()
    assert monitor.turned_since is TurnedSince.CALIBRATION


def test_a_turn_that_was_there_in_part_has_an_unknown_beginning() -> None:
    monitor, walk = CalibrationMonitor(CAMERAS), BodyWalk(0)
    for number in range(300):
        cameras = with_turned(CAMERAS, "front", 0.38 if number < 100 else 0.76)
        pixels = projected(cameras, walk.at(number / 10).points, 1.0, number)
        if monitor.add(pixels, number * 10**8):
            break
    assert monitor.turned == ("front",)
    assert monitor.turned_since is TurnedSince.CALIBRATION


def test_a_block_is_computed_in_steps_in_the_moments_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone, spread = CalibrationMonitor(CAMERAS), CalibrationMonitor(CAMERAS)
    blocks: list[NDArray[np.float64]] = []
    steps = calibration_monitor._block_steps

    def kept(cameras, pixels, usual):  # type: ignore[no-untyped-def]
        blocks.append(pixels)
        return steps(cameras, pixels, usual)

    monkeypatch.setattr(calibration_monitor, "_block_steps", kept)
    walk, ended = BodyWalk(0), list[int]()
    for number in range(30 * (LEARNED + 4)):
        computing = spread._steps is not None
        pixels = projected(CAMERAS, walk.at(number / 30).points, 1.0, number)
        spread.add(pixels, number * 10**9 // 30)
        if computing and spread._steps is None:
            ended.append(number % 30)
    # the same moment of each second, well before the next block ends
    assert set(ended[:LEARNED]) == {8}
    assert set(ended[LEARNED:]) == {6}

    monkeypatch.setattr(calibration_monitor, "_block_steps", steps)
    for block in blocks:
        alone.add_block(block)
    assert alone.degrees == spread.degrees
    assert np.array_equal(alone.usual, spread.usual)


def test_a_block_ends_before_the_next_one_where_moments_are_few() -> None:
    monitor = CalibrationMonitor(CAMERAS)
    walk = BodyWalk(0)
    for second in range(20):
        # all points of a second in one moment
        points = np.concatenate([walk.at(second + it / 10).points for it in range(10)])
        monitor.add(projected(CAMERAS, points, 1.0, second), second * 10**9)
    assert len(monitor._learned) == 18


def test_cameras_that_stay_are_not_named() -> None:
    monitor = CalibrationMonitor(CAMERAS)
    assert watched(monitor, seconds=LEARNED + 30) is None
    assert monitor.usual is not None
    assert max(monitor.degrees) < 0.2


def test_errors_that_last_with_a_posture_are_not_a_turn() -> None:
    monitor = CalibrationMonitor(CAMERAS)
    rng, walk = np.random.default_rng(1), BodyWalk(0)
    for second in range(LEARNED + 30):
        if second % 5 == 0:  # a posture in which a network misplaces each point
            misplaced = rng.normal(0, 1.3, (3, len(walk.at(0.0).points), 2))
        for tenth in range(10):
            time_s = second + tenth / 10
            pixels = projected(CAMERAS, walk.at(time_s).points, 0.7, round(10 * time_s))
            assert not monitor.add(pixels + misplaced, round(1e9 * time_s))


def test_of_two_cameras_both_are_named() -> None:
    monitor = CalibrationMonitor(CAMERAS.select(("left", "right")))
    assert watched(monitor, "left", degrees=1.0) is not None
    assert {*monitor.turned} == {"left", "right"}


def test_a_small_error_of_the_calibration_is_usual() -> None:
    cameras = with_turned(CAMERAS, "right", 0.2)
    monitor = CalibrationMonitor(CAMERAS)
    walk = BodyWalk(0)
    for number in range(10 * (LEARNED + 15)):
        pixels = projected(cameras, walk.at(number / 10).points, 1.0, number)
        assert not monitor.add(pixels, number * 10**8)


def test_it_stays_so_until_it_is_reset() -> None:
    monitor = CalibrationMonitor(CAMERAS)
    watched(monitor, "left")
    assert watched(monitor, "right") is None
    assert monitor.turned == ("left",)
    monitor.reset()
    assert monitor.turned == ()


def test_moments_with_one_view_show_nothing() -> None:
    monitor = CalibrationMonitor(CAMERAS)
    pixels = np.full((3, 5, 2), np.nan)
    pixels[0] = 100.0
    assert not any(monitor.add(pixels, number * 10**8) for number in range(200))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(four_cameras().names),
    st.floats(0.2, 2.0),
    st.sampled_from([-1, 1]),
    st.integers(0, 1000),
)
def test_the_turn_of_any_camera_is_the_estimate(
    name: str, size: float, sign: int, seed: int
) -> None:
    cameras = four_cameras()
    moved = with_turned(cameras, name, sign * size)
    pixels = projected(moved, points_in_arena(80, seed), 0.0)
    found = turns(*epipolar_errors(cameras, pixels))
    place = cameras.names.index(name)
    assert int(np.argmax(found.explained)) == place
    assert np.linalg.norm(found.degrees[place]) == pytest.approx(size, rel=0.05)


def test_blocks_are_computed_together_as_alone() -> None:
    points = np.stack([points_in_arena(40, seed) for seed in range(3)])
    pixels = projected(CAMERAS, points, 1.0)
    together = turns(*epipolar_errors(CAMERAS, pixels))
    for block in range(3):
        alone = turns(*epipolar_errors(CAMERAS, pixels[:, block]))
        np.testing.assert_allclose(together.degrees[block], alone.degrees, atol=1e-6)
        np.testing.assert_allclose(
            together.explained[block], alone.explained, rtol=1e-4
        )
