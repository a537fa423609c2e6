"""Imported networks see frames as the other program prepares them, and whole heat maps.

`lightning_pose_points` is written after Lightning Pose 2.4.3, not after our importer:
`api/model.py` (`predict_frame`: INTER_LINEAR to `image_resize_dims`, ImageNet's mean and
standard deviation), `models/heads/heatmap.py` (`run_subpixelmaxima`, `upsample`) and
`data/bboxes.py` (`model_to_frame`: divided by the model's sides, times the frame's).
"""

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from deeplabstream.core.errors import ModelError
from deeplabstream.engine.checks.settings_check import settings_problems
from deeplabstream.pose.decoders.heatmaps import LINEAR_TO, Heatmaps, confidence_of
from deeplabstream.pose.filters.live_crop import LiveCrop
from deeplabstream.pose.importers.network_description import (
    NetworkDescription,
    read_description,
)
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.importers.reference_points import Reference
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import outdated
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.runtime_list import load_network
from tests.offline.films import write_film
from tests.pose.importers.described_networks import identity
from utils.ImportModel import main
from utils.PredictVideos import main as predict_videos

MEAN, STD = (np.array(v) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
SIDE = 128
SIZES = [(640, 480), (396, 406), (128, 128), (300, 500)]


class Tracker(nn.Module):
    """Maps of 32 × 32, each a softmax, highest where red, green or blue is brightest."""

    def __init__(self) -> None:
        super().__init__()
        x = torch.arange(9.0) - 4
        bell = torch.exp(-(x**2) / (2 * 1.5**2))
        kernel = torch.outer(bell, bell)[None, None] / bell.sum() ** 2
        self.register_buffer("kernel", kernel.repeat(3, 1, 1, 1))
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(
                name, torch.tensor(values, dtype=torch.float32)[:, None, None]
            )
        torch.manual_seed(0)
        self.gain = 0.64 + 0.06 * torch.rand(3, 1, 1)  # Gaussians of 1.25 cells then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 3, 32, 32); each map sums up to 1."""
        light = x * self.std + self.mean
        smooth = functional.conv2d(light, self.kernel, padding=4, groups=3)
        # cell c is pixel 4 c, as Lightning Pose draws its targets
        cells = smooth[:, :, ::4, ::4].clamp(min=1e-4).log() * self.gain
        return cells.flatten(2).softmax(2).view_as(cells)


def lightning_pose_points(tracker: nn.Module, frame: np.ndarray) -> np.ndarray:
    """Return where Lightning Pose would say that the body parts are in a frame (BGR)."""
    resized = cv2.resize(frame[..., ::-1], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    x = ((resized.astype(np.float32) / 255 - MEAN) / STD).astype(np.float32)
    with torch.no_grad():
        maps = tracker(torch.from_numpy(x.transpose(2, 0, 1).copy())[None])
    row = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    kernel = torch.outer(row, row)[None, None].repeat(3, 1, 1, 1)
    for _ in range(2):
        maps = functional.interpolate(
            maps, scale_factor=2, mode="bicubic", align_corners=False
        )
        maps = functional.conv2d(maps, kernel, padding=2, groups=3)
    sharp = (maps[0].flatten(1) * 1000).softmax(1).view_as(maps[0])
    ticks = torch.arange(float(SIDE))
    x_y = torch.stack([(sharp.sum(1) * ticks).sum(1), (sharp.sum(2) * ticks).sum(1)], 1)
    high, wide = frame.shape[:2]
    return np.asarray((x_y - 1.5).numpy() / SIDE * [wide, high], np.float32)


def dotted(width: int, height: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame with a red, a green and a blue dot, and where they are."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(
        [0.15 * width, 0.15 * height], [0.85 * width, 0.85 * height], (3, 2)
    )
    return drawn(width, height, at), at


def drawn(width: int, height: int, at: np.ndarray) -> np.ndarray:
    """Return a frame with a red, a green and a blue dot there."""
    y, x = np.mgrid[:height, :width]
    frame = np.zeros((height, width, 3))
    for part, (left, top) in enumerate(at):
        away = ((x - left) / (0.03 * width)) ** 2 + ((y - top) / (0.03 * height)) ** 2
        frame[..., 2 - part] = 255 * np.exp(-away / 2)
    return frame.astype(np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what from_lightning_pose.py writes, of a tiny network."""
    folder, tracker = tmp_path_factory.mktemp("lp") / "exported", Tracker()
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tracker, (torch.zeros(1, 3, SIDE, SIDE),), str(folder / "network.onnx"),
            opset_version=17, input_names=["picture"], output_names=["out"],
            dynamic_axes={"picture": {0: "n"}, "out": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    how = {"fit": "stretch", "sampling": "linear", "align": "corner"}
    maps = {
        "output": "out",
        "values": "mass",
        "stride": 4,
        "sigma": 1.25,
        "origin": 0.0,
    }
    words = {
        "bodyparts": ["a", "b", "c"],
        "input": {
            "width": SIDE, "height": SIDE, "mean": (MEAN * 255).tolist(),
            "std": (STD * 255).tolist(), **how,
        },
        "heatmaps": maps,
        "source": "Lightning Pose, heatmap, tiny",
    }  # fmt: skip
    (folder / "description.json").write_text(json.dumps(words), "utf-8")
    frames = [dotted(*SIZES[n % 4], n)[0] for n in range(12)]
    points = np.stack([lightning_pose_points(tracker, frame) for frame in frames])
    np.savez(
        folder / "reference.npz", points=points, confidences=np.ones((12, 3)),
        **{f"frame{n}": frame for n, frame in enumerate(frames)},
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def stretched(exported: Path) -> Path:
    """Return the model folder of it."""
    out = exported.with_name("model")
    assert main([str(exported), "--output", str(out)]) == 0
    return out


def test_frames_of_640x480_are_stretched_to_128x128_as_lightning_pose_does(
    stretched: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model_folder(stretched)
    estimator = NetworkEstimator(model, load_network(model, "cpu", 1))
    for seed, size in enumerate(SIZES, 100):
        frame, truth = dotted(*size, seed)
        (pose,) = estimator.estimate([frame])
        theirs = lightning_pose_points(Tracker(), frame)
        pixel = max(size) / SIDE  # of the network's input, in the frame's
        np.testing.assert_allclose(pose.points[0], theirs, atol=0.25 * pixel)
        np.testing.assert_allclose(pose.points[0], truth, atol=pixel)
    assert main([str(exported), "--output", str(tmp_path / "again")]) == 0
    told = capsys.readouterr().out
    assert "36 points compared with the original program" in told
    assert "frames of 640x480: median" in told
    assert "(limit 2.5 px)" not in told.split("frames of 396x406")[1].split("\n")[0]


def test_letterboxed_frames_where_the_original_stretches_are_not_imported(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    said = json.loads((tmp_path / "description.json").read_text("utf-8"))
    for key in ("fit", "sampling", "align"):
        del said["input"][key]
    (tmp_path / "description.json").write_text(json.dumps(said), "utf-8")
    words = ["--output", str(tmp_path / "m"), "--tolerance", "0.2"]
    assert main([str(tmp_path), *words]) == 2
    told = capsys.readouterr().err
    assert "from where the original finds" in told
    assert "px are allowed (0.2 px of its input" in told
    assert main([str(exported), *words]) == 0  # stretched, it is well within


def test_a_live_crop_of_a_stretched_frame_sees_the_same_points(stretched: Path) -> None:
    model = load_model_folder(stretched)
    crop = LiveCrop(NetworkEstimator(model, load_network(model, "cpu", 1)))
    frame = drawn(640, 480, np.array([(300, 200), (350, 215), (325, 260)]))
    (first,) = crop.estimate([frame], ["top"])
    (then,) = crop.estimate([frame], ["top"])
    assert crop.windows["top"].width < 640
    assert (
        crop.windows["top"].width != crop.windows["top"].height
    )  # 5 and 3.75 px a pixel
    np.testing.assert_allclose(then.points, first.points, atol=2)


def test_how_frames_are_prepared_and_scores_mapped_stands_in_model_json(
    stretched: Path,
) -> None:
    said = json.loads((stretched / "model.json").read_text("utf-8"))
    assert {key: said["input"][key] for key in ("fit", "sampling", "align")} == {
        "fit": "stretch", "sampling": "linear", "align": "corner",
    }  # fmt: skip
    assert said["heatmaps"]["linear_to"] == LINEAR_TO
    assert said["imported"] == 2
    assert (stretched / "reference.npz").is_file()


def test_the_highest_peak_is_found_among_several_above_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: dict[str, Any] = {
        "bodyparts": ["a", "b", "c"],
        "input": {"width": 64, "height": 64, "colour": "BGR"},
        "heatmaps": {"values": "scores", "stride": 4, "sigma": 1.0, "origin": 0},
    }
    (tmp_path / "it.json").write_text(json.dumps(words), "utf-8")
    file, out = identity(tmp_path / "it.onnx"), tmp_path / "m"
    say = ["--description", str(tmp_path / "it.json"), "--output", str(out)]
    assert main([str(file), *say]) == 0
    assert "NOT compared with the program" in capsys.readouterr().out
    model = load_model_folder(out)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[8, 8], frame[48, 40] = 100, (221, 150, 110)  # 1.18; 2.6, 1.76, 1.29
    estimator = NetworkEstimator(model, load_network(model, "cpu", 1))
    (pose,) = estimator.estimate([frame])
    np.testing.assert_allclose(pose.points[0], [[40, 48]] * 3, atol=2)
    expected = confidence_of(np.array([221, 150, 110]) / 255 * 3, LINEAR_TO)
    np.testing.assert_allclose(pose.confidence[0], expected, atol=1e-5)
    assert 1 > pose.confidence[0, 0] > pose.confidence[0, 1] > pose.confidence[0, 2]


@pytest.mark.parametrize(
    ("second", "theirs", "sentence"),
    [
        (198, (40, 48), ""),
        (198, (24, 28), ""),  # the mean of both, as Lightning Pose gives it
        (198, (24, 44), "a in frame 1 (64x64) is 39 px from where the original finds"),
        (180, (40, 48), "a in frame 1 (64x64) is 51 px from where the original finds"),
    ],
)
def test_a_far_point_is_accepted_where_its_map_has_tied_peaks(
    tmp_path: Path, second: int, theirs: tuple[int, int], sentence: str
) -> None:
    words = {
        "bodyparts": ["a", "b", "c"],
        "input": {"width": 64, "height": 64, "colour": "BGR"},
        "heatmaps": {"values": "scores", "stride": 4, "sigma": 1.0, "origin": 0},
    }
    (tmp_path / "it.json").write_text(json.dumps(words), "utf-8")
    described = read_description(tmp_path / "it.json")
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[8, 8], frame[48, 40, 0] = 200, second
    points = np.full((3, 1, 3, 2), 8, np.float32)
    points[1, 0, 0] = theirs
    reference = Reference((frame,) * 3, points, np.ones((3, 1, 3), np.float32))
    file = identity(tmp_path / "it.onnx")
    if not sentence:
        model = import_onnx(file, described, tmp_path / "m", {}, reference)
        compared = model.about["compared"]
        assert isinstance(compared, dict)
        assert compared["tied"] == 1
        return
    with pytest.raises(ModelError) as refusal:
        import_onnx(file, described, tmp_path / "m", {}, reference)
    assert sentence in str(refusal.value)
    assert "no tied peak explains that; up to 0.5 px are allowed" in str(refusal.value)


def reference_of_frames(
    folder: Path, far: dict[int, float]
) -> tuple[Path, NetworkDescription, Reference]:
    """Return a network, its description, and a reference with points that are far.

    `far` are confidences of points of the original, by frame, in which the network finds
    nothing near; the other five body parts are found.
    """
    words = {
        "bodyparts": ["a", "b", "c", "d", "e", "f"],
        "input": {"width": 64, "height": 64, "colour": "BGR"},
        "heatmaps": {"values": "scores", "stride": 4, "sigma": 1.0, "origin": 0},
        "threshold": 0.6,
    }
    (folder / "it.json").write_text(json.dumps(words), "utf-8")
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[8, 8] = 200
    points = np.full((3, 1, 6, 2), 8, np.float32)
    confidences = np.ones((3, 1, 6), np.float32)
    for place, confidence in far.items():
        points[place, 0, 0] = 40, 48
        confidences[place, 0, 0] = confidence
    described = read_description(folder / "it.json")
    reference = Reference((frame,) * 3, points, confidences)
    return identity(folder / "it.onnx", 2), described, reference


def test_points_below_the_threshold_do_not_decide(tmp_path: Path) -> None:
    file, described, reference = reference_of_frames(tmp_path, {0: 0.4, 1: 0.5})
    model = import_onnx(file, described, tmp_path / "m", {}, reference)
    compared = model.about["compared"]
    assert isinstance(compared, dict)
    assert compared["points"] == 16 and "differences" not in compared
    file, described, reference = reference_of_frames(tmp_path, {0: 0.7})
    with pytest.raises(ModelError, match="a in frame 0"):
        import_onnx(file, described, tmp_path / "n", {}, reference)


def test_frames_with_few_points_do_not_decide(tmp_path: Path) -> None:
    file, described, reference = reference_of_frames(tmp_path, {1: 0.9})
    reference.points[1, 0, 3:] = np.nan
    model = import_onnx(file, described, tmp_path / "m", {}, reference)
    compared = model.about["compared"]
    assert isinstance(compared, dict) and compared["points"] == 12


def test_accepted_differences_are_noted_in_model_json(tmp_path: Path) -> None:
    file, described, reference = reference_of_frames(tmp_path, {1: 0.9})
    folder = tmp_path / "m"
    with pytest.raises(ModelError, match="--accept-differences imports it"):
        import_onnx(file, described, folder, {}, reference)
    import_onnx(file, described, folder, {}, reference, accept_differences=True)
    noted = json.loads((folder / "model.json").read_text("utf-8"))
    differences = noted["about"]["compared"]["differences"]
    assert differences["points"] == 1
    assert "a in frame 1 (64x64) is 51 px from where" in differences["named"][0]
    assert "up to 0.5 px are allowed (0.5 px of its input)" in differences["named"][0]


def test_a_reference_in_which_many_peaks_tie_is_refused(tmp_path: Path) -> None:
    words = {
        "bodyparts": ["a", "b", "c"],
        "input": {"width": 64, "height": 64, "colour": "BGR"},
        "heatmaps": {"values": "scores", "stride": 4, "sigma": 1.0, "origin": 0},
    }
    (tmp_path / "it.json").write_text(json.dumps(words), "utf-8")
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[8, 8], frame[48, 40] = 200, 199
    points = np.full((1, 1, 3, 2), 8, np.float32)
    points[0, 0, :2] = 40, 48
    reference = Reference((frame,), points, np.ones((1, 1, 3), np.float32))
    described, file = read_description(tmp_path / "it.json"), tmp_path / "it.onnx"
    with pytest.raises(ModelError, match=r"2 of 3 points are more than 0\.5 px"):
        import_onnx(identity(file), described, tmp_path / "m", {}, reference)


def test_the_higher_score_always_has_the_higher_confidence() -> None:
    scores = np.linspace(0, 20, 2001)
    sure = confidence_of(scores, LINEAR_TO)
    assert (np.diff(sure) > 0).all()
    assert sure.max() < 1
    np.testing.assert_allclose(sure[scores <= LINEAR_TO], scores[scores <= LINEAR_TO])
    maps = Heatmaps(4, 1.0, linear_to=LINEAR_TO)
    _, confidence = maps.peaks(
        2.6 * maps.gaussians(np.array([[20, 20]]), 16, 16)[0][None]
    )
    assert confidence[0] == pytest.approx(0.98, abs=0.01)


def test_a_network_imported_earlier_is_told_to_be_imported_anew(
    stretched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    said = json.loads((stretched / "model.json").read_text("utf-8"))
    assert outdated(stretched) == []
    del said["imported"]
    for key in ("fit", "sampling", "align"):
        del said["input"][key]
    (old / "model.json").write_text(json.dumps(said), "utf-8")
    (old / "network.onnx").write_bytes((stretched / "network.onnx").read_bytes())
    (sentence,) = outdated(old)
    assert "Import it again" in sentence
    settings = tmp_path / "settings.ini"
    text = Path("settings.ini").read_text("utf-8")
    lines = [
        f"MODEL = {old}" if x.startswith("MODEL =") else x for x in text.splitlines()
    ]
    settings.write_text("\n".join(lines), "utf-8")
    assert any("Import it again" in problem for problem in settings_problems(settings))
    film = write_film(tmp_path / "film.mp4", frames=3)
    assert predict_videos([str(film), "--model", str(old), "--runtime", "cpu"]) == 0
    assert f"Warning: {sentence}" in capsys.readouterr().err
