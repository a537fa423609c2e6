"""Plots of results: track, occupancy, time course, peri-stimulus average, visits, heading, groups.

Colours are distinct for colour-blind readers and in grey print: Okabe and Ito's palette for
categories, cividis and viridis for numbers. Text stays text in SVG and PDF files.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.analyse import RunResults
from deeplabstream.analysis.arena_image import arena_image
from deeplabstream.analysis.fonts import OWN, fallbacks, make_legible
from deeplabstream.analysis.kinematics import mean_direction, turns
from deeplabstream.analysis.measures import Target
from deeplabstream.analysis.region_list import RegionOfInterest
from deeplabstream.analysis.tracks import Bools, Floats, SpanClock, Spans, joined
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.numerics.peri_event import Around, Signal, around

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442",
    "#000000",
)  # fmt: skip
"""Okabe and Ito's colours (jfly.uni-koeln.de/color)."""
STIMULUS = "#56B4E9"
FORMATS = ("svg", "pdf", "png")
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # names may have a $
    "svg.fonttype": "none",
    "svg.hashsalt": "deeplabstream",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "figure.dpi": 100,
}
_LONG_S = 600.0
"""Runs that last longer have axes in minutes."""
_HEADINGS = 24
"""Bins of the polar plot."""
_MOST_BINS = 1000
"""Bins of the occupancy side by side."""
_DENSE = 2000
_SHARES = ("share", "probability")
"""Units of signals from 0 to 1."""
_CURVE_S = 1.0
"""Means of the speed in long time courses."""


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """What a plot shows.

    Attributes
    ----------
    animal : str
        Empty: the first one.
    colour : {"time", "speed"}
        Colour of the track.
    image : bool
        Whether the track is drawn on the image of the arena.
    bin_size : float
        Side of an occupancy bin in the unit of the map; 0: a fiftieth of its width.
    smoothing : float
        Standard deviation of the occupancy's smoothing, in bins; 0: none.
    output : str
        Output of the peri-stimulus average; empty: the first one that was on.
    signal : str
        What is averaged: `speed`, a region (share of stimulations with the animal inside),
        a behaviour (probability), `immobile`, `freezing`, `turning_speed`,
        `point_distance.NAME`, `point_head_angle.NAME`, `animal_distance.NAME`,
        `animal_head_angle.NAME`, `contact.NAME` or `wall_distance`; with `approach_speed`
        also `point_approach.NAME` and `animal_approach.NAME`.
    before_s : float
        Time before the onset.
    after_s : float
        Time after the onset.
    """

    animal: str = ""
    colour: Literal["time", "speed"] = "time"
    image: bool = True
    bin_size: float = 0.0
    smoothing: float = 1.0
    output: str = ""
    signal: str = "speed"
    before_s: float = 5.0
    after_s: float = 10.0


def plot(
    results: RunResults, name: str, options: PlotOptions | None = None
) -> "Figure":
    """Return a figure.

    Parameters
    ----------
    results : RunResults
        What `analyse` returned.
    name : str
        `track`, `occupancy`, `time-course`, `peri-stimulus`, `visits` or `heading`.
    options : PlotOptions, optional
        Left out: the defaults.

    Returns
    -------
    matplotlib.figure.Figure
        `save_plot` writes it; a notebook shows it.

    Raises
    ------
    DeepLabStreamError
        There is nothing to plot, or an option does not fit the run.

    Examples
    --------
    >>> results = dls.analyse("output/2026-11-21_10-58-55")
    >>> dls.save_plot(dls.plot(results, "track"), "track.svg")
    """
    from matplotlib.figure import Figure

    if name not in PLOTS:
        raise DeepLabStreamError(f"plot {name!r}: expected one of {', '.join(PLOTS)}")
    options = options or PlotOptions()
    animal = options.animal or next(iter(results.tracks))
    if animal not in results.tracks:
        there = ", ".join(results.tracks)
        raise DeepLabStreamError(f"animal = {animal}: the animals are {there}")
    with figure_style():
        figure = Figure(figsize=PLOTS[name].size, layout="constrained")
        PLOTS[name].draw(figure, results, animal, options)
    return figure


