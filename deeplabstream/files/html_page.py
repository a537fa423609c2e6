"""HTML page: one self-contained file, without scripts or files from elsewhere."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """\
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5em auto; max-width: 1320px; \
padding: 0 1em; color: #1c1c1c; background: #fff }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 1.8em }
table { border-collapse: collapse; width: 100% }
th { background: #eee; text-align: left }
th, td { padding: .15em .6em }
tr:nth-child(even) td { background: #f7f7f7 }
"""
"""What all pages share."""


def page(title: str, body: str, style: str = "") -> str:
    """Return a whole page; `body` is HTML, `title` plain text."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[bool] = ()
) -> str:
    """Return a table of plain texts; columns with `numbers` are aligned to the right."""
    right = [' class="n"' if each else "" for each in numbers] or [""] * len(heads)
    top = "".join(
        f"<th{kind}>{escape(head)}</th>"
        for head, kind in zip(heads, right, strict=True)
    )
    lines = [f"<tr>{top}</tr>"]
    for row in rows:
        cells = zip(row, right, strict=True)
        line = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in cells)
        lines.append(f"<tr>{line}</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def data_uri(content: bytes, media_type: str) -> str:
    """Return a file as a URL that contains it."""
    return f"data:{media_type};base64,{b64encode(content).decode('ascii')}"
