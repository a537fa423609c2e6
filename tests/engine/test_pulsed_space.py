"""Points in space from cameras whose times come late by more than half a period."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.pose import Pose
from deeplabstream.engine.space_tracking import SpaceTracker, TrackedMoment
from deeplabstream.settings.space_section import Space
from deeplabstream.simulation.space_arena import BODY, BodyWalk, simulated_cameras
from deeplabstream.space.pulse_numbering import WINDOW

PERIOD = 1 / 30
PULSES = 300
MISSED = 150
"""Pulse that the camera on the right misses: its own count is one too low from then on."""


def _largest(errors: NDArray[np.float64]) -> float:
    return float(np.nanmax(np.abs(errors), initial=0.0))


def tracked(match: str, late: float) -> tuple[list[tuple[int, float]], list[str]]:
    """Return of each moment the pulse that its points fit best, and their largest error in mm."""
    cameras = simulated_cameras().select(("left", "right", "front"))
    tracker = SpaceTracker(cameras, Space(match=match))  # type: ignore[arg-type]
    walk, rng = BodyWalk(3), np.random.default_rng(1)
    frames = []
    for name, camera in zip(cameras.names, cameras.cameras, strict=True):
        for pulse in range(PULSES):
            if name == "right" and pulse == MISSED:
                continue
            pixels = camera.project(walk.at(pulse * PERIOD).points)[None]
            sure = np.full(pixels.shape[:2], 0.9, np.float32)
            pose = Pose(BODY, pixels.astype(np.float32), sure)
            index = pulse - (name == "right" and pulse > MISSED)
            time_ns = round((pulse + rng.uniform(0, late)) * PERIOD * 1e9)
            frames.append((time_ns, name, index, pose))

    found, alarms = [], list[str]()
    for time_ns, name, index, pose in sorted(frames, key=lambda it: it[:3]):
        moment: TrackedMoment | None = tracker.add(name, pose, index, time_ns, False)
        alarms += tracker.messages
        if moment is not None and moment.views > 1:
            near = round(moment.pose.time_ns / 1e9 / PERIOD)
            errors = {
                pulse: _largest(moment.pose.points - walk.at(pulse * PERIOD).points)
                for pulse in range(near - 1, near + 2)
            }
            pulse = min(errors, key=lambda it: (errors[it], abs(it - near)))
            found.append((pulse, errors[pulse]))
    return found, alarms


def test_matched_by_pulses_no_point_is_of_two_moments() -> None:
    found, alarms = tracked("pulses", late=0.8)
    assert max(error for _, error in found) < 0.05
    assert len(found) > 160
    pulses = [pulse for pulse, _ in found]
    assert pulses == sorted(set(pulses))
    # while the camera's numbers are not certain, the two others give the points
    assert len([it for it in pulses if MISSED <= it < MISSED + WINDOW]) > WINDOW / 4
    (alarm,) = alarms
    assert alarm.startswith("[Camera right] missed 1 of the pulses")


def test_matched_by_times_points_are_of_two_moments() -> None:
    found, alarms = tracked("times", late=0.8)
    assert max(error for _, error in found) > 1
    assert alarms == []


@pytest.mark.parametrize("match", ["times", "pulses"])
def test_without_late_times_both_are_right(match: str) -> None:
    found, _ = tracked(match, late=0.05)
    assert max(error for _, error in found) < 0.05
    assert len(found) > 270
