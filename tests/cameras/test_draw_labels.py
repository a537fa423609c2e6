"""The labels that are drawn can be trained on, and are where the body parts are."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.simulation.arena import ARENA_SKELETON
from deeplabstream.training.data.labels import read_labels
from utils.DrawLabels import main

ASKED = ["--frames", "24", "--walks", "3", "--width", "160", "--height", "120"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    assert main([str(folder), *ASKED]) == 0
    return folder


def test_it_is_what_the_training_reads(folder: Path) -> None:
    labels = read_labels(folder)
    assert labels.skeleton.bodyparts == ARENA_SKELETON.bodyparts
    assert labels.points.shape == (24, 4, 2)
    assert labels.images[3] == folder / "labeled-data" / "arena" / "img0003.png"
    assert cv2.imread(str(labels.images[3])).shape == (120, 160, 3)
    assert 0 < np.isnan(labels.points).mean() < 0.5


def test_the_body_is_dark_where_the_labels_are(folder: Path) -> None:
    labels = read_labels(folder)
    for file, points in zip(labels.images, labels.points, strict=True):
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if np.isfinite(points).all():
            x, y = np.round(points.mean(axis=0)).astype(int)
            assert image[y, x] < 0.7 * np.median(image)


def test_drawing_again_gives_the_same(folder: Path, tmp_path: Path) -> None:
    main([str(tmp_path), *ASKED])
    for name in ("CollectedData.csv", "labeled-data/arena/img0020.png"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert (
        main([str(tmp_path), "--frames", "1", "--walks", "1"]) == 2
    )  # not into labels
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--frames", "0"])


def test_several_mice_are_labelled_where_they_are_seen(tmp_path: Path) -> None:
    words = ["--frames", "6", "--walks", "3", "--width", "160", "--height", "120"]
    words += ["--animals", "2", "3", "1", "--coats"]
    assert main([str(tmp_path), *words]) == 0
    labels = read_labels(tmp_path, several=True)
    assert labels.animals == 3
    each = labels.points.reshape(6, 3, 4, 2)
    there = np.isfinite(each).any(axis=(2, 3)).sum(axis=1)
    assert (there <= [2, 2, 3, 3, 1, 1]).all()
    assert there.sum() >= 8  # the shelter may hide some
