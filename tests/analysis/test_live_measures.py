"""Measures so far equal the results of the recorded run; gaps are the one difference."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import deeplabstream.analysis.analyse as analyse_module
from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.events import on_spans
from deeplabstream.analysis.live_measures import (
    LIVE,
    LiveMeasures,
    LivePlan,
    RunningPulses,
)
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import PlacesOfRun, RegionOfInterest
from deeplabstream.analysis.totals import OutputPart
from deeplabstream.analysis.tracks import SpanClock, joined
from deeplabstream.core.calibration import Calibration, from_marks, parse_mark
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import parse_region
from tests.analysis.made import PARTS, body_at, made_run

Floats = NDArray[np.float64]
Walk: TypeAlias = tuple[Floats, Floats, Floats]
"""Times (frame,), points (frame, animal, part, 2), confidence (frame, animal, part)."""
OPTIONS = AnalysisOptions(start_speed=33.37, stop_speed=21.71, min_immobile_s=0.217)
MARKS = from_marks(
    [parse_mark(word) for word in ("0 0 0 0", "400 20 300 0", "390 300 300 200", "9 310 0 200")]
)  # fmt: skip


def region(name: str, words: str, **more: Any) -> RegionOfInterest:
    return RegionOfInterest(name, parse_region(words), **more)


REGIONS = (
    region("left", "rectangle 0.13 0.17 150.31 400.7", bodyparts=("snout",)),
    region("spot", "circle 160.3 150.7 60.1", bodyparts=PARTS, rule="any"),
    region("core", "circle 160.3 150.7 80.1", bodyparts=PARTS),
    region(
        "steady", "ellipse 200.3 150.7 90.1 70.3", bodyparts=("snout", "tailbase"),
        enter_margin=7.7, exit_margin=11.3,
    ),
    region("floor", "polygon 50.3 20.1 220.7 33.3 140.9 160.7", bodyparts=("snout",), unit="mm"),
)  # fmt: skip


@st.composite
def walks(draw: st.DrawFn, gaps: bool) -> Walk:
    """Return times (frame,), points (frame, animal, part, 2) and confidence."""
    seed = draw(st.integers(0, 2**32 - 1))
    frames = draw(st.integers(2, 90))
    animals = draw(st.integers(1, 2))
    rng = np.random.default_rng(seed)
    usual_s = draw(st.sampled_from([0.008, 0.033, 0.1, 0.3]))
    steps = usual_s * rng.uniform(0.5, 1.5, frames)
    if gaps:
        steps[rng.random(frames) < 0.05] += 0.9
    t = np.round(np.cumsum(steps), 6)
    points, confidence = [], []
    for _ in range(animals):
        rests = np.repeat(rng.random(frames // 9 + 1) < 0.5, 9)[:frames]
        pace = np.where(rests, 3.1, 90.7)[:, None] * np.diff(t, prepend=0.0)[:, None]
        xy = rng.uniform(60, 260, 2) + np.cumsum(
            rng.normal(0, 1, (frames, 2)) * pace, axis=0
        )
        points.append(body_at(np.clip(xy, 20, 380), rng.uniform(0, 360, frames)))
        seen = np.ones((frames, len(PARTS)))
        if gaps:
            for start in rng.integers(0, frames, frames // 15 + 1):
                length = int(rng.integers(1, 9))
                chosen = rng.random(len(PARTS)) < 0.6
                seen[start : start + length, chosen] = 0.1
        confidence.append(seen)
    every = np.stack(points, axis=1).astype(np.float32).astype(np.float64)
    return t, every, np.stack(confidence, axis=1)


def skeleton_of(animals: int) -> Skeleton:
    names = tuple(f"animal{n + 1}" for n in range(animals))
    return Skeleton(PARTS, (), names if animals > 1 else ())


def lived(
    walk: Walk,
    calibration: Calibration | None,
    options: AnalysisOptions = OPTIONS,
) -> dict[tuple[str, str, str], float]:
    """Return all live measures after the last frame."""
    t, points, confidence = walk
    skeleton = skeleton_of(points.shape[1])
    regions = REGIONS if calibration else REGIONS[:4]
    live = LiveMeasures(LivePlan(skeleton, 0.5, calibration, regions, options=options))
    for at, time_s in enumerate(t):
        pose = Pose(
            skeleton, points[at].astype(np.float32), confidence[at].astype(np.float32)
        )
        live.add(float(time_s), pose)
    live.finish()
    return {(animal, name, of): value for animal, name, of, value in live.values()}


def analysed(
    walk: Walk,
    calibration: Calibration | None,
    options: AnalysisOptions = OPTIONS,
) -> RunResults:
    """Return the results of the same frames, recorded."""
    t, points, confidence = walk
    found = np.where(confidence[..., None] >= 0.5, points, np.nan)
    run = made_run(
        t,
        found,
        calibration=calibration,
        places=PlacesOfRun(REGIONS if calibration else REGIONS[:4]),
    )
    return analyse(run, options)


def compare(
    live: Mapping[tuple[str, str, str], float],
    results: RunResults,
    measures: Sequence[str],
) -> None:
    for (animal, name, of), value in live.items():
        if name in measures:
            expected = results.value(name, of, animal)
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), (
                name,
                of,
            )


COUNTED = ("region_entries", "region_exits", "region_latency")
ALL = [
    each.name
    for subject in ("track", "mobility", "region", "animal")
    for each in LIVE[subject]
]  # type: ignore[index]


def compare_all(
    walk: Walk, calibration: Calibration | None, results: RunResults
) -> None:
    live = lived(walk, calibration)
    animals = walk[1].shape[1]
    of_pairs = 2 * animals * (animals - 1)
    assert len(live) == animals * (8 + 7 * (5 if calibration else 4)) + of_pairs
    compare(live, results, [name for name in ALL if name not in COUNTED])
    for (animal, name, of), value in live.items():
        if name == "region_entries":  # one on the last frame belongs to the next span
            visits = results.visits[animal, of]
            assert value == len(visits.entries)
            assert live[animal, "region_exits", of] == len(visits.exits)
            first = visits.entries[0] - walk[0][0] if len(visits.entries) else np.nan
            latency = live[animal, "region_latency", of]
            assert latency == pytest.approx(first, abs=1e-9, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(walks(gaps=False), st.sampled_from([None, MARKS]))
def test_without_gaps_each_live_measure_is_the_result_of_the_run(
    walk: Walk, calibration: Calibration | None
) -> None:
    compare_all(walk, calibration, analysed(walk, calibration))


CONTACTS = [
    replace(OPTIONS, contact_distance=70.3),
    replace(
        OPTIONS,
        contact_distance=50.3,
        contact_bodyparts=("snout", "leftear"),
        contact_target_bodyparts=("tailbase",),
    ),
]


@settings(max_examples=25, deadline=None)
@given(walks(gaps=True), st.sampled_from([None, MARKS]), st.sampled_from(CONTACTS))
def test_live_contacts_and_distances_are_the_results_of_the_run_without_interpolation(
    walk: Walk, calibration: Calibration | None, options: AnalysisOptions
) -> None:
    live = lived(walk, calibration, options)
    with patch.object(analyse_module, "fill_gaps", not_filled):
        results = analysed(walk, calibration, options)
    of_pairs = [measure.name for measure in LIVE["animal"]]
    animals = walk[1].shape[1]
    names = [name for _, name, _ in live if name in of_pairs]
    assert len(names) == animals * (animals - 1) * 4
    compare(live, results, of_pairs)


def pair(*offsets: float, distance: float | None = 10.0) -> LiveMeasures:
    """Return measures after frames of two animals at these distances, 10 per second."""
    skeleton = Skeleton(("snout",), animals=("anna", "bob"))
    options = AnalysisOptions(contact_distance=distance)
    live = LiveMeasures(LivePlan(skeleton, 0.5, options=options))
    for n, offset in enumerate(offsets):
        points = np.array([[[0, 0]], [[offset, 0]]], np.float32)
        live.add(n / 10, Pose(skeleton, points, np.ones((2, 1), np.float32)))
    return live


def test_contacts_of_two_animals_so_far() -> None:
    live = pair(50, 5, 5, 50, 5, 50)
    assert live.value("contacts", "bob", "anna") == 2
    assert live.value("contact_time", "1", "bob") == pytest.approx(0.3)
    assert live.value("animal_min_distance", "bob", "anna") == 5
    assert live.value("animal_mean_distance", "bob", "anna") == pytest.approx(23)
    assert np.isnan(pair().value("contacts", "bob", "anna"))


@pytest.mark.parametrize(
    ("of", "distance", "complaint"),
    [
        ("", 10.0, "name another animal than anna"),
        ("anna", 10.0, "name another animal than anna"),
        ("cara", 10.0, "there is no animal 'cara'"),
        ("bob", None, r"give CONTACT_DISTANCE in \[Measures\]"),
    ],
)
def test_a_measure_of_a_pair_needs_another_animal_and_a_distance(
    of: str, distance: float | None, complaint: str
) -> None:
    with pytest.raises(ExperimentError, match=complaint):
        pair(5, distance=distance).value("contacts", of, "anna")


def not_filled(
    t: Floats, xy: Floats, max_gap_s: float
) -> tuple[Floats, NDArray[np.bool_]]:
    return xy, np.zeros(len(t), np.bool_)


@settings(max_examples=25, deadline=None)
@given(walks(gaps=True), st.sampled_from([None, MARKS]))
def test_with_gaps_only_the_interpolation_is_missing(
    walk: Walk, calibration: Calibration | None
) -> None:
    with patch.object(analyse_module, "fill_gaps", not_filled):
        compare_all(walk, calibration, analysed(walk, calibration))


@settings(max_examples=25, deadline=None)
@given(walks(gaps=True))
def test_live_tracked_time_is_that_of_the_run_without_the_interpolated_time(
    walk: Walk,
) -> None:
    results, live = analysed(walk, None), lived(walk, None)
    for animal in results.tracks:
        tracked, share = (
            results.value(m, animal=animal) for m in ("tracked", "interpolated")
        )
        share = 0.0 if np.isnan(share) else share
        assert live[animal, "tracked", ""] == pytest.approx(
            tracked * (1 - share), abs=1e-9
        )


@given(
    st.lists(
        st.tuples(st.integers(1, 2000), st.sampled_from([0.0, 0.5, 1.0])),
        max_size=30,
    ),
    st.integers(1, 1000),
)
def test_live_pulses_are_those_of_the_recorded_edges(
    moves: list[tuple[int, float]], rest_ms: int
) -> None:
    waits_ns = [wait_ms * 1_000_000 for wait_ms, _ in moves]
    times = np.cumsum(waits_ns, dtype=np.int64).tolist()
    end_ns = (times[-1] if times else 0) + rest_ms * 1_000_000
    live = RunningPulses()
    live.restart(0)
    for time_ns, (_, level) in zip(times, moves, strict=True):
        live.edge(time_ns, level)
    spans = on_spans(
        [n / 1e9 for n in times], [level for _, level in moves], end_ns / 1e9
    )
    clock = SpanClock(np.array([[0.0, end_ns / 1e9]]))
    part = OutputPart(spans, clock, clock.total_s, joined(spans, 0.5))
    found = {name: value for _, name, _, value in live.until(end_ns).values("light")}
    for measure in LIVE["output"]:
        assert found[measure.name] == pytest.approx(
            measure.function(part), abs=1e-9, nan_ok=True
        ), measure.name


def one(places: Sequence[tuple[float, float] | None], **more: Any) -> LiveMeasures:
    """Return measures after frames of one body part, 10 per second."""
    skeleton = Skeleton(("snout",))
    regions = (region("left", "rectangle 0 0 100 100", bodyparts=("snout",)),)
    live = LiveMeasures(
        LivePlan(
            skeleton,
            0.5,
            regions=regions,
            names={"left": "left", "also left": "left"},
            **more,
        )
    )
    for at, place in enumerate(places):
        points = np.array([[place or (0.0, 0.0)]], np.float32)
        sure = np.array([[float(place is not None)]], np.float32)
        live.add(at / 10, Pose(skeleton, points, sure))
    return live


IN, OUT = (50.0, 50.0), (50.0, 150.0)


def test_a_known_track_has_the_known_values() -> None:
    live = one([OUT, OUT, IN, IN, IN, OUT, IN])
    assert live.value("region_time", "left") == pytest.approx(0.3)
    assert live.value("region_time", "also left") == live.value("region_time", "left")
    assert live.value("region_entries", "left") == 2
    assert live.value("region_exits", "left") == 1
    assert live.value("region_latency", "left") == pytest.approx(0.2)
    assert live.value("distance") == pytest.approx(300)
    assert live.value("mean_speed", animal="1") == pytest.approx(500)


def test_the_time_of_a_lost_animal_does_not_count() -> None:
    live = one([OUT, IN, IN, *[None] * 30])
    assert live.value("region_time", "left") == pytest.approx(0.1)
    assert live.value("tracked") == pytest.approx(0.2)
    assert live.value("duration") == pytest.approx(3.2)
    assert not live.is_known()


def test_points_that_a_filter_rejected_do_not_count() -> None:
    live = one([IN])
    pose = Pose(
        Skeleton(("snout",)),
        np.full((1, 1, 2), 50, np.float32),
        np.ones((1, 1), np.float32),
    )
    for at, flags in enumerate([{}, {"snout": "jump+held"}, {"snout": "smoothed"}], 1):
        live.add(at / 10, pose, flags)
        assert live.is_known() is (at != 2)
    assert live.value("tracked") == pytest.approx(0.1)


def test_an_animal_with_ambiguous_identity_is_not_known() -> None:
    skeleton = skeleton_of(2)
    live = LiveMeasures(LivePlan(skeleton, 0.5))
    points, sure = np.full((2, 4, 2), 50, np.float32), np.ones((2, 4), np.float32)
    for at in range(4):
        identity = ("", "doubt1") if at == 2 else ("", "")
        live.add(at / 10, Pose(skeleton, points, sure, identity))
    assert live.value("tracked", animal="animal1") == pytest.approx(0.3)
    assert live.value("tracked", animal="2") == pytest.approx(0.1)


def test_a_start_inside_is_no_entry() -> None:
    live = one([IN, IN, OUT])
    assert live.value("region_entries", "left") == 0
    assert np.isnan(live.value("region_latency", "left"))


def test_what_is_not_measured_is_a_sentence() -> None:
    live = one([IN, IN])
    with pytest.raises(
        ExperimentError, match=r"no live measure 'region_tim' of the region"
    ):
        live.value("region_tim", "left")
    with pytest.raises(ExperimentError, match=r"no trigger 'right' with a region"):
        live.value("region_time", "right")
    with pytest.raises(
        ExperimentError, match=r"START_SPEED and STOP_SPEED in \[Measures\]"
    ):
        live.value("immobile_time")
    with pytest.raises(ExperimentError, match="there is no animal 'bob'"):
        live.value("distance", animal="bob")


def test_memory_does_not_grow_with_the_frames() -> None:
    places = [(50 + 40 * np.sin(n / 7), 50.0) for n in range(3000)]
    live = one(places, options=AnalysisOptions(start_speed=50.0, stop_speed=40.0))
    mobility = live._tracks[0]._mobility
    assert mobility is not None
    assert len(mobility._frames) < 80
