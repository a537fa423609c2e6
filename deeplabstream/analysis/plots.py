"""Plots of results: the plots of a run by name, and the comparison of groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.analyse import RunResults
from deeplabstream.analysis.arena_plots import draw_occupancy, draw_track
from deeplabstream.analysis.measures import label_of_column
from deeplabstream.analysis.plot_style import (
    PlotOptions,
    figure_colours,
    figure_style,
    series_colours,
)
from deeplabstream.analysis.time_plots import (
    draw_heading,
    draw_peri_stimulus,
    draw_time_course,
    draw_visits,
)
from deeplabstream.core.errors import DeepLabStreamError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame


_ROOM = 0.05
"""Room above and below the values of a group plot, as a share of their range."""


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
        names = ", ".join(results.tracks)
        raise DeepLabStreamError(f"animal = {animal}: the animals are {names}")
    with figure_style():
        figure = Figure(figsize=PLOTS[name].size, layout="constrained")
        PLOTS[name].draw(figure, results, animal, options)
    return figure


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
    labels, used, colours = [], figure_colours(), series_colours()
    for at, group in enumerate(groups):
        values: NDArray[np.float64] = numbers[group].to_numpy(np.float64)
        colour = colours[at % len(colours)]
        axes.scatter(
            at + _spread(values), values, 18, color=colour, edgecolor=used.background,
            linewidth=0.4, zorder=3,
        )  # fmt: skip
        count = len(values)
        error = values.std(ddof=1) / np.sqrt(count) if count > 1 else 0.0
        axes.errorbar(
            at + 0.32, values.mean(), error, fmt="_", color=used.text, capsize=3,
            markersize=10, linewidth=1,
        )  # fmt: skip
        labels.append(f"{group or 'no group'}\nn = {count}")
    axes.set_xticks(range(len(groups)), labels)
    axes.set_xlim(-0.5, len(groups) - 0.2)
    axes.set_ylabel(label_of_column(column))
    # A point near the limit would be cut: a part of it is outside of the axis.
    low, high = axes.get_ylim()
    if float(numbers.min()) >= 0:
        low = 0.0
    room = _ROOM * (high - low)
    axes.set_ylim(low - room if low else 0, high + room)


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
class PlotKind:
    """A kind of plot of one animal in one run."""

    title: str
    size: tuple[float, float]
    """Width and height in inches."""
    draw: Callable[["Figure", RunResults, str, PlotOptions], None]


PLOTS: Mapping[str, PlotKind] = {
    "track": PlotKind("Track", (4.2, 3.2), draw_track),
    "occupancy": PlotKind("Occupancy", (4.2, 3.2), draw_occupancy),
    "time-course": PlotKind("Speed and distance", (5.5, 3.0), draw_time_course),
    "peri-stimulus": PlotKind("Around stimulations", (4.2, 4.2), draw_peri_stimulus),
    "visits": PlotKind("Visits and events", (5.5, 2.0), draw_visits),
    "heading": PlotKind("Head direction", (3.3, 3.3), draw_heading),
}
"""All plots of a run, in the order of the report; `group_plot` compares runs."""
