"""Measures of points in space, on a track with known answers."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.measures import MEASURES
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.moment_table import RecordedPoints, read_points
from deeplabstream.recording.run_schema import MOMENTS
from tests.analysis.made import PARTS, body_at, made_run

T = np.arange(201) / 10
"""Seconds: 20 s at 10 moments/s."""
Z = np.where((T >= 2) & (T < 5) | (T >= 9) & (T < 9.5) | (T >= 12) & (T < 14), 80.0, 20)
"""Height of the snout: three rears of 3 s, 0.5 s, 2 s."""
X = np.clip(10 * (T - 15), 0, 30)
"""It stands for 15 s, walks by 10 mm/s for 3 s, and stands."""
OPTIONS = AnalysisOptions(
    position=("tailbase",),
    rearing_height=50,
    min_rearing_s=1,
    speed_window_s=0,
    bin_s=5,
)
WHOLE = {
    "space_tracked": 20,
    "space_distance": 50,  # 30 mm across and, at the same time, 40 mm up
    "space_mean_speed": 2.5,
    "space_max_speed": 50 / 3,
    "mean_height": (sum(40 / 30 * np.arange(30)) / 10 + 2 * 40) / 20,
    "max_height": 40,
    "rearing_time": 5,
    "rearing_share": 0.25,
    "rears": 2,
    "mean_rear": 2.5,
    "latency_to_rearing": 2,
}


def track() -> RecordedPoints:
    points = np.zeros((len(T), len(PARTS), 3))
    points[:, PARTS.index("snout"), 2] = Z
    points[:, PARTS.index("tailbase"), 0] = X
    points[:, PARTS.index("tailbase"), 2] = X * 4 / 3
    return RecordedPoints(T, points)


def analysed(
    space: RecordedPoints | None, options: AnalysisOptions = OPTIONS
) -> RunResults:
    points = body_at(np.full((len(T), 2), 100), np.zeros(len(T)))[:, None]
    return analyse(made_run(T, points, space=space), options)


@pytest.mark.parametrize("name", WHOLE)
def test_a_measure_in_space_has_its_known_value(name: str) -> None:
    assert analysed(track()).value(name) == pytest.approx(WHOLE[name], abs=1e-6)


def test_every_measure_in_space_has_a_known_value() -> None:
    assert {each.name for each in MEASURES if each.of in ("space", "rearing")} == set(
        WHOLE
    )


@pytest.mark.parametrize(
    "name", ["space_tracked", "space_distance", "rearing_time", "rears"]
)
def test_the_bins_add_up_to_the_whole(name: str) -> None:
    results = analysed(track())
    bins = [results.value(name, span=f"bin {number}") for number in range(1, 5)]
    assert sum(bins) == pytest.approx(WHOLE[name], abs=1e-9)


def test_unknown_points_are_missing_and_end_a_rear() -> None:
    space = track()
    space.points[(T >= 3) & (T < 4), PARTS.index("snout")] = np.nan
    space.points[T >= 19, PARTS.index("tailbase")] = np.nan
    results = analysed(space)
    assert results.value("rears") == 2  # the first is known for 0.9 s before the gap
    assert results.value("rearing_time") == pytest.approx(3)
    assert results.value("rearing_share") == pytest.approx(3 / 18.9)
    assert results.value("space_tracked") == pytest.approx(18.9)


def test_a_short_gap_does_not_end_a_rear() -> None:
    space = track()
    space.points[(T >= 3) & (T < 3.3), PARTS.index("snout")] = np.nan
    assert analysed(space).value("rearing_time") == pytest.approx(5)


def test_lengths_in_space_are_in_mm_without_a_scale_of_the_camera() -> None:
    table = analysed(track()).table()
    assert {"space_distance_mm", "space_max_speed_mm_per_s", "mean_height_mm"} <= {
        *table
    }
    assert "distance_px" in table


def test_without_a_height_there_are_no_rears_and_without_points_no_measures() -> None:
    names = {each.measure.name for each in analysed(track(), AnalysisOptions()).values}
    assert "mean_height" in names
    assert "rears" not in names
    names = {each.measure.name for each in analysed(None).values}
    assert not names & set(WHOLE)


def test_a_body_part_that_the_run_lacks_is_named() -> None:
    options = AnalysisOptions(rearing_height=50, rearing_bodyparts=("wing",))
    with pytest.raises(
        DeepLabStreamError, match=r"rearing_bodyparts: .* no body part .*wing"
    ):
        analysed(track(), options)


def test_moments_whose_time_does_not_increase_are_left_out(tmp_path: Path) -> None:
    axes = [f"snout_{axis}_mm" for axis in "xyz"]
    table = CsvTable(tmp_path / MOMENTS.file, (*MOMENTS.fixed, *axes))
    for number, time_s in enumerate([0.1, 0.2, 0.2, 0.3]):
        cells = dict(zip(axes, [1.5, np.nan, float(number)], strict=True))
        moment = {"moment": number, "time_s": time_s, "exposed_ns": number}
        table.write_cells({**moment, "camera": "left", "frame": number, **cells})
    table.close()
    read = read_points(tmp_path / MOMENTS.file, ("snout", "tailbase"))
    assert read is not None
    assert read.t.tolist() == [0.1, 0.2, 0.3]
    assert read.points[:, 0, 2].tolist() == [0, 1, 3]
    assert np.isnan(read.points[:, 0, 1]).all()
    assert np.isnan(read.points[:, 1]).all()
    assert read_points(tmp_path / "nothing.csv", ("snout",)) is None


def test_a_table_without_moments_has_no_points(tmp_path: Path) -> None:
    path = tmp_path / MOMENTS.file
    path.write_bytes(b"")
    read = read_points(path, ("snout", "tailbase"))
    assert read is not None
    assert read.points.shape == (0, 2, 3)
    assert "mean_height" not in {each.measure.name for each in analysed(read).values}
