from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose.fitting import Fitting
from training.dataset import fingerprint, load_dataset, split
from training.labels import LabelsError, read_labels


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
    train, held_out = split(data, 0.25, seed=0)
    assert held_out.clips == ("clip0", "clip1")
    np.testing.assert_array_equal(held_out.points, data.points[[3, 7]])
    assert len(train) == 6


def test_of_many_clips_whole_ones_are_held_out(labelled: Path) -> None:
    data = load_dataset(read_labels(labelled), Fitting(48, 64))
    data = replace(data, clips=tuple("aabbcdde"))
    train, held_out = split(data, 0.4, seed=1)
    assert len(set(held_out.clips)) == 2
    assert not set(train.clips) & set(held_out.clips)
    assert len(train) + len(held_out) == 8


def test_something_must_be_left_to_train_on(labelled: Path) -> None:
    data = load_dataset(read_labels(labelled), Fitting(48, 64))
    with pytest.raises(LabelsError, match="none is left"):
        split(data, 0.99, seed=0)


def test_every_unreadable_picture_is_named(labelled: Path, tmp_path: Path) -> None:
    labels = read_labels(labelled)
    bad = tmp_path / "bad.png", tmp_path / "worse.png"
    for file in bad:
        file.write_bytes(b"no picture")
    labels = replace(labels, images=(*labels.images[:6], *bad))
    with pytest.raises(LabelsError) as refusal:
        load_dataset(labels, Fitting(48, 64))
    assert [f"the picture {file} can't be read" for file in bad] == list(
        refusal.value.problems
    )


def test_the_fingerprint_knows_the_pictures(labelled: Path) -> None:
    labels = read_labels(labelled)
    assert fingerprint(labels) == fingerprint(read_labels(labelled))
    fewer = replace(labels, images=labels.images[1:])
    assert fingerprint(fewer) != fingerprint(labels)
