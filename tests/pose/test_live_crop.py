"""A window that follows the simulated mouse, whose points are known."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.filters.live_crop import BOX, LiveCrop
from deeplabstream.pose.image_fitting import Fitting, levels, same_scale, zoomed
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import (
    MODELS,
    open_estimator,
    open_live_crop,
)
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.runtime_list import load_network
from deeplabstream.simulation.arena import Arena
from tests.pose.dots import SHAPE, dots


def dotted(points: Sequence[tuple[float, float]]) -> NDArray[np.uint8]:
    image = np.zeros(SHAPE, np.uint8)
    for part, (x, y) in enumerate(points):
        image[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5, part] = 255
    return image


def test_points_in_the_window_are_points_in_the_picture() -> None:
    estimator, network = dots()
    crop = LiveCrop(estimator, full_every=0)
    for index in range(60):
        x, y = 30 + 9.5 * index, 240 + 150 * np.sin(index / 8)
        truth = [(x, y), (x + 20, y + 10), (x + 5, y - 20)]
        (pose,) = crop.estimate([dotted(truth)], ["top"])
        rounded = np.round(np.array(truth))
        np.testing.assert_allclose(pose.points[0], rounded, atol=0.1)
        assert (pose.confidence > 0.5).all()
        window = crop.windows["top"]
        assert window.shows(rounded.astype(np.float32)).all()
    assert network.pixels[0] == 240 * 320
    assert max(network.pixels[1:]) <= 128 * 128


def test_an_animal_that_jumps_is_found_in_the_same_picture() -> None:
    estimator, network = dots()
    crop = LiveCrop(estimator)
    crop.estimate([dotted([(100, 100), (120, 110), (105, 80)])], ["top"])
    crop.estimate([dotted([(100, 100), (120, 110), (105, 80)])], ["top"])
    far = [(500.0, 400.0), (520, 410), (505, 380)]
    (pose,) = crop.estimate([dotted(far)], ["top"])
    np.testing.assert_allclose(pose.points[0], far, atol=0.1)
    assert network.pixels[-2] < network.pixels[-1] == 240 * 320


def test_fewer_parts_make_the_next_window_larger() -> None:
    estimator, network = dots()
    crop = LiveCrop(estimator, full_every=0)
    points = [(300.0, 200.0), (320, 210), (305, 180)]
    crop.estimate([dotted(points)], ["top"])
    crop.estimate([dotted(points)], ["top"])
    small = network.pixels[-1]
    crop.estimate([dotted(points[:2])], ["top"])
    assert network.pixels[-1] == small
    crop.estimate([dotted(points[:2])], ["top"])
    assert network.pixels[-1] > small


def test_nothing_to_see_is_the_whole_picture_each_time() -> None:
    estimator, network = dots()
    crop = LiveCrop(estimator)
    for _ in range(3):
        (pose,) = crop.estimate([np.zeros(SHAPE, np.uint8)], ["top"])
        assert pose.confidence.max() < 0.5
    assert network.pixels == [240 * 320] * 3


def test_all_of_the_picture_is_looked_at_now_and_then() -> None:
    estimator, network = dots()
    crop = LiveCrop(estimator, full_every=5)
    for _ in range(13):
        crop.estimate([dotted([(100, 100), (120, 110), (105, 80)])], ["top"])
    full = [place for place, size in enumerate(network.pixels) if size == 240 * 320]
    assert full == [0, 6, 12]


def test_cameras_are_followed_apart_and_batched_where_sizes_agree() -> None:
    estimator, network = dots()
    crop = LiveCrop(estimator, full_every=0)
    one = dotted([(100, 100), (120, 110), (105, 80)])
    other = dotted([(500, 400), (520, 410), (505, 380)])
    for _ in range(2):
        left, right = crop.estimate([one, other], ["left", "right"])
    np.testing.assert_allclose(left.points[0, 0], [100, 100], atol=0.1)
    np.testing.assert_allclose(right.points[0, 0], [500, 400], atol=0.1)
    assert len(network.pixels) == 2  # two batches of two
    crop.estimate([one])
    assert set(crop.windows) == {"left", "right"}


def test_a_detector_finds_and_the_network_sees_it_enlarged() -> None:
    finder, _ = dots()
    estimator, network = dots()
    crop = LiveCrop(estimator, finder, margin=0.25)
    for index in range(20):
        x = 100.0 + 15 * index
        truth = [(x, 200.0), (x + 20, 210), (x + 5, 180)]
        (pose,) = crop.estimate([dotted(truth)], ["top"])
        np.testing.assert_allclose(pose.points[0], np.round(truth), atol=0.3)
        assert crop.windows["top"].width < 80
    assert set(network.pixels) == {240 * 320}


class Boxes:
    """A detector that finds a box with 12 pixels of room on all sides of the dots."""

    skeleton, threshold = Skeleton(BOX), 0.1
    provider, sha256 = "boxes", "b" * 64

    def __init__(self) -> None:
        self.looks = 0

    def estimate(
        self, images: Sequence[NDArray[np.uint8]], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.looks += len(images)
        poses = []
        for image in images:
            rows, columns, _ = np.nonzero(image)
            if not len(rows):
                corners, sure = np.zeros((1, 2, 2), np.float32), 0.0
            else:
                low, high = (columns.min(), rows.min()), (columns.max(), rows.max())
                box = np.array([low, high], np.float32)
                box += np.array([[-8], [8]], np.float32)  # dots are 9 wide
                corners, sure = box[None], 0.9
            poses.append(
                Pose(self.skeleton, corners, np.full((1, 2), sure, np.float32))
            )
        return poses


def test_the_box_of_a_detector_is_the_window_and_stays_as_wide() -> None:
    finder = Boxes()
    estimator, _ = dots()
    crop = LiveCrop(estimator, finder, margin=0.5, full_every=8)
    widths = []
    for index in range(20):
        x = 100.0 + 6 * index
        truth = [(x, 200.0), (x + 60, 210), (x + 5, 180)]
        (pose,) = crop.estimate([dotted(truth)], ["top"])
        np.testing.assert_allclose(pose.points[0], np.round(truth), atol=0.3)
        widths.append(crop.windows["top"].width)
    assert finder.looks == 3
    assert min(widths) >= 80  # 60 between the dots, 12 on both sides
    assert max(widths) <= 92  # a margin of a half would make it 120
    crop.estimate([np.zeros(SHAPE, np.uint8)], ["top"])
    assert crop.windows["top"].width == 640  # nobody is there: all of it


@given(
    st.integers(64, 1500),
    st.integers(64, 1500),
    st.integers(32, 400),
    st.integers(32, 400),
    st.floats(-50, 1500),
    st.floats(-50, 1500),
    st.floats(1, 400),
)
def test_windows_lie_inside_and_map_there_and_back(
    high: int, wide: int, rows: int, columns: int, x: float, y: float, size: float
) -> None:
    fitting = Fitting(16 * (1 + rows // 16), 16 * (1 + columns // 16))
    low = np.array([x, y], np.float32)
    for window in (
        same_scale(low, low + np.float32(size), (high, wide), fitting),
        zoomed(low, low + np.float32(size), (high, wide), fitting),
    ):
        if window is None:
            continue
        assert 0 <= window.left <= wide - window.width
        assert 0 <= window.top <= high - window.height
        corners = np.array([[0, 0], [window.width - 1, window.height - 1]], np.float32)
        there = window.fitting.to_input(corners, (window.height, window.width))
        back = window.to_image(there) - [window.left, window.top]
        np.testing.assert_allclose(back, corners, atol=0.01 * max(high, wide))


def test_windows_save_work_or_there_are_none() -> None:
    for height, width in [(192, 256), (480, 640), (64, 64), (256, 256)]:
        fitting = Fitting(height, width)
        assert all(side**2 <= 0.6 * height * width for side in levels(fitting))
        assert all(side % 32 == 0 for side in levels(fitting))
        assert len(levels(fitting)) <= 6


def test_the_simulated_mouse_is_followed_as_well_as_whole_pictures_are() -> None:
    folder = load_model_folder(MODELS / "arena")
    network = load_network(folder, "cpu", 1)
    full = NetworkEstimator(folder, network)
    crop = LiveCrop(NetworkEstimator(folder, network), full_every=0)
    arena = Arena(SHAPE, seed=7)
    image = np.empty(SHAPE, np.uint8)
    errors: dict[str, list[float]] = {"full": [], "crop": []}
    unseen = {"full": 0, "crop": 0}
    ghosts = windows = 0
    for index in range(60):
        time_s = 3 + index / 30
        arena.draw(image, time_s, index)
        truth = arena.truth(time_s)[0]
        there = np.isfinite(truth).all(axis=1)
        for name, estimator, cameras in (("full", full, []), ("crop", crop, ["top"])):
            pose = estimator.estimate([image], cameras)[0]  # type: ignore[attr-defined]
            points = pose.seen(folder.threshold).points[0]
            unseen[name] += int(np.isnan(points[there]).any(axis=1).sum())
            away = np.linalg.norm(points - truth, axis=1)[there]
            errors[name] += list(away[np.isfinite(away)])
            ghosts += int(name == "crop" and np.isfinite(points[~there]).any())
        windows += crop.windows["top"].width < 640
    assert windows > 40
    assert ghosts == 0
    assert np.median(errors["crop"]) < np.median(errors["full"]) + 0.5
    assert np.percentile(errors["crop"], 95) < np.percentile(errors["full"], 95) + 1.5
    assert unseen["crop"] <= unseen["full"] + 8


def test_a_stand_in_cannot_be_cropped_and_a_network_says_that_it_is() -> None:
    with pytest.raises(ModelError, match="LIVE_CROP needs a network of a model folder"):
        open_live_crop(open_estimator("stand-in:0"), None, 0.5, 0)
    crop = open_live_crop(open_estimator("arena", "cpu", 1), None, 0.5, 0)
    assert crop.provider == "CPUExecutionProvider, live crop"
