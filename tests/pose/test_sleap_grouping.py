from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.paf_grouping import PafGrouper, Peaks
from deeplabstream.pose.decoders.registry import decoder_from_json
from deeplabstream.pose.decoders.sleap_grouping import SleapGrouper

Points = NDArray[np.float32]

SLEAP = SleapGrouper(2, ((0, 1),), 4, 2, 0.0, floor=0.2, fields_stride=4)
OURS = PafGrouper(2, ((0, 1),), 4, 2, 0.0, floor=0.2)


def grouped(how: PafGrouper, starts: Points, ends: Points, fields: Points) -> Points:
    """Return the animals (n, 2, 2) of peaks of equal heights at these points."""
    points = np.concatenate([starts, ends]).astype(np.float32)
    maps = np.repeat([0, 1], [len(starts), len(ends)])
    none = np.zeros(len(points), np.intp)
    peaks = Peaks(maps, none, none, np.ones(len(points), np.float32))
    found, _ = how.group(peaks, points, fields.astype(np.float32))
    return found[np.isfinite(found).all(axis=(1, 2))]


def along_x(strengths: NDArray[np.floating]) -> Points:
    """Return a field (2, 40, 100) that points to +x, with a strength for each column."""
    field = np.zeros((2, 40, 100), np.float32)
    field[0, :, : len(strengths)] = strengths
    return field


def test_a_line_with_a_gap_counts_by_its_mean() -> None:
    """SLEAP-NN joins it; our own rule, of the worst samples, does not."""
    strengths = np.ones(50)
    strengths[20:34] = 0
    field = along_x(strengths)
    starts, ends = np.array([[4.0, 40]]), np.array([[84.0, 40]])
    assert_allclose(grouped(SLEAP, starts, ends, field), [[[4, 40], [84, 40]]])
    assert not len(grouped(OURS, starts, ends, field))


def test_a_line_against_the_field_counts_below_0() -> None:
    field = along_x(np.concatenate([np.full(15, -1.0), np.ones(25)]))
    starts, ends = np.array([[0.0, 40]]), np.array([[48.0, 40]])
    # Six samples of ten lie in the first 15 cells: 4 - 6 of 10 is below 0.
    assert not len(grouped(SLEAP, starts, ends, field))


def test_pairs_are_chosen_before_weak_ones_are_dropped() -> None:
    """The best line alone would leave a worse sum of both pairs."""
    field = np.zeros((2, 40, 100), np.float32)
    field[0, 10] = 0.6  # first start to first end
    field[0, 30] = 0.1  # second start to second end
    starts = np.array([[0.0, 20], [0.0, 60]])
    ends = np.array([[40.0, 20], [40.0, 60]])
    assert_allclose(grouped(SLEAP, starts, ends, field), [[[0, 20], [40, 20]]])


def test_long_lines_are_penalised() -> None:
    """A quarter of the longer side, 200 px, is free: 50 px; of 150 px two thirds are."""
    field = along_x(np.full(100, 0.9))
    start = np.array([[0.0, 40]])
    assert len(grouped(SLEAP, start, np.array([[50.0, 40]]), field))
    assert len(grouped(SLEAP, start, np.array([[66.0, 40]]), field))
    assert not len(grouped(SLEAP, start, np.array([[150.0, 40]]), field))


def test_samples_are_at_cells_of_the_fields_as_they_were() -> None:
    """Cells between them are interpolated, and not read."""
    field = along_x(np.tile([1.0, -1.0], 50))
    line = np.array([[8.0, 40]]), np.array([[48.0, 40]])
    assert len(grouped(SLEAP, *line, field))
    assert not len(grouped(replace(SLEAP, fields_stride=2), *line, field))


def test_points_in_one_place_are_no_animal() -> None:
    place = np.array([[40.0, 40]])
    assert not len(grouped(SLEAP, place, place, along_x(np.ones(100))))


def test_the_strongest_lines_decide_which_animals_are_kept() -> None:
    field = np.zeros((2, 40, 100), np.float32)
    field[0, 10], field[0, 20], field[0, 30] = 0.5, 0.9, 0.7
    rows = np.array([20.0, 40, 60])
    starts = np.stack([np.zeros(3), rows], axis=1)
    ends = np.stack([np.full(3, 40), rows], axis=1)
    two = replace(SLEAP, most=2)
    assert sorted(grouped(two, starts, ends, field)[:, 0, 1].tolist()) == [40, 60]


def test_model_files_keep_the_grouping() -> None:
    decoder: Decoder = MultiAnimalDecoder(Heatmaps(2, 1.5, 0, centroid=5), SLEAP)
    sections = decoder.to_json(["A", "B"])
    assert decoder_from_json(sections, ["A", "B"]) == decoder
    sections["animals"]["fields_stride"] = 3  # type: ignore[index, call-overload]
    with pytest.raises(ValueError, match=r"fields_stride: 3 must be a multi"):
        decoder_from_json(sections, ["A", "B"])
