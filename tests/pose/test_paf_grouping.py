from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.decoders.decoder import DecodedPoses
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.offsets import Offsets
from deeplabstream.pose.decoders.paf_grouping import PafGrouper, find_peaks
from deeplabstream.pose.decoders.part_affinity_fields import (
    SAMPLES,
    encode_fields,
    paf_line_scores,
)

Points = NDArray[np.float32]

TREE = ((0, 1), (0, 2), (1, 3))
"""Just what joins four parts: nothing outvotes a misled edge."""
RINGS = ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))


def decoder(
    stride: int, edges: tuple[tuple[int, int], ...] = RINGS, most: int = 4
) -> MultiAnimalDecoder:
    heatmaps = Heatmaps(stride, 1.0)
    parts = max(map(max, edges)) + 1
    return MultiAnimalDecoder(
        heatmaps, PafGrouper(parts, edges, most, stride, heatmaps.first_px)
    )


def drawn(how: MultiAnimalDecoder, points: Points, rows: int, columns: int) -> Points:
    """Return what a perfect network gives for `points` (animal, bodypart, 2), px."""
    stride = how.maps.stride
    return how.encode(points[None], rows * stride, columns * stride)[0]


def decode(how: MultiAnimalDecoder, output: Points) -> DecodedPoses:
    """Return the animals in the output of one image."""
    points, confidences = how.decode(output[None])
    return points[0], confidences[0]


def skeletons(count: int, stride: int, rng: np.random.Generator) -> Points:
    """Return animals (count, 4, 2), px of 40 x 30 cells, that do not touch.

    Each lies in a quarter of its own, its parts four cells or more from each other.
    """
    shape = np.array([[0, -4], [-3, 0], [3, 0], [0, 5]]) + rng.uniform(
        -0.5, 0.5, (4, 2)
    )
    quarters = np.array([[9.5, 7], [30, 7], [9.5, 22], [30, 22]])
    found = []
    for middle in rng.permutation(quarters)[:count]:
        angle = rng.uniform(0, 2 * np.pi)
        across, down = np.cos(angle), np.sin(angle)
        turned = shape @ np.array([[across, down], [-down, across]])
        found.append(middle + turned + rng.uniform(-1, 1, 2))
    cells = np.array(found, np.float32).reshape(count, 4, 2)
    return np.asarray(cells * stride + (stride - 1) / 2, np.float32)


def same(found: Points, truth: Points) -> bool:
    """Return whether they are the same animals in any order, within half a pixel."""
    there = np.isfinite(found).any(axis=(1, 2))
    if int(there.sum()) != len(truth):
        return False
    away = np.abs(found[there][:, None] - truth[None])
    pairs = assign(np.nanmean(away, axis=(2, 3)))
    return all(
        np.array_equal(np.isfinite(found[there][i]), np.isfinite(truth[j]))
        and np.nanmax(away[i, j]) <= 0.5
        for i, j in pairs
    )


@settings(max_examples=60, deadline=None)
@given(
    stride=st.sampled_from([2, 4, 8]),
    count=st.integers(0, 4),
    edges=st.sampled_from([TREE, RINGS]),
    seed=st.integers(0, 2**31),
)
def test_animals_that_do_not_touch_are_found_as_they_are(
    stride: int, count: int, edges: tuple[tuple[int, int], ...], seed: int
) -> None:
    how = decoder(stride, edges)
    truth = skeletons(count, stride, np.random.default_rng(seed))
    found, sure = decode(how, drawn(how, truth, 30, 40))
    assert found.shape == (4, 4, 2)
    assert same(found, truth)
    assert np.array_equal(sure > 0, np.isfinite(found).all(axis=2))


