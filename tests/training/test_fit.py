import ctypes
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.runtimes.onnx_runtime import open_onnx
from deeplabstream.training import training_run
from deeplabstream.training.callbacks import StepProgress
from deeplabstream.training.data.animal_targets import training_decoder
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.dataset import Dataset, Parts, load_dataset
from deeplabstream.training.data.labels import read_labels
from deeplabstream.training.evaluation import confidence_fit
from deeplabstream.training.evaluation.evaluate import (
    choose_threshold,
    held_out_error,
    summary,
)
from deeplabstream.training.fit import fit
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.model_export import ModelMetadata, compare, export
from deeplabstream.training.networks.pose_network import (
    Architecture,
    PoseNetwork,
    build_network,
)
from deeplabstream.training.networks.regression import RegressionNetwork

SETTINGS = FitSettings(
    steps=16,
    batch=8,
    network=Architecture(stages=4, channels=8),
    learning_rate=1.2e-2,
    augmentation=Augmentation(rotation_deg=0, scale=(1, 1), mirror=False, light=0),
)


@pytest.fixture(scope="module")
def data(labelled: Path) -> Dataset:
    return load_dataset(read_labels(labelled), Fitting(96, 128))


def decoder_of(data: Dataset) -> Decoder:
    return training_decoder(data, SETTINGS.network)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> tuple[PoseNetwork, list[StepProgress]]:
    epochs: list[StepProgress] = []
    return fit(data, SETTINGS, epochs.append), epochs


def test_training_finds_the_dots(
    data: Dataset, trained: tuple[PoseNetwork, list[StepProgress]]
) -> None:
    network, epochs = trained
    assert [progress.step for progress in epochs] == list(range(1, 17))
    assert epochs[-1].loss < epochs[0].loss
    told = held_out_error(network, data, decoder_of(data))
    distance, confidence = told.distance, told.confidence
    assert np.median(distance) < 3
    errors = summary(data.skeleton, distance, confidence, 0.0)
    assert [error.bodypart for error in errors] == ["leftear", "rightear"]
    assert all(error.images == 8 and error.below_threshold == 0 for error in errors)


def test_a_seed_decides_everything(data: Dataset) -> None:
    short = replace(SETTINGS, steps=2, batch=2)
    runs: list[list[StepProgress]] = [[], [], []]
    for run, settings in zip(runs, [short, short, replace(short, seed=1)], strict=True):
        fit(data, settings, run.append)
    losses = [[progress.loss for progress in run] for run in runs]
    assert losses[0] == losses[1]
    assert abs(losses[0][1] - losses[2][1]) > 1e-3


def test_an_exported_network_says_what_torch_says(
    data: Dataset, trained: tuple[PoseNetwork, list[StepProgress]], tmp_path: Path
) -> None:
    network, _ = trained
    metadata = ModelMetadata(
        data.skeleton, data.fitting, decoder_of(data), 0.1, {"steps": 40}
    )
    model = export(network, metadata, data.images, tmp_path / "model")
    assert model.skeleton == data.skeleton
    assert compare(network, model, data.images) < 0.05
    images: list[Image] = list(data.images)
    poses = open_onnx(model, "cpu", 1).estimate(images)
    points = np.stack([pose.points[0] for pose in poses])
    distance = held_out_error(network, data, decoder_of(data)).distance
    np.testing.assert_allclose(
        np.linalg.norm(points - data.points, axis=2), distance, atol=0.1
    )


