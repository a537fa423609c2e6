"""Plot of an alignment: residual of each edge, drift over time, distribution of residuals."""

from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.analysis.plot_style import PALETTE, figure_style
from deeplabstream.recording.alignment.clock_map import ClockMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONG_S = 7200.0
"""Runs that last longer have axes in hours."""


def alignment_plot(clocks: ClockMap, title: str = "") -> "Figure":
    """Return the figure of an alignment; segments differ in colour.

    Parameters
    ----------
    clocks : ClockMap
        Map of a run's clock to a recorder's.
    title : str, optional
        Above the plots.

    Returns
    -------
    matplotlib.figure.Figure
        `save_plot` writes it.
    """
    from matplotlib.figure import Figure

    with figure_style():
        figure = Figure(figsize=(7.0, 5.0), layout="constrained")
        if title:
            figure.suptitle(title)
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 1))
        upper, lower = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
        side = figure.add_subplot(grid[0, 1], sharey=upper)
        long = bool(len(clocks.run)) and clocks.run.times_s[-1] > _LONG_S
        unit, seconds = ("h", 3600.0) if long else ("s", 1.0)
        at = clocks.run.times_s[clocks.used[:, 0]] / seconds
        residuals = clocks.residuals_s * 1e3
        for number, segment in enumerate(clocks.segments):
            colour = PALETTE[number % len(PALETTE)]
            own = clocks.used[:, 2] == number
            upper.plot(
                at[own], residuals[own], ".", color=colour, markersize=2,
                rasterized=own.sum() > 5000, label=f"segment {number}",
            )  # fmt: skip
            lower.plot(segment.times_s / seconds, segment.drifts * 1e6, color=colour)
        for axes in (upper, lower):
            for start, end in clocks.matching.ambiguous_s:
                axes.axvspan(start / seconds, end / seconds, color="0.85")
        side.hist(residuals, bins=60, orientation="horizontal", color=PALETTE[0])
        side.set_xlabel("edges")
        upper.set_ylabel("residual (ms)")
        upper.axhline(0, color="0.6", linewidth=0.6)
        p99 = np.percentile(np.abs(residuals), 99) if len(residuals) else np.nan
        upper.set_title(f"99 % of residuals are below {p99:.3f} ms")
        lower.set_ylabel("drift (ppm)")
        lower.set_xlabel(f"time of the run ({unit})")
        if len(clocks.segments) > 1:
            upper.legend(loc="upper right", markerscale=4)
    return figure
