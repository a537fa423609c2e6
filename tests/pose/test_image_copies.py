import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.image_copies import (
    CopyEstimator,
    ImageCopy,
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

    assert copies_of(about(rotation_deg=180.0, mirror=True)) == [
        ImageCopy(False, 180),
        ImageCopy(True),
        ImageCopy(True, 180),
    ]
    assert copies_of(about(rotation_deg=15, mirror=False)) == [
        ImageCopy(turn_deg=8),
        ImageCopy(turn_deg=-8),
    ]
    assert copies_of(about(rotation_deg=0, mirror=False)) == []
    assert copies_of({"imported_from": "DeepLabCut"}) == []
    assert copies_of({"settings": "none"}) == []


def test_the_shipped_network_is_opened_with_its_copies() -> None:
    network = open_with_copies("openfield", "cpu", 1)
    assert len(network.estimators) == 4
    assert len({own.sha256 for own in network.estimators}) == 4
    frame = np.full((48, 64, 3), 200, np.uint8)
    (pose,) = network.estimate([frame])
    assert pose.points.shape == (1, 4, 2)


def test_a_network_of_unknown_training_has_no_copies(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(MODELS / "openfield", folder)
    save_description(replace(load_model_folder(folder), about={}))
    with pytest.raises(ModelError, match="other: --best needs a network"):
        open_with_copies(folder, "cpu", 1)
