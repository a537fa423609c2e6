"""Size and contrast of text in both styles, as WCAG 2.1 AA asks for."""

import re
from itertools import product
from pathlib import Path

import pytest
from PyQt5.QtGui import QColor

from deeplabstream.gui.theme import DARK, HINT_PX, PALETTES, Palette, style_sheet

GUI = Path(__file__).resolve().parents[2] / "deeplabstream" / "gui"
LEAST = 4.5
"""Contrast of text below 18 pt, success criterion 1.4.3."""
TEXTS = ("text", "faint", "blue", "green", "amber", "red", "grey")
GROUNDS = ("background", "panel", "field", "raised")
PAIRS = (
    *product(TEXTS, GROUNDS),
    ("primary_text", "primary"),
    ("primary_text", "primary_hover"),
    ("amber_text", "amber"),
)


def luminance(colour: str) -> float:
    """Return the relative luminance, as WCAG defines it."""
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in QColor(colour).getRgbF()[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_text_has_the_contrast_to_be_read(palette: Palette) -> None:
    faint = {
        (text, ground): round(found, 2)
        for text, ground in PAIRS
        if (found := contrast(getattr(palette, text), getattr(palette, ground))) < LEAST
    }
    assert faint == {}


def test_no_text_is_smaller_than_a_hint() -> None:
    sizes = re.findall(r"font-size: (\d+)px", style_sheet(DARK))
    assert min(int(size) for size in sizes) == HINT_PX == 12


def test_small_sizes_are_declared_in_the_theme_only() -> None:
    declared = re.compile(r"font-size|setPointSize|setPixelSize\((?!HINT_PX|1[3-9])")
    others = [
        path.name
        for path in GUI.rglob("*.py")
        if path.name != "theme.py" and declared.search(path.read_text("utf-8"))
    ]
    assert others == []
