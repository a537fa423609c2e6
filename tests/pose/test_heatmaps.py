import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from deeplabstream.pose.decoders.heatmaps import Heatmaps

HEIGHT, WIDTH = 15, 20


@given(
    stride=st.sampled_from([1, 2, 4, 8]),
    sigma=st.floats(0.8, 3),
    across=st.floats(0, 1),
    down=st.floats(0, 1),
)
def test_decoding_an_encoded_point_gives_the_point(
    stride: int, sigma: float, across: float, down: float
) -> None:
    heatmaps = Heatmaps(stride, sigma)
    size = np.array([WIDTH, HEIGHT]) * stride
    point = (np.array([[across, down]]) * size - 0.5).astype(np.float32)
    points, confidence = heatmaps.peaks(heatmaps.gaussians(point, HEIGHT, WIDTH))
    assert_allclose(points, point, atol=0.1)
    assert 0.4 < confidence[0] <= 1


@given(st.floats(-0.5, 0.5), st.integers(0, 2**31))
def test_noise_moves_a_point_by_less_than_half_a_cell(off: float, seed: int) -> None:
    heatmaps = Heatmaps(4, 1.25)
    point = np.array([[(7 + off + 0.5) * 4 - 0.5, 1.5]], np.float32)
    maps = heatmaps.gaussians(point, HEIGHT, WIDTH)
    maps += np.random.default_rng(seed).normal(0, 0.02, maps.shape).astype(np.float32)
    points, _ = heatmaps.peaks(maps)
    assert np.abs(points - point).max() < 2


def test_what_is_absent_or_outside_leaves_an_empty_map() -> None:
    heatmaps = Heatmaps(4, 1.25)
    points = np.array([[np.nan, np.nan], [-2, 5], [5, 60.1]], np.float32)
    maps = heatmaps.gaussians(points, HEIGHT, WIDTH)
    assert not maps.any()
    found, confidence = heatmaps.peaks(maps)
    assert np.isfinite(found).all()
    assert not confidence.any()


def test_the_higher_of_two_hills_wins() -> None:
    heatmaps = Heatmaps(4, 1.25)
    two = np.array([[20, 20], [60, 40]], np.float32)
    first, second = heatmaps.gaussians(two, HEIGHT, WIDTH)
    points, confidence = heatmaps.peaks((0.9 * first + 0.6 * second)[None])
    assert_allclose(points, two[:1], atol=0.5)
    assert 0.8 < confidence[0] < 0.95


def test_a_centroid_is_that_of_the_square_as_sleap_nn_reads_it() -> None:
    heatmaps = Heatmaps(8, 5.0, origin=0, linear_to=0.8, centroid=5)
    cells = np.zeros((1, HEIGHT, WIDTH), np.float32)
    cells[0, 4:7, 3:6] = [[2.42, 2.62, 2.38], [2.22, 2.63, 2.62], [1.96, 2.22, 2.55]]
    cells[0, 0, 19] = 1.9  # outside of the square around the highest
    y, x = np.mgrid[4:7, 3:6]
    square = cells[0, 4:7, 3:6]
    expected = 8 * np.array([(square * x).sum(), (square * y).sum()]) / square.sum()
    points, confidence = heatmaps.peaks(cells)
    assert_allclose(points[0], expected, atol=1e-4)
    assert 0.97 < confidence[0] < 1
    corner = np.zeros((1, HEIGHT, WIDTH), np.float32)
    corner[0, 0, :2] = 2.0, 1.0
    assert_allclose(heatmaps.peaks(corner)[0], [[8 / 3, 0]], atol=1e-4)
    empty, sure = heatmaps.peaks(np.zeros((1, HEIGHT, WIDTH), np.float32))
    assert np.isfinite(empty).all()
    assert not sure.any()


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(6, 40), st.integers(6, 40)),
    parts=st.integers(1, 9),
    sigma=st.floats(0.8, 3),
    noise=st.floats(0, 0.3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_peak_is_where_the_plane_through_the_logarithms_says(
    size: tuple[int, int], parts: int, sigma: float, noise: float, seed: int
) -> None:
    """numpy's least squares give the same points, also at the border of the map."""
    heatmaps = Heatmaps(4, sigma)
    rng = np.random.default_rng(seed)
    points = (rng.uniform(0, 4, (parts, 2)) * size[::-1]).astype(np.float32)
    maps = heatmaps.gaussians(points, *size)
    maps += noise * rng.random(maps.shape, np.float32)
    found, confidence = heatmaps.peaks(maps)
    expected = []
    for each in maps:
        row, column = np.unravel_index(each.argmax(), each.shape)
        square = np.pad(each.astype(np.float64), 2)[row : row + 5, column : column + 5]
        value = np.maximum(square, 1e-6).ravel()
        dy, dx = (d.ravel() for d in np.mgrid[-2:3, -2:3])
        height = sigma**2 * np.log(value) + (dx**2 + dy**2) / 2
        terms = np.stack([dx**0, dx, dy], axis=1) * value[:, None]
        slope = np.linalg.lstsq(terms, height * value, rcond=None)[0][1:]
        expected.append(4 * (np.array([column, row]) + slope.clip(-1, 1)) + 1.5)
    assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert_allclose(confidence, maps.max(axis=(1, 2)).clip(0, 1), rtol=0, atol=0)
