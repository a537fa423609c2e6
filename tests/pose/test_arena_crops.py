"""A network of one animal on the crops of several arenas."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import Circle, Rectangle
from deeplabstream.pose.filters.arena_crops import ArenaCrops
from deeplabstream.pose.tracking.named_estimator import animals_of

ARENAS = {
    "A1": Circle(30, 30, 20.5),
    "A2": Circle(100, 30, 20.5),
    "dish": Rectangle(140, 60, 30, 35),
}
SKELETON = Skeleton(("brightest", "next"))


@dataclass
class Brightest:
    """An estimator of one animal: the brightest pixel, and the second brightest."""

    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "test"
    sha256: str = ""
    calls: list[list[tuple[int, ...]]] = field(default_factory=list)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.calls.append([image.shape for image in images])
        poses = []
        for image in images:
            order = np.argsort(-image.ravel().astype(int), kind="stable")[:2]
            rows, columns = np.unravel_index(order, image.shape)
            points = np.stack([columns, rows], axis=-1)[None].astype(np.float32)
            sure = image.ravel()[order][None] / np.float32(255)
            poses.append(Pose(self.skeleton, points, sure))
        return poses


def image_with(*spots: tuple[int, int, int]) -> Image:
    """Return an image with the spots (x, y, grey level)."""
    image = np.zeros((100, 180), np.uint8)
    for x, y, level in spots:
        image[y, x] = level
    return image


def test_all_arenas_of_a_frame_are_one_batch_of_one_size() -> None:
    network = Brightest()
    crops = ArenaCrops(network, ARENAS)
    crops.estimate([image_with(), image_with()])
    (shapes,) = network.calls
    assert len(shapes) == 6
    assert len({*shapes}) == 1
    assert animals_of(crops) == 3


def test_points_are_those_of_the_whole_image_in_the_order_of_the_arenas() -> None:
    spots = (35, 40, 250), (25, 25, 200), (100, 45, 240), (101, 20, 210)
    dish = (140, 60, 230), (169, 94, 220)
    (pose,) = ArenaCrops(Brightest(), ARENAS).estimate([image_with(*spots, *dish)])
    assert pose.points.tolist() == [
        [[35, 40], [25, 25]],
        [[100, 45], [101, 20]],
        [[140, 60], [169, 94]],
    ]
    assert pose.confidence[0] * 255 == pytest.approx([250, 200])


def test_a_point_outside_of_its_arena_counts_as_not_found() -> None:
    corner = 48, 12  # of the crop of A1, outside of the circle
    (pose,) = ArenaCrops(Brightest(), ARENAS).estimate(
        [image_with((*corner, 255), (30, 30, 200))]
    )
    assert np.isnan(pose.points[0, 0]).all() and pose.confidence[0, 0] == 0
    assert pose.points[0, 1].tolist() == [30, 30]


def test_an_arena_over_the_border_is_cropped_where_the_image_is() -> None:
    arenas = {"A1": Circle(5, 95, 20), "A2": Circle(60, 50, 20)}
    (pose,) = ArenaCrops(Brightest(), arenas).estimate(
        [image_with((2, 98, 255), (3, 97, 250), (60, 50, 240), (61, 51, 230))]
    )
    assert pose.points[:, 0].tolist() == [[2, 98], [60, 50]]


def test_arenas_beside_the_image_of_a_camera_are_named() -> None:
    crops = ArenaCrops(Brightest(), {**ARENAS, "far": Circle(400, 30, 20)})
    with pytest.raises(ModelError, match=r"far: outside of .*top.*, 180×100 px"):
        crops.estimate([image_with()], ["top"])
    # programs measure the time for a grey image of any size
    (pose,) = crops.estimate([image_with((30, 30, 255))])
    assert pose.points[0, 0].tolist() == [30, 30]
    assert np.isnan(pose.points[3]).all()
