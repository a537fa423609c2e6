"""Plots: drawn without warnings, axes with units, text as text, sums that are right."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb

from deeplabstream.analysis.analyse import RunResults, analyse
from deeplabstream.analysis.arena_plots import occupancy
from deeplabstream.analysis.measures import label_of_column
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.plot_style import (
    FigureColours,
    PlotOptions,
    drawn_in,
    save_plot,
)
from deeplabstream.analysis.plots import PLOTS, group_plot, plot
from deeplabstream.analysis.region_list import PointOfInterest, RegionOfInterest
from deeplabstream.analysis.time_plots import signal_of, signals_of
from deeplabstream.core.calibration import from_scale
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.regions import parse_region
from tests.analysis.made import body_at, made_run

GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"
WORDS = {
    "track": ["x (px)", "y (px)", "time (s)"],
    "occupancy": ["x (px)", "time (s) in 12.8 × 12.8 px"],
    "time-course": ["speed (px/s)", "distance (px)", "time (s)", "laser on"],
    "peri-stimulus": [
        "laser: n = 5 stimulations", "speed (px/s)", "time from onset of laser (s)",
        "mean ± s.e.m., n = ",
    ],
    "visits": ["laser on", "time (s)"],
    "heading": ["90° down"],
}  # fmt: skip


@pytest.fixture(scope="module")
def results() -> RunResults:
    return analyse(GOLDEN / "optogenetic")


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_written_with_text_as_text(
    results: RunResults, name: str, tmp_path: Path
) -> None:
    figure = plot(results, name)
    text = save_plot(figure, tmp_path / "a.svg").read_text("utf-8")
    assert [words for words in WORDS[name] if words not in text] == []
    pdf = save_plot(figure, tmp_path / "a.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"FontFile2" in pdf  # the font is embedded
    assert save_plot(figure, tmp_path / "a.png").stat().st_size > 5000
    again = save_plot(plot(results, name), tmp_path / "b.svg").read_text("utf-8")
    assert again == text


def test_what_cant_be_plotted_is_named(results: RunResults, tmp_path: Path) -> None:
    for name, options, message in (
        ("map", PlotOptions(), "expected one of track"),
        ("track", PlotOptions(animal="bob"), "the animals are animal1"),
        ("occupancy", PlotOptions(bin_size=0.01), "use larger bins"),
        ("peri-stimulus", PlotOptions(output="lamp"), "lamp was never on"),
        ("peri-stimulus", PlotOptions(signal="fear"), "expected one of speed"),
    ):
        with pytest.raises(DeepLabStreamError, match=message):
            plot(results, name, options)
    with pytest.raises(DeepLabStreamError, match="expected the ending"):
        save_plot(plot(results, "heading"), tmp_path / "a.gif")
    assert not (tmp_path / "a.gif").exists()


def test_a_calibrated_run_is_drawn_in_millimetres(tmp_path: Path) -> None:
    t = np.arange(100) / 10
    xy = np.column_stack([100 + 20 * t, np.full(100, 100.0)])
    run = made_run(t, body_at(xy, np.zeros(100))[:, None], calibration=from_scale(0.5))
    results = analyse(run)
    (axes, *_) = plot(results, "track", PlotOptions(image=False)).axes
    assert axes.get_xlabel() == "x (mm)"
    assert axes.get_xlim() == (0, 320)
    drawn = np.array(axes.collections[0].get_paths()[0].vertices)
    np.testing.assert_allclose(drawn, [[50, 50], [51, 50]])
    speed = plot(results, "time-course").axes[0]
    assert speed.get_ylabel() == "speed (mm/s)"
    np.testing.assert_allclose(speed.lines[0].get_ydata(), 10)


def test_the_average_around_stimulations_is_the_signals() -> None:
    t = np.arange(650) / 10
    on = np.array([[10.0, 12.0], [30.0, 32.0], [50.0, 52.0]])
    fast = ((t[:, None] >= on[:, 0]) & (t[:, None] < on[:, 1])).any(axis=1)
    x = np.concatenate([[0.0], np.cumsum(np.where(fast, 3.0, 1.0))[:-1]])
    xy = np.column_stack([x, np.full(650, 50.0)])
    run = made_run(t, body_at(xy, np.zeros(650))[:, None], outputs={"laser": on})
    results = analyse(run, AnalysisOptions(speed_window_s=0))
    mean = plot(results, "peri-stimulus").axes[1]
    (line, _) = mean.lines
    offsets, values = (np.asarray(each) for each in line.get_data())
    inside = (offsets > 0.1) & (offsets < 1.9)
    np.testing.assert_allclose(values[inside], 30)
    np.testing.assert_allclose(values[(offsets < -0.1) | (offsets > 2.1)], 10)
    assert "n = 3" in mean.get_ylabel()


def test_distances_and_directions_are_averaged_around_stimulations() -> None:
    t = np.arange(600) / 10
    on = np.array([[10.0, 12.0], [30.0, 32.0]])
    x = 100 + 20 * np.abs((t % 20) - 10)  # nearest to x = 100 at each onset
    points = np.stack(
        [body_at(np.column_stack([p, p * 0]), p * 0) for p in (x, x + 30)]
    )
    points = points.transpose(1, 0, 2, 3)
    points[250:260, 0] = np.nan
    run = made_run(t, points, outputs={"laser": on})
    options = AnalysisOptions(
        points=(PointOfInterest("door", 60, 0),),
        regions=(RegionOfInterest("box", parse_region("rectangle 0 -50 600 100")),),
        arena="box",
        approach_speed=5,
        contact_distance=40,
        speed_window_s=0,
        freezing_speed=1,
        start_speed=2,
        stop_speed=1,
    )
    results = analyse(run, options)
    assert list(signals_of(results, "animal1")) == [
        "speed", "box", "immobile", "freezing", "turning_speed", "point_distance.door",
        "point_head_angle.door", "point_approach.door", "animal_distance.animal2",
        "animal_head_angle.animal2", "animal_approach.animal2", "contact.animal2",
        "wall_distance",
    ]  # fmt: skip
    expected: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "point_distance.door": lambda s: 40 + 20 * np.abs(s),
        "point_head_angle.door": lambda s: np.full(len(s), 180.0),
        "point_approach.door": lambda s: -20 * np.sign(s),
        "animal_distance.animal2": lambda s: np.full(len(s), 30.0),
        "animal_head_angle.animal2": lambda s: np.zeros(len(s)),
        "contact.animal2": lambda s: np.ones(len(s)),
        "wall_distance": lambda s: np.full(len(s), 50.0),
        "immobile": lambda s: np.zeros(len(s)),
        "turning_speed": lambda s: np.zeros(len(s)),
    }
    for name, of in expected.items():
        drawn = PlotOptions(signal=name, animal="animal1")
        mean = plot(results, "peri-stimulus", drawn).axes[1]
        seconds, values = (np.asarray(each) for each in mean.lines[0].get_data())
        inside = (np.abs(seconds) > 0.1) & (seconds < 9.9)
        np.testing.assert_allclose(values[inside], of(seconds)[inside], atol=1e-6)
        found = signal_of(results, "animal1", name)
        assert np.isnan(np.interp(25.5, found.times_s, found.values)), name
    door = plot(results, "peri-stimulus", PlotOptions(signal="point_distance.door"))
    assert "distance to door (px)\nmean ± s.e.m., n = " in door.axes[1].get_ylabel()


@given(
    st.lists(st.tuples(st.floats(0, 64), st.floats(0, 48)), min_size=1, max_size=20),
    st.sampled_from([0.0, 1.0, 2.5]),
)
def test_the_occupancy_adds_up_to_the_time(
    places: list[tuple[float, float]], smoothing: float
) -> None:
    seconds = np.linspace(0.5, 1, len(places))
    found = occupancy(np.array(places), seconds, (64, 48), 5, smoothing)
    assert found.shape == (10, 13)
    assert found.sum() == pytest.approx(seconds.sum())
    assert (found >= 0).all()


def test_every_animal_is_a_point_of_the_comparison() -> None:
    table = pd.DataFrame(
        {
            "animal": ["a", "a", "b", "c", "d", "e"],
            "group": ["control"] * 3 + ["treated"] * 3,
            "distance_mm": [1.0, 3.0, 4.0, 5.0, 7.0, np.nan],
        }
    )
    (axes,) = group_plot(table, "distance_mm").axes
    points = [np.asarray(each.get_offsets())[:, 1] for each in axes.collections[:4:2]]
    assert sorted(points[0]) == [2, 4]
    labels = [each.get_text() for each in axes.get_xticklabels()]
    assert labels == ["control\nn = 2", "treated\nn = 2"]
    assert axes.get_ylabel() == "distance (mm)"
    with pytest.raises(DeepLabStreamError, match="no column 'speed'"):
        group_plot(table, "speed")
    with pytest.raises(DeepLabStreamError, match="no animal has a number"):
        group_plot(table.assign(distance_mm=np.nan), "distance_mm")


def test_labels_have_units() -> None:
    assert label_of_column("mean_speed_mm_per_s") == "mean speed (mm/s)"
    assert label_of_column("region_entries.left") == "entries into left"
    assert label_of_column("turning_deg") == "turning (°)"


@pytest.mark.parametrize("values", [[90.0, 99.0], [1.0, 9.0], [-9.0, -1.0], [0.0, 0.0]])
def test_no_point_of_a_group_lies_at_a_limit_of_the_axis(values: list[float]) -> None:
    table = pd.DataFrame({"animal": ["a", "b"], "group": "x", "distance_mm": values})
    (axes,) = group_plot(table, "distance_mm").axes
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height
    radius = np.sqrt(18) / 2 * 100 / 72  # px at 100 per inch
    room = radius * (high - low) / height
    assert max(values) + room <= high
    assert low == 0 or min(values) - room >= low


def test_figures_are_white_unless_they_are_drawn_for_a_window() -> None:
    table = pd.DataFrame({"animal": ["a"], "group": "x", "distance_mm": [1.0]})
    with drawn_in(FigureColours("#1e2229", "#e6e9ee", "#5aa2f0", "#353b46")):
        shown = group_plot(table, "distance_mm")
    exported = group_plot(table, "distance_mm")
    for figure, background, text, data in (
        (shown, "#1e2229", "#e6e9ee", "#5aa2f0"),
        (exported, "#ffffff", "#000000", "#0072b2"),
    ):
        assert to_hex(figure.get_facecolor()) == background
        (axes,) = figure.axes
        assert to_hex(axes.get_facecolor()) == background
        assert to_hex(axes.yaxis.label.get_color()) == text
        assert to_hex(axes.get_yticklabels()[0].get_color()) == text
        assert to_hex(axes.collections[0].get_facecolor()[0]) == data


def test_the_track_is_drawn_on_the_background_and_differs_from_it() -> None:
    results = analyse(made_run(np.arange(50) / 10, np.full((50, 1, 4, 2), 10.0)))
    with drawn_in(FigureColours("#1e2229", "#e6e9ee", "#5aa2f0", "#353b46")):
        shown = plot(results, "track", PlotOptions(image=False))
    exported = plot(results, "track", PlotOptions(image=False))
    for figure, background in ((shown, "#1e2229"), (exported, "#ffffff")):
        axes = figure.axes[0]
        assert to_hex(axes.get_facecolor()) == background
        first = axes.collections[0].get_cmap()(0.0)
        assert abs(sum(first[:3]) - sum(to_rgb(background))) > 0.6


def test_a_run_without_an_animal_on_any_frame_is_drawn() -> None:
    run = made_run(np.arange(50) / 10, np.full((50, 1, 4, 2), np.nan))
    results = analyse(replace(run, outputs={"laser": np.array([[1.0, 2.0]])}))
    assert results.value("missing") == 1
    for name in PLOTS:
        assert plot(results, name, PlotOptions(image=False)).axes


def test_names_may_have_any_sign(tmp_path: Path) -> None:
    t = np.arange(50) / 10
    points = body_at(np.full((50, 2), 100.0), np.zeros(50))[:, None]
    region = RegionOfInterest("a$x^{$ <b>", parse_region("circle 100 100 20"))
    results = analyse(made_run(t, points), AnalysisOptions(regions=(region,)))
    for name in ("track", "visits"):
        figure = plot(results, name, PlotOptions(image=False))
        text = save_plot(figure, tmp_path / f"{name}.svg").read_text("utf-8")
        assert "a$x^{$ &lt;b&gt;" in text
