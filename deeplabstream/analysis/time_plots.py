"""Plots over time: time course, peri-stimulus average, visits and events, head direction."""

from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.analysis.analyse import RunResults
from deeplabstream.analysis.kinematics import mean_direction, turns
from deeplabstream.analysis.plot_style import (
    STIMULUS,
    PlotOptions,
    figure_colours,
    series_colours,
)
from deeplabstream.analysis.totals import Target
from deeplabstream.analysis.tracks import Bools, Floats, SpanClock, Spans, joined
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.numerics.peri_event import Around, Signal, around

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONG_S = 600.0
"""Runs that last longer have axes in minutes."""
_HEADINGS = 24
"""Bins of the polar plot."""
_SHARES = ("share", "probability")
"""Units of signals from 0 to 1."""
_CURVE_S = 1.0
"""Means of the speed in long time courses."""


def draw_time_course(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw speed and distance over time, on-times of the outputs shaded."""
    track, whole = results.tracks[animal], results.spans[0]
    seconds = counted_seconds(results, animal)
    unit_s, unit = time_unit(results)
    t = (track.t - whole.start_s) / unit_s
    steps = np.hypot(*np.diff(track.xy, axis=0).T) / np.diff(track.t) * seconds
    distance = np.concatenate([[0.0], np.cumsum(np.where(seconds > 0, steps, 0.0))])

    top, bottom = figure.subplots(2, sharex=True)
    counted = seconds > 0
    speed = np.where(counted, track.speed, np.nan)
    duration_s = whole.end_s - whole.start_s
    if duration_s > 120:  # a curve with every frame would look like a filled area
        edges = np.arange(0, duration_s + _CURVE_S, _CURVE_S)
        at = np.digitize(track.t[:-1] - whole.start_s, edges) - 1
        known = np.isfinite(speed) & (at >= 0) & (at < len(edges) - 1)
        weight = np.bincount(at[known], seconds[known], len(edges) - 1)
        total = np.bincount(at[known], (speed * seconds)[known], len(edges) - 1)
        means = np.full(len(weight), np.nan)
        np.divide(total, weight, out=means, where=weight > 0)
        top.stairs(
            means, edges / unit_s, color=series_colours()[0], baseline=None, lw=0.8
        )
        label = f"speed ({results.unit}/s),\nmeans of {_CURVE_S:g} s"
    else:
        top.plot((t[:-1] + t[1:]) / 2, speed, color=series_colours()[0], linewidth=0.8)
        label = f"speed ({results.unit}/s)"

    scale, length = _length_unit(float(distance[-1]), results.unit)
    bottom.plot(t, distance / scale, color=series_colours()[0], linewidth=1)
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
    average = around(signal, spans[:, 0], options.before_s, options.after_s)
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    _draw_raster(figure, top, average, signal, spans)
    _draw_mean(bottom, average, signal)
    for axes in (top, bottom):
        axes.axvline(0, color=figure_colours().text, linewidth=0.8)
    bottom.set_xlabel(f"time from onset of {output} (s)")
    top.set_title(f"{output}: n = {len(spans)} stimulations", loc="left")


def stimulations_of(results: RunResults, output: str = "") -> tuple[str, Spans]:
    """Return an output and its stimulations (stimulation, 2) in the period, s.

    DeepLabStreamError: it was never on.
    """
    outputs, whole = results.data.outputs, SpanClock(results.spans[0].spans)
    stimulations = {
        name: joined(spans[whole.holds(spans[:, 0])], results.options.stimulus_gap_s)
        for name, spans in outputs.items()
        if output in ("", name)
    }
    for name, spans in stimulations.items():
        if len(spans):
            return name, spans
    names = ", ".join(outputs) or "none"
    raise DeepLabStreamError(
        f"{results.data.folder.path.name}: {output or 'no output'} was "
        f"{'never' if output else 'ever'} on; outputs: {names}"
    )


def signal_of(results: RunResults, animal: str, name: str) -> Signal:
    """Return one of `signals_of`; DeepLabStreamError: the run has no such signal."""
    signals = signals_of(results, animal)
    if name not in signals:
        names = ", ".join(signals)
        raise DeepLabStreamError(f"signal = {name}: expected one of {names}")
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
    signals = {"speed": Signal("speed", f"{results.unit}/s", middle, track.speed)}
    for (name, region), visits in results.visits.items():
        if name == animal:
            inside = _where(visits.known, visits.inside)
            signals.setdefault(region, Signal(f"in {region}", "share", middle, inside))
    for name, probability in data.behaviours.items():
        signals.setdefault(name, Signal(name, "probability", data.t, probability))
    for name, bouts in (("immobile", track.immobile), ("freezing", track.freezing)):
        if bouts is not None:
            shown = _where(track.known, SpanClock(bouts).holds(middle))
            signals.setdefault(name, Signal(name, "share", middle, shown))
    if track.heading is not None:
        turning = np.abs(turns(track.heading)) / np.diff(track.t)
        turning = _where(track.known, turning)
        signals.setdefault(
            "turning_speed", Signal("turning speed", "°/s", middle, turning)
        )
    for (name, subject, of), target in results.targets.items():
        if name == animal:
            signals |= _of_target(results, subject, of, target, middle)
    return signals


def _of_target(
    results: RunResults, subject: str, of: str, target: Target, middle: Floats
) -> dict[str, Signal]:
    """Return the signals of a point, the wall or another animal."""
    # The wall is the only target without a name.
    ending, name = (f".{of}", f" {of}") if of else ("", "")
    to = f"distance to{name or ' the wall'}"
    distance = (target.distance[:-1] + target.distance[1:]) / 2
    known = target.known
    signals = {
        f"{subject}_distance{ending}": Signal(
            to, results.unit, middle, _where(known, distance)
        )
    }
    if target.angle is not None:
        angle = _where(known, (target.angle[:-1] + target.angle[1:]) / 2)
        label = f"head angle to{name}"
        signals[f"{subject}_head_angle{ending}"] = Signal(label, "°", middle, angle)
    if target.approach is not None:
        approach = _where(known, target.approach)
        label = f"speed towards{name}"
        signals[f"{subject}_approach{ending}"] = Signal(
            label, f"{results.unit}/s", middle, approach
        )
    if target.contacts is not None:
        near = _where(known, SpanClock(target.contacts).holds(middle))
        signals[f"contact{ending}"] = Signal(
            f"contact with{name}", "share", middle, near
        )
    return signals


def _where(known: Bools, values: Floats | Bools) -> Floats:
    """Return values (interval,) with NaN where they are not known."""
    return np.where(known, values.astype(np.float64), np.nan)


def _draw_raster(
    figure: "Figure", axes: "Axes", average: Around, signal: Signal, spans: Spans
) -> None:
    """Draw a row for each event, coloured by the signal; a white line marks its end."""
    first, last = average.offsets_s[0], average.offsets_s[-1]
    count = len(average.trials)
    drawn = axes.imshow(
        np.ma.masked_invalid(average.trials), cmap="viridis", aspect="auto",
        extent=(first, last, count + 0.5, 0.5), interpolation="nearest",
    )  # fmt: skip
    if signal.unit in _SHARES:
        drawn.set_clim(0, 1)
    axes.set_facecolor(figure_colours().grid)
    until, rows = np.diff(spans).ravel(), np.arange(1, count + 1)
    shown = until < last
    axes.vlines(
        until[shown], rows[shown] - 0.5, rows[shown] + 0.5, "white", linewidth=1
    )
    axes.set_ylabel("stimulation")
    axes.locator_params(axis="y", integer=True)
    axes.spines[:].set_visible(False)
    figure.colorbar(drawn, ax=axes, label=f"{signal.name} ({signal.unit})")


def _draw_mean(axes: "Axes", average: Around, signal: Signal) -> None:
    """Draw the mean of the signal, its standard error as a band around it."""
    count = np.isfinite(average.trials).sum(axis=0)
    axes.fill_between(
        average.offsets_s, average.mean - average.error, average.mean + average.error,
        color=series_colours()[0], alpha=0.3, linewidth=0,
    )  # fmt: skip
    axes.plot(average.offsets_s, average.mean, color=series_colours()[0], linewidth=1.2)
    if signal.unit in _SHARES:
        axes.set_ylim(-0.05, 1.05)
    some = f"{count.min()} to {count.max()}" if np.ptp(count) else f"{count.max()}"
    axes.set_ylabel(f"{signal.name} ({signal.unit})\nmean ± s.e.m., n = {some}")


def draw_visits(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw visits, behaviours, trials and on-times of the outputs over time."""
    whole, data = results.spans[0], results.data
    unit_s, unit = time_unit(results)
    rows: list[tuple[str, Spans, str]] = [
        (f"in {region}", visits.spans, series_colours()[0])
        for (name, region), visits in results.visits.items()
        if name == animal
    ]
    track = results.tracks[animal]
    for state, bouts in (("immobile", track.immobile), ("freezing", track.freezing)):
        if bouts is not None:
            rows.append((state, bouts, series_colours()[2]))
    rows += [
        (name, spans, series_colours()[3]) for name, spans in results.behaviours.items()
    ]
    if data.trials:
        spans = np.array([(trial.start_s, trial.end_s) for trial in data.trials])
        rows.append(("trial", spans, figure_colours().text))
    used = {name: spans for name, spans in data.outputs.items() if len(spans)}
    rows += [(f"{name} on", spans, series_colours()[1]) for name, spans in used.items()]
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
    axes.grid(axis="x", color=figure_colours().grid, linewidth=0.5)
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
    seconds = counted_seconds(results, animal)
    known = np.isfinite(heading[:-1]) & (seconds > 0)
    edges = np.linspace(0, 360, _HEADINGS + 1)
    time, _ = np.histogram(heading[:-1][known], edges, weights=seconds[known])
    share = 100 * time / max(time.sum(), 1e-12)

    axes: Any = figure.add_subplot(projection="polar")
    axes.set_theta_direction(-1)  # clockwise, as on the screen
    width = np.radians(360 / _HEADINGS)
    axes.bar(
        np.radians(edges[:-1]) + width / 2, share, width, color=series_colours()[4],
        edgecolor=figure_colours().background, linewidth=0.5,
    )  # fmt: skip

    mean, length = mean_direction(heading, seconds)
    if np.isfinite(mean):
        top = float(share.max())
        axes.annotate(
            "", (np.radians(mean), length * top), (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": series_colours()[5], "linewidth": 1.5},
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
    axes.grid(color=figure_colours().grid, linewidth=0.5)


def counted_seconds(results: RunResults, animal: str) -> Floats:
    """Return the seconds (frame - 1,) of each interval of the whole that count."""
    track = results.tracks[animal]
    return SpanClock(results.spans[0].spans).between(track.t) * track.known


def time_unit(results: RunResults) -> tuple[float, str]:
    """Return the seconds per unit of a time axis, and the name of that unit."""
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
                start, end, color=STIMULUS if number == 0 else series_colours()[number + 1],
                alpha=0.35, linewidth=0, hatch=hatches[number % len(hatches)],
                label=f"{name} on" if at == 0 else None,
            )  # fmt: skip
