"""A new network and the present one, on images that neither learned from."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.evaluation import comparison
from deeplabstream.training.evaluation.image_prediction import ImagePredictions
from deeplabstream.training.lightning_pose.result_tables import write_predictions
from utils import EvaluateNetwork, TrainNetwork

SMALL = ["--size", "64x48", "--steps", "2", "--batch", "2", "--stages", "4", "--quiet"]


@pytest.fixture
def folders(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Folders `new`, 1 px off, and `old`, 4 px off; each learned from some images."""
    labels = read_labels(labelled)
    away = {"new": 1.0, "old": 4.0}
    for name, learned in (("new", range(4)), ("old", range(2, 6))):
        folder = tmp_path / name
        folder.mkdir()
        sets = ["train" if row in learned else "validation" for row in range(8)]
        write_predictions(
            folder / "predictions.csv", "x", labels.skeleton.bodyparts, labels.names,
            labels.points, np.ones((8, 2), np.float32), sets,
        )  # fmt: skip

    def found(
        folder: Path, images: object, names: tuple[str, ...]
    ) -> list[ImagePredictions]:
        rows = [labels.names.index(name) for name in names]
        points = labels.points[rows] + np.float32([away[folder.name], 0])
        sure = np.ones(points.shape[:2], np.float32)
        return [ImagePredictions(labels.skeleton.bodyparts, names, points, sure)]

    monkeypatch.setattr(comparison, "open_estimator", lambda folder, *rest: folder)
    monkeypatch.setattr(comparison, "predict_by_network", found)
    return tmp_path / "new", tmp_path / "old"


def test_a_table_that_a_spreadsheet_saved_names_the_same_images(
    folders: tuple[Path, Path], labelled: Path
) -> None:
    for folder in folders:
        file = folder / "predictions.csv"
        text = file.read_text("utf-8").replace(",", ";").replace(".", ",")
        file.write_text(text.replace(",png", ".png"), "utf-8-sig")
    assert comparison.compare(*folders, read_labels(labelled)).images == 2


def test_only_images_that_neither_learned_from_are_compared(
    folders: tuple[Path, Path], labelled: Path
) -> None:
    found = comparison.compare(*folders, read_labels(labelled))
    assert (found.images, found.points) == (2, 4)
    assert (found.new_px, found.old_px) == pytest.approx((1, 4), abs=1e-3)
    assert found.difference_px == pytest.approx((-3, -3), abs=1e-3)
    assert "2 images that neither network learned from" in found.verdict
    assert "4.00 px of the present network, 1.00 px of the new one" in found.verdict
    assert "at least 6 images are needed" in found.verdict
    assert "the new network is better" in replace(found, images=6).verdict
    worse = comparison.compare(*folders[::-1], read_labels(labelled))
    assert "the new network is worse" in replace(worse, images=6).verdict
    alike = comparison.compare(folders[0], folders[0], read_labels(labelled))
    assert alike.images == 4
    assert "no difference is certain" in replace(alike, images=6).verdict


def test_without_such_images_nothing_is_compared(
    folders: tuple[Path, Path], labelled: Path
) -> None:
    labels = read_labels(labelled).of_images(range(6))
    with pytest.raises(LabelsError, match="learned from all 6 labelled images"):
        comparison.compare(*folders, labels)
    other = replace(labels.skeleton, bodyparts=("paw", "tail"))
    there = replace(read_labels(labelled), skeleton=other)
    with pytest.raises(LabelsError, match="find no labelled body part in common"):
        comparison.compare(*folders, there)


def test_the_program_compares_two_trained_networks(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in ("0", "1"):
        words = ["--data", str(labelled), "--output", str(tmp_path / seed), *SMALL]
        words += ["--seed", seed, "--channels", "8", "--no-imagenet"]
        assert TrainNetwork.main(words) == 0
    capsys.readouterr()
    words = ["--model", str(tmp_path / "0"), "--against", str(tmp_path / "1")]
    assert EvaluateNetwork.main([*words, "--device", "cpu"]) == 0
    held_out = json.loads((tmp_path / "0/model.json").read_text("utf-8"))["about"]
    count = held_out["pictures"]["held_out"]
    assert f"{count} images that neither network learned" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "1")
    assert EvaluateNetwork.main(words) == 2
    assert "there is no model" in capsys.readouterr().err


def test_few_images_do_not_say_which_network_is_better() -> None:
    one = comparison.NetworkComparison(1, 4, 19.6, 0.0, (19.6, 19.6), 0, 0)
    assert one.verdict == (
        "1 image that neither network learned from: median error 0.00 px of the present "
        "network, 19.60 px of the new one; at least 6 images are needed to say which is "
        "better"
    )
