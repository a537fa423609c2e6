"""Pose files of JABS: points by animal, as x and y."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.jabs_pose_reading import PARTS
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.run_import import ImportOptions, import_run
from tests.offline.films import write_film

SAMPLE = Path(__file__).parents[3] / "shared/data/jabs/sample_pose_est_v5.h5"


def written(path: Path, version: int, tracks: int = 2) -> Path:
    """Write three frames; of several animals, the order of instances changes."""
    points = np.zeros((3, 2, 12, 2), np.uint16)
    points[..., 0] = 100 + np.arange(12)  # y
    points[:, 0, :, 1], points[:, 1, :, 1] = 10, 20  # x
    points[1] = points[1, ::-1]
    confidence = np.full((3, 2, 12), 2.5, np.float32)
    confidence[0, 0, 1] = 0
    with h5py.File(path, "w") as file:
        poses = file.create_group("poseest")
        poses.attrs["version"] = np.array([version, 0], np.uint16)
        if version == 2:
            poses["points"], poses["confidence"] = points[:, 0], confidence[:, 0]
            return path
        poses["points"], poses["confidence"] = points, confidence
        poses["instance_count"] = np.array([2, 2, 2], np.uint8)
        ids = np.array([[1, 2], [2, 1], [1, 2]], np.uint32)
        poses["instance_track_id"] = ids + 4
        if tracks > 2:
            poses["instance_track_id"][2] = [8, 9]
        if version > 3:
            poses["instance_embed_id"] = ids
            poses["id_mask"] = np.array([[False] * 2, [False] * 2, [False, True]])
    return path


@pytest.mark.parametrize("version", [3, 4])
def test_each_animal_keeps_its_place(tmp_path: Path, version: int) -> None:
    table = read_poses(written(tmp_path / "m_pose_est.h5", version))
    assert table.skeleton.bodyparts == PARTS
    assert table.skeleton.animals == ("animal1", "animal2")
    assert ("NOSE", "BASE_NECK") in table.skeleton.edges
    assert {part for edge in table.skeleton.edges for part in edge} <= {*PARTS}
    assert (table.points[:, 0, 0] == [10, 100]).all()
    assert (table.points[:2, 1, 0] == [20, 100]).all()
    assert np.isnan(table.points[2, 1]).all() == (version == 4)  # masked
    assert np.isnan(table.points[0, 0, 1]).all()
    assert table.confidence.max() == 1 and table.confidence[0, 0, 1] == 0


def test_version_2_has_one_animal(tmp_path: Path) -> None:
    table = read_poses(written(tmp_path / "m_pose_est_v2.h5", 2))
    assert table.points.shape == (3, 1, 12, 2) and table.skeleton.animals == ()


@pytest.mark.parametrize("scale", [0.07, np.nan, -1.0, "wide", None])
def test_a_run_has_the_scale_of_the_file(tmp_path: Path, scale: object) -> None:
    poses = written(tmp_path / "m_pose_est_v4.h5", 4)
    if scale is not None:
        with h5py.File(poses, "a") as file:
            file["poseest"].attrs["cm_per_pixel"] = scale
            file["poseest"].attrs["cm_per_pixel_source"] = "corner_detection"
    grey = np.full((200, 300, 3), 90, np.uint8)
    film = write_film(tmp_path / "m.mp4", lambda row: grey, frames=3)
    run = import_run(film, poses, tmp_path / "run")
    known = scale == 0.07
    said = "0.7 mm per pixel, as the poses say (corner_detection)"
    assert (said in run.notes) is known
    assert ("MM_PER_PIXEL = 0.7" in run.folder.settings_text) is known

    options = ImportOptions(mm_per_pixel=2.0)
    given = import_run(film, poses, tmp_path / "given", options)
    assert "MM_PER_PIXEL = 2.0" in given.folder.settings_text
    assert said not in given.notes


def test_tracks_that_are_no_animals_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m_pose_est_v3.h5", 3, tracks=4)
    with pytest.raises(DeepLabStreamError, match="4 tracks of up to 2 animals"):
        read_poses(path)


@pytest.mark.skipif(not SAMPLE.exists(), reason="JABS' sample is not here")
def test_jabs_own_sample() -> None:
    table = read_poses(SAMPLE)
    assert table.points.shape == (1800, 3, 12, 2)
    assert np.isfinite(table.points).mean() > 0.5
