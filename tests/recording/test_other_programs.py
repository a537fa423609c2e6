"""The packages that labs analyse with read our exports: the same values, the same times.

sleap-io and movement are installed without what they require (requirements-alone.txt).
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.exporters.exports import export
from deeplabstream.recording.run_folder import RunFolder
from tests.recording.small_run import SKELETON, START, expected, exposed, made

FILMED = {"top": range(1, 5), "top_2": range(5, 10)}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What other programs warn of is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("animals", [1, 2])
def test_sleap_io_reads_values_frames_and_skeleton(
    tmp_path: Path, animals: int
) -> None:
    import sleap_io

    paths = export(made(tmp_path, animals), ["sleap"])
    assert [path.name for path in paths] == ["top.analysis.h5", "top_2.analysis.h5"]
    for path, filmed in zip(paths, FILMED.values(), strict=True):
        labels = sleap_io.load_file(str(path))
        wanted = expected(filmed, animals)
        assert labels.skeleton.node_names == list(SKELETON.bodyparts)
        assert [tuple(edge) for edge in labels.skeleton.edge_names] == [
            *map(tuple, SKELETON.edges)
        ]
        assert Path(labels.video.filename).name == path.name.replace(
            "analysis.h5", "mkv"
        )
        seen = [n for n in range(len(filmed)) if not np.isnan(wanted[n]).any()]
        assert [frame.frame_idx for frame in labels] == seen
        for frame in labels:
            found = [instance.numpy(scores=True) for instance in frame.instances]
            np.testing.assert_allclose(
                found, wanted[frame.frame_idx], rtol=1e-6, atol=1e-6
            )
            names = [instance.track.name for instance in frame.instances]
            assert names == (["animal1"] if animals == 1 else ["anna", "bob"])


@pytest.mark.parametrize("animals", [1, 2])
def test_sleap_io_reads_labels_and_writes_them_as_they_were(
    tmp_path: Path, animals: int
) -> None:
    import sleap_io

    paths = export(made(tmp_path, animals), ["slp"])
    assert [path.name for path in paths] == ["top.slp", "top_2.slp"]
    for path, filmed in zip(paths, FILMED.values(), strict=True):
        again = tmp_path / "again.slp"
        sleap_io.save_slp(sleap_io.load_slp(str(path)), str(again))
        for file in (path, again):
            labels = sleap_io.load_slp(str(file))
            wanted = expected(filmed, animals)
            assert labels.skeleton.node_names == list(SKELETON.bodyparts)
            edges = [tuple(edge) for edge in labels.skeleton.edge_names]
            assert edges == [*map(tuple, SKELETON.edges)]
            assert Path(labels.video.filename).name == path.with_suffix(".mkv").name
            seen = [n for n in range(len(filmed)) if not np.isnan(wanted[n]).any()]
            assert [frame.frame_idx for frame in labels] == seen
            for frame in labels:
                found = [instance.numpy(scores=True) for instance in frame.instances]
                np.testing.assert_allclose(
                    found, wanted[frame.frame_idx], rtol=1e-6, atol=1e-6
                )
                names = [instance.track.name for instance in frame.instances]
                assert names == (["animal1"] if animals == 1 else ["anna", "bob"])
            image = labels.video[seen[-1]]  # the picture is found through the file
            assert image.shape == labels.video.shape[1:]


def test_the_sleap_file_has_the_times_that_sleap_does_not_know(tmp_path: Path) -> None:
    import h5py

    for path, filmed in zip(
        export(made(tmp_path), ["sleap"]), FILMED.values(), strict=True
    ):
        with h5py.File(path) as file:
            assert list(file["exposed_ns"]) == [exposed(n) for n in filmed]
            assert list(file["frame"]) == list(filmed)
            seconds = [(exposed(n) - START) / 1e9 for n in filmed]
            np.testing.assert_allclose(file["time_s"], seconds)


@pytest.mark.parametrize("animals", [1, 2])
@pytest.mark.parametrize("kind", ["dlc-csv", "dlc-h5", "sleap"])
def test_movement_reads_a_row_for_each_picture(
    tmp_path: Path, kind: str, animals: int
) -> None:
    from movement.io import load_poses

    load: Callable[..., Any] = load_poses.from_dlc_file
    if kind == "sleap":
        load = load_poses.from_sleap_file
    for path, filmed in zip(
        export(made(tmp_path, animals), [kind]), FILMED.values(), strict=True
    ):
        poses = load(path, fps=30)
        check(poses, expected(filmed, animals))
        np.testing.assert_allclose(poses.time, np.arange(len(filmed)) / 30)


def test_movement_reads_nwb(tmp_path: Path) -> None:
    from movement.io import load_poses

    (path,) = export(made(tmp_path), ["nwb"])
    poses = load_poses.from_nwb_file(path, pose_estimation_key="top")
    check(poses, expected(range(1, 10)))
    # it makes times of its own from the median of ours, beginning with 0
    np.testing.assert_allclose(poses.time, np.arange(9) / 30, atol=1e-6)


def test_a_skeleton_without_bones_is_readable(tmp_path: Path) -> None:
    import sleap_io

    folder = made(tmp_path)
    bare = Skeleton(SKELETON.bodyparts)
    RunFolder(folder).update(skeleton={"bodyparts": bare.bodyparts, "bones": []})
    (path, _) = export(folder, ["sleap"])
    assert sleap_io.load_file(str(path)).skeleton.edges == []


def check(poses: Any, wanted: np.ndarray) -> None:
    """`wanted`: (frame, animal, part, 3); movement's: (frame, xy, part, animal)."""
    assert list(poses.keypoints.values) == list(SKELETON.bodyparts)
    found = poses.position.transpose("time", "individuals", "keypoints", "space")
    np.testing.assert_allclose(found, wanted[..., :2], rtol=1e-6)
    sure = poses.confidence.transpose("time", "individuals", "keypoints")
    np.testing.assert_allclose(sure, wanted[..., 2], rtol=1e-6)
