"""Plots as SVG: lines and scatter plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#2166ac", "#b2182b", "#1b7837", "#e08214", "#762a83", "#40004b", "#666666")
WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 28, 44
FEW = 12
"""Lines with at most this many points also get dots, as one point alone has no line."""
MOST = 4000
"""Most dots of one series; from longer ones, every n-th is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series, in one colour."""

    name: str
    x: NDArray[np.floating]
    y: NDArray[np.floating]
    """Values, one per x; pairs with NaN are left out."""
    line: bool = True
    """Whether points are joined by a line; otherwise dots."""


def plot(
    title: str,
    x_axis: str,
    y_axis: str,
    series: Sequence[Series],
    x_most: float | None = None,
    y_most: float | None = None,
) -> str:
    """Return an `<svg>`; both axes begin at 0 and end at the given or the largest value."""
    kept = [_finite(one) for one in series]
    x_end = x_most or _largest([one.x for one in kept])
    y_end = y_most or _largest([one.y for one in kept])
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title>",
        _text(WIDTH / 2, 16, title, "middle", "t"),
        _text(LEFT + across / 2, HEIGHT - 8, x_axis, "middle"),
        f'<g transform="translate(13 {TOP + up / 2}) rotate(-90)">'
        f"{_text(0, 0, y_axis, 'middle')}</g>",
    ]
    for tick in _ticks(x_end):
        x = LEFT + across * tick / x_end
        parts.append(f'<path class="g" d="M{x:.1f} {TOP}v{up}"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 15, f"{tick:g}", "middle"))
    for tick in _ticks(y_end):
        y = TOP + up * (1 - tick / y_end)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}h{across}"/>')
        parts.append(_text(LEFT - 5, y + 4, f"{tick:g}", "end"))
    for place, one in enumerate(kept):
        colour = _colour(place, len(kept))
        x = LEFT + across * np.clip(one.x / x_end, 0, 1)
        y = TOP + up * (1 - np.clip(one.y / y_end, 0, 1))
        pairs = list(zip(x.tolist(), y.tolist(), strict=True))
        if one.line and pairs:
            way = "L".join(f"{a:.1f} {b:.1f}" for a, b in pairs)
            parts.append(f'<path class="l" stroke="{colour}" d="M{way}"/>')
        if not one.line or len(pairs) <= FEW:
            step = -(-len(pairs) // MOST) or 1
            parts += [
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.2" fill="{colour}"/>'
                for a, b in pairs[::step]
            ]
    if len(kept) > 1:
        parts.append(_key([one.name for one in kept], y_most == 1))
    return "".join([*parts, "</svg>"])


def _key(names: Sequence[str], low: bool) -> str:
    """Return the legend: at the right, above or below, on a pale background."""
    step = min(14.0, (HEIGHT - TOP - BOTTOM - 8) / len(names))
    top = HEIGHT - BOTTOM - step * len(names) - 6 if low else TOP + 2
    wide = 26 + 6.2 * max(len(name) for name in names)
    parts = [
        f'<rect class="k" x="{WIDTH - RIGHT - wide:.1f}" y="{top:.1f}" width="{wide:.1f}" '
        f'height="{step * len(names) + 4:.1f}" fill="#fff" fill-opacity=".8"/>'
    ]
    for place, name in enumerate(names):
        line = top + step * (place + 0.8)
        parts.append(
            f'<circle class="k" cx="{WIDTH - RIGHT - 8}" cy="{line - 4:.1f}" r="4" '
            f'fill="{_colour(place, len(names))}"/>'
        )
        parts.append(_text(WIDTH - RIGHT - 16, line, name, "end"))
    return "".join(parts)


def _colour(place: int, of: int) -> str:
    if of <= len(COLOURS):
        return COLOURS[place]
    return f"hsl({360 * place / of:.0f} 80% {(38, 55)[place % 2]}%)"


def cumulative(name: str, values: NDArray[np.floating], most: float) -> Series:
    """Return the cumulative distribution: the share of values up to each x from 0 to `most`.

    >>> cumulative("a", np.array([1.0, 3.0, np.nan]), 4.0).y[[0, 50, 100]].tolist()
    [0.0, 0.5, 1.0]
    """
    ordered = np.sort(values[np.isfinite(values)])
    x = np.linspace(0, most, 101)
    return Series(name, x, np.searchsorted(ordered, x, "right") / max(1, len(ordered)))


def running_median(
    name: str, x: NDArray[np.floating], y: NDArray[np.floating], groups: int = 10
) -> Series:
    """Return the median of y in groups of equal size, at the median of their x."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    order = np.argsort(x)
    several = [
        part for part in np.array_split(order, groups) if len(part) and len(order)
    ]
    return Series(
        name,
        np.array([np.median(x[part]) for part in several]),
        np.array([np.median(y[part]) for part in several]),
    )


def _finite(series: Series) -> Series:
    finite = np.isfinite(series.x) & np.isfinite(series.y)
    return Series(series.name, series.x[finite], series.y[finite], series.line)


def _largest(values: Sequence[NDArray[np.floating]]) -> float:
    most = max((float(array.max()) for array in values if array.size), default=1.0)
    return most if most > 0 else 1.0


def _ticks(end: float) -> list[float]:
    """Return about five round numbers from 0 to `end`.

    >>> _ticks(23.0)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    rough = end / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [round(float(i * step), 10) for i in range(int(end / step + 1e-6) + 1)]


def _text(x: float, y: float, content: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
