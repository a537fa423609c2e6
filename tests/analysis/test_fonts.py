"""Letters that no font has are numbers, not boxes."""

import io
import warnings
from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

from deeplabstream.analysis import fonts
from deeplabstream.analysis.fonts import OWN, legible, make_legible
from deeplabstream.analysis.plot_style import png_of
from deeplabstream.analysis.report_pdf import pdf_of
from deeplabstream.files.report_document import (
    ReportDocument,
    ReportSection,
    ReportTable,
    ReportText,
)

WATER = "水"


@pytest.fixture
def only_dejavu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fonts._letters.cache_clear()
    monkeypatch.setattr(fonts, "fallbacks", tuple)
    yield
    fonts._letters.cache_clear()


@pytest.mark.usefixtures("only_dejavu")
def test_letters_that_dejavu_lacks_are_numbers() -> None:
    assert legible("maze \u03b1 \u00e9 µ") == "maze \u03b1 \u00e9 µ"
    assert legible(f"m1 {WATER}\u8ff7 maze") == "m1 [U+6C34 U+8FF7] maze"
    assert legible(f"-]^\n{WATER}-]^") == "-]^\n[U+6C34]-]^"


def test_letters_of_a_font_of_the_computer_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    letters = frozenset(map(ord, f"maze {WATER}"))
    monkeypatch.setattr(fonts, "_letters", lambda: letters)
    assert legible(f"maze {WATER}\u8ff7") == f"maze {WATER}[U+8FF7]"


def test_fonts_that_are_not_there_are_not_asked_for() -> None:
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    assert {OWN, *fonts.fallbacks()} <= there


def test_plots_and_reports_have_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    known = frozenset(range(0x250))
    monkeypatch.setattr(fonts, "_letters", lambda: known)
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_title(f"of {WATER}")
    axes.set_xticks([0, 1], [WATER, "b"])
    words = f"group {WATER}"
    table = ReportTable(("animal", WATER), [(WATER, "2")])
    sections = [ReportSection(words, [ReportText(words), table])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png_of(figure, 50)
        content = pdf_of(ReportDocument(words, words, [words], sections))
    assert axes.get_title() == "of [U+6C34]"
    assert [each.get_text() for each in axes.get_xticklabels()] == ["[U+6C34]", "b"]
    assert io.BytesIO(content).read(4) == b"%PDF"
    make_legible(figure)
    assert axes.get_title() == "of [U+6C34]", "once is enough"
