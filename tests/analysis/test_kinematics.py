"""Properties of the functions on arrays, and equality with the package movement."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.kinematics import (
    headings,
    median_speed,
    moving,
    speeds,
    step_lengths,
    turns,
)
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import PlacesOfRun, RegionOfInterest
from deeplabstream.analysis.tracks import (
    SpanClock,
    bouts_of,
    fill_gaps,
    joined,
    known_intervals,
    outside_of,
    smooth,
)
from deeplabstream.analysis.visits import VisitRules, inside_region, visits_of
from deeplabstream.core.regions import Region, parse_region
from tests.analysis.made import body_at, made_run

Floats = NDArray[np.float64]
ADDED = ("tracked_s", "distance_px", "turning_deg", "net_turning_deg", "duration_s")


@st.composite
def walks(draw: st.DrawFn, gaps: bool = True) -> tuple[Floats, Floats, Floats]:
    """Return times, points (frame, 1, part, 2) and headings of a random walk."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(5, 120))
    t = np.round(np.cumsum(random.uniform(0.02, 0.3, count)), 6)
    xy = 300 + np.cumsum(random.normal(0, 12, (count, 2)), axis=0)
    heading = np.cumsum(random.normal(0, 30, count)) % 360
    points = body_at(xy, heading)[:, None]
    if gaps:
        points[random.random((count, 1, 4)) < 0.15] = np.nan
    return t, points, heading


def turned(points: Floats, degrees: float, shift: tuple[float, float]) -> Floats:
    angle = np.radians(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + shift)


def numbers(results: RunResults) -> dict[tuple[str, str, str], float]:
    return {
        (each.span.name, each.measure.name, each.of): each.value
        for each in results.values
    }


