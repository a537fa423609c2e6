"""Several networks by one command, used as one."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.smoothing.camera_smoothing import Smoothed
from deeplabstream.pose.ensemble import NetworkEnsemble, members
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.programs import smooth_ensemble
from deeplabstream.training.data.label_book import open_book
from deeplabstream.training.evaluation.image_prediction import (
    disagreement,
    predict_by_network,
)
from utils import (
    EvaluateNetwork,
    PickFrames,
    PredictVideos,
    SmoothEnsemble,
    TrainNetwork,
)

SMALL = ["--size", "64x48", "--steps", "2", "--batch", "2", "--stages", "4", "--quiet"]


@pytest.fixture(scope="module")
def ensemble(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensemble") / "many"
    words = ["--data", str(labelled), "--output", str(folder), "--seeds", "0,3"]
    assert TrainNetwork.main([*words, *SMALL, "--channels", "8"]) == 0
    return folder


@pytest.fixture(scope="module")
def video(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("video") / "dots.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, (128, 96))
    for picture in sorted(labelled.glob("*/*.png")):
        frame = cv2.imread(str(picture))
        assert frame is not None
        writer.write(frame)
    writer.release()
    return file


def test_each_seed_has_a_network_of_its_own_on_the_same_split(ensemble: Path) -> None:
    folders = members(ensemble)
    assert [folder.name for folder in folders] == ["seed0", "seed3"]
    one, other = (load_model_folder(folder) for folder in folders)
    assert one.sha256 != other.sha256
    settings = other.about["settings"]
    assert isinstance(settings, dict)
    assert settings["seed"] == 3
    sets = [(folder / "predictions.csv").read_text() for folder in folders]
    ends = [[row.rsplit(",", 1)[-1] for row in text.splitlines()] for text in sets]
    assert ends[0] == ends[1]


def test_what_was_trained_is_not_trained_again(
    ensemble: Path, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_model_folder(ensemble / "seed3").sha256
    words = ["--data", str(labelled), "--output", str(ensemble), "--seeds", "0,3"]
    assert TrainNetwork.main([*words, *SMALL, "--channels", "8", "--resume"]) == 0
    assert capsys.readouterr().out.count("is already trained") == 2
    assert load_model_folder(ensemble / "seed3").sha256 == before


def test_networks_of_an_earlier_training_are_named(
    ensemble: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "many"
    shutil.copytree(ensemble / "seed3", folder / "seed3")
    words = ["--data", str(labelled), "--output", str(folder), "--seeds", "0,1"]
    assert TrainNetwork.main([*words, *SMALL, "--channels", "8"]) == 0
    assert "It includes seed3 of an earlier training" in capsys.readouterr().out
    assert [each.name for each in members(folder)] == ["seed0", "seed1", "seed3"]


def test_together_they_say_the_median(ensemble: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    both = open_estimator(ensemble, "cpu")
    assert isinstance(both, NetworkEnsemble)
    (pose,) = both.estimate([image])
    each = [
        open_estimator(folder, "cpu").estimate([image])[0]
        for folder in members(ensemble)
    ]
    middle = (each[0].points + each[1].points) / 2
    np.testing.assert_allclose(pose.points, middle, atol=0.01)
    sure = (each[0].confidence + each[1].confidence) / 2
    np.testing.assert_allclose(pose.confidence, sure, atol=0.001)
    assert len(both.sha256) == 64


def test_networks_of_other_body_parts_are_no_ensemble(
    ensemble: Path, tmp_path: Path
) -> None:
    class Other:
        skeleton = load_model_folder(Path("models/arena")).skeleton

    first = open_estimator(ensemble / "seed0", "cpu")
    with pytest.raises(ModelError, match="find different body parts"):
        NetworkEnsemble([first, Other()], tmp_path)  # type: ignore[list-item]


def test_frames_are_picked_and_ordered_by_how_far_they_differ(
    ensemble: Path, video: Path, tmp_path: Path
) -> None:
    words = [str(video), "--into", str(tmp_path), "--count", "1", "--unsure"]
    assert PickFrames.main([*words, "--model", str(ensemble)]) == 0
    assert PickFrames.main([*words, "--model", str(ensemble)]) == 0
    book = open_book(tmp_path)
    files = [book.path(place) for place in range(2)]
    each = predict_by_network(open_estimator(ensemble), files, book.names)
    first, second = disagreement(each)
    assert first > second > 0
    assert list(book.reasons) == book.names


def test_a_video_is_predicted_and_smoothed(
    ensemble: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(video), "--model", str(ensemble), "--output", str(tmp_path)]
    words += ["--runtime", "cpu"]
    assert PredictVideos.main([*words, "--no-metrics"]) == 0
    assert SmoothEnsemble.main(words) == 0
    each = [read_poses(tmp_path / f"dots.seed{seed}.csv") for seed in (0, 3)]
    both = read_poses(tmp_path / "dots.csv")
    middle = (each[0].points + each[1].points) / 2
    np.testing.assert_allclose(both.points, middle, atol=0.01)
    smoothed = read_poses(tmp_path / "dots_eks.csv")
    assert smoothed.points.shape == (8, 1, 2, 2)
    assert np.isfinite(smoothed.points).all()
    head = (tmp_path / "dots_eks.csv").read_text().splitlines()[2]
    assert "x_ens_median" in head
    assert "y_posterior_var" in head
    nowhere = tmp_path / "nowhere"
    elsewhere = [*words[:3], "--output", str(nowhere), "--runtime", "cpu"]
    for wrong, sentence in (
        (["--mirrored", "left", "none"], "occurs with each ending"),
        (["--pupil"], "a pupil needs"),
        (["--views"], "need two cameras"),
    ):
        assert SmoothEnsemble.main([*elsewhere, *wrong]) == 2
        assert sentence in capsys.readouterr().err
        assert not nowhere.exists()  # nothing was predicted
    side = Path(shutil.copy(video, tmp_path / "side.avi"))
    assert SmoothEnsemble.main([str(side), *words, "--views", "--overwrite"]) == 0
    views = [read_poses(tmp_path / f"{name}_eks.csv") for name in ("dots", "side")]
    assert np.isfinite(views[0].points).all()
    np.testing.assert_allclose(views[0].points, views[1].points, atol=0.01)
    words[2] = str(ensemble / "seed0")
    assert SmoothEnsemble.main(words) == 2
    assert "is not an ensemble" in capsys.readouterr().err


def test_the_report_tells_how_far_apart_they_are(
    ensemble: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "both.html"
    words = ["--model", str(ensemble), "--report", str(page), "--device", "cpu"]
    assert EvaluateNetwork.main(words) == 0
    told = capsys.readouterr().out
    assert "2 networks: median error of each" in told
    assert "where they differ by more than" in told
    assert "Error against spread of the ensemble" in page.read_text()


def test_a_stopped_smoothing_continues_and_repeats_nothing(
    ensemble: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    videos = [shutil.copyfile(video, tmp_path / f"{name}.avi") for name in "abc"]
    words = [*map(str, videos), "--model", str(ensemble)]
    usual, written = smooth_ensemble._write, list[Path]()

    def stop_after_two(file: Path, smoothed: Smoothed) -> None:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(file)
        usual(file, smoothed)

    monkeypatch.setattr(smooth_ensemble, "_write", stop_after_two)
    assert SmoothEnsemble.main(words) == 130
    assert "repeat the command to continue" in capsys.readouterr().err
    monkeypatch.setattr(smooth_ensemble, "_write", usual)
    assert SmoothEnsemble.main(words) == 0
    told = capsys.readouterr().out
    assert f"{videos[0]} is already smoothed" in told
    frames = len(read_poses(tmp_path / "b.seed0.csv").points)
    assert f"{videos[1]}, seed0: continued at frame {frames}" in told
    assert {file.name for file in tmp_path.glob("*_eks.csv")} == {
        *("a_eks.csv", "b_eks.csv", "c_eks.csv")
    }
    assert not list(tmp_path.glob("*.partial"))
    assert SmoothEnsemble.main(words) == 2, "nothing is replaced unasked"
