"""Damaged projects of other programs: labels, or one error that names the fault."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from deeplabstream.core import hdf5
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.training.data.labels import Labels
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.lightning_pose.project import read_pose_project
from tests.training.test_projects import CONFIG, deeplabcut, sleap

POSE_CONFIG = """data:
  image_resize_dims: {height: 128, width: 128}
  data_dir: .
  video_dir: videos
  csv_file: CollectedData.csv
  num_keypoints: 2
  keypoint_names: [snout, tail]
  columns_for_singleview_pca: [0, 1]
training:
  train_batch_size: 8
  max_epochs: 3
  optimizer_params: {learning_rate: 0.001}
model:
  losses_to_use: []
  backbone: resnet18
  model_type: heatmap
  model_name: test
"""
VALUES: list[Any] = [
    None, True, -1, 0, 10**30, 2.5, float("nan"), float("inf"), "", "x", "../..", "\x00",
    [], [[]], [None], {}, {"": None}, "2026-13-45", ["a"] * 3, {"x": {"y": [1]}}, "é" * 300,
]  # fmt: skip
TEXTS = [
    "", "-", ":", "[", "]", "{", "}", "'", '"', "!!int x", "2026-13-45", "&a", "*a", "\t",
    "\n", "? ", "| ", "!!python/object:os.system", "1e999", "~", "<<: *a", "%", "@", "\x00",
]  # fmt: skip


def damaged_text(text: str, rng: random.Random) -> str:
    """Return a text in which one to three words or characters are replaced or lost."""
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text))
        stop = start + rng.choice([0, 1, 1, 5, 20])
        text = text[:start] + rng.choice(TEXTS) + text[stop:]
        text = text or "x"
    return text


def damaged_values(held: Any, rng: random.Random) -> Any:
    """Return JSON in which one value, at any depth, is replaced, doubled or lost."""
    if isinstance(held, dict) and held and rng.random() < 0.8:
        key = rng.choice(sorted(held))
        if rng.random() < 0.15:
            return {name: value for name, value in held.items() if name != key}
        return {**held, key: damaged_values(held[key], rng)}
    if isinstance(held, list) and held and rng.random() < 0.8:
        place = rng.randrange(len(held))
        if rng.random() < 0.15:
            return held[:place] + held[place:] * 2
        return [*held[:place], damaged_values(held[place], rng), *held[place + 1 :]]
    return rng.choice(VALUES)


def is_labels_or_an_error(path: Path, unpacked: Path) -> str:
    """Open a project; return the error's text, or nothing when it is opened."""
    try:
        labels = open_project(path, unpacked, several=True).labels
    except DeepLabStreamError as error:
        assert str(error).strip()
        return str(error)
    assert isinstance(labels, Labels)
    parts = len(labels.skeleton.bodyparts)
    assert labels.points.shape == (len(labels.images), labels.animals * parts, 2)
    return ""


@pytest.fixture
def tried_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Open HDF5 files without a process of their own: these are sound as HDF5."""
    monkeypatch.setattr(hdf5, "_try", lambda *_: None)
    return


def test_a_damaged_configuration_of_deeplabcut_is_an_error(tmp_path: Path) -> None:
    folder, rng = deeplabcut(tmp_path), random.Random(1)
    errors = 0
    for _ in range(250):
        text = damaged_text(CONFIG.replace("0, 640, 0, 480", "all"), rng)
        (folder / "config.yaml").write_text(text, "utf-8", newline="")
        errors += bool(is_labels_or_an_error(folder, tmp_path))
    assert 50 < errors < 250  # some changes do no harm


def test_a_damaged_configuration_of_lightning_pose_is_an_error(tmp_path: Path) -> None:
    file, rng = tmp_path / "config.yaml", random.Random(2)
    file.write_text(POSE_CONFIG, "utf-8")
    read_pose_project(file)
    errors = 0
    for _ in range(200):
        file.write_text(damaged_text(POSE_CONFIG, rng), "utf-8", newline="")
        try:
            read_pose_project(file)
        except DeepLabStreamError as error:
            errors += bool(str(error).strip())
    assert 50 < errors < 200


@pytest.mark.usefixtures("tried_here")
def test_a_sleap_file_with_other_metadata_is_an_error(tmp_path: Path) -> None:
    file, rng = sleap(tmp_path / "a.pkg.slp", animals=2), random.Random(3)
    with h5py.File(file, "r") as content:
        words = json.loads(content["metadata"].attrs["json"])
    errors = 0
    for turn in range(200):
        with h5py.File(file, "r+") as content:
            text = json.dumps(damaged_values(words, rng))
            content["metadata"].attrs["json"] = (
                damaged_text(text, rng).replace("\x00", "") if turn % 4 == 0 else text
            )
        errors += bool(is_labels_or_an_error(file, tmp_path / "unpacked"))
    assert 50 < errors < 200


@pytest.mark.usefixtures("tried_here")
def test_a_sleap_file_with_other_tables_is_an_error(tmp_path: Path) -> None:
    rng, numbers = random.Random(4), np.random.default_rng(4)
    errors = 0
    for turn in range(150):
        file = sleap(tmp_path / f"{turn}.pkg.slp", animals=2)
        name = rng.choice(["frames", "instances", "points", "video0/frame_numbers"])
        with h5py.File(file, "r+") as content:
            table = content[name][:]
            del content[name]
            change = rng.choice(["lost", "bytes", "bytes", "shape", "kind", "cut"])
            if change == "bytes":
                raw = bytearray(table.tobytes())
                for _ in range(rng.randint(1, 8)):
                    raw[rng.randrange(len(raw))] = int(numbers.integers(256))
                content[name] = np.frombuffer(bytes(raw), table.dtype)
            elif change == "shape":
                content[name] = table.reshape(-1, 1)
            elif change == "kind":
                content[name] = np.zeros(len(table), rng.choice(["f8", "i1", "S3"]))
            elif change == "cut":
                content[name] = table[:1]
        errors += bool(is_labels_or_an_error(file, tmp_path / "unpacked"))
    assert 20 < errors < 150


@pytest.mark.parametrize("seed", range(6))
def test_a_sleap_file_with_changed_bytes_is_an_error(tmp_path: Path, seed: int) -> None:
    """Each file is tried in a process of its own, as users' files are."""
    file, rng = sleap(tmp_path / "a.pkg.slp"), random.Random(seed)
    raw = bytearray(file.read_bytes())
    for _ in range(20):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    file.write_bytes(bytes(raw[: len(raw) // 2] if seed == 0 else raw))
    is_labels_or_an_error(file, tmp_path / "unpacked")
