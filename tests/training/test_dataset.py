from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.training.data.dataset import (
    fingerprint,
    load_dataset,
    split,
    split_at_random,
)
from deeplabstream.training.data.labels import LabelsError, read_labels


def test_points_follow_their_pictures_into_the_input(labelled: Path) -> None:
    labels = read_labels(labelled)
    data = load_dataset(labels, Fitting(48, 64))
    assert data.pictures.shape == (8, 48, 64, 3)
    for picture, points in zip(data.pictures, data.points, strict=True):
        x, y = points[0].round().astype(int)
        assert picture[y, x, 0] < 60
    np.testing.assert_allclose(data.in_camera_px(data.points), labels.points, atol=1e-3)


def test_what_is_held_out_is_the_end_of_each_clip(labelled: Path) -> None:
    data = load_dataset(read_labels(labelled), Fitting(48, 64))
    parts = split(data.clips, 0.25, seed=0)
    assert parts.validation == (3, 7)
    assert parts.sets(8)[2:4] == ["train", "validation"]
    assert len(data.pick(parts.train)) == 6


def test_of_many_clips_whole_ones_are_held_out() -> None:
    clips = "aabbcdde"
    parts = split(clips, 0.4, seed=1)
    held_out = {clips[place] for place in parts.validation}
    assert len(held_out) == 2
    assert not {clips[place] for place in parts.train} & held_out
    assert len(parts.train) + len(parts.validation) == 8


def test_something_must_be_left_to_train_on() -> None:
    with pytest.raises(LabelsError, match="none is left"):
        split("aabb", 0.99, seed=0)
    with pytest.raises(LabelsError, match="two labelled images"):
        split_at_random(1, 0.9, 0.1, seed=0)


def test_a_random_split_is_lightning_poses() -> None:
    parts = split_at_random(90, 0.8, 0.1, seed=0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [
        72, 9, 9
    ]  # fmt: skip
    order = torch.utils.data.random_split(
        range(90), [72, 9, 9], torch.Generator().manual_seed(0)
    )
    assert [list(part.indices) for part in order] == [
        list(parts.train), list(parts.validation), list(parts.test)
    ]  # fmt: skip
    few = split_at_random(10, 0.95, 0.05, seed=0, frames=0.5)
    assert (len(few.train), len(few.validation), len(few.test)) == (4, 1, 0)
    assert len(split_at_random(90, 0.8, 0.1, seed=0, frames=20).train) == 20


def test_every_unreadable_picture_is_named(labelled: Path, tmp_path: Path) -> None:
    labels = read_labels(labelled)
    bad = tmp_path / "bad.png", tmp_path / "worse.png"
    for file in bad:
        file.write_bytes(b"no picture")
    labels = replace(labels, images=(*labels.images[:6], *bad))
    with pytest.raises(LabelsError) as refusal:
        load_dataset(labels, Fitting(48, 64))
    assert [f"the image {file} can't be read" for file in bad] == list(
        refusal.value.problems
    )


def test_the_fingerprint_knows_the_pictures(labelled: Path) -> None:
    labels = read_labels(labelled)
    assert fingerprint(labels) == fingerprint(read_labels(labelled))
    fewer = replace(labels, images=labels.images[1:])
    assert fingerprint(fewer) != fingerprint(labels)
