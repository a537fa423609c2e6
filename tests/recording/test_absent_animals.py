"""An animal that a merge emptied on all frames is left out of results and exports."""

from pathlib import Path

import numpy as np

from deeplabstream.analysis.run_data import read_run
from deeplabstream.recording.exporters.pose_files import deeplabcut
from deeplabstream.recording.pose_corrections import Correction, append_correction
from deeplabstream.recording.recorded_frames import read_frames, recorded_parts
from deeplabstream.recording.run_folder import RunFolder
from tests.recording.small_run import made


def merged(root: Path, since: int) -> Path:
    """Return a run in which bob was merged into anna from an analysed frame to the end."""
    run = made(root, animals=2)
    frames = read_frames(RunFolder(run), "top").of_analysis().poses.frames
    span = int(frames[since]), int(frames[-1])
    append_correction(
        run,
        Correction(
            kind="merge",
            camera="top",
            frames=span,
            animals=("anna", "bob"),
            bodyparts=(),
        ),
    )
    return run


def corrected(run: Path) -> RunFolder:
    folder = RunFolder(run)
    folder.corrected = True
    return folder


def test_an_animal_without_points_is_left_out_of_results_and_exports(
    tmp_path: Path,
) -> None:
    run = merged(tmp_path, 0)
    data = read_run(run)
    assert data.animals == ("anna",)
    assert data.points.shape[1] == 1
    assert np.isfinite(data.points).any()
    assert data.corrected is not None
    assert data.corrected.shape == data.points.shape[:3]
    whole = read_frames(corrected(run), "top")
    for name, part in recorded_parts(corrected(run)):
        columns = deeplabcut(part.poses).columns
        assert "individuals" not in columns.names, name
        expected = whole.of_video(part.rows["video"].iat[0]).poses.points
        np.testing.assert_array_equal(part.poses.points[:, 0], expected[:, 0])
    assert read_run(run, raw=True).animals == ("anna", "bob")


def test_an_animal_that_was_there_at_times_stays(tmp_path: Path) -> None:
    assert read_run(merged(tmp_path, 5)).animals == ("anna", "bob")
