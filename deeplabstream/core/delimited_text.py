"""Delimited text: tables of commas, semicolons or tabs, as programs and spreadsheets save them.

Spreadsheets of many languages write semicolons between cells and a comma in numbers.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_ENOUGH = 65536
"""Bytes that tell text from other content, such as a long video."""


@dataclass(frozen=True, slots=True)
class DelimitedText:
    """The text of a table, and how its cells and numbers are written."""

    text: str
    separator: str
    """`,`, `;` or tab."""

    @property
    def decimal(self) -> str:
        """Sign before the decimal places of its numbers."""
        if self.separator == ",":
            return "."
        ends = f"(?:^|[{self.separator}\n])"
        found = re.search(
            f"{ends}{_DECIMAL_COMMA.pattern}(?=[{self.separator}\r\n]|$)", self.text
        )
        return "," if found else "."

    def rows(self) -> list[list[str]]:
        """Return the cells of all rows but empty ones, numbers with a decimal point.

        csv.Error: a cell is damaged.
        """
        lines = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.separator)
        rows = [row for row in lines if any(row)]
        if self.decimal == ".":
            return rows
        return [
            [
                cell.replace(",", ".")
                if _DECIMAL_COMMA.fullmatch(cell.strip())
                else cell
                for cell in row
            ]
            for row in rows
        ]


def read_delimited(file: Path) -> DelimitedText:
    """Read a table of text.

    ValueError: it is not text, or not in UTF-8 or UTF-16. OSError: it can't be read.
    """
    with file.open("rb") as content:
        begun = content.read(_ENOUGH)
        is_utf16 = begun[:2] in (b"\xff\xfe", b"\xfe\xff")
        if b"\0" in begun and not is_utf16:
            raise ValueError("it is not text")
        stored = begun + content.read()
    try:
        text = stored.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text: save it as CSV UTF-8") from error
    if "\0" in text:
        raise ValueError("it is not text")
    first, _, rest = text.partition("\n")
    if found := re.fullmatch(
        r'"?sep=([,;\t])"?', first.strip("\r ")
    ):  # of spreadsheets
        return DelimitedText(rest, found[1])
    line = next((line for line in text.splitlines() if line.strip()), "")
    return DelimitedText(text, _separator(line))


def _separator(line: str) -> str:
    """Return what separates the cells of a table's first line."""
    if "\t" in line:
        return "\t"
    cells = [cell.strip() for cell in line.split(";")]
    if len(cells) > 1 and all(not cell or _NUMBER.fullmatch(cell) for cell in cells):
        return ";"
    return ";" if line.count(";") >= max(1, line.count(",")) else ","
