"""Files and folders that a program can't use: the message names the program that can."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from deeplabstream.files.pandas_hdf5 import LEVELS, write_hdf5_table
from utils.AnalyseRuns import main as analyse_runs
from utils.CheckLabels import main as check_labels
from utils.ConvertProject import main as convert_project
from utils.PredictVideos import main as predict_videos

LEVELS_OF_ONE = (LEVELS[0], *LEVELS[2:])


def test_poses_of_another_program_become_a_run_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tracks.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert analyse_runs([str(tmp_path / "tracks.h5")]) == 2
    assert "utils/ImportRun.py VIDEO" in capsys.readouterr().err


def test_a_checkpoint_is_imported_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"")
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "training_config.yaml").write_text("data_config: {}")
    options = ["--model", str(tmp_path / "trained")]
    assert predict_videos([str(tmp_path / "film.mp4"), *options]) != 0
    advice = f"utils/ImportModel.py {tmp_path / 'trained'} --output"
    assert advice in capsys.readouterr().err


def test_a_network_of_deeplabcut_2_is_no_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "pose_cfg.yaml").write_text("net_type: resnet_50")
    words = [str(tmp_path / "train"), "--output", str(tmp_path / "made")]
    assert convert_project(words) == 2
    assert "but a network of DeepLabCut 2; utils/ImportModel.py" in (
        capsys.readouterr().err
    )


def predicted(folder: Path, kind: str) -> Path:
    """Write poses that a program predicted in a video."""
    file = folder / kind
    columns = [("net", "nose", axis) for axis in ("x", "y", "likelihood")]
    match kind:
        case "jabs_pose_est_v5.h5":
            with h5py.File(file, "w") as content:
                content["poseest/points"] = np.zeros((3, 1, 12, 2), np.uint16)
        case "sleap.analysis.h5":
            with h5py.File(file, "w") as content:
                content["tracks"] = np.zeros((1, 2, 3, 10))
                content["track_names"] = np.array([b"fly"])
        case "sleap.csv":
            file.write_text(
                "track,frame_idx,instance.score,a.x,a.y,a.score\n,0,1,3,4,.4\n"
            )
        case "deeplabcut.csv":
            rows = [*zip(LEVELS_OF_ONE, *columns, strict=True), (0, 3, 4, 0.9)]
            file.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows))
        case "deeplabcut.h5":
            named = pd.MultiIndex.from_tuples(columns, names=LEVELS_OF_ONE)
            write_hdf5_table(pd.DataFrame([[3.0, 4.0, 0.9]], columns=named), file)
        case "table.parquet":
            file.write_bytes(b"PAR1")
    return file


@pytest.mark.parametrize(
    "kind",
    [
        "jabs_pose_est_v5.h5",
        "sleap.analysis.h5",
        "sleap.csv",
        "deeplabcut.csv",
        "deeplabcut.h5",
        "table.parquet",
    ],
)
def test_predicted_poses_are_no_labels_but_become_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file = predicted(tmp_path, kind)
    for program, words in (
        (convert_project, ["--output", str(tmp_path / "made")]),
        (check_labels, []),
    ):
        assert program([str(file), *words]) == 2
        message = capsys.readouterr().err
        assert f"{file} holds predicted poses" in message
        assert f"utils/ImportRun.py VIDEO {file} --to RUN" in message


def test_predictions_in_images_name_the_table_of_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = predicted(tmp_path, "deeplabcut.csv")
    file.write_text(file.read_text().replace("0,3,4", "labeled-data/m/img1.png,3,4"))
    assert check_labels([str(file)]) == 2
    assert "the table of their labels (CollectedData)" in capsys.readouterr().err


@pytest.mark.parametrize("count", [6, 25])
def test_as_many_files_are_named_as_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    for number in range(count):
        (tmp_path / f"day{number}.slp").write_bytes(b"")
    assert convert_project([str(tmp_path), "--output", str(tmp_path / "made")]) == 2
    message = capsys.readouterr().err
    assert f"holds {count} files of SLEAP" in message
    assert message.count(".slp") == min(count, 20)
    assert ("and 5 more" in message) == (count == 25)
