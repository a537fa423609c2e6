"""Report as one HTML page: plots are SVG images in it, details are folded."""

import io
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from deeplabstream.analysis.plot_style import figure_style, is_dense
from deeplabstream.analysis.report_document import (
    Block,
    ReportDocument,
    ReportPlot,
    ReportSection,
    ReportTable,
    ReportText,
)
from deeplabstream.files.html_page import data_uri, page, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """\
body { max-width: 1080px }
.subtitle { color: #555; margin-top: -.6em }
.warning { border-left: 6px solid #d55e00; background: #fdf0e6; padding: .6em 1em; margin: .6em 0 }
ul.warning { padding-left: 2em }
table { width: auto; margin: .5em 0 } .scroll { overflow-x: auto }
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


def html_of(document: ReportDocument) -> str:
    """Return the page."""
    parts = [f"<h1>{escape(document.title)}</h1>"]
    parts.append(f'<p class="subtitle">{escape(document.subtitle)}</p>')
    if document.warnings:
        lines = "".join(f"<li>{escape(warning)}</li>" for warning in document.warnings)
        parts.append(f'<ul class="warning">{lines}</ul>')
    main = [section for section in document.sections if section.level == 2]
    links = " ".join(
        f'<a href="#s{document.sections.index(section)}">{escape(section.title)}</a>'
        for section in main
    )
    parts.append(f"<nav>{links}</nav>")
    for at, section in enumerate(document.sections):
        parts += _section(section, f"s{at}")
    return page(document.title, "\n".join(parts), _STYLE)


def _section(section: ReportSection, name: str) -> Iterator[str]:
    title = escape(section.title)
    if section.is_folded:
        yield f'<details id="{name}"><summary>{title}</summary>'
    else:
        yield f'<h{section.level} id="{name}">{title}</h{section.level}>'
    plots: list[ReportPlot] = []
    for block in section.blocks:
        if isinstance(block, ReportPlot):
            plots.append(block)
            continue
        yield from _plots(plots)
        plots = []
        yield _block(block)
    yield from _plots(plots)
    if section.is_folded:
        yield "</details>"


def _block(block: Block) -> str:
    if isinstance(block, ReportTable):
        return (
            f'<div class="scroll">{table(block.heads, block.rows, block.numbers)}</div>'
        )
    if isinstance(block, ReportText):
        kind = {"warning": ' class="warning"'}.get(block.kind, "")
        tag = "pre" if block.kind == "file" else "p"
        return f"<{tag}{kind}>{escape(block.text)}</{tag}>"
    return "".join(_plots([block]))


def _plots(plots: list[ReportPlot]) -> Iterator[str]:
    if not plots:
        return
    yield '<div class="plots">'
    for plot in plots:
        source = data_uri(_svg(plot.figure), "image/svg+xml")
        caption = escape(plot.caption)
        width, height = (round(96 * side) for side in plot.figure.get_size_inches())
        yield (
            f"<figure><figcaption>{caption}</figcaption>"
            f'<img src="{source}" alt="{caption}" width="{width}" height="{height}"></figure>'
        )
    yield "</div>"


def _svg(figure: "Figure") -> bytes:
    from matplotlib.collections import LineCollection

    if is_dense(figure):
        for lines in figure.findobj(LineCollection):
            lines.set_rasterized(True)
    file = io.BytesIO()
    with figure_style():
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