@settings(max_examples=60, deadline=None)
@given(
    stride=st.sampled_from([2, 4, 8]),
    missing=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_a_part_that_is_missing_is_missing_and_no_more(
    stride: int, missing: list[int], seed: int
) -> None:
    how = decoder(stride)
    truth = skeletons(4, stride, np.random.default_rng(seed))
    for animal, part in enumerate(missing):
        truth[animal, part] = np.nan
    found, _ = decode(how, drawn(how, truth, 30, 40))
    assert same(found, truth)


@settings(max_examples=30, deadline=None)
@given(stride=st.sampled_from([2, 4]), seed=st.integers(0, 2**31))
def test_noise_adds_nobody(stride: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    how = decoder(stride)
    truth = skeletons(3, stride, rng)
    output = drawn(how, truth, 30, 40)
    output += rng.normal(0, 0.02, output.shape).astype(np.float32)
    found, _ = decode(how, output)
    there = np.isfinite(found).all(axis=(1, 2))
    assert there.sum() == 3
    assert not np.isfinite(found[~there]).any()
    away = np.linalg.norm(found[there][:, None] - truth[None], axis=3).max(axis=2)
    assert away.min(axis=1).max() < stride


def test_animals_that_lie_across_each_other_are_kept_apart() -> None:
    """Two at random turns, one over the other; like parts are 3.5 cells apart or more.

    Where both lie alongside, an edge may fit both ways: not all can be told.
    """
    shape = np.array([[0, -5], [-2.5, -2], [2.5, -2], [0, 6]])
    rng = np.random.default_rng(0)
    how = decoder(4)
    right, count = 0, 0
    while count < 150:
        out = []
        for middle in (0.0, rng.uniform(3, 12)):
            angle = rng.uniform(0, 2 * np.pi)
            across, down = np.cos(angle), np.sin(angle)
            turned = shape @ np.array([[across, down], [-down, across]])
            out.append(turned + [20, 15] + middle * np.array([0.6, 0.3]))
        truth = np.array(out, np.float32) * 4 + 1.5
        if np.linalg.norm(truth[0] - truth[1], axis=1).min() < 14:
            continue
        count += 1
        right += same(decode(how, drawn(how, truth, 30, 40))[0], truth)
    assert right >= 147


def test_of_more_animals_than_asked_for_the_surest_are_told() -> None:
    how = decoder(4, most=2)
    truth = skeletons(4, 4, np.random.default_rng(1))
    output = drawn(how, truth, 30, 40)
    weak = drawn(how, truth[:2], 30, 40)
    output[:4] -= 0.3 * weak[:4]
    found, sure = decode(how, output)
    assert found.shape == (2, 4, 2)
    assert same(found, truth[2:])
    assert sure.min() > 0.8


def test_the_surest_animal_comes_first() -> None:
    how = decoder(4)
    truth = skeletons(3, 4, np.random.default_rng(2))
    output = drawn(how, truth, 30, 40)
    output[:4] *= np.linspace(1, 0.6, 40, dtype=np.float32)
    _, sure = decode(how, output)
    total = sure.sum(axis=1)
    assert (np.diff(total) <= 0).all()
    assert total[3] == 0


def test_of_an_edge_the_best_assignment_counts_not_its_best_line() -> None:
    """The crossed line is the best of the four, and both of its ends have better uses."""
    how = PafGrouper(2, ((0, 1),), 2, 4, 1.5)
    points = np.array([[10, 10], [10, 50], [90, 10], [90, 50]], np.float32)
    peaks = find_peaks(
        np.array([[[1, 0, 0.9]], [[1, 0, 0.9]]], np.float32), floor=0.1, most=4
    )
    assert peaks.maps.tolist() == [0, 0, 1, 1]
    cells = (points - 1.5) / 4
    # first with first 0.8, second with second 0.8, first with second 0.85
    fields = np.zeros((2, 16, 26), np.float32)
    for a, b, height in ((0, 2, 0.8), (1, 3, 0.8), (0, 3, 0.85)):
        pair = cells[[a, b]][None]
        one = encode_fields(pair, ((0, 1),), 16, 26, 0.5) * height
        fields = np.where(np.abs(one) > np.abs(fields), one, fields)
    found, _ = how.group(peaks, points, fields)
    assert_allclose(found[0], points[[0, 2]])
    assert_allclose(found[1], points[[1, 3]])


def test_the_gap_between_animals_in_a_row_is_no_edge() -> None:
    """The front one's tail base and the hind one's snout are not seen."""
    how = decoder(4, ((0, 1),))
    row = np.array([[[10, 60], [50, 60]], [[100, 60], [140, 60]]], np.float32)
    output = drawn(how, row, 30, 40)
    output[0, :, 20:] = 0
    output[1, :, :20] = 0
    found, _ = decode(how, output)
    assert not np.isfinite(found).any()


def test_a_line_longer_than_any_edge_is_no_edge() -> None:
    how = decoder(4, ((0, 1),))
    truth = np.array([[[30, 60], [70, 60]], [[30, 90], [110, 90]]], np.float32)
    output = drawn(how, truth, 30, 40)
    assert same(decode(how, output)[0], truth)
    short = MultiAnimalDecoder(how.maps, replace(how.grouping, longest=(60.0,)))
    assert same(decode(short, output)[0], truth[:1])


def test_an_output_of_nothing_and_one_of_noise_are_read_in_bounded_time() -> None:
    how = decoder(4)
    shape = (14, 48, 64)
    found, sure = decode(how, np.zeros(shape, np.float32))
    assert np.isnan(found).all()
    assert not sure.any()
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 1, shape).astype(np.float32)
    assert len(how.grouping.peaks(noise[:4])) == 4 * 8
    assert decode(how, noise)[0].shape == (4, 4, 2)
    assert np.isnan(decode(how, np.full(shape, np.nan, np.float32))[0]).all()


def test_equal_neighbours_are_one_peak() -> None:
    maps = np.zeros((2, 5, 6), np.float32)
    maps[0, 1:3, 1:3] = 0.7
    maps[1, 0, 5] = 0.4
    peaks = find_peaks(maps, 0.1, 5)
    assert peaks.maps.tolist() == [0, 1]
    assert peaks.rows.tolist() == [1, 0]
    assert peaks.columns.tolist() == [1, 5]


def test_one_part_needs_no_edges() -> None:
    heatmaps = Heatmaps(4, 1.0)
    how = MultiAnimalDecoder(heatmaps, PafGrouper(1, (), 3, 4, 1.5))
    truth = np.array([[[20, 20]], [[60, 40]]], np.float32)
    found, _ = decode(how, heatmaps.encode_animals(truth, 20, 20))
    assert same(found, truth)


def test_scores_with_offsets_are_grouped_too() -> None:
    """DeepLabCut's way: coarse scores, and how far from its cell a point lies."""
    heatmaps = MultiAnimalDecoder(Heatmaps(8, 1.0), PafGrouper(4, RINGS, 2, 8, 3.5))
    how = MultiAnimalDecoder(Offsets(8, 3.5, 7.28), heatmaps.grouping)
    truth = skeletons(2, 8, np.random.default_rng(5))
    output = drawn(heatmaps, truth, 30, 40)
    moved = np.zeros((2, 4, 30, 40), np.float32)
    for x, y in truth.reshape(-1, 2):
        column, row = round((x - 3.5) / 8), round((y - 3.5) / 8)
        moved[0, :, row, column] = (x - (column * 8 + 3.5)) / 7.28
        moved[1, :, row, column] = (y - (row * 8 + 3.5)) / 7.28
    tall = np.concatenate([output[:4], moved.reshape(8, 30, 40), output[4:]])
    assert tall.shape == how.output_shapes(4, 240, 320)[0]
    found, _ = decode(how, tall)
    assert same(found, truth)


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_is_read_picture_by_picture(count: int) -> None:
    how = decoder(4)
    truths = [skeletons(n + 1, 4, np.random.default_rng(n)) for n in range(count)]
    output = np.stack([drawn(how, truth, 30, 40) for truth in truths])
    points, sure = how.decode(output)
    assert points.shape == (count, how.animals, 4, 2)
    assert sure.shape == (count, 4, 4)
    for found, truth in zip(points, truths, strict=True):
        assert same(found, truth)


def test_so_many_samples_of_a_line_count_as_are_asked_for() -> None:
    animals = np.array([[[2.0, 8.0], [12.0, 8.0]], [[28.0, 8.0], [38.0, 8.0]]])
    fields = encode_fields(animals, [(0, 1)], 16, 46, 1.0)
    edge = np.zeros(2, np.intp)
    starts = np.array([[2, 8], [2, 8]], np.float32)
    ends = np.array([[12, 8], [38, 8]], np.float32)  # an edge, and a line over the gap
    line, gap = paf_line_scores(fields, edge, starts, ends)
    assert line > 0.95
    assert gap < 0.1
    line, gap = paf_line_scores(fields, edge, starts, ends, SAMPLES)
    assert line > 0.95
    assert 0.5 < gap < 0.75  # more than half of it lies on edges
    how = PafGrouper(2, ((0, 1),), 2, 4, 1.5, link=0.5)
    maps = np.zeros((2, 16, 46), np.float32)
    maps[0, 8, 2] = maps[1, 8, 38] = 1.0
    peaks = how.peaks(maps)
    points = np.array([[2, 8], [38, 8]], np.float32) * 4 + 1.5
    assert np.isnan(how.group(peaks, points, fields)[0]).all()
    found, _ = replace(how, worst=SAMPLES).group(peaks, points, fields)
    assert_allclose(found[0], points)
