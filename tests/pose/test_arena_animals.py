"""The shipped network for several drawn animals, which learned from pictures alone."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from deeplabstream.pose.per_camera import PerCamera
from deeplabstream.pose.runtimes.runtime_comparison import compare, images_of, outputs
from deeplabstream.pose.runtimes.runtime_list import load_network
from deeplabstream.pose.runtimes.runtime_selection import measure
from deeplabstream.pose.tracking.pose_matching import (
    distances,
    match_animals,
    nearest_px,
)
from deeplabstream.simulation.arena import Arena
from utils import CheckAnimals

MODEL = MODELS / "arena_animals"


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return load_model_folder(MODEL)


@pytest.fixture(scope="module")
def estimator() -> PoseEstimator:
    return open_estimator(MODEL, "cpu", 1)


def drawn(animals: int, seed: int, alike: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of animals that are apart, and where they are."""
    arena = Arena((480, 640, 3), seed, shelter=False, animals=animals, alike=alike)
    times = np.linspace(0, arena.lap_s, 40)
    time_s = max(times.tolist(), key=lambda s: nearest_px(arena.truth(s)))
    image = np.empty((480, 640, 3), np.uint8)
    arena.draw(image, time_s)
    return image, arena.truth(time_s)


@pytest.mark.parametrize(
    ("animals", "alike"), [(1, True), (2, True), (3, False), (4, True), (4, False)]
)
def test_animals_that_are_apart_are_all_found(
    estimator: PoseEstimator, animals: int, alike: bool
) -> None:
    for seed in (9001, 9002):
        image, truth = drawn(animals, seed, alike)
        (pose,) = estimator.estimate([image])
        assert pose.points.shape == (4, 4, 2)
        seen = pose.seen(estimator.threshold).points
        there = np.isfinite(seen).any(axis=(1, 2))
        assert there.sum() == animals
        away = distances(seen[there], truth).min(axis=0)
        assert away.max() < 10  # a mouse is 97 px long


def test_nobody_is_nobody(estimator: PoseEstimator) -> None:
    image = Arena((480, 640, 3), 3).background
    (pose,) = estimator.estimate([image])
    assert not (pose.confidence >= estimator.threshold).any()


def test_a_batch_of_sizes_and_colours_is_the_same_as_one_by_one(
    estimator: PoseEstimator,
) -> None:
    colour, _ = drawn(3, 9004, True)
    other, _ = drawn(2, 9005, True)
    images = [colour, np.ascontiguousarray(other[::2, ::2]), colour[..., 1].copy()]
    together = estimator.estimate(images, ["a", "b", "c"])
    for image, pose in zip(images, together, strict=True):
        (alone,) = estimator.estimate([image])
        order = match_animals(alone.points, pose.points)
        np.testing.assert_allclose(pose.points[order], alone.points, atol=0.1)


@pytest.mark.parametrize("runtime", ["openvino"])
def test_every_runtime_gives_the_same_animals(model: ModelFolder, runtime: str) -> None:
    pictures, own = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures)
    assert reference.shape[1:] in model.output_shapes
    network = load_network(model, runtime, 1)  # type: ignore[arg-type]
    far = compare(model, reference, outputs(network, pictures))
    assert own
    assert far.points > 40
    assert far.max_px < 0.02
    assert far.seen_otherwise == 0


def test_fields_that_are_wrong_are_noticed_by_the_comparison(
    model: ModelFolder,
) -> None:
    pictures, own = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures)
    broken = reference.copy()
    broken[:, 4:] *= -1
    assert not compare(model, reference, broken).within(1.0, own)
    moved = compare(model, reference, np.roll(reference, 1, axis=3))
    assert moved.median_px == pytest.approx(4, abs=0.2)


def test_an_order_that_differs_is_no_difference(
    model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, _ = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures)
    plain = PafGrouper.group
    calls = iter(range(10**6))

    def turned(self: PafGrouper, *given: object) -> tuple[np.ndarray, np.ndarray]:
        points, sure = plain(self, *given)  # type: ignore[arg-type]
        step = -1 if next(calls) % 2 else 1
        return points[::step], sure[::step]

    monkeypatch.setattr(PafGrouper, "group", turned)
    far = compare(model, reference, reference)
    assert far.max_px == 0
    assert far.seen_otherwise == 0


def test_runtimes_are_measured_and_compared(model: ModelFolder) -> None:
    rows = measure(model, ("cpu", "openvino"), 1, 0.02, seconds=0.05)
    assert [row.accepted for row in rows] == [True, True]


def test_cameras_may_share_it(estimator: PoseEstimator) -> None:
    image, _ = drawn(2, 9006, True)
    both = PerCamera(estimator, {"side": estimator})
    poses = both.estimate([image, image], ["top", "side"])
    np.testing.assert_allclose(poses[0].points, poses[1].points, atol=1e-3)


def test_the_program_that_checks_it_prints_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    words = [
        "--animals",
        "2",
        "--frames",
        "4",
        "--threads",
        "1",
        "--sheet",
        str(sheet),
    ]
    assert CheckAnimals.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["2", "no", "4"]
    assert sheet.stat().st_size > 10_000
    words = ["--model", "arena", "--animals", "2", "--frames", "1"]
    assert CheckAnimals.main(words) == 2
    assert "finds 1 animals, not 2" in capsys.readouterr().err
