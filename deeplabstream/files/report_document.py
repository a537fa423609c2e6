"""Report document: headings, texts, tables and plots, of all reports, as HTML or PDF."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class ReportText:
    """A paragraph, or lines of a file as they are written."""

    text: str
    kind: Literal["plain", "warning", "file"] = "plain"


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table of texts; columns of numbers are aligned to the right."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold_rows: Container[int] = ()
    """Indices of rows in bold type, in HTML pages."""

    @property
    def numbers(self) -> list[bool]:
        """Which columns have numbers only."""
        columns = zip(*self.rows, strict=True) if self.rows else ()
        numeric = [all(map(_is_number, column)) for column in columns]
        return numeric or [False] * len(self.heads)


@dataclass(frozen=True, slots=True, eq=False)
class ReportPlot:
    """A figure and its caption."""

    caption: str
    figure: "Figure"


@dataclass(frozen=True, slots=True)
class ReportMarkup:
    """Unescaped HTML, such as controls; HTML pages only."""

    html: str


Block: TypeAlias = ReportText | ReportTable | ReportPlot | ReportMarkup


@dataclass(frozen=True, slots=True, eq=False)
class ReportSection:
    """A section: heading and content."""

    title: str
    blocks: Sequence[Block]
    level: int = 2
    is_folded: bool = False
    """Collapsed in an HTML page; at the end of a PDF, in small type."""


@dataclass(frozen=True, slots=True, eq=False)
class ReportDocument:
    """A report."""

    title: str
    subtitle: str
    warnings: Sequence[str] = ()
    """Warnings, above everything else."""
    sections: Sequence[ReportSection] = field(default_factory=tuple)


def _is_number(cell: str) -> bool:
    text = cell.replace("%", "").replace("−", "-").strip()
    if text in ("", "–"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def number(value: float) -> str:
    """Return a number with four significant digits; NaN: a dash.

    >>> [number(value) for value in (1234567.8, 0.012345, 3.0, float("nan"))]
    ['1234568', '0.01235', '3', '–']
    """
    if value != value:
        return "–"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