@settings(deadline=None, max_examples=40)
@given(walks(), st.floats(0, 360), st.tuples(*[st.floats(-500, 500)] * 2))
def test_turning_and_moving_the_image_changes_only_directions(
    walk: tuple[Floats, Floats, Floats], degrees: float, shift: tuple[float, float]
) -> None:
    t, points, _ = walk
    options = AnalysisOptions(start_speed=60, stop_speed=50, freezing_speed=60)
    before = numbers(analyse(made_run(t, points), options))
    moved = made_run(t, turned(points, degrees, shift))
    after = numbers(analyse(moved, options))
    heading = before.pop(("whole", "mean_heading", "")) + degrees
    away = (after.pop(("whole", "mean_heading", "")) - heading + 180) % 360 - 180
    if before["whole", "heading_concentration", ""] > 1e-3:
        assert away == pytest.approx(0, abs=1e-3)
    assert after == pytest.approx(before, rel=1e-6, abs=1e-5, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(walks(), st.integers(120, 480), st.integers(120, 480))
def test_the_times_in_regions_that_cover_the_image_add_up(
    walk: tuple[Floats, Floats, Floats], x: int, y: int
) -> None:
    t, points, _ = walk
    # no edge is on a coordinate of the walk
    left, top, far = x + 0.123456789, y + 0.123456789, 1e6
    quarters = [
        f"rectangle {a} {b} {w} {h}"
        for a, w in ((-far, left + far), (left, far))
        for b, h in ((-far, top + far), (top, far))
    ]
    places = PlacesOfRun(
        tuple(
            RegionOfInterest(f"{n}", parse_region(words))
            for n, words in enumerate(quarters)
        )
    )
    results = analyse(made_run(t, points, places=places))
    for inside, whole in (("region_time", "tracked"), ("region_distance", "distance")):
        total = sum(results.value(inside, f"{n}") for n in range(4))
        assert total == pytest.approx(results.value(whole), abs=1e-6)
    entries = sum(results.value("region_entries", f"{n}") for n in range(4))
    assert entries == sum(results.value("region_exits", f"{n}") for n in range(4))


@settings(deadline=None, max_examples=40)
@given(walks(), st.floats(0.3, 20))
def test_bins_of_any_size_add_up_to_the_whole(
    walk: tuple[Floats, Floats, Floats], bin_s: float
) -> None:
    t, points, _ = walk
    region = RegionOfInterest("a", parse_region("circle 300 300 20"))
    run = made_run(t, points, places=PlacesOfRun((region,)))
    table = analyse(run, AnalysisOptions(bin_s=bin_s)).table().set_index("span")
    counts = ["region_time_s.a", "region_entries.a", "region_exits.a"]
    columns = [name for name in (*ADDED, *counts) if name in table]
    bins = table[table.kind == "bin"][columns].sum()
    whole = table.loc["whole", columns]
    if not run.places.regions or t[-1] in analyse(run).visits["animal1", "a"].spans:
        columns = columns[:-2]  # an entry on the last frame is in no span
    np.testing.assert_allclose(
        bins[columns].astype(float), whole[columns].astype(float), atol=1e-6
    )


@given(
    st.sampled_from(
        [
            "circle 30 30 20",
            "ellipse 30 30 20 10",
            "ring 30 30 10 20",
            "rectangle 10 10 30 20",
            "polygon 0 0 50 10 40 45 20 15 5 40",
        ]
    ),
    st.lists(
        st.tuples(*[st.one_of(st.integers(0, 60), st.floats(0, 60))] * 2), min_size=1
    ),
)
def test_regions_answer_alike_for_one_point_and_for_many(
    words: str, points: list[tuple[float, float]]
) -> None:
    region: Region = parse_region(words)
    many = np.array([*points, (np.nan, 5)], np.float64)
    inside = [region.has(x, y) for x, y in many.tolist()]
    assert region.contains(many).tolist() == inside
    one_by_one = [region.depth(x, y) for x, y in many.tolist()]
    np.testing.assert_allclose(region.depths(many), one_by_one, atol=1e-9)


def test_margins_keep_the_state_between_them() -> None:
    x = np.array([90.0, 101, 104, 107, 103, 97, 94, 101, 97, 107])
    region = parse_region("rectangle 100 0 100 100")
    points = np.column_stack([x, np.full(10, 50.0)])[:, None]
    inside, known = inside_region(region, points, "all", (5, 5))
    assert inside.tolist() == [False] * 3 + [True] * 3 + [False] * 3 + [True]
    assert known.all()


@pytest.mark.parametrize(
    ("rules", "spans", "entries", "exits"),
    [
        (VisitRules(), [[1, 3], [4, 5], [7, 9]], [1, 4, 7], [3, 5, 9]),
        (VisitRules(min_visit_s=2), [[1, 3], [7, 9]], [1, 7], [3, 9]),
        (VisitRules(min_absence_s=2), [[1, 5], [7, 9]], [1, 7], [5, 9]),
        (VisitRules(min_visit_s=4, min_absence_s=2), [[1, 5]], [1], [5]),
    ],
)
def test_short_visits_and_absences(
    rules: VisitRules,
    spans: list[list[float]],
    entries: list[float],
    exits: list[float],
) -> None:
    inside = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 0], bool)
    found = visits_of(np.arange(10.0), inside, np.ones(10, bool), rules)
    assert found.spans.tolist() == spans
    assert (found.entries.tolist(), found.exits.tolist()) == (entries, exits)


def test_a_visit_continues_over_a_gap_and_its_time_does_not_count() -> None:
    known = np.array([1, 1, 0, 0, 1, 1], bool)
    inside = np.array([0, 1, 0, 0, 1, 0], bool)
    found = visits_of(np.arange(6.0), inside, known, VisitRules())
    assert found.spans.tolist() == [[1, 5]]
    assert (found.inside & found.known).tolist() == [False] * 4 + [True]
    begins = visits_of(np.arange(3.0), np.ones(3, bool), np.ones(3, bool), VisitRules())
    assert (len(begins.spans), len(begins.entries), len(begins.exits)) == (1, 0, 0)
    counted = VisitRules(start_s=0)
    begins = visits_of(np.arange(3.0), np.ones(3, bool), np.ones(3, bool), counted)
    assert begins.entries.tolist() == [0]


