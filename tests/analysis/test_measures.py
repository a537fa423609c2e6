"""Each measure on a track with known answers."""

from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.events import on_spans, trials_of
from deeplabstream.analysis.measures import MEASURES
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import (
    PlacesOfRun,
    PointOfInterest,
    RegionOfInterest,
)
from deeplabstream.core.calibration import from_scale
from deeplabstream.core.regions import parse_region
from tests.analysis.made import body_at, made_run
from tools.table_docs import generated

ROOT = Path(__file__).resolve().parents[2]
T = np.arange(201) / 10
X = np.clip(100 + 20 * (T - 5), 100, 200)
Y = np.clip(100 + 10 * (T - 15), 100, 150)
"""It stands for 5 s, runs right at 20 px/s, stands for 5 s, walks down at 10 px/s."""
HEADING = np.where(T < 10, 0.0, 90.0)
PLACES = PlacesOfRun(
    (
        RegionOfInterest("left", parse_region("rectangle 0 0 150 300")),
        RegionOfInterest("arena", parse_region("rectangle 0 -50 300 350")),
    ),
    (PointOfInterest("lamp", 300, 100),),
)
OPTIONS = AnalysisOptions(
    speed_window_s=0,
    start_speed=8,
    stop_speed=5,
    freezing_speed=4,
    arena="arena",
    wall_distance=101,
    contact_distance=25,
    approach_speed=15,
    following_speed=15,
    chasing_speed=19,
    bin_s=5,
)
WALK = np.arange(50.0)  # px below 100 on each frame from 15 s on
RUN = np.arange(0, 100, 2.0)  # px right of 100 on each frame from 5 s on
EXPECTED = {
    "duration": 20,
    "tracked": 20,
    "missing": 0,
    "interpolated": 0,
    "corrected": 0,
    "distance": 150,
    "mean_speed": 7.5,
    "median_speed": 5,
    "max_speed": 20,
    "mobile_time": 10,
    "immobile_time": 10,
    "immobile_bouts": 2,
    "freezing_time": 10,
    "freezing_share": 0.5,
    "freezing_bouts": 2,
    "mean_freezing_bout": 5,
    "longest_freezing_bout": 5,
    "latency_to_freezing": 0,
    "turning": 90,
    "net_turning": 90,
    "turning_speed": 4.5,
    "mean_heading": 45,
    "heading_concentration": sqrt(0.5),
    "region_time.left": 7.6,
    "region_share.left": 0.38,
    "region_entries.left": 0,
    "region_exits.left": 1,
    "region_latency.left": np.nan,
    "region_mean_visit.left": 7.6,
    "region_longest_visit.left": 7.6,
    "region_distance.left": 52,
    "region_mean_speed.left": 52 / 7.6,
    "region_first_arrivals.left": 0,
    "region_first_latency.left": np.nan,
    "wall_time": 15.1,
    "wall_share": 0.755,
    "mean_wall_distance": (
        50 * 100 + sum(np.minimum(100 + RUN, np.minimum(150, 200 - RUN))) + 100 * 100
    ) / 200,
    "point_mean_distance.lamp": (
        50 * 200 + sum(200 - RUN) + 50 * 100 + sum(np.hypot(100, WALK))
    ) / 200,
    "point_min_distance.lamp": 100,
    "point_approach_time.lamp": 5,
    "point_withdrawal_time.lamp": 0,
    "point_head_angle.lamp": (
        50 * 90 + sum(90 + np.degrees(np.arctan2(WALK, 100)))
    ) / 200,
    "point_facing_time.lamp": 10,
    "animal_mean_distance.animal2": (
        50 * 30 + sum(abs(RUN - 30)) + 50 * 70 + sum(np.hypot(70, WALK))
    ) / 200,
    "animal_min_distance.animal2": 0,
    "animal_approach_time.animal2": 1.5,
    "animal_withdrawal_time.animal2": 3.4,
    "animal_facing_time.animal2": 6.5,
    "contact_time.animal2": 2.5,
    "contacts.animal2": 1,
    "following_time.animal2": 0,
    "chasing_time.animal2": 0,
    "behaviour_time.rest": 6,
    "behaviour_share.rest": 6 / 19,
    "behaviour_bouts.rest": 2,
    "behaviour_mean_bout.rest": 3,
    "behaviour_latency.rest": 2,
    "stimuli.laser": 2,
    "pulses.laser": 4,
    "on_time.laser": 1.4,
    "duty.laser": 0.07,
    "stimulus_latency.laser": 1,
    "trials": 3,
    "trials.right": 1,
    "trials.wrong": 1,
    "trial_share": 1,
    "trial_share.right": 1 / 3,
    "trial_share.wrong": 1 / 3,
    "mean_reaction_time": 1.25,
    "median_reaction_time": 1.25,
    "mean_reaction_time.right": 0.5,
    "median_reaction_time.right": 0.5,
    "mean_reaction_time.wrong": np.nan,
    "median_reaction_time.wrong": np.nan,
}  # fmt: skip


def made() -> RunResults:
    rest = np.where((T >= 2) & (T < 5) | (T >= 9) & (T < 12), 0.9, 0.1)
    rest[T >= 19] = np.nan
    marks = [
        (1.0, "trial 1: tone"), (3.0, "trial 1: right"), (5.0, "trial 2: light"),
        (6.0, "trial 2: wrong"), (8.0, "trial 3: tone"),
    ]  # fmt: skip
    answers = np.array([[1.5, 2.0], [10.0, 11.0]])
    points = np.stack(
        [
            body_at(np.column_stack([X, Y]), HEADING),
            body_at(np.full((201, 2), (130, 100)), np.zeros(201)),
        ],
        axis=1,
    )
    run = made_run(
        T,
        points,
        places=PLACES,
        behaviours={"rest": rest},
        outputs={
            "laser": on_spans(
                [0, 1, 1.2, 1.4, 1.6, 1.8, 2.0, 12, 12.8],
                [0, 1, 0, 0.5, 0, 1, 0, 1, 0],
                20,
            )
        },
        marks=marks,
        trials=trials_of(marks, answers, 20.0),
    )
    return analyse(run, OPTIONS)


