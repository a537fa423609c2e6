"""Report as PDF: pages of A4 by matplotlib, plots as vectors, text as text."""

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from deeplabstream.analysis.fonts import MONO, OWN, fallbacks, legible, make_legible
from deeplabstream.analysis.plot_style import figure_style, is_dense, png_of
from deeplabstream.files.report_document import (
    Block,
    ReportDocument,
    ReportPlot,
    ReportSection,
    ReportTable,
    ReportText,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 8.27, 11.69
"""A4 in inches, the unit of all lengths here."""
_SIDE, _TOP, _BOTTOM = 0.7, 0.7, 0.75
INNER = _WIDTH - 2 * _SIDE
_LEADING = 1.35
"""Line spacing, in font sizes."""
_PAD = 0.06
"""Padding between columns, on each side."""
_GAP = 0.12
_SMALLEST = 0.8
"""Smallest scale of figures that are drawn side by side."""
_DPI = 220
"""Resolution of rasterized figures with very many lines."""


@dataclass(frozen=True, slots=True)
class Font:
    """A size in points."""

    size: float
    weight: str = "normal"
    family: str = "sans"

    @property
    def line(self) -> float:
        """Height of a line."""
        return self.size * _LEADING / 72


_TITLE, _HEADING, _SUBHEADING = Font(16, "bold"), Font(12, "bold"), Font(9.5, "bold")
_BODY, _CELL, _SMALL = Font(8.5), Font(7), Font(6)
_FILE = Font(6, family="mono")


def pdf_of(document: ReportDocument) -> bytes:
    """Return the file."""
    from matplotlib.backends.backend_pdf import PdfPages

    file = io.BytesIO()
    about = {"Title": document.title, "Creator": "DeepLabStream", "CreationDate": None}
    with warnings.catch_warnings(), figure_style():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        layout = _Layout(document)
        with PdfPages(file, metadata=about) as pages:
            for page in layout.pages:
                pages.savefig(page)
    return file.getvalue()


class _Layout:
    """Page layout: blocks one below the other, on as many pages as they need."""

    def __init__(self, document: ReportDocument) -> None:
        self.pages: list[Figure] = []
        self._begin()
        self._lines(document.title, _TITLE)
        self._lines(document.subtitle, _BODY, colour="0.35")
        self._y += _GAP
        for warning in document.warnings:
            self._warning(warning)

        # Details come last. Files are quoted in the HTML page only.
        sections = sorted(document.sections, key=lambda section: section.is_folded)
        for section in sections:
            if not (section.is_folded and _is_file(section)):
                self._section(section)

        # The number of pages is known now.
        for number, page in enumerate(self.pages, 1):
            footer = f"{legible(document.title)} · page {number} of {len(self.pages)}"
            page.text(
                _SIDE / _WIDTH, 0.4 / _HEIGHT, footer, fontsize=7, color="0.35",
                family=_families(_SMALL),
            )  # fmt: skip

    def _begin(self) -> None:
        from matplotlib.figure import Figure

        self._page = Figure(figsize=(_WIDTH, _HEIGHT))
        self.pages.append(self._page)
        self._y = _TOP

    def _need(self, height: float) -> bool:
        """Start a page if there is not enough space; return whether one was started."""
        if self._y + height <= _HEIGHT - _BOTTOM or self._y <= _TOP:
            return False
        self._begin()
        return True

    def _write(self, x: float, y: float, text: str, font: Font, **more: Any) -> None:
        """Write a line whose upper edge is `y` below the upper edge of the page."""
        below = y + font.size * 0.98 / 72
        self._page.text(
            x / _WIDTH, 1 - below / _HEIGHT, text, fontsize=font.size,
            fontweight=font.weight, family=_families(font), va="baseline", **more,
        )  # fmt: skip

    def _box(self, y: float, height: float, colour: str, width: float = INNER) -> None:
        from matplotlib.patches import Rectangle

        self._page.add_artist(
            Rectangle(
                (_SIDE / _WIDTH, 1 - (y + height) / _HEIGHT), width / _WIDTH,
                height / _HEIGHT, transform=self._page.transFigure, color=colour,
                linewidth=0, zorder=-1,
            )
        )  # fmt: skip

    def _lines(self, text: str, font: Font, colour: str = "black") -> None:
        for line in wrapped(text, font, INNER):
            self._need(font.line)
            self._write(_SIDE, self._y, line, font, color=colour)
            self._y += font.line

    def _warning(self, text: str) -> None:
        lines = wrapped(text, _BODY, INNER - 0.3)
        height = len(lines) * _BODY.line + 0.1
        self._need(height)
        self._box(self._y, height, "#fdf0e6")
        self._box(self._y, height, "#d55e00", 0.06)
        for at, line in enumerate(lines):
            self._write(_SIDE + 0.2, self._y + 0.05 + at * _BODY.line, line, _BODY)
        self._y += height + 0.05

    def _section(self, section: ReportSection) -> None:
        font = _HEADING if section.level == 2 else _SUBHEADING
        first = next(iter(section.blocks), None)
        self._y += 0.2 if self._y > _TOP else 0
        keep = _size_of([first])[1] if isinstance(first, ReportPlot) else 0.5
        self._need(font.line + keep)
        self._lines(section.title, font)
        self._y += 0.05
        row: list[ReportPlot] = []
        for block in section.blocks:
            if isinstance(block, ReportPlot):
                if row and _size_of([*row, block])[0] * _SMALLEST > INNER:
                    self._plots(row)
                    row = []
                row.append(block)
                continue
            self._plots(row)
            row = []
            self._block(block, section.is_folded)
        self._plots(row)

    def _block(self, block: Block, is_folded: bool) -> None:
        if isinstance(block, ReportTable):
            self._table(block, _SMALL if is_folded else _CELL)
        elif isinstance(block, ReportText) and block.kind == "warning":
            self._warning(block.text)
        elif isinstance(block, ReportText):
            for line in block.text.splitlines():
                self._lines(line, _FILE if block.kind == "file" else _BODY)
        self._y += _GAP

    def _table(self, table: ReportTable, font: Font) -> None:
        widths = column_widths(table, font)
        numbers = table.numbers
        head = Font(font.size, "bold")
        heads = _cells(table.heads, widths, head)
        for at, row in enumerate(table.rows):
            cells = _cells(row, widths, font)
            began = self._need(_row_height(cells, font) + (at == 0) * 2 * font.line)
            if (at == 0 or began) and any(table.heads):
                self._row(heads, widths, numbers, head, "0.9")
            self._row(cells, widths, numbers, font, "0.97" if at % 2 else "")

    def _row(
        self,
        cells: Sequence[Sequence[str]],
        widths: Sequence[float],
        numbers: Sequence[bool],
        font: Font,
        colour: str,
    ) -> None:
        height = _row_height(cells, font)
        if colour:
            self._box(self._y, height, colour, sum(widths))
        x = _SIDE
        for lines, width, is_number in zip(cells, widths, numbers, strict=True):
            for at, line in enumerate(lines):
                y = self._y + 0.02 + at * font.line
                if is_number:
                    self._write(x + width - _PAD, y, line, font, ha="right")
                else:
                    self._write(x + _PAD, y, line, font)
            x += width
        self._y += height

    def _plots(self, row: Sequence[ReportPlot]) -> None:
        """Put figures side by side, captions above them."""
        if not row:
            return
        width, height = _size_of(row)
        scale = min(1.0, INNER / width)
        self._need(height * scale)
        x = _SIDE
        for plot in row:
            figure = plot.figure
            plot_width, plot_height = (
                side * scale for side in figure.get_size_inches()
            )
            self._write(x, self._y, legible(plot.caption), _SUBHEADING)
            below = self._y + _SUBHEADING.line + plot_height
            figure.set_size_inches(plot_width, plot_height)
            _place(self._page, figure, (x, _HEIGHT - below))
            x += plot_width + _GAP
        self._y += height * scale + _GAP


def _families(font: Font) -> list[str]:
    return [MONO if font.family == "mono" else OWN, *fallbacks()]


def _size_of(row: Sequence[Any]) -> tuple[float, float]:
    """Return width and height of figures side by side, with captions."""
    sizes = [plot.figure.get_size_inches() for plot in row]
    width = sum(size[0] for size in sizes) + _GAP * (len(sizes) - 1)
    return float(width), float(max(size[1] for size in sizes)) + _SUBHEADING.line


def _place(page: "Figure", figure: "Figure", corner: tuple[float, float]) -> None:
    """Draw a figure with its lower left corner at a place of a page, in inches."""
    from matplotlib.artist import Artist
    from matplotlib.image import imread
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    make_legible(figure)
    if is_dense(figure):
        x, y = corner[0] / _WIDTH, corner[1] / _HEIGHT
        axes = page.add_axes((x, y, width / _WIDTH, height / _HEIGHT))
        axes.imshow(imread(io.BytesIO(png_of(figure, _DPI))), aspect="auto")
        axes.set_axis_off()
        return
    # A rasterized artist would be misplaced: matplotlib places it on a page of its own.
    for artist in figure.findobj():
        artist.set_rasterized(False)

    # Lay out at the resolution of PDF, then move the figure to its place on the page.
    figure.set_dpi(72)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.bbox_inches.set(Bbox.from_bounds(*corner, width, height))

    class Placed(Artist):
        def draw(self, renderer: Any) -> None:
            figure.draw(renderer)

    page.add_artist(Placed())


def _is_file(section: ReportSection) -> bool:
    """Return whether a section quotes a file: a PDF leaves it out."""
    return all(
        isinstance(block, ReportText) and block.kind == "file"
        for block in section.blocks
    )


def _row_height(cells: Sequence[Sequence[str]], font: Font) -> float:
    return max(map(len, cells), default=1) * font.line + 0.04


def _cells(
    row: Sequence[str], widths: Sequence[float], font: Font
) -> list[Sequence[str]]:
    return [
        wrapped(cell, font, width - 2 * _PAD)
        for cell, width in zip(row, widths, strict=True)
    ]


def column_widths(table: ReportTable, font: Font) -> list[float]:
    """Return the widths of the columns: narrow ones fit their cells, wide ones share the rest."""
    bold = Font(font.size, "bold")
    natural = [
        max(
            width_of(head, bold),
            *(width_of(row[at], font) for row in table.rows),
            0.0,
        )
        + 2 * _PAD
        + 0.02
        for at, head in enumerate(table.heads)
    ]
    longest = [
        max(
            width_of(word, bold)
            for row in (table.heads, *table.rows)
            for word in (row[at].split() or [""])
        )
        + 2 * _PAD
        + 0.02
        for at in range(len(natural))
    ]

    # Columns that need less than an equal share get what they need; the others share
    # the rest. Repeat until no column needs less than its share.
    left, wide = INNER, list(range(len(natural)))
    while wide:
        share = left / len(wide)
        for at in wide:  # wrap between words, unless a word is too long
            if share < longest[at] <= INNER / 3:
                natural[at] = longest[at]
        narrow = [
            at for at in wide if natural[at] <= max(share, min(longest[at], INNER / 3))
        ]
        if not narrow:
            break
        left -= sum(natural[at] for at in narrow)
        wide = [at for at in wide if at not in narrow]
    return [
        left / len(wide) if at in wide else natural[at] for at in range(len(natural))
    ]


def wrapped(text: str, font: Font, width: float) -> Sequence[str]:
    """Return the lines of a text; a word that is too long is cut."""
    lines = [""]
    for word in _word_pieces(text, font, width):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(longer, font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[1:] if len(lines) > 1 and not lines[0] else lines


def _word_pieces(text: str, font: Font, width: float) -> Iterator[str]:
    """Yield the words of a text, with those wider than a line cut into pieces."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    for word in legible(printable).split():
        rest = word
        while width_of(rest, font) > width and len(rest) > 1:
            count = max(1, int(len(rest) * width / width_of(rest, font)))
            while count > 1 and width_of(rest[:count], font) > width:
                count -= 1
            yield rest[:count]
            rest = rest[count:]
        yield rest


@lru_cache(maxsize=100_000)
def width_of(text: str, font: Font) -> float:
    """Return the width of a line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not text:
        return 0.0
    properties = FontProperties(
        family=_families(font), size=font.size, weight=font.weight
    )
    width, _, _ = text_to_path.get_text_width_height_descent(text, properties, False)
    return float(width) / 72