def test_a_regression_network_is_exported_with_maps(
    data: Dataset, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = build_network(2, Architecture(kind="regression", stages=4)).eval()
    assert isinstance(network, RegressionNetwork)
    metadata = ModelMetadata(data.skeleton, data.fitting, decoder_of(data), 0.1, {})
    model = export(network, metadata, data.images, tmp_path)
    (pose,) = open_onnx(model, "cpu", 1).estimate([data.images[0]])
    with torch.inference_mode():
        x, y, _ = network(torch.from_numpy(data.images[:1]))[0, 0].tolist()
        uneven = torch.rand(2, 3, 6, 15)  # the parts divide neither side
        wanted = torch.nn.functional.adaptive_avg_pool2d(uneven, (4, 4))
        torch.testing.assert_close(network.coordinates[0](uneven), wanted)
    np.testing.assert_allclose(
        pose.points[0, 0], [x * 128 - 0.5, y * 96 - 0.5], atol=0.2
    )


def test_what_can_not_be_exported_is_told_in_a_sentence(
    data: Dataset, tmp_path: Path
) -> None:
    network = build_network(2, Architecture(kind="regression", stages=4)).eval()
    assert isinstance(network, RegressionNetwork)
    network.coordinates[0] = torch.nn.AdaptiveAvgPool2d((5, 7))
    network.coordinates[2] = torch.nn.Linear(35 * 80, 6)
    metadata = ModelMetadata(data.skeleton, data.fitting, decoder_of(data), 0.1, {})
    with pytest.raises(ModelError, match="can't be written as"):
        export(network, metadata, data.images, tmp_path)


def test_a_network_that_differs_is_refused(
    data: Dataset, trained: tuple[PoseNetwork, list[StepProgress]], tmp_path: Path
) -> None:
    network, _ = trained
    metadata = ModelMetadata(data.skeleton, data.fitting, decoder_of(data), 0.0, {})
    model = export(network, metadata, data.images, tmp_path)
    torch.manual_seed(1)
    with pytest.raises(ModelError, match="differs from the trained one"):
        compare(PoseNetwork(2, SETTINGS.network).eval(), model, data.images)


def test_nothing_is_chosen_on_test_images_where_others_are_enough(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "ENOUGH", 4)
    monkeypatch.setattr(confidence_fit, "ENOUGH", 4)
    labels = read_labels(labelled)
    parts = Parts((0, 1, 2, 3), (4, 5), (6, 7))
    results, models = [], []
    for name, away in (("right", 0), ("wrong", 40)):
        own = replace(labels, points=labels.points.copy())
        own.points[list(parts.test)] += away
        data = load_dataset(own, Fitting(48, 64))
        run = training_run.Run(own, data, parts, SETTINGS)
        (tmp_path / name).mkdir()
        results.append(
            training_run.run_training(run, tmp_path / name, lambda epoch: None)
        )
        model = json.loads((tmp_path / name / "model.json").read_text("utf-8"))
        about = model.pop("about")
        models.append((model, about["calibration_error"]))
    assert results[0].errors != results[1].errors
    assert models[0] == models[1]
    assert run.decisive() == [4, 5]
    monkeypatch.setattr(training_run, "ENOUGH", 5)
    assert run.decisive() == [4, 5, 6, 7]


def test_figures_of_a_context_network_are_those_of_the_network_beside_them(
    labelled: Path, tmp_path: Path
) -> None:
    labels, parts = read_labels(labelled), Parts((0, 1, 2, 3), (4, 5, 6, 7))
    how = Architecture(kind="context", stages=4, channels=8)
    settings = replace(SETTINGS, steps=8, batch=4, network=how, learning_rate=2e-2)
    data = load_dataset(labels, Fitting(48, 64), context=True)
    run = training_run.Run(labels, data, parts, settings)
    training_run.run_training(run, tmp_path, lambda epoch: None)
    network = build_network(2, how).eval()
    network.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    medians = []
    for folder, own in (
        (tmp_path, replace(data, context=None)),
        (tmp_path / "context", data),
    ):
        away = held_out_error(network, own, decoder_of(data)).distance[4:]
        about = load_model_folder(folder).about
        told = [error["median_px"] for error in about["held_out_error"]]
        np.testing.assert_allclose(told, np.median(away, axis=0), atol=1e-3)
        lines = (folder / "predictions_pixel_error.csv").read_text().splitlines()[5:]
        table = [[float(cell) for cell in line.split(",")[1:3]] for line in lines]
        np.testing.assert_allclose(table, away, rtol=1e-3)
        assert (folder / "reliability.csv").is_file()
        medians.append(told)
    assert medians[0] != medians[1]


def test_a_device_that_is_not_there_is_refused(data: Dataset) -> None:
    with pytest.raises(ModelError, match="torch has no device 'nonsense'"):
        fit(data, replace(SETTINGS, device="nonsense"), lambda epoch: None)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_handler_of_ended_processes_is_kept(data: Dataset) -> None:
    """Qt installs one in C, of which Python does not know."""

    def is_caught() -> bool:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        caught = next(line for line in lines if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)

    libc = ctypes.CDLL(None)
    libc.signal.argtypes = ctypes.c_int, ctypes.c_void_p
    libc.signal.restype = ctypes.c_void_p
    before = libc.signal(signal.SIGCHLD, ctypes.cast(libc.abs, ctypes.c_void_p))
    try:
        fit(data, replace(SETTINGS, steps=1), lambda epoch: None)
        assert is_caught()
    finally:
        libc.signal(signal.SIGCHLD, before)


def test_training_that_diverges_says_so(data: Dataset) -> None:
    wild = replace(SETTINGS, learning_rate=1e30, steps=3, batch=2)
    with pytest.raises(ModelError, match="training diverged at step 2"):
        fit(data, wild, lambda epoch: None)


def test_the_threshold_lies_below_what_is_there_and_above_what_is_not() -> None:
    distance = np.array([[1, 2], [3, np.nan]], np.float32)
    assert choose_threshold(distance, np.array([[0.9, 0.8], [0.9, 0.1]])) == 0.4
    assert choose_threshold(distance, np.array([[0.9, 0.7], [0.9, 0.5]])) == 0.6
    assert choose_threshold(distance[1:, 1:], np.array([[0.3]])) == 0.5


def test_a_threshold_does_not_hide_most_of_what_is_there() -> None:
    """Five absent parts are as sure as many of a hundred labelled ones."""
    sure = np.linspace(0.05, 0.95, 105)[None]
    distance = np.ones((1, 105), np.float32)
    distance[0, -5:] = np.nan
    assert choose_threshold(distance, sure) == 0.1
    sure[0, -5:] = 0.305  # fewer labelled ones are below that
    sure[0, :100] = np.linspace(0.29, 0.95, 100)
    assert choose_threshold(distance, sure) == 0.31


def test_without_a_label_there_is_no_error(data: Dataset) -> None:
    distance = np.full((3, 2), np.nan, np.float32)
    errors = summary(data.skeleton, distance, np.ones((3, 2), np.float32), 0.5)
    assert all(error.images == 0 and np.isnan(error.median_px) for error in errors)