def save_plot(figure: "Figure", path: str | Path) -> Path:
    """Write a figure as SVG, PDF or PNG; text stays text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What `plot` returned.
    path : str or pathlib.Path
        Its ending is the format: .svg, .pdf or .png. An existing file is replaced.

    Raises
    ------
    DeepLabStreamError
        Another ending, or the file can't be written.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = Path(path)
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise DeepLabStreamError(f"{path}: expected the ending .svg, .pdf or .png")
    fixed: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    try:
        with figure_style(), atomic_file(path) as draft:
            if path.suffix.lower() != ".svg":  # its reader has fonts of its own
                make_legible(figure)
            figure.savefig(draft, metadata=fixed.get(path.suffix.lower()))
    except OSError as error:
        reason = error.strerror or error
        raise DeepLabStreamError(f"Can't write {path}: {reason}") from error
    return path


def png_of(figure: "Figure", dpi: float) -> bytes:
    """Return a figure as PNG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What `plot` returned.
    dpi : float
        Pixels per inch.

    Returns
    -------
    bytes
        The content of a PNG file.
    """
    content = BytesIO()
    with figure_style():
        make_legible(figure)
        figure.savefig(content, format="png", dpi=dpi)
    return content.getvalue()


def figure_style() -> AbstractContextManager[Any]:
    """Return the context in which figures are drawn and written: fonts, text as text."""
    from matplotlib import rc_context

    return rc_context(_STYLE | {"font.family": [OWN, *fallbacks()]})


def is_dense(figure: "Figure") -> bool:
    """Return whether a figure has so many lines that reports have them as an image."""
    from matplotlib.collections import LineCollection

    return any(
        len(each.get_paths()) > _DENSE for each in figure.findobj(LineCollection)
    )


def draw_track(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw the track on the image of the arena, coloured by time or speed."""
    from matplotlib.collections import LineCollection

    axes, place = _arena(figure, results, options.image)
    track, zero_s = results.tracks[animal], results.spans[0].start_s
    xy = place.of(track.xy)
    shown = SpanClock(results.spans[0].spans).between(track.t) * track.known > 0
    lines = np.stack([xy[:-1], xy[1:]], axis=1)[shown]
    is_time = options.colour == "time"
    unit_s, unit = _time_unit(results)
    colours = (track.t[:-1] - zero_s) / unit_s if is_time else track.speed
    drawn = LineCollection(
        list(lines), cmap="cividis" if is_time else "viridis", linewidths=0.8,
        array=colours[shown], rasterized=len(lines) > 20_000,
    )  # fmt: skip
    axes.add_collection(drawn)
    if not is_time and len(lines):
        drawn.set_clim(0, float(np.nanpercentile(colours[shown], 99)))
    label = f"time ({unit})" if is_time else f"speed ({results.unit}/s)"
    extend = "neither" if is_time else "max"
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8, extend=extend)
    _regions(axes, results, place)