def test_the_speed_over_a_window_ends_at_a_gap() -> None:
    t = np.arange(9.0)
    xy = np.column_stack([t**2, np.zeros(9)])
    xy[4] = np.nan
    known = known_intervals(t, xy, 1)
    expected = [2, 3, 4, np.nan, np.nan, 12, 13, 14]
    np.testing.assert_allclose(speeds(t, xy, known, 3), expected)
    np.testing.assert_allclose(
        speeds(t, xy, known), [1, 3, 5, np.nan, np.nan, 11, 13, 15]
    )


def test_bouts_spans_and_clocks() -> None:
    t = np.arange(8.0)
    state = np.array([1, 1, 0, 1, 1, 1, 0], bool)
    known = np.array([1, 1, 1, 1, 0, 1, 1], bool)
    assert bouts_of(t, state, known).tolist() == [[0, 2], [3, 4], [5, 6]]
    assert bouts_of(t, state, known, 2).tolist() == [[0, 2]]
    bouts = np.array([[1.0, 2.0], [2.4, 3.0], [5.0, 6.0]])
    assert joined(bouts, 0.5).tolist() == [[1, 3], [5, 6]]
    assert outside_of(bouts, 0, 5.5).tolist() == [[0, 1], [2, 2.4], [3, 5]]
    clock = SpanClock(bouts)
    assert clock.until(np.array([0, 1.5, 2.2, 9])).tolist() == pytest.approx(
        [0, 0.5, 1, 2.6]
    )
    assert clock.holds(np.array([1.0, 2.0, 2.5])).tolist() == [True, False, True]
    assert moving(np.array([1.0, 9, 6, 4, 6, np.nan, 6]), 8, 5).tolist() == [
        False, True, True, False, False, False, False,
    ]  # fmt: skip


@settings(deadline=None)
@given(walks())
def test_smoothing_keeps_a_straight_line_and_what_is_not_known(
    walk: tuple[Floats, Floats, Floats],
) -> None:
    t, points, _ = walk
    xy = points[:, 0, 0]
    found = smooth(t, xy, 0.5)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(xy))
    assert smooth(t, xy, 0) is xy
    even = np.arange(50) / 10
    line = np.column_stack([3 * even + 500, -even])
    np.testing.assert_allclose(smooth(even, line, 0.4)[5:-5], line[5:-5])


def labelled(t: Floats, points: Floats) -> Any:
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(
        points.transpose(0, 3, 2, 1),
        dims=("time", "space", "keypoints", "individuals"),
        coords={
            "time": t,
            "space": ["x", "y"],
            "keypoints": ["leftear", "rightear", "snout", "tailbase"],
            "individuals": [f"animal{n + 1}" for n in range(points.shape[1])],
        },
    )


@pytest.fixture(scope="module")
def pair() -> tuple[Floats, Floats]:
    random = np.random.default_rng(7)
    t = np.arange(900) / 30
    walks = [
        body_at(
            300 + np.cumsum(random.normal(0, 3, (900, 2)), axis=0),
            np.cumsum(random.normal(0, 5, 900)),
        )
        for _ in range(2)
    ]
    return t, np.stack(walks, axis=1)


def test_path_length_and_speed_are_those_of_movement(
    pair: tuple[Floats, Floats],
) -> None:
    kinematics = pytest.importorskip("movement.kinematics")
    t, points = pair
    data = labelled(t, points)
    results = analyse(made_run(t, points), AnalysisOptions(position=("snout",)))
    length = kinematics.compute_path_length(data, nan_policy="scale").sel(
        keypoints="snout"
    )
    for n, animal in enumerate(results.tracks):
        assert results.value("distance", animal=animal) == pytest.approx(
            float(length[n]), abs=1e-6
        )
    part = kinematics.compute_path_length(data, 10, 20, nan_policy="scale").sel(
        keypoints="snout"
    )
    middle = analyse(
        made_run(t, points), AnalysisOptions(position=("snout",), start_s=10, end_s=20)
    )
    assert middle.value("distance") == pytest.approx(float(part[0]), abs=1e-6)
    xy = points[:, 0, 2]
    ahead = kinematics.compute_forward_displacement(data).sel(
        keypoints="snout", individuals="animal1"
    )
    np.testing.assert_allclose(
        step_lengths(xy), np.linalg.norm(ahead, axis=1)[:-1], atol=1e-9
    )
    # movement's speed at a frame is that over the two intervals beside it
    theirs = kinematics.compute_speed(data).sel(
        keypoints="snout", individuals="animal1"
    )
    two = t[::2], xy[::2]
    ours = speeds(*two, np.ones(len(two[0]) - 1, bool))
    np.testing.assert_allclose(ours, theirs[1:-1:2], atol=1e-6)
    whole = np.full(len(t) - 1, 1 / 30)
    speed = speeds(t, xy, np.ones(len(t) - 1, bool))
    assert median_speed(speed, whole) == pytest.approx(np.median(speed))


