"""Report as one HTML page: plots are images in it, details are folded, nothing else is loaded."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from deeplabstream.files.report_document import (
    Block,
    ReportDocument,
    ReportMarkup,
    ReportPlot,
    ReportSection,
    ReportTable,
    ReportText,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DrawSvg: TypeAlias = Callable[["Figure"], bytes]
_STYLE = """\
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5em auto; max-width: 1080px; \
padding: 0 1em; color: #1c1c1c; background: #fff }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 1.8em }
table { border-collapse: collapse }
th { background: #eee; text-align: left }
th, td { padding: .15em .6em }
tr:nth-child(even) td { background: #f7f7f7 }
.subtitle { color: #555; margin-top: -.6em }
.warning { border-left: 6px solid #d55e00; background: #fdf0e6; padding: .6em 1em; margin: .6em 0 }
ul.warning { padding-left: 2em }
table { margin: .5em 0 } .scroll { overflow-x: auto }
.bold td { font-weight: bold }
td { vertical-align: top; overflow-wrap: anywhere; max-width: 42em }
th { vertical-align: bottom }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.plots { display: flex; flex-wrap: wrap; gap: 1em 1.4em; align-items: flex-start; margin: .6em 0 }
figure { margin: 0; max-width: 100% } figure img { max-width: 100%; height: auto }
figcaption { font-size: 13px; font-weight: bold }
details { margin: .6em 0; border: 1px solid #ddd; padding: .4em .8em }
summary { cursor: pointer; font-weight: bold }
pre { font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere }
nav { font-size: 13px; margin: .8em 0 } nav a { margin-right: 1em }
@media print {
  body { margin: 0; max-width: none } nav { display: none }
  figure, tr, .warning { break-inside: avoid } h2, h3 { break-after: avoid }
}
"""


def html_of(
    document: ReportDocument,
    draw: DrawSvg | None = None,
    style: str = "",
    script: str = "",
) -> str:
    """Return the page of a report.

    Parameters
    ----------
    document : ReportDocument
        What it shows.
    draw : callable, optional
        Returns the SVG of a figure; None: the report has no `ReportPlot`.
    style : str
        More rules of CSS.
    script : str
        JavaScript that runs when the page is loaded.
    """
    parts = [f"<h1>{escape(document.title)}</h1>"]
    parts.append(f'<p class="subtitle">{escape(document.subtitle)}</p>')
    if document.warnings:
        lines = "".join(f"<li>{escape(warning)}</li>" for warning in document.warnings)
        parts.append(f'<ul class="warning">{lines}</ul>')

    names = {f"s{at}": section for at, section in enumerate(document.sections)}
    links = " ".join(
        f'<a href="#{name}">{escape(section.title)}</a>'
        for name, section in names.items()
        if section.level == 2
    )
    parts.append(f"<nav>{links}</nav>")
    for name, section in names.items():
        parts += _section(section, name, draw)
    if script:
        parts.append(f"<script>\n{script}</script>")

    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(document.title)}</title>\n<style>\n{_STYLE}{style}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _section(section: ReportSection, name: str, draw: DrawSvg | None) -> Iterator[str]:
    title = escape(section.title)
    if section.is_folded:
        yield f'<details id="{name}"><summary>{title}</summary>'
    else:
        yield f'<h{section.level} id="{name}">{title}</h{section.level}>'

    # Consecutive plots are side by side, as many as fit into the window.
    for is_plots, blocks in groupby(
        section.blocks, lambda block: isinstance(block, ReportPlot)
    ):
        if is_plots:
            yield '<div class="plots">'
        for block in blocks:
            yield _block(block, draw)
        if is_plots:
            yield "</div>"
    if section.is_folded:
        yield "</details>"


def _block(block: Block, draw: DrawSvg | None) -> str:
    match block:
        case ReportTable():
            return f'<div class="scroll">{_table(block)}</div>'
        case ReportText():
            kind = {"warning": ' class="warning"'}.get(block.kind, "")
            tag = "pre" if block.kind == "file" else "p"
            return f"<{tag}{kind}>{escape(block.text)}</{tag}>"
        case ReportMarkup():
            return block.html
        case ReportPlot():
            if draw is None:
                raise ValueError("a report with plots needs a function that draws them")
            return _plot(block, draw(block.figure))


def _plot(plot: ReportPlot, svg: bytes) -> str:
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode('ascii')}"
    caption = escape(plot.caption)
    width, height = (round(96 * side) for side in plot.figure.get_size_inches())
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f'<img src="{source}" alt="{caption}" width="{width}" height="{height}"></figure>'
    )


def _table(table: ReportTable) -> str:
    """Return a table; columns of numbers are aligned to the right."""
    kinds = [' class="n"' if is_number else "" for is_number in table.numbers]
    lines = [_row("th", table.heads, kinds)]
    lines += [
        _row("td", row, kinds, ' class="bold"' if at in table.bold_rows else "")
        for at, row in enumerate(table.rows)
    ]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _row(tag: str, cells: Iterable[str], kinds: Sequence[str], kind: str = "") -> str:
    line = "".join(
        f"<{tag}{column}>{escape(cell)}</{tag}>"
        for cell, column in zip(cells, kinds, strict=True)
    )
    return f"<tr{kind}>{line}</tr>"
