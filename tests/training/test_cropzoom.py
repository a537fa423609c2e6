import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.decoders.registry import decoder_from_json
from deeplabstream.pose.filters.animal_crops import AnimalCrops
from deeplabstream.pose.filters.live_crop import LiveCrop
from deeplabstream.pose.image_fitting import Fitting, zoomed
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.training.cropzoom import (
    Finder,
    boxes,
    detection,
    detector_run,
    one_row_per_animal,
    seen_by,
    usual_window,
    with_imitations,
)
from deeplabstream.training.data.animal_targets import training_decoder
from deeplabstream.training.data.dataset import Parts, load_dataset
from deeplabstream.training.data.labels import read_labels
from deeplabstream.training.evaluation.animal_matching import match, padded
from deeplabstream.training.evaluation.held_out_sets import predict_others
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.model_export import ModelMetadata, export
from deeplabstream.training.networks.pose_network import Architecture
from deeplabstream.training.training_run import Run
from utils import PredictFrames, TrainNetwork


def test_a_dot_seen_through_changing_windows_is_where_it_is() -> None:
    """300 frames, boxes of 80, 100, 120, 140 px: no frame is off by half a pixel."""
    fitting = Fitting(96, 128)
    for index in range(300):
        dot = np.array([60 + 5 * index % 520, 60 + 3.3 * index % 360], np.float32)
        image = np.zeros((480, 640, 3), np.uint8)
        centre = (round(float(dot[0]) * 16), round(float(dot[1]) * 16))
        cv2.circle(image, centre, 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        half = (40, 50, 60, 70)[index % 4]
        low = dot - np.float32(half) + np.float32(7)
        window = zoomed(low, low + np.float32(2 * half), image.shape, fitting)
        seen = np.zeros((96, 128, 3), np.uint8)
        window.place(image, seen)
        weight = seen[..., 0].astype(np.float64)
        y, x = np.mgrid[:96, :128]
        found = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        back = window.to_image(found.astype(np.float32))
        assert np.hypot(*(back - dot)) < 0.5, index
        np.testing.assert_allclose(window.to_input(back), found, atol=1e-3)


def test_boxes_hold_the_animal_and_know_when_there_is_none() -> None:
    points = np.array([[[10, 20], [50, 40]], [[np.nan] * 2] * 2], np.float32)
    low, high = boxes(points)[0]
    np.testing.assert_allclose(low, [-10, 0])
    np.testing.assert_allclose(high, [70, 60])
    assert np.isnan(boxes(points)[1]).all()


def test_points_in_windows_come_back_to_the_picture(labelled: Path) -> None:
    labels = read_labels(labelled)
    around = boxes(labels.points)
    around[0] = np.nan
    data = load_dataset(labels, Fitting(48, 64), boxes=around)
    np.testing.assert_allclose(data.in_camera_px(data.points), labels.points, atol=1e-3)
    assert data.windows[0].width == 128
    for image, points in zip(data.images, data.points, strict=True):
        x, y = points[0].round().astype(int)
        assert image[y, x, 0] < 60


@pytest.fixture(scope="module")
def cropping(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data") / "labels"
    shutil.copytree(labelled, data)
    shutil.copy(data / "CollectedData.csv", data / "CollectedData_new.csv")
    folder = tmp_path_factory.mktemp("model") / "close"
    words = ["--data", str(data / "CollectedData.csv"), "--output", str(folder)]
    words += ["--backbone", "unet", "--no-imagenet", "--channels", "8", "--quiet"]
    words += ["--size", "64x48", "--steps", "2", "--batch", "2", "--cropzoom"]
    assert TrainNetwork.main(words) == 0
    return folder


def test_one_command_makes_one_model_of_two_networks(
    cropping: Path, labelled: Path
) -> None:
    estimator = open_estimator(cropping, "cpu")
    assert isinstance(estimator, LiveCrop)
    assert "live crop by" in estimator.provider
    assert (cropping / "detector" / "predictions.csv").is_file()
    picture = cv2.imread(str(labelled / "clip0" / "img00.png"))
    assert picture is not None
    (pose,) = estimator.estimate([np.asarray(picture, np.uint8)])
    assert pose.points.shape == (1, 2, 2)
    finder = Finder(cropping / "detector")
    box = finder([np.asarray(picture, np.uint8)])
    assert box is None or box.shape == (2, 2)


class Dots(nn.Module):
    """Maps of a dark and a bright dot on grey, each with one peak, at the dot.

    Maps of a network after a few steps are almost level: two cells differ in their last
    bits, and another processor finds the other one. Here a blurred disc is its own map:
    all other cells are lower by far more than any rounding.
    """

    def __init__(self) -> None:
        super().__init__()
        self.how = Architecture()
        x = torch.arange(-15.5, 16)
        blur = torch.exp(-(x**2) / (2 * 5.0**2))
        self.blur = torch.outer(blur, blur)[None, None]

    def maps(self, images: Tensor) -> Tensor:
        """Return maps (n, 2, h / 4, w / 4) of images (n, h, w, 3)."""
        grey = images.float().mean(dim=3)[:, None]
        # The black around a window (0) and the grey of the pictures (120) count nothing.
        like = [torch.relu(1 - (grey - level).abs() / 9) for level in (10, 245)]
        found = [nn.functional.conv2d(own, self.blur, None, 4, 14) for own in like]
        return (torch.cat(found, dim=1) / 160).clamp(0, 1)


def test_pictures_set_apart_are_predicted_through_windows_too(
    cropping: Path, labelled: Path, tmp_path: Path
) -> None:
    with (cropping / "predictions_new.csv").open(newline="") as lines:
        assert len(list(csv.reader(lines))) == 11
    assert (cropping / "predictions_new_pixel_error.csv").is_file()

    model, data = tmp_path / "model", tmp_path / "labels"
    shutil.copytree(cropping, model)
    for folder in (model / "detector", model):
        trained = load_model_folder(folder)
        metadata = ModelMetadata(
            trained.skeleton, trained.fitting, trained.decoder, 0.1, {}
        )
        export(Dots(), metadata, np.zeros((1, 48, 64, 3), np.uint8), folder)  # type: ignore[arg-type]
    shutil.copytree(labelled, data)
    shutil.copy(data / "CollectedData.csv", data / "CollectedData_new.csv")
    labels = read_labels(data / "CollectedData.csv")
    (written,) = predict_others(labels, model)
    words = ["--model", str(model), "--output", str(tmp_path), "--device", "cpu"]
    assert PredictFrames.main([*words, str(labels.file)]) == 0
    there = points_of(written)
    here = points_of(tmp_path / "CollectedData.csv" / "predictions.csv")
    np.testing.assert_allclose(here, there, atol=0.01)
    away = np.linalg.norm(there[..., :2] - labels.points, axis=2)
    assert away.max() < 1
    assert there[..., 2].max() > 0.5  # in whole pictures, where dots are small, 0.13


def test_each_labelled_animal_is_a_row_with_a_window_of_its_own(pairs: Path) -> None:
    labels = read_labels(pairs, several=True)
    labels.points[3, :2] = np.nan
    labels.points[4, 3] = np.nan  # one part is no window
    images, single = one_row_per_animal(labels)
    assert images == [0, 0, 1, 1, 2, 2, 3, 4, *[n for n in range(5, 16) for _ in "ab"]]
    assert single.animals == 1
    np.testing.assert_array_equal(single.points[6], labels.points[3, 2:])
    data = load_dataset(single, Fitting(48, 64), boxes=boxes(single.points))
    np.testing.assert_allclose(data.in_camera_px(data.points), single.points, atol=1e-3)
    assert all(window.width < 96 for window in data.windows)


def test_an_imitated_detection_has_some_points_of_the_animal_and_few_of_others() -> (
    None
):
    rng = np.random.default_rng(0)
    own = np.stack([np.arange(0, 60, 10), np.zeros(6)], axis=1).astype(np.float32)
    own[2] = np.nan
    beside = own[None] + np.float32([0, 30])
    far = own[None] + np.float32([0, 300])
    counts, below = [], []
    for _ in range(200):
        points = detection(own, np.concatenate([beside, far]), rng)
        low = points[:, 1] > 15
        assert not (points[:, 1] > 100).any(), "none of an animal far away"
        assert low.sum() < max(2, (~low).sum()), "more of the labelled one"
        counts.append(int((~low).sum()))
        below.append(bool(low.any()))
    assert set(counts) == {1, 2, 3, 4, 5}
    assert 0.1 < np.mean(below) < 0.3
    alone = detection(own, np.empty((0, 6, 2), np.float32), rng)
    assert np.abs(alone[:, 1]).max() < 15, "inexact by a few percent of 50 px"


def test_a_window_of_few_body_parts_shows_the_whole_animal(pairs: Path) -> None:
    labels = read_labels(pairs, several=True)
    _, single = one_row_per_animal(labels)
    fitting = Fitting(48, 64, window=usual_window(single))
    assert fitting.window == pytest.approx(2 * 26 / 96, abs=0.01)
    for points in single.points:
        for part in points:
            window = zoomed(*boxes(part[None, None])[0], (64, 96, 3), fitting)
            assert window.shows(part + 0.97 * (points - part)).all()
    small = zoomed(*boxes(single.points[:1, :1])[0], (64, 96, 3), Fitting(48, 64))
    assert not small.shows(single.points[0]).all()


def test_images_to_train_on_have_several_windows_and_the_others_one(
    pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, single = one_row_per_animal(read_labels(pairs, several=True))
    again, rows, boxed = with_imitations(images, single, [0, 2], Fitting(48, 64), 0)
    assert again == [*[0] * 8, 1, 1, *[2] * 8, *images[6:]]
    own = boxes(rows.points)
    np.testing.assert_array_equal(boxed[[0, 4]], own[[0, 4]])
    assert (np.abs(boxed[1:4] - own[1:4]).max(axis=(1, 2)) > 0).all()
    np.testing.assert_array_equal(boxed[18:], own[18:])
    monkeypatch.setattr("deeplabstream.training.cropzoom.MOST_MEMORY", 1)
    again, _, _ = with_imitations(images, single, [0, 2], Fitting(48, 64), 0)
    assert again == images


def test_one_command_makes_a_model_of_several_animals(
    pairs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    words = ["--data", str(pairs), "--output", str(folder), "--animals", "3"]
    words += ["--backbone", "unet", "--no-imagenet", "--channels", "8", "--quiet"]
    words += ["--size", "64x48", "--steps", "2", "--batch", "2", "--cropzoom"]
    assert TrainNetwork.main(words) == 0
    estimator = open_estimator(folder, "cpu")
    assert isinstance(estimator, AnimalCrops)
    assert estimator.animals == 3
    assert load_model_folder(folder).animals == 1
    assert load_model_folder(folder).fitting.window > 0.3
    assert load_model_folder(folder / "detector").confidence is None or (
        load_model_folder(folder / "detector").confidence.within_px > 5
    )
    detector = load_model_folder(folder / "detector")
    assert detector.animals == 3
    assert detector.skeleton == Skeleton(("centre",))
    assert load_model_folder(folder).about["held_out_animals"]["animals"] > 1
    with (folder / "predictions.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[1][0] == "individuals"
    assert len(rows) == 4 + 16, "one row per image"
    picture = cv2.imread(str(pairs / "img00.png"))
    (pose,) = estimator.estimate([np.asarray(picture, np.uint8)])
    assert pose.points.shape == (3, 2, 2)

    again = tmp_path / "again"
    words = ["--data", str(pairs), "--output", str(again), "--cropzoom", "--quiet"]
    words += ["--start-from", str(folder), "--size", "64x48", "--steps", "1"]
    assert TrainNetwork.main([*words, "--batch", "2"]) == 0
    about = load_model_folder(again).about["started_from"]
    assert (about["head"], about["bodyparts"]) == (True, ["nose", "rump"])
    for name in ("", "detector"):
        config = yaml.safe_load((again / name / "config.yaml").read_text("utf-8"))
        assert Path(config["model"]["checkpoint"]) == folder / name
        assert load_model_folder(again / name).about["settings"]["network"][
            "backbone"
        ] == "unet"  # fmt: skip


def test_windows_around_found_animals_are_matched_to_labelled_ones(
    pairs: Path, tmp_path: Path
) -> None:
    labels = padded(read_labels(pairs, several=True), 3)
    images, single = one_row_per_animal(labels)
    truth = labels.points.reshape(16, 3, 2, 2)[:, [2, 1, 0]]
    truth[0, 1] += 60  # this one is elsewhere
    seen = seen_by(_Finds(truth), labels, images, single.points, range(4))
    assert np.isnan(seen[1]).all()
    np.testing.assert_array_equal(seen[[0, 2, 3]], single.points[[0, 2, 3]])
    finds = _Finds(truth.mean(axis=2, keepdims=True))
    finds.skeleton = Skeleton(("centre",))
    seen = seen_by(finds, labels, images, single.points, range(4))
    assert np.isnan(seen[1]).all()
    for row in (0, 2, 3):
        np.testing.assert_allclose(seen[row], single.points[[row, row]].mean(axis=1))


def test_a_detector_of_several_animals_finds_their_centres(pairs: Path) -> None:
    labels = read_labels(pairs, several=True)
    labels.points[2, 3] = np.nan  # one part of the second animal: it has no centre
    data = load_dataset(labels, Fitting(64, 96))
    network = Architecture("unet", channels=8, edges=((0, 1),))
    run = Run(labels, data, Parts((0,), (1,)), FitSettings(network=network))
    detects = detector_run(run)
    assert detects.near_px == pytest.approx(26 / 4, abs=0.1)
    truth = detects.labels.points[:, :, None]
    middles = labels.points[0].reshape(2, 2, 2).mean(axis=1)
    np.testing.assert_allclose(truth[0, :, 0], middles)
    assert np.isnan(truth[2, 1]).all()
    decoder = training_decoder(detects.data, detects.settings.network)
    sections = decoder.to_json(["centre"])
    assert decoder_from_json(sections, ["centre"]).to_json(["centre"]) == sections
    points, sure = decoder.decode(decoder.encode(truth, 64, 96))
    ordered = match(points, sure, truth, 0.5, detects.near_px)
    counted = ordered.counted
    assert (counted.labelled.sum(), counted.recall, counted.precision) == (31, 1, 1)
    assert np.nanmax(ordered.distance) < 0.5


class _Finds:
    """A detector that finds the given animals, image by image."""

    skeleton, threshold = Skeleton(("nose", "rump")), 0.5
    provider = sha256 = ""

    def __init__(self, points: np.ndarray) -> None:
        self.points = list(points)

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        some, self.points = self.points[: len(images)], self.points[len(images) :]
        sure = np.isfinite(np.array(some)).all(axis=-1).astype(np.float32)
        return [
            Pose(self.skeleton, own, one) for own, one in zip(some, sure, strict=True)
        ]


def points_of(table: Path) -> np.ndarray:
    """Return (picture, body part, 3): x, y, confidence."""
    with table.open(encoding="utf-8", newline="") as lines:
        rows = [row[1:] for row in list(csv.reader(lines))[3:]]
    return np.array(rows, float).reshape(len(rows), -1, 3)
