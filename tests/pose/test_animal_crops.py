"""Windows that follow several simulated animals, one network for each of them."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.filters.animal_crops import AnimalCrops
from deeplabstream.pose.filters.live_crop import BOX
from deeplabstream.pose.model.model_opening import open_estimator, open_live_crop
from tests.pose.dots import SHAPE, Dots, dots

MOST = 3


class Finder:
    """A detector of up to three boxes, 12 px of room around the dots of each animal."""

    skeleton, threshold = Skeleton(BOX), 0.5
    provider, sha256 = "boxes", "b" * 64

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.looks = 0

    def estimate(
        self, images: Sequence[NDArray[np.uint8]], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.looks += 1
        return [self._find(image) for image in images]

    def _find(self, image: NDArray[np.uint8]) -> Pose:
        corners = np.full((self.most, 2, 2), np.nan, np.float32)
        sure = np.zeros((self.most, 2), np.float32)
        there = (image.reshape(*image.shape[:2], -1) > 200).any(axis=2)
        joined = cv2.dilate(there.astype(np.uint8), np.ones((61, 61)))
        count, _, facts, _ = cv2.connectedComponentsWithStats(joined)
        for place in range(min(self.most, count - 1)):
            left, top, width, height = facts[place + 1][:4].tolist()
            box = [[left + 18, top + 18], [left + width - 18, top + height - 18]]
            corners[place], sure[place] = box, 0.9 - place / 100
        return Pose(self.skeleton, corners, sure)


def animal(x: float, y: float) -> NDArray[np.float64]:
    """Return the points of one animal."""
    return np.round([(x, y), (x + 20, y + 10), (x + 5, y - 20)])


def scene(*animals: NDArray[np.float64]) -> NDArray[np.uint8]:
    image = np.zeros(SHAPE, np.uint8)
    for points in animals:
        for part, (x, y) in enumerate(points.astype(int)):
            image[y - 4 : y + 5, x - 4 : x + 5, part] = 255
    return image


def crops(most: int = MOST, every: int = 30) -> tuple[AnimalCrops, Finder, Dots]:
    finder, (estimator, network) = Finder(most), dots()
    return AnimalCrops(estimator, finder, most, full_every=every), finder, network


def test_each_animal_gets_a_window_and_keeps_its_place() -> None:
    crop, finder, network = crops(2)
    for index in range(25):
        one, other = animal(60 + 15 * index, 100), animal(560 - 15 * index, 380)
        (pose,) = crop.estimate([scene(one, other)], ["top"])
        assert pose.points.shape == (2, 3, 2)
        np.testing.assert_allclose(pose.points[0], one, atol=0.3)
        np.testing.assert_allclose(pose.points[1], other, atol=0.3)
        assert (pose.confidence > 0.5).all()
    assert finder.looks == 1, "both are followed"
    assert len(network.pixels) == 25, "both windows are one batch"
    assert {window.width < 140 for window in crop.windows["top"].values()} == {True}


def test_without_a_camera_each_frame_is_looked_at_for_itself() -> None:
    crop, finder, _ = crops(2)
    images = [scene(animal(100, 100)), scene(animal(500, 400), animal(100, 300))]
    first, second = crop.estimate(images)
    np.testing.assert_allclose(first.points[0], animal(100, 100), atol=0.3)
    assert np.isnan(first.points[1]).all()
    assert (first.confidence[1] == 0).all()
    assert np.isfinite(second.points).all()
    crop.estimate(images)
    assert finder.looks == 2
    assert not crop.windows


def test_no_animal_is_a_pose_of_none() -> None:
    crop, _, _ = crops()
    for cameras in ((), ("top",)):
        (pose,) = crop.estimate([np.zeros(SHAPE, np.uint8)], cameras)
        assert np.isnan(pose.points).all()
        assert pose.points.shape == (MOST, 3, 2)


def test_an_animal_that_vanishes_leaves_the_others_in_their_places() -> None:
    crop, finder, _ = crops(2)
    one, other = animal(100, 100), animal(500, 380)
    crop.estimate([scene(one, other)], ["top"])
    for _ in range(3):
        (pose,) = crop.estimate([scene(other)], ["top"])
        assert np.isnan(pose.points[0]).all()
        np.testing.assert_allclose(pose.points[1], other, atol=0.3)
    assert finder.looks == 2, "in the frame in which it was lost"


def test_an_animal_that_comes_is_found_within_some_frames() -> None:
    crop, finder, _ = crops(2, every=100)
    one, other = animal(100, 100), animal(500, 380)
    crop.estimate([scene(one)], ["top"])
    found = [
        int(np.isfinite(crop.estimate([scene(one, other)], ["top"])[0].points).sum())
        for _ in range(8)
    ]
    assert found == [6] * 5 + [12] * 3
    assert finder.looks == 2


def test_two_windows_on_one_animal_are_one_animal() -> None:
    crop, finder, _ = crops(2)
    one, other = animal(100, 200), animal(300, 200)
    crop.estimate([scene(one, other)], ["top"])
    tracks = crop._cameras["top"].tracks
    tracks[0] = tracks[1]
    (pose,) = crop.estimate([scene(one, other)], ["top"])
    assert finder.looks == 2, "the same image, by the detector"
    found = sorted(pose.points[:, 0, 0].tolist())
    np.testing.assert_allclose(found, [100, 300], atol=0.3)


def test_all_animals_are_looked_for_now_and_then() -> None:
    crop, finder, _ = crops(2, every=4)
    for _ in range(11):
        crop.estimate([scene(animal(100, 100), animal(500, 380))], ["top"])
    assert finder.looks == 3


def test_cameras_are_followed_apart() -> None:
    crop, finder, network = crops(2)
    images = [scene(animal(100, 100), animal(300, 300)), scene(animal(500, 400))]
    for _ in range(3):
        left, right = crop.estimate(images, ["left", "right"])
    assert np.isfinite(left.points).all()
    np.testing.assert_allclose(right.points[0], animal(500, 400), atol=0.3)
    assert finder.looks == 1
    assert len(network.pixels) == 3


def test_a_detector_of_several_animals_makes_a_crop_of_several() -> None:
    estimator, _ = dots()
    crop = open_live_crop(estimator, Finder(), 0.5, 30)
    assert isinstance(crop, AnimalCrops)
    assert crop.animals == MOST
    assert crop.provider == "dots, live crop of 3 animals by bbbbbbbb in boxes"
    with pytest.raises(ModelError, match="needs a network of one animal"):
        open_live_crop(open_estimator("arena_animals", "cpu", 1), Finder(), 0.5, 30)
