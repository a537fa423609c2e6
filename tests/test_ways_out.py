"""Files and folders that a program can't use: the message names the program that can."""

from pathlib import Path

import pytest

from utils.AnalyseRuns import main as analyse_runs
from utils.ConvertProject import main as convert_project
from utils.PredictVideos import main as predict_videos


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
