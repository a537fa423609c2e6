import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.image_copies import (
    SHIFTS,
    CopyEstimator,
    ImageCopy,
    best_supported,
    copies_of,
    open_with_copies,
)
from deeplabstream.pose.model.model_folder import load_model_folder, save_description
from deeplabstream.pose.model.model_opening import MODELS

SIDES = Skeleton(("nose", "left_ear", "right_ear"))
COPIES = (
    ImageCopy(mirror=True),
    ImageCopy(turn_deg=180),
    ImageCopy(turn_deg=8),
    ImageCopy(mirror=True, turn_deg=-8),
    ImageCopy(shift=(0.02, -0.03)),
    ImageCopy(mirror=True, shift=SHIFTS[0]),
)


class BrightestOfEachColour:
    """Finds in each colour channel the centre of the bright pixels."""

    skeleton = SIDES
    threshold, provider, sha256 = 0.5, "numpy", "one"

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        poses = []
        for image in images:
            weight = np.maximum(image.astype(float) - 20, 0)
            total = weight.sum(axis=(0, 1))
            y, x = np.mgrid[: image.shape[0], : image.shape[1]]
            points = [
                [(own * weight[..., colour]).sum() / total[colour] for own in (x, y)]
                for colour in range(3)
            ]
            poses.append(
                Pose(
                    SIDES,
                    np.array([points], np.float32),
                    np.array([[0.9, 0.8, 0.7]], np.float32),
                )
            )
        return poses


def image_with(points: Sequence[tuple[int, int]]) -> Image:
    image = np.zeros((60, 90, 3), np.uint8)
    for colour, (x, y) in enumerate(points):
        image[y - 2 : y + 3, x - 2 : x + 3, colour] = 255
    return image


@pytest.mark.parametrize("copy", COPIES, ids=str)
def test_points_of_a_copy_are_in_pixels_of_the_image(copy: ImageCopy) -> None:
    points = [(10, 12), (70, 20), (40, 50)]
    (pose,) = CopyEstimator(BrightestOfEachColour(), copy).estimate(
        [image_with(points)]
    )
    # The stand-in knows colours, not sides: in a mirror image it finds the right ear where
    # a network, which sees the shape, finds the left one.
    order = [0, 2, 1] if copy.mirror else [0, 1, 2]
    assert pose.points[0] == pytest.approx(np.array(points)[order], abs=0.1)
    assert pose.confidence[0] == pytest.approx(np.array([0.9, 0.8, 0.7])[order])


@given(st.booleans(), st.floats(-180, 180), st.integers(16, 90), st.integers(16, 90))
def test_a_copy_contains_the_whole_image(
    mirror: bool, turn_deg: float, height: int, width: int
) -> None:
    copy = ImageCopy(mirror, turn_deg)
    corners = np.array(
        [[x, y] for x in (0, width - 1) for y in (0, height - 1)], np.float32
    )
    matrix = copy.matrix(height, width)
    there = corners @ matrix[:, :2].T + matrix[:, 2]
    rows, columns = copy.size(height, width)
    assert (there > -0.51).all()
    assert (there < np.array([columns, rows]) - 0.49).all()
    back = copy.original_points(there.astype(np.float32), height, width)
    assert back == pytest.approx(corners, abs=1e-3)


def test_exact_copies_keep_every_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 255, (31, 44, 3), np.uint8)
    assert (ImageCopy(mirror=True).image(image) == image[:, ::-1]).all()
    assert (ImageCopy(turn_deg=180).image(image) == image[::-1, ::-1]).all()


def test_a_network_gets_only_copies_such_as_it_was_trained_with() -> None:
    def about(**augmentation: object) -> dict[str, object]:
        return {"settings": {"augmentation": augmentation}}

    shifted = [ImageCopy(shift=shift) for shift in SHIFTS]
    assert copies_of(about(rotation_deg=180.0, mirror=True)) == [
        ImageCopy(False, 180),
        ImageCopy(True),
        ImageCopy(True, 180),
    ]
    assert copies_of(about(rotation_deg=180, mirror=False)) == [ImageCopy(False, 180)]
    assert copies_of(about(rotation_deg=15, mirror=True)) == [
        ImageCopy(True),
        *shifted,
        *(ImageCopy(True, shift=shift) for shift in SHIFTS),
    ]
    assert copies_of(about(rotation_deg=15, mirror=False)) == [
        ImageCopy(turn_deg=8),
        ImageCopy(turn_deg=-8),
        *shifted,
    ]
    assert copies_of(about(rotation_deg=0, mirror=False)) == shifted
    assert copies_of({"imported_from": "DeepLabCut"}) == shifted
    assert copies_of({"settings": "none"}) == shifted


def test_the_shipped_network_is_opened_with_its_copies() -> None:
    network = open_with_copies("openfield", "cpu", 1)
    assert len(network.estimators) == 4
    assert len({own.sha256 for own in network.estimators}) == 4
    frame = np.full((48, 64, 3), 200, np.uint8)
    (pose,) = network.estimate([frame])
    assert pose.points.shape == (1, 4, 2)


def test_a_network_of_unknown_training_gets_shifted_copies_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(MODELS / "openfield", folder)
    save_description(replace(load_model_folder(folder), about={}))
    found = open_with_copies(folder, "cpu", 1).estimators[1:]
    assert [own.copy.shift for own in found if isinstance(own, CopyEstimator)] == [
        *SHIFTS
    ]


def test_of_two_places_the_one_that_most_copies_find_is_taken() -> None:
    points = np.zeros((5, 1, 2, 2), np.float32)
    points[:, 0, 1] = 200, 0  # the animal's length; so copies agree within 10 px
    points[:, 0, 0] = [[0, 0], [1, 0], [2, 0], [60, 0], [61, 0]]
    sure = np.full((5, 1, 2), 0.8, np.float32)
    found, confidence = best_supported(points, sure)
    assert found[0] == pytest.approx(np.array([[1, 0], [200, 0]]), abs=1e-5)
    assert confidence[0] == pytest.approx([0.8 * 3 / 5, 0.8])

    # Two copies that are sure outweigh three that are not.
    sure[:3, 0, 0] = 0.1
    found, confidence = best_supported(points, sure)
    assert found[0, 0] == pytest.approx([60.5, 0])
    assert confidence[0, 0] == pytest.approx(0.8 * 2 / 5)


def test_animals_that_no_copy_finds_stay_unknown() -> None:
    points = np.full((3, 2, 2, 2), np.nan, np.float32)
    points[0, 0] = [[10, 10], [50, 10]]
    sure = np.where(np.isfinite(points[..., 0]), np.float32(0.9), np.float32(0))
    found, confidence = best_supported(points, sure)
    assert found[0] == pytest.approx(points[0, 0])
    assert confidence[0] == pytest.approx([0.3, 0.3])
    assert np.isnan(found[1]).all()
    assert not confidence[1].any()