def draw_occupancy(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw how long the animal was in each part of the arena, in seconds."""
    axes, place = _arena(figure, results, False)
    side = options.bin_size or place.width / 50
    if not place.width / side < _MOST_BINS:
        raise DeepLabStreamError(
            f"bin_size = {side:g}: the arena is {place.width:g} {place.unit} wide; use "
            "larger bins"
        )
    seconds = occupancy(
        place.of(results.tracks[animal].xy)[:-1],
        _seconds(results, animal),
        (place.width, place.height),
        side,
        options.smoothing,
    )
    extent = (0, seconds.shape[1] * side, seconds.shape[0] * side, 0)
    visited = seconds[seconds > 0]
    top = float(np.percentile(visited, 99.5)) if len(visited) else 1.0
    drawn = axes.imshow(seconds, cmap="viridis", extent=extent, vmin=0, vmax=top)
    axes.set_xlim(0, place.width)
    axes.set_ylim(place.height, 0)
    label = f"time (s) in {side:.3g} × {side:.3g} {place.unit}"
    if options.smoothing:
        label += f"\nsmoothed, s.d. {options.smoothing * side:.3g} {place.unit}"
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8, extend="max")
    _regions(axes, results, place, "white")


def occupancy(
    xy: Floats,
    seconds: Floats,
    size: tuple[float, float],
    side: float,
    smoothing: float = 0.0,
) -> Floats:
    """Return the seconds in each bin of a map.

    Parameters
    ----------
    xy : numpy.ndarray of float64, shape (interval, 2)
        Position in each interval; NaN: not known.
    seconds : numpy.ndarray of float64, shape (interval,)
        Seconds that count.
    size : tuple of float
        Width and height of the map, in the unit of `xy`; what lies outside is left out.
    side : float
        Side of a bin.
    smoothing : float
        Standard deviation of a Gaussian kernel, in bins. Reflected at the edges of the map,
        so the sum stays the same.

    Returns
    -------
    numpy.ndarray of float64, shape (row, column)
    """
    counted = (seconds > 0) & np.isfinite(xy).all(axis=1)
    columns, rows = (max(1, int(np.ceil(each / side - 1e-9))) for each in size)
    found, _, _ = np.histogram2d(
        xy[counted, 1],
        xy[counted, 0],
        bins=(rows, columns),
        range=((0, rows * side), (0, columns * side)),
        weights=seconds[counted],
    )
    if smoothing:
        reach = int(np.ceil(4 * smoothing))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / smoothing) ** 2)
        kernel /= kernel.sum()
        for axis in (0, 1):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (reach, reach)
            padded = np.pad(found, pad, mode="symmetric")
            found = np.apply_along_axis(np.convolve, axis, padded, kernel, "valid")
    return np.asarray(found)


def draw_time_course(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw speed and distance over time, on-times of the outputs shaded."""
    track, whole = results.tracks[animal], results.spans[0]
    seconds = _seconds(results, animal)
    unit_s, unit = _time_unit(results)
    t = (track.t - whole.start_s) / unit_s
    steps = np.hypot(*np.diff(track.xy, axis=0).T) / np.diff(track.t) * seconds
    distance = np.concatenate([[0.0], np.cumsum(np.where(seconds > 0, steps, 0.0))])
    top, bottom = figure.subplots(2, sharex=True)
    counted = seconds > 0
    speed = np.where(counted, track.speed, np.nan)
    duration_s = whole.end_s - whole.start_s
    if duration_s > 120:  # a curve of every frame would be a band
        edges = np.arange(0, duration_s + _CURVE_S, _CURVE_S)
        at = np.digitize(track.t[:-1] - whole.start_s, edges) - 1
        known = np.isfinite(speed) & (at >= 0) & (at < len(edges) - 1)
        weight = np.bincount(at[known], seconds[known], len(edges) - 1)
        total = np.bincount(at[known], (speed * seconds)[known], len(edges) - 1)
        means = np.full(len(weight), np.nan)
        np.divide(total, weight, out=means, where=weight > 0)
        top.stairs(means, edges / unit_s, color=PALETTE[0], baseline=None, lw=0.8)
        label = f"speed ({results.unit}/s),\nmeans of {_CURVE_S:g} s"
    else:
        top.plot((t[:-1] + t[1:]) / 2, speed, color=PALETTE[0], linewidth=0.8)
        label = f"speed ({results.unit}/s)"
    scale, length = _length_unit(float(distance[-1]), results.unit)
    bottom.plot(t, distance / scale, color=PALETTE[0], linewidth=1)
    top.set_ylabel(label)
    bottom.set_ylabel(f"distance ({length})")
    bottom.set_xlabel(f"time ({unit})")
    bottom.set_xlim(0, duration_s / unit_s)
    for axes in (top, bottom):
        axes.set_ylim(bottom=0)
        _shade(axes, results, (unit_s, whole.start_s))
    if top.get_legend_handles_labels()[1]:
        figure.legend(
            *top.get_legend_handles_labels(), loc="outside upper right", frameon=False,
            ncols=3,
        )  # fmt: skip


def draw_peri_stimulus(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw a signal around each stimulation (raster), and its mean ± s.e.m."""
    stimulations = stimulations_of(results, options.output)
    output, spans = stimulations
    signal = signal_of(results, animal, options.signal)
    found = around(signal, spans[:, 0], options.before_s, options.after_s)
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    _raster(figure, top, found, signal, spans)
    _mean(bottom, found, signal)
    for axes in (top, bottom):
        axes.axvline(0, color="black", linewidth=0.8)
    bottom.set_xlabel(f"time from onset of {output} (s)")
    top.set_title(f"{output}: n = {len(spans)} stimulations", loc="left")


def stimulations_of(results: RunResults, output: str = "") -> tuple[str, Spans]:
    """Return an output and its stimulations (stimulation, 2) in the period, s.

    DeepLabStreamError: it was never on.
    """
    outputs, whole = results.data.outputs, SpanClock(results.spans[0].spans)
    found = {
        name: joined(spans[whole.holds(spans[:, 0])], results.options.stimulus_gap_s)
        for name, spans in outputs.items()
        if output in ("", name)
    }
    for name, spans in found.items():
        if len(spans):
            return name, spans
    there = ", ".join(outputs) or "none"
    raise DeepLabStreamError(
        f"{results.data.folder.path.name}: {output or 'no output'} was "
        f"{'never' if output else 'ever'} on; outputs: {there}"
    )


def signal_of(results: RunResults, animal: str, name: str) -> Signal:
    """Return one of `signals_of`; DeepLabStreamError: the run has no such signal."""
    signals = signals_of(results, animal)
    if name not in signals:
        there = ", ".join(signals)
        raise DeepLabStreamError(f"signal = {name}: expected one of {there}")
    return signals[name]


def signals_of(results: RunResults, animal: str) -> dict[str, Signal]:
    """Return what can be averaged around stimulations, by name.

    `speed`; presence in each region and probability of each behaviour, by their names;
    `immobile` and `freezing`; `turning_speed`; `point_distance.NAME`,
    `point_head_angle.NAME` and, with `approach_speed`, `point_approach.NAME`; the same of
    other animals (`animal_distance.NAME`) and `contact.NAME`; `wall_distance` with `arena`.
    """
    track, data = results.tracks[animal], results.data
    middle = (track.t[:-1] + track.t[1:]) / 2
    found = {"speed": Signal("speed", f"{results.unit}/s", middle, track.speed)}
    for (name, region), visits in results.visits.items():
        if name == animal:
            inside = _where(visits.known, visits.inside)
            found.setdefault(region, Signal(f"in {region}", "share", middle, inside))
    for name, probability in data.behaviours.items():
        found.setdefault(name, Signal(name, "probability", data.t, probability))
    for name, bouts in (("immobile", track.immobile), ("freezing", track.freezing)):
        if bouts is not None:
            shown = _where(track.known, SpanClock(bouts).holds(middle))
            found.setdefault(name, Signal(name, "share", middle, shown))
    if track.heading is not None:
        turning = np.abs(turns(track.heading)) / np.diff(track.t)
        turning = _where(track.known, turning)
        found.setdefault(
            "turning_speed", Signal("turning speed", "°/s", middle, turning)
        )
    for (name, subject, of), target in results.targets.items():
        if name == animal:
            found |= _of_target(results, subject, of, target, middle)
    return found


def _of_target(
    results: RunResults, subject: str, of: str, target: Target, middle: Floats
) -> dict[str, Signal]:
    """Return the signals of a point, the wall or another animal."""
    ending, words = (f".{of}", f" {of}") if of else ("", "")
    to = f"distance to{words or ' the wall'}"
    distance = (target.distance[:-1] + target.distance[1:]) / 2
    known = target.known
    found = {
        f"{subject}_distance{ending}": Signal(
            to, results.unit, middle, _where(known, distance)
        )
    }
    if target.angle is not None:
        angle = _where(known, (target.angle[:-1] + target.angle[1:]) / 2)
        label = f"head angle to{words}"
        found[f"{subject}_head_angle{ending}"] = Signal(label, "°", middle, angle)
    if target.approach is not None:
        approach = _where(known, target.approach)
        label = f"speed towards{words}"
        found[f"{subject}_approach{ending}"] = Signal(
            label, f"{results.unit}/s", middle, approach
        )
    if target.contacts is not None:
        near = _where(known, SpanClock(target.contacts).holds(middle))
        found[f"contact{ending}"] = Signal(
            f"contact with{words}", "share", middle, near
        )
    return found


def _where(known: Bools, values: Floats | Bools) -> Floats:
    """Return values (interval,) with NaN where they are not known."""
    return np.where(known, values.astype(np.float64), np.nan)


def _raster(
    figure: "Figure", axes: "Axes", found: Around, signal: Signal, spans: Spans
) -> None:
    """Draw a row for each event, coloured by the signal; a white line marks its end."""
    first, last = found.offsets_s[0], found.offsets_s[-1]
    count = len(found.trials)
    drawn = axes.imshow(
        np.ma.masked_invalid(found.trials), cmap="viridis", aspect="auto",
        extent=(first, last, count + 0.5, 0.5), interpolation="nearest",
    )  # fmt: skip
    if signal.unit in _SHARES:
        drawn.set_clim(0, 1)
    axes.set_facecolor("0.85")
    until, rows = np.diff(spans).ravel(), np.arange(1, count + 1)
    shown = until < last
    axes.vlines(
        until[shown], rows[shown] - 0.5, rows[shown] + 0.5, "white", linewidth=1
    )
    axes.set_ylabel("stimulation")
    axes.locator_params(axis="y", integer=True)
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, label=f"{signal.name} ({signal.unit})")


def _mean(axes: "Axes", found: Around, signal: Signal) -> None:
    count = np.isfinite(found.trials).sum(axis=0)
    axes.fill_between(
        found.offsets_s, found.mean - found.error, found.mean + found.error,
        color=PALETTE[0], alpha=0.3, linewidth=0,
    )  # fmt: skip
    axes.plot(found.offsets_s, found.mean, color=PALETTE[0], linewidth=1.2)
    if signal.unit in _SHARES:
        axes.set_ylim(-0.05, 1.05)
    some = f"{count.min()} to {count.max()}" if np.ptp(count) else f"{count.max()}"
    axes.set_ylabel(f"{signal.name} ({signal.unit})\nmean ± s.e.m., n = {some}")


def draw_visits(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw visits, behaviours, trials and on-times of the outputs over time."""
    whole, data = results.spans[0], results.data
    unit_s, unit = _time_unit(results)
    rows: list[tuple[str, Spans, str]] = [
        (f"in {region}", visits.spans, PALETTE[0])
        for (name, region), visits in results.visits.items()
        if name == animal
    ]
    track = results.tracks[animal]
    for words, bouts in (("immobile", track.immobile), ("freezing", track.freezing)):
        if bouts is not None:
            rows.append((words, bouts, PALETTE[2]))
    rows += [(name, spans, PALETTE[3]) for name, spans in results.behaviours.items()]
    if data.trials:
        spans = np.array([(trial.start_s, trial.end_s) for trial in data.trials])
        rows.append(("trial", spans, PALETTE[7]))
    used = {name: spans for name, spans in data.outputs.items() if len(spans)}
    rows += [(f"{name} on", spans, PALETTE[1]) for name, spans in used.items()]
    if not rows:
        raise DeepLabStreamError(
            f"{data.folder.path.name} has no regions, behaviours, trials or outputs; add a "
            "region"
        )
    height = max(1.2, 0.28 * len(rows) + 0.7)
    figure.set_size_inches(figure.get_size_inches()[0], height)
    axes = figure.subplots()
    for row, (_, spans, colour) in enumerate(rows):
        clipped = np.clip(spans, whole.start_s, whole.end_s)
        clipped = clipped[clipped[:, 1] > clipped[:, 0]]
        bars = [((a - whole.start_s) / unit_s, (b - a) / unit_s) for a, b in clipped]
        axes.broken_barh(bars, (row - 0.35, 0.7), color=colour, linewidth=0)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, (whole.end_s - whole.start_s) / unit_s)
    axes.set_xlabel(f"time ({unit})")
    axes.grid(axis="x", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)


def draw_heading(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw how long the head pointed in each direction, and the mean direction."""
    from matplotlib.ticker import MaxNLocator

    heading = results.tracks[animal].heading
    if heading is None:
        raise DeepLabStreamError(
            "no head direction is known; name the body parts with the option head"
        )
    seconds = _seconds(results, animal)
    known = np.isfinite(heading[:-1]) & (seconds > 0)
    edges = np.linspace(0, 360, _HEADINGS + 1)
    time, _ = np.histogram(heading[:-1][known], edges, weights=seconds[known])
    share = 100 * time / max(time.sum(), 1e-12)
    axes: Any = figure.add_subplot(projection="polar")
    axes.set_theta_direction(-1)  # clockwise, as on the screen
    width = np.radians(360 / _HEADINGS)
    axes.bar(
        np.radians(edges[:-1]) + width / 2, share, width, color=PALETTE[4],
        edgecolor="white", linewidth=0.5,
    )  # fmt: skip
    mean, length = mean_direction(heading, seconds)
    if np.isfinite(mean):
        top = float(share.max())
        axes.annotate(
            "", (np.radians(mean), length * top), (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": PALETTE[5], "linewidth": 1.5},
        )  # fmt: skip
        axes.set_title(
            f"mean {mean:.0f}°, resultant length {length:.2f} (arrow; 1 is the rim)",
            fontsize=8,
        )
        axes.set_ylim(0, top)
    axes.set_xticks(
        np.radians([0, 90, 180, 270]),
        ["0°\nright", "90° down", "180°\nleft", "270° up"],
    )
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.set_rlabel_position(45)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(color="0.85", linewidth=0.5)


def draw_groups(
    axes: "Axes",
    table: "DataFrame",
    column: str,
    by: str = "group",
    animal: str = "animal",
) -> None:
    """Draw a comparison of groups: every animal a point, mean ± s.e.m. beside them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    table : pandas.DataFrame
        Rows of `RunResults.table`, of one span each; several rows of an animal are averaged.
    column : str
        Column of the measure; its name is the label of the axis.
    by : str
        Column of the group.
    animal : str
        Column of the animal.

    Raises
    ------
    DeepLabStreamError
        A column is missing, or no animal has a number.
    """
    missing = [name for name in (column, by, animal) if name not in table]
    if missing:
        raise DeepLabStreamError(f"the table has no column {missing[0]!r}")
    numbers = table.dropna(subset=[column]).groupby([by, animal])[column].mean()
    groups: Sequence[str] = list(numbers.index.get_level_values(by).unique())
    if not groups:
        raise DeepLabStreamError(f"no animal has a number in column {column!r}")
    labels = []
    for at, group in enumerate(groups):
        values: NDArray[np.float64] = numbers[group].to_numpy(np.float64)
        colour = PALETTE[at % len(PALETTE)]
        axes.scatter(
            at + _spread(values), values, 18, color=colour, edgecolor="white",
            linewidth=0.4, zorder=3,
        )  # fmt: skip
        count = len(values)
        error = values.std(ddof=1) / np.sqrt(count) if count > 1 else 0.0
        axes.errorbar(
            at + 0.32, values.mean(), error, fmt="_", color="black", capsize=3,
            markersize=10, linewidth=1,
        )  # fmt: skip
        labels.append(f"{group or 'no group'}\nn = {count}")
    axes.set_xticks(range(len(groups)), labels)
    axes.set_xlim(-0.5, len(groups) - 0.2)
    axes.set_ylabel(label_of(column))
    if float(numbers.min()) >= 0:
        axes.set_ylim(bottom=0)


def group_plot(table: "DataFrame", column: str, by: str = "group") -> "Figure":
    """Compare groups: every animal a point, mean ± s.e.m. beside them, n below.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `RunResults.table`, of one span each; several rows of an animal are averaged.
    column : str
        Column of the measure.
    by : str
        Column of the group.

    Returns
    -------
    matplotlib.figure.Figure
        One axis, with the unit of the measure.

    Raises
    ------
    DeepLabStreamError
        A column is missing, or no animal has a number.
    """
    from matplotlib.figure import Figure

    with figure_style():
        figure = Figure(figsize=(3.3, 2.8), layout="constrained")
        draw_groups(figure.subplots(), table, column, by)
    return figure


_UNITS = {
    "_px_per_s": "px/s", "_mm_per_s": "mm/s", "_deg_per_s": "°/s", "_px": "px",
    "_mm": "mm", "_deg": "°", "_s": "s",
}  # fmt: skip


def label_of(column: str) -> str:
    """Return the label of a column of the table.

    >>> label_of("region_time_s.left")
    'region time, left (s)'
    """
    name, _, of = column.partition(".")
    unit = next((each for end, each in _UNITS.items() if name.endswith(end)), "")
    end = next((end for end in _UNITS if name.endswith(end)), "")
    words = name.removesuffix(end).replace("_", " ") + (f", {of}" if of else "")
    return f"{words} ({unit})" if unit else words


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return offsets to the left and right that keep near points apart."""
    near = 0.05 * max(float(np.ptp(values)), 1e-12)
    offsets = np.zeros(len(values))
    beside, last = 0, -np.inf
    for at in np.argsort(values, kind="stable"):
        beside = beside + 1 if values[at] - last < near else 0
        last = values[at]
        offsets[at] = 0.07 * ((beside + 1) // 2) * (-1 if beside % 2 else 1)
    return np.clip(offsets, -0.25, 0.25)


@dataclass(frozen=True)
class _Place:
    """The map of the arena: pixels, or mm where one scale holds everywhere."""

    results: RunResults
    unit: str
    scale: float
    width: float
    height: float

    def of(self, xy: Floats) -> Floats:
        """Return positions (n, 2) in the unit of the results on the map."""
        calibration = self.results.data.calibration
        if self.results.unit == self.unit or calibration is None:
            return xy
        return calibration.to_px(xy) if self.unit == "px" else calibration.to_mm(xy)

    def outline(self, region: RegionOfInterest) -> Floats:
        """Return the closed outline (corner, 2) of a region."""
        corners = region.region.outline()
        calibration = self.results.data.calibration
        if region.unit != self.unit and calibration is not None:
            to = calibration.to_px if self.unit == "px" else calibration.to_mm
            corners = to(corners)
        return np.vstack([corners, corners[:1]])


def _place(results: RunResults) -> _Place:
    height, width = results.data.size
    calibration = results.data.calibration
    if results.unit == "mm" and calibration is not None and not calibration.marks:
        scale = calibration.matrix[0][0]
        return _Place(results, "mm", scale, width * scale, height * scale)
    return _Place(results, "px", 1.0, float(width), float(height))


def _arena(
    figure: "Figure", results: RunResults, with_image: bool
) -> tuple["Axes", _Place]:
    """Return axes of the arena, with its image if there is one."""
    place, axes = _place(results), figure.subplots()
    image = arena_image(results.data) if with_image else None
    if image is not None:
        extent = (0, place.width, place.height, 0)
        axes.imshow(_pale(image), cmap="gray", vmin=0, vmax=255, extent=extent)
    axes.set_aspect("equal")
    axes.set_xlim(0, place.width)
    axes.set_ylim(place.height, 0)
    axes.set_xlabel(f"x ({place.unit})")
    axes.set_ylabel(f"y ({place.unit})")
    return axes, place


def _pale(image: Image) -> NDArray[np.uint8]:
    """Return a grey image that lines are seen on."""
    grey = image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    return np.asarray(255 - (255 - grey) * 0.5, np.uint8)


def _regions(
    axes: "Axes", results: RunResults, place: _Place, colour: str = "black"
) -> None:
    options = results.options
    places = results.data.places.with_added(options.regions, options.points)
    for region in places.regions:
        corners = place.outline(region)
        axes.plot(*corners.T, color=colour, linewidth=0.9, linestyle="--")
        x, y = np.clip(
            [(corners[:, 0].min() + corners[:, 0].max()) / 2, corners[:, 1].min()],
            (0.1 * place.width, 0.05 * place.height),
            (0.9 * place.width, 0.95 * place.height),
        )
        axes.text(
            x, y, region.name, color=colour, fontsize=7, ha="center", va="bottom",
            clip_on=True,
        )  # fmt: skip


def _seconds(results: RunResults, animal: str) -> Floats:
    """Return the seconds (frame - 1,) of each interval of the whole that count."""
    track = results.tracks[animal]
    return SpanClock(results.spans[0].spans).between(track.t) * track.known


def _time_unit(results: RunResults) -> tuple[float, str]:
    whole = results.spans[0]
    is_long = whole.end_s - whole.start_s > _LONG_S
    return (60.0, "min") if is_long else (1.0, "s")


def _length_unit(longest: float, unit: str) -> tuple[float, str]:
    return (1000.0, "m") if unit == "mm" and longest > 2000 else (1.0, unit)


def _shade(axes: "Axes", results: RunResults, time: tuple[float, float]) -> None:
    """Shade the on-times of the outputs; time: seconds per unit of the axis, and its zero."""
    unit_s, zero_s = time
    gap_s = results.options.stimulus_gap_s
    hatches = ("", "///", "\\\\\\", "...")
    used = {name: spans for name, spans in results.data.outputs.items() if len(spans)}
    for number, (name, spans) in enumerate(used.items()):
        for at, (start, end) in enumerate((joined(spans, gap_s) - zero_s) / unit_s):
            axes.axvspan(
                start, end, color=STIMULUS if number == 0 else PALETTE[number + 1],
                alpha=0.35, linewidth=0, hatch=hatches[number % len(hatches)],
                label=f"{name} on" if at == 0 else None,
            )  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A plot of one animal in one run."""

    title: str
    size: tuple[float, float]
    """Width and height in inches."""
    draw: Callable[["Figure", RunResults, str, PlotOptions], None]


PLOTS: Mapping[str, Plot] = {
    "track": Plot("Track", (4.2, 3.2), draw_track),
    "occupancy": Plot("Occupancy", (4.2, 3.2), draw_occupancy),
    "time-course": Plot("Speed and distance", (5.5, 3.0), draw_time_course),
    "peri-stimulus": Plot("Around stimulations", (4.2, 4.2), draw_peri_stimulus),
    "visits": Plot("Visits and events", (5.5, 2.0), draw_visits),
    "heading": Plot("Head direction", (3.3, 3.3), draw_heading),
}
"""All plots of a run, in the order of the report; `group_plot` compares runs."""
