"""Tracks in which an animal surely stays the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.aligned_crops import SIZE, BodyAxis
from deeplabstream.pose.tracking.embedding_evidence import BURST
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.training.appearance.certain_tracks import (
    NO_TRACK,
    CropCollector,
    certain_tracks,
)

SKELETON = Skeleton(("snout", "tailbase"), animals=("anna", "bob"))
AXIS = BodyAxis(0, 1)


def table(
    *states: tuple[str, str], frames: int = 0, apart_px: float = 300
) -> PoseTable:
    """Return two animals of 60 px length, ten frames per second."""
    count = len(states) or frames
    points = np.zeros((count, 2, 2, 2))
    points[:, :, 0, 0], points[:, :, 1, 0] = 160, 100
    points[..., 1] = 100
    points[:, 1, :, 1] += apart_px
    made = pose_table(Path("mice.csv"), SKELETON, points, np.ones(points.shape[:3]))
    return replace(made, times_s=np.arange(count) / 10, identity=states)


def test_without_identity_states_each_name_is_a_track() -> None:
    assert certain_tracks(table(frames=3)).tolist() == [[0, 1]] * 3


def test_ambiguous_frames_are_in_no_track() -> None:
    states = [("", ""), ("doubt1", "doubt1"), ("stray", ""), ("", "shelter1")]
    tracks = certain_tracks(table(*states))
    assert tracks.tolist() == [[0, 1], [NO_TRACK, NO_TRACK], [NO_TRACK, 1], [0, 1]]


def test_a_track_goes_on_after_an_ambiguity_that_appearance_resolved() -> None:
    states = [("", ""), ("doubt1", "doubt1"), ("exchanged", ""), ("", "")]
    assert certain_tracks(table(*states))[-1].tolist() == [0, 1]


def test_a_new_track_begins_where_a_name_may_have_gone_to_another_animal() -> None:
    """After a time-out, a switch that was not ambiguous, and a swap by the user."""
    states = [("", ""), ("doubt1", ""), ("believed", ""), ("", "exchanged")]
    tracks = certain_tracks(table(*states, ("", "swapped")))
    assert tracks.tolist() == [[0, 1], [NO_TRACK, 1], [2, 1], [2, 3], [2, 4]]


def test_only_tracks_that_coexist_are_known_to_be_different_animals() -> None:
    states = [("", "")] * 3 + [("doubt1", "")] + [("believed", "")] + [("", "")] * 3
    collector = CropCollector(table(*states), 0.5, AXIS)
    for row in collector.rows(0.1, 100):
        collector.add(int(row), np.zeros((500, 300), np.uint8))
    found = collector.crop_set()
    assert found.names == ("anna", "bob", "anna")
    assert found.crops.shape == (14, *SIZE, 3)
    expected = [[False, True, False], [True, False, True], [False, True, False]]
    assert found.different.tolist() == expected


def test_animals_that_touch_have_no_crops() -> None:
    collector = CropCollector(table(frames=5, apart_px=10), 0.5, AXIS)
    for row in collector.rows(0.1, 100):
        collector.add(int(row), np.zeros((500, 300), np.uint8))
    assert len(collector.crop_set()) == 0


def test_bursts_of_successive_frames_are_apart_in_time_and_limited_in_number() -> None:
    collector = CropCollector(table(frames=101), 0.5, AXIS)
    expected = [row for row in range(101) if row % 10 < BURST]
    assert collector.rows(1.0, 1000).tolist() == expected
    assert len(CropCollector(table(frames=101), 0.5, AXIS).rows(0.1, 20)) <= 25


def test_a_crop_knows_its_burst() -> None:
    collector = CropCollector(table(frames=20), 0.5, AXIS)
    for row in collector.rows(1.0, 1000):
        collector.add(int(row), np.zeros((500, 300), np.uint8))
    bursts = collector.crop_set().bursts
    assert bursts.tolist() == [0] * 2 * BURST + [1] * 2 * BURST