def test_head_direction_is_that_of_movement(pair: tuple[Floats, Floats]) -> None:
    kinematics = pytest.importorskip("movement.kinematics")
    t, points = pair
    data = labelled(t, points).sel(individuals="animal1")
    head = points[:, 0, 2] - points[:, 0, :2].mean(axis=1)
    theirs = kinematics.compute_forward_vector_angle(
        data, "leftear", "rightear", camera_view="top_down", in_degrees=True
    )
    apart = (headings(head) - np.asarray(theirs) + 180) % 360 - 180
    np.testing.assert_allclose(apart, 0, atol=1e-6)
    steps = np.diff(np.unwrap(np.radians(np.asarray(theirs))))
    np.testing.assert_allclose(turns(headings(head)), np.degrees(steps), atol=1e-6)
    results = analyse(made_run(t, points))
    assert results.value("turning") == pytest.approx(
        np.degrees(np.abs(steps).sum()), abs=1e-6
    )


def test_distances_of_animals_are_those_of_movement(
    pair: tuple[Floats, Floats],
) -> None:
    kinematics = pytest.importorskip("movement.kinematics")
    t, points = pair
    theirs = kinematics.compute_pairwise_distances(
        labelled(t, points), dim="individuals", pairs={"animal1": "animal2"}
    ).sel(animal1="snout", animal2="snout")
    results = analyse(made_run(t, points), AnalysisOptions(position=("snout",)))
    expected = float(np.mean(theirs[:-1]))
    found = results.value("animal_mean_distance", "animal2")
    assert found == pytest.approx(expected, abs=1e-6)
    expected = float(np.min(theirs[:-1]))
    found = results.value("animal_min_distance", "animal2")
    assert found == pytest.approx(expected, abs=1e-6)


def test_gaps_are_filled_as_by_movement(pair: tuple[Floats, Floats]) -> None:
    filtering = pytest.importorskip("movement.filtering")
    t, points = pair
    broken = points.copy()
    broken[100:104], broken[200:220] = np.nan, np.nan
    theirs = filtering.interpolate_over_time(labelled(t, broken), method="linear").sel(
        keypoints="snout", individuals="animal1"
    )
    ours, interpolated = fill_gaps(t, broken[:, 0, 2], 5 / 30 + 1e-6)
    np.testing.assert_allclose(ours[:200], theirs[:200], atol=1e-9)
    assert np.flatnonzero(interpolated).tolist() == [100, 101, 102, 103]
    assert np.isnan(ours[200:220]).all()


def test_points_in_polygons_are_those_of_movement(pair: tuple[Floats, Floats]) -> None:
    roi = pytest.importorskip("movement.roi")
    t, points = pair
    corners = [(250, 250), (330, 240), (350, 330), (300, 300), (260, 340)]
    theirs = roi.PolygonOfInterest(corners).contains_point(
        labelled(t, points).sel(keypoints="snout", individuals="animal1")
    )
    words = " ".join(f"{x} {y}" for x, y in corners)
    ours = parse_region(f"polygon {words}").contains(points[:, 0, 2])
    assert 0 < ours.sum() < len(ours)
    np.testing.assert_array_equal(ours, np.asarray(theirs))
