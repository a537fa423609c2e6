"""Smoothing of one animal's poses over a video."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.smoothing.track_smoothing import (
    smoothed_table,
    smoothed_track,
)
from deeplabstream.recording.pose_table import PoseTable
from tests.offline.films import write_film
from utils.PredictVideos import main

ROWS = 240
TIME = np.arange(ROWS) / 30
TRUTH = np.stack(
    [
        np.stack([200 + 80 * np.sin(TIME), 100 + 60 * np.cos(1.3 * TIME)], axis=1),
        np.stack([220 + 80 * np.sin(3 * TIME), 90 + 5 * TIME], axis=1),
    ],
    axis=1,
)
SURE = np.full((ROWS, 2), 0.9, np.float32)


def seen(noise_px: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, noise_px, TRUTH.shape)
    return np.asarray(TRUTH + noise, np.float32)


def error(points: np.ndarray) -> float:
    return float(np.nanmean(np.linalg.norm(points - TRUTH, axis=2)))


def test_smoothed_points_are_nearer_to_the_truth_and_jitter_less() -> None:
    points = seen(2.0)
    found = smoothed_track(points, SURE)
    assert error(found) < 0.7 * error(points)
    jitter = [np.abs(np.diff(own, 2, axis=0)).mean() for own in (points, found)]
    assert jitter[1] < 0.3 * jitter[0]


def test_exact_points_stay_where_they_are() -> None:
    assert smoothed_track(TRUTH, SURE) == pytest.approx(TRUTH, abs=0.1)


def test_a_point_on_another_body_part_does_not_pull_the_frames_beside_it() -> None:
    points = seen(0.5)
    points[100, 0] = points[100, 1] + 90
    found = smoothed_track(points, SURE)
    assert np.linalg.norm(found[100, 0] - TRUTH[100, 0]) < 5
    beside = [90, 95, 98, 99, 101, 102, 105]
    assert np.linalg.norm(found[beside, 0] - TRUTH[beside, 0], axis=1).max() < 2


def test_an_unsure_point_counts_less_than_those_beside_it() -> None:
    points, sure = seen(0.5), SURE.copy()
    points[50:54, 0] += 12
    far = smoothed_track(points, sure)[50:54, 0]
    sure[50:54, 0] = 0.05
    unsure = smoothed_track(points, sure)[50:54, 0]
    away = [
        np.linalg.norm(own - TRUTH[50:54, 0], axis=1).mean() for own in (far, unsure)
    ]
    assert away[1] < 3 < away[0]


def test_nothing_is_invented_where_nothing_was_found() -> None:
    points = seen(0.5)
    points[:20] = points[60:63, 1] = np.nan
    found = smoothed_track(points, np.where(np.isfinite(points[..., 0]), SURE, np.nan))
    assert (np.isfinite(found) == np.isfinite(points)).all()
    assert error(found) < 1
    assert np.isnan(smoothed_track(np.full((5, 2, 2), np.nan), np.zeros((5, 2)))).all()
    single = np.full((5, 1, 2), np.nan)
    single[3] = 7
    assert smoothed_track(single, np.ones((5, 1)))[3, 0].tolist() == [7, 7]


def test_several_animals_are_not_smoothed() -> None:
    points = seen(2.0)[:, None]

    def table(animals: int) -> PoseTable:
        return PoseTable(
            Path("mouse.mp4"),
            Skeleton(("nose", "tail")),
            np.repeat(points, animals, axis=1),
            np.repeat(SURE[:, None], animals, axis=1),
            np.arange(ROWS),
            TIME,
        )

    two = table(2)
    assert smoothed_table(two) is two
    one = table(1)
    assert smoothed_table(one).points.shape == one.points.shape
    assert (smoothed_table(one).points != one.points).any()


def test_predict_videos_best_writes_other_smoother_poses(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=12)
    how = [str(film), "--model", "openfield", "--runtime", "cpu", "--threads", "1"]
    poses = []
    for name, more in (("live", []), ("best", ["--best"])):
        assert main([*how, "--output", str(tmp_path / name), *more]) == 0
        poses.append(read_poses(tmp_path / name / "film.csv").points[:, 0])
    assert poses[0].shape == poses[1].shape == (12, 4, 2)
    live, best = (np.abs(np.diff(own, 2, axis=0)).mean() for own in poses)
    assert best < live
