"""Style of plots: colours, fonts, options, and saving as SVG, PDF or PNG.

Colours are distinct for colour-blind readers and in grey print: Okabe and Ito's palette for
categories, cividis and viridis for numbers. Text stays text in SVG and PDF files.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deeplabstream.analysis.fonts import OWN, fallbacks, make_legible
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

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
    "text.parse_math": False,  # names may contain a $
    "svg.fonttype": "none",
    "svg.hashsalt": "deeplabstream",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "figure.dpi": 100,
}
_OF_TEXT = (
    "text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color",
)  # fmt: skip
_DENSE = 2000
_DARK_END = 0.45
"""Share of a colour map that is too dark for lines on a dark background."""


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Options of a plot.

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


@dataclass(frozen=True, slots=True)
class FigureColours:
    """Colours that depend on the background; the defaults are those of exported figures."""

    background: str = "white"
    text: str = "black"
    """Colour of text, axes, means and trials."""
    first: str = PALETTE[0]
    """Colour of the first or only data."""
    grid: str = "0.85"
    """Colour of grid lines and of times without data."""

    @property
    def is_dark(self) -> bool:
        """Whether the background is dark."""
        from matplotlib.colors import to_rgb

        return sum(to_rgb(self.background)) / 3 < 0.5


_EXPORTED = FigureColours()
_COLOURS = ContextVar("colours", default=_EXPORTED)


def figure_colours() -> FigureColours:
    """Return the colours in which figures are drawn now."""
    return _COLOURS.get()


def series_colours() -> tuple[str, ...]:
    """Return the colours of data: those of `PALETTE`, legible on the background."""
    used = figure_colours()
    return (used.first, *PALETTE[1:-1], used.text)


def number_colours(name: str) -> "Colormap":
    """Return a colour map for lines; on a dark background without its dark end."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    whole = colormaps[name]
    if not figure_colours().is_dark:
        return whole
    bright = whole(np.linspace(_DARK_END, 1, whole.N))
    return LinearSegmentedColormap.from_list(f"bright {name}", list(bright), whole.N)


@contextmanager
def drawn_in(colours: FigureColours) -> Iterator[None]:
    """Draw figures in these colours, to show them in a window."""
    before = _COLOURS.set(colours)
    try:
        yield
    finally:
        _COLOURS.reset(before)


def save_plot(figure: "Figure", path: str | Path) -> Path:
    """Write a figure as SVG, PDF or PNG; text is stored as text.

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
            if path.suffix.lower() != ".svg":  # an SVG viewer uses its own fonts
                make_legible(figure)
            figure.savefig(draft, metadata=fixed.get(path.suffix.lower()))
    except OSError as error:
        reason = error.strerror or error
        raise DeepLabStreamError(f"Can't write {path}: {reason}") from error
    return path


def svg_of(figure: "Figure") -> bytes:
    """Return a figure as SVG; very many lines are rasterized."""
    from matplotlib.collections import LineCollection

    if is_dense(figure):
        for lines in figure.findobj(LineCollection):
            lines.set_rasterized(True)
    content = BytesIO()
    with figure_style():
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


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

    used = figure_colours()
    colours = dict.fromkeys(_OF_TEXT, used.text)
    colours |= dict.fromkeys(("figure.facecolor", "axes.facecolor"), used.background)
    return rc_context(_STYLE | colours | {"font.family": [OWN, *fallbacks()]})


def is_dense(figure: "Figure") -> bool:
    """Return whether a figure has so many lines that reports rasterize it."""
    from matplotlib.collections import LineCollection

    return any(
        len(lines.get_paths()) > _DENSE for lines in figure.findobj(LineCollection)
    )