RESULTS = made()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_measure_has_its_known_value(name: str) -> None:
    measure, _, of = name.partition(".")
    value = RESULTS.value(measure, of)
    assert value == pytest.approx(EXPECTED[name], abs=1e-6, nan_ok=True)


def test_every_measure_has_a_known_value() -> None:
    in_space = {each.name for each in MEASURES if each.of in ("space", "rearing")}
    assert {each.name for each in MEASURES} - in_space - {
        name.partition(".")[0] for name in EXPECTED
    } == {"animal_head_angle"}


def summed() -> Iterator[str]:
    for each in MEASURES:
        if each.unit in ("s", "count", "length", "deg") and not any(
            word in each.name
            for word in ("mean", "median", "longest", "latency", "min_", "angle")
        ):
            yield each.name


@pytest.mark.parametrize("name", list(summed()))
def test_the_bins_add_up_to_the_whole(name: str) -> None:
    for of in {each.of for each in RESULTS.values if each.measure.name == name}:
        for animal in RESULTS.tracks:
            numbers = {
                each.span.name: each.value
                for each in RESULTS.values
                if (each.measure.name, each.of, each.animal) == (name, of, animal)
            }
            if numbers:
                whole = numbers.pop("whole")
                assert len(numbers) == 4
                assert sum(numbers.values()) == pytest.approx(whole, abs=1e-9)


def test_the_angle_to_an_animal_that_is_passed() -> None:
    # 0 until it is passed at 6.5 s, then 180; from 10 s on the head points down
    angle = RESULTS.value("animal_head_angle", "animal2", span="bin 2")
    seen = np.where(RUN < 30, 0.0, 180.0)
    assert angle == pytest.approx(sum(np.delete(seen, 15)) / 49, abs=1e-6)


def test_millimetres_scale_lengths_and_nothing_else() -> None:
    scaled = analyse(
        made_run(
            T,
            body_at(np.column_stack([X, Y]), HEADING)[:, None],
            places=PLACES,
            calibration=from_scale(0.5),
        ),
        AnalysisOptions(speed_window_s=0, arena="arena", wall_distance=50.5),
    )
    assert scaled.unit == "mm"
    assert scaled.value("wall_time") == pytest.approx(EXPECTED["wall_time"])
    assert scaled.value("mean_wall_distance") == pytest.approx(
        EXPECTED["mean_wall_distance"] / 2
    )
    assert scaled.value("distance") == pytest.approx(75)
    assert scaled.value("region_time", "left") == pytest.approx(7.6)
    assert scaled.value("point_min_distance", "lamp") == pytest.approx(50)
    assert scaled.value("turning") == pytest.approx(90)
    assert "distance_mm" in scaled.table()
    # 10 mm/s, 0, 5 mm/s: below 17.5 mm/s, it never moves
    assert scaled.value("immobile_time") == pytest.approx(20)


def test_gaps_are_filled_up_to_the_limit_and_reported() -> None:
    points = body_at(np.column_stack([X, Y]), HEADING)[:, None]
    points[60:64] = np.nan  # 0.5 s between the frames 59 and 64
    points[80:85] = np.nan  # 0.6 s between the frames 79 and 85
    results = analyse(made_run(T, points, places=PLACES), OPTIONS)
    assert results.value("missing") == pytest.approx(0.6 / 20)
    assert results.value("interpolated") == pytest.approx(0.5 / 19.4)
    assert results.value("distance") == pytest.approx(150 - 12)
    assert results.value("region_time", "left") == pytest.approx(7.6)
    shorter = AnalysisOptions(max_gap_s=0.3)
    results = analyse(made_run(T, points, places=PLACES), shorter)
    assert results.value("missing") == pytest.approx(1.1 / 20)
    assert results.value("distance") == pytest.approx(150 - 22)
    assert results.value("region_time", "left") == pytest.approx(7.1)
    assert results.value("region_exits", "left") == 1


def test_poor_tracking_is_named() -> None:
    points = body_at(np.column_stack([X, Y]), HEADING)[:, None]
    assert not any("poor" in each for each in analyse(made_run(T, points)).notes)
    points[50:100, 0, 2] = np.nan  # the snout for 5.1 of 20 s
    (note,) = (n for n in analyse(made_run(T, points)).notes if "poor" in n)
    assert "animal1 is not known for 26%" in note
    assert "snout was found on 75% of the frames" in note


def test_a_gap_in_the_frames_is_missing() -> None:
    points = body_at(np.column_stack([X, Y]), HEADING)[:, None]
    keep = (T < 6) | (T > 8)
    results = analyse(made_run(T[keep], points[keep]), OPTIONS_WITHOUT_ARENA)
    assert results.value("missing") == pytest.approx(2.2 / 20)


OPTIONS_WITHOUT_ARENA = AnalysisOptions(speed_window_s=0)


def test_the_page_has_the_measures() -> None:
    page = (ROOT / "docs/results.md").read_text("utf-8")
    assert page == generated("results.md", page), "run python -m tools.table_docs"


def test_names_of_columns_are_different() -> None:
    columns = [each.column("mm", "x") for each in MEASURES]
    assert len(set(columns)) == len(columns)
