"""Fonts of plots and reports: letters that DejaVu lacks come from other fonts, or as numbers.

DejaVu comes with matplotlib and has Latin, Greek and Cyrillic letters. Fonts of the computer
add others. A letter that none has is written as [U+6C34], not as a box.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN = "DejaVu Sans"
MONO = "DejaVu Sans Mono"
_OTHERS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK TC",
    "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic",
    "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Hiragino Sans GB",
    "Apple SD Gothic Neo", "Arial Unicode MS", "Noto Sans", "Noto Sans Devanagari",
    "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Hebrew",
    "Noto Sans Arabic", "Nirmala UI", "Leelawadee UI", "Segoe UI",
)  # fmt: skip
"""Fonts of Linux, Windows and macOS with the letters of many languages."""


@lru_cache(maxsize=1)
def fallbacks() -> tuple[str, ...]:
    """Return the installed fallback fonts."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in _OTHERS if name in installed)


def legible(text: str) -> str:
    """Return a text with missing glyphs replaced by their numbers, such as [U+6C34]."""
    if text.isascii():
        return text
    known = _letters()
    lacking = "".join(
        {letter for letter in text if ord(letter) not in known} - {"\n", "\t"}
    )
    if not lacking:
        return text
    return re.sub(f"[{re.escape(lacking)}]+", _numbers, text)


def _numbers(found: "re.Match[str]") -> str:
    return f"[{' '.join(f'U+{ord(letter):04X}' for letter in found[0])}]"


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, fontManager
    from matplotlib.ft2font import FT2Font

    files = {
        fontManager.findfont(FontProperties(family=name))
        for name in (OWN, *fallbacks())
    }
    return frozenset().union(*(FT2Font(file).get_charmap() for file in files))


def make_legible(figure: "Figure") -> None:
    """Replace missing glyphs in all texts of a figure."""
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for text in figure.findobj(Text):
        text.set_text(legible(text.get_text()))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = axis.get_major_formatter()
            if isinstance(labels, FuncFormatter):  # category names
                labels.func = partial(_legible_label, labels.func)


def _legible_label(name: Callable[..., str], *at: object) -> str:
    return legible(name(*at))
