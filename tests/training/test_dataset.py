from dataclasses import replace
from pathlib import Path

import cv2
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
    assert data.images.shape == (8, 48, 64, 3)
    for image, points in zip(data.images, data.points, strict=True):
        x, y = points[0].round().astype(int)
        assert image[y, x, 0] < 60
    np.testing.assert_allclose(data.in_camera_px(data.points), labels.points, atol=1e-3)


def test_what_is_held_out_is_the_end_of_each_clip(labelled: Path) -> None:
    labels = read_labels(labelled)
    parts = split(labels.images, 0.25, seed=0)
    assert parts.validation == (3, 7)
    assert parts.sets(8)[2:4] == ["train", "validation"]
    assert len(load_dataset(labels, Fitting(48, 64)).pick(parts.train)) == 6


def test_the_end_of_a_clip_does_not_depend_on_when_its_images_were_labelled() -> None:
    numbers = [*range(0, 1000, 100), *range(1, 1000, 100)]  # labelled in two sessions
    images = [Path(f"v/img{number}.png") for number in numbers]
    parts = split(images, 0.3, seed=0)
    held_out = sorted(numbers[place] for place in parts.validation)
    assert held_out == [700, 701, 800, 801, 900, 901]
    assert max(numbers[place] for place in parts.train) == 601


def _images(clips: str) -> list[Path]:
    return [Path(clip, f"img{place}.png") for place, clip in enumerate(clips)]


def test_of_many_clips_whole_ones_are_held_out() -> None:
    clips = "aabbcdde"
    parts = split(_images(clips), 0.4, seed=1)
    held_out = {clips[place] for place in parts.validation}
    assert len(held_out) == 2
    assert not {clips[place] for place in parts.train} & held_out
    assert len(parts.train) + len(parts.validation) == 8


def test_folders_of_the_same_name_in_other_folders_are_other_clips(
    tmp_path: Path,
) -> None:
    images = [Path(f"s{clip}/frames/img{n}.png") for clip in range(6) for n in range(3)]
    held_out = {images[place].parts[0] for place in split(images, 0.3, 0).validation}
    assert len(held_out) == 2
    assert len(split(images, 0.3, 0).validation) == 6, "whole clips"
    rows = ["scorer,me,me", "bodyparts,a,a", "coords,x,y"]
    for image in images:
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / image), np.zeros((32, 32, 3), np.uint8))
        rows.append(f"{image.as_posix()},1,2")
    (tmp_path / "CollectedData.csv").write_text("\n".join(rows), encoding="utf-8")
    data = load_dataset(read_labels(tmp_path), Fitting(32, 32))
    assert len(set(data.clips)) == 6


@pytest.mark.parametrize("clips", ["aabb", "ab", "abcd", "aaaab", "aaa", "abcdef"])
@pytest.mark.parametrize("share", [0, 0.15, 0.9, 0.99])
def test_of_few_images_some_are_trained_on_and_some_held_out(
    clips: str, share: float
) -> None:
    parts = split(_images(clips), share, seed=0)
    assert sorted(parts.train + parts.validation) == list(range(len(clips)))
    assert parts.train and parts.validation
    if clips == "aaaab":  # a clip of one image is not held out while others have more
        assert 4 in parts.train


def test_one_image_is_refused_with_its_name() -> None:
    with pytest.raises(LabelsError, match=r"img0\.png is all .* label more"):
        split(_images("a"), 0.15, seed=0)
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
    points, known = labels.points.copy(), labels.known.copy()
    points[-1, 0, 0] += 1
    known[-1, 0] = False
    changed = replace(labels, points=points), replace(labels, known=known)
    assert fingerprint(labels) not in map(fingerprint, changed), "the table is the same"
    views = np.zeros((8, 2, 48, 64, 3), np.uint8)
    assert fingerprint(labels, views) != fingerprint(labels, views + 1)
