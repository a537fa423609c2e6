"""Plots on the map of the arena: track and occupancy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.analyse import RunResults
from deeplabstream.analysis.arena_image import arena_image
from deeplabstream.analysis.plot_style import (
    PlotOptions,
    figure_colours,
    number_colours,
)
from deeplabstream.analysis.region_list import RegionOfInterest
from deeplabstream.analysis.time_plots import counted_seconds, time_unit
from deeplabstream.analysis.tracks import Floats, SpanClock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_BINS = 1000
"""Largest number of occupancy bins along an axis."""
_IMAGE_ON_LIGHT, _IMAGE_ON_DARK = 0.5, 0.2
"""Share of the arena's image in the background of a track; arenas are often light."""


def draw_track(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw the track on the image of the arena, coloured by time or speed."""
    from matplotlib.collections import LineCollection

    axes, arena = _arena_axes(figure, results, options.image)
    track, zero_s = results.tracks[animal], results.spans[0].start_s
    xy = arena.of(track.xy)
    shown = SpanClock(results.spans[0].spans).between(track.t) * track.known > 0
    lines = np.stack([xy[:-1], xy[1:]], axis=1)[shown]

    is_time = options.colour == "time"
    unit_s, unit = time_unit(results)
    colours = (track.t[:-1] - zero_s) / unit_s if is_time else track.speed
    drawn = LineCollection(
        list(lines), cmap=number_colours("cividis" if is_time else "viridis"),
        linewidths=0.8, array=colours[shown], rasterized=len(lines) > 20_000,
    )  # fmt: skip
    axes.add_collection(drawn)
    # Otherwise a single outlier of the network would use the whole range of colours.
    if not is_time and len(lines):
        drawn.set_clim(0, float(np.nanpercentile(colours[shown], 99)))
    label = f"time ({unit})" if is_time else f"speed ({results.unit}/s)"
    extend = "neither" if is_time else "max"
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8, extend=extend)
    _draw_regions(axes, results, arena, figure_colours().text)


def draw_occupancy(
    figure: "Figure", results: RunResults, animal: str, options: PlotOptions
) -> None:
    """Draw how long the animal was in each part of the arena, in seconds."""
    axes, arena = _arena_axes(figure, results, False)
    side = options.bin_size or arena.width / 50
    if not arena.width / side < _MOST_BINS:
        raise DeepLabStreamError(
            f"bin_size = {side:g}: the arena is {arena.width:g} {arena.unit} wide; use "
            "larger bins"
        )
    seconds = occupancy(
        arena.of(results.tracks[animal].xy)[:-1],
        counted_seconds(results, animal),
        (arena.width, arena.height),
        side,
        options.smoothing,
    )
    extent = (0, seconds.shape[1] * side, seconds.shape[0] * side, 0)
    # Otherwise time in the nest would use the whole range: bins above the percentile
    # are clipped to the last colour.
    visited = seconds[seconds > 0]
    top = float(np.percentile(visited, 99.5)) if len(visited) else 1.0
    drawn = axes.imshow(seconds, cmap="viridis", extent=extent, vmin=0, vmax=top)
    axes.set_xlim(0, arena.width)
    axes.set_ylim(arena.height, 0)
    label = f"time (s) in {side:.3g} × {side:.3g} {arena.unit}"
    if options.smoothing:
        label += f"\nsmoothed, s.d. {options.smoothing * side:.3g} {arena.unit}"
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8, extend="max")
    _draw_regions(axes, results, arena, "white")


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
        Width and height of the map, in the unit of `xy`; positions outside are omitted.
    side : float
        Side of a bin.
    smoothing : float
        Standard deviation of a Gaussian kernel, in bins. Reflected at the edges of the map,
        so the sum stays the same.

    Returns
    -------
    numpy.ndarray of float64, shape (row, column)
    """
    # Rounding must not add a bin when the size of the map is a multiple of the bin
    # size.
    counted = (seconds > 0) & np.isfinite(xy).all(axis=1)
    columns, rows = (max(1, int(np.ceil(length / side - 1e-9))) for length in size)
    histogram, _, _ = np.histogram2d(
        xy[counted, 1],
        xy[counted, 0],
        bins=(rows, columns),
        range=((0, rows * side), (0, columns * side)),
        weights=seconds[counted],
    )
    if not smoothing:
        return np.asarray(histogram)
    # A reflected border keeps the total: smoothing moves no time out of the map.
    side_bins = 2 * int(np.ceil(4 * smoothing)) + 1
    return np.asarray(
        cv2.GaussianBlur(
            histogram, (side_bins, side_bins), smoothing, borderType=cv2.BORDER_REFLECT
        )
    )


@dataclass(frozen=True)
class _ArenaMap:
    """Map of the arena: in pixels, or in mm where one scale applies everywhere."""

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


def _arena_map(results: RunResults) -> _ArenaMap:
    height, width = results.data.size
    calibration = results.data.calibration
    if results.unit == "mm" and calibration is not None and not calibration.marks:
        scale = calibration.matrix[0][0]
        return _ArenaMap(results, "mm", scale, width * scale, height * scale)
    return _ArenaMap(results, "px", 1.0, float(width), float(height))


def _arena_axes(
    figure: "Figure", results: RunResults, with_image: bool
) -> tuple["Axes", _ArenaMap]:
    """Return axes of the arena, with its image if there is one."""
    arena, axes = _arena_map(results), figure.subplots()
    image = arena_image(results.data) if with_image else None
    if image is not None:
        extent = (0, arena.width, arena.height, 0)
        axes.imshow(_faded(image), extent=extent)
    axes.set_aspect("equal")
    axes.set_xlim(0, arena.width)
    axes.set_ylim(arena.height, 0)
    axes.set_xlabel(f"x ({arena.unit})")
    axes.set_ylabel(f"y ({arena.unit})")
    return axes, arena


def _faded(image: Image) -> NDArray[np.uint8]:
    """Return a grey image (row, column, 3) near the background: lines are visible on it."""
    from matplotlib.colors import to_rgb

    used = figure_colours()
    grey = image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    share = _IMAGE_ON_DARK if used.is_dark else _IMAGE_ON_LIGHT
    background = 255 * np.array(to_rgb(used.background))
    return np.asarray(share * grey[..., None] + (1 - share) * background, np.uint8)


def _draw_regions(
    axes: "Axes", results: RunResults, arena: _ArenaMap, colour: str
) -> None:
    """Draw the outlines of regions with their names, which stay inside the map."""
    options = results.options
    places = results.data.places.with_added(options.regions, options.points)
    for region in places.regions:
        corners = arena.outline(region)
        axes.plot(*corners.T, color=colour, linewidth=0.9, linestyle="--")
        x, y = np.clip(
            [(corners[:, 0].min() + corners[:, 0].max()) / 2, corners[:, 1].min()],
            (0.1 * arena.width, 0.05 * arena.height),
            (0.9 * arena.width, 0.95 * arena.height),
        )
        axes.text(
            x, y, region.name, color=colour, fontsize=7, ha="center", va="bottom",
            clip_on=True,
        )  # fmt: skip
