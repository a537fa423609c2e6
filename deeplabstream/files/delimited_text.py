"""Delimited text: tables of commas, semicolons or tabs, as programs and spreadsheets save them.

Spreadsheets of many languages write semicolons between cells and a comma in numbers.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
"""A number with a comma before its decimal places."""
_DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of cells that spreadsheets compute."""
_ENOUGH = 65536
"""Bytes that are checked to distinguish text from other content, such as a long video."""


def plain_cell(value: object) -> object:
    """Return a cell that no spreadsheet computes: text like a formula gets an apostrophe.

    >>> plain_cell("=1+1"), plain_cell("-1.5"), plain_cell(-1.5)
    ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    return value if _NUMBER.fullmatch(value) else f"'{value}"


def written_cell(value: object) -> object:
    """Return the original of a cell that `plain_cell` has changed."""
    is_marked = isinstance(value, str) and value.startswith(
        tuple(f"'{sign}" for sign in _FORMULA)
    )
    return value[1:] if is_marked and isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class DelimitedText:
    """The text of a table, and how its cells and numbers are written."""

    text: str
    separator: str
    """`,`, `;` or tab."""

    @property
    def decimal(self) -> str:
        """Sign before the decimal places of its numbers.

        ValueError: some numbers have a comma and some a point, or the commas may separate
        thousands.
        """
        if self.separator == ",":
            return "."
        ends = f"(?<![^{self.separator}\n])", f"(?![^{self.separator}\n])"
        commas = re.findall(DECIMAL_COMMA.pattern.join(ends), self.text)
        if not commas:
            return "."
        if point := re.search(_DECIMAL_POINT.pattern.join(ends), self.text):
            raise ValueError(
                f"its numbers have commas ({commas[0]}) and points ({point[0]}): save it "
                "with decimal points"
            )
        if self.separator == "\t" and all(map(_THOUSANDS.fullmatch, commas)):
            raise ValueError(
                f"the comma of {commas[0]} may separate thousands or decimal places: save "
                "it with decimal points"
            )
        return ","

    def rows(self) -> list[list[str]]:
        """Return the cells of all rows but empty ones, numbers with a decimal point.

        ValueError: a row has more cells than the first, or its decimal sign is not certain.
        csv.Error: a cell is damaged.
        """
        rows = list(self._rows())
        if self.decimal == ".":
            return rows
        return [
            [
                cell.replace(",", ".")
                if DECIMAL_COMMA.fullmatch(cell.strip())
                else cell
                for cell in row
            ]
            for row in rows
        ]

    def checked(self) -> io.StringIO:
        """Return the text for pandas, which would shift or drop surplus cells.

        ValueError: a row has more cells than the first, or a cell is damaged.
        """
        try:
            for _ in self._rows():
                pass
        except csv.Error as error:
            raise ValueError(str(error)) from error
        return io.StringIO(self.text)

    def _rows(self) -> Iterator[list[str]]:
        """Yield the cells of all rows but empty ones, as they are written."""
        lines = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.separator)
        first = 0
        for row in lines:
            if not any(cell.strip() for cell in row):
                continue
            first = first or len(row)
            if len(row) > first and any(cell.strip() for cell in row[first:]):
                raise ValueError(
                    f"line {lines.line_num} has {len(row)} cells and the first row "
                    f"{first}. With decimal commas, separate the cells by semicolons"
                )
            yield row


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
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    # written by spreadsheets
    if found := re.fullmatch(r'"?sep=([,;\t])"?', first.strip(" ")):
        return DelimitedText(f"\n{rest}", found[1])
    return DelimitedText(text, _separator(text))


def _separator(text: str) -> str:
    """Return what separates the cells of the first two rows.

    It is the sign between numbers, else one that both rows have equally often, else the
    most frequent one of the first row.
    """
    rows = (line for line in io.StringIO(text) if line.strip())
    first, second = (re.sub('"[^"]*"', "", next(rows, "")) for _ in range(2))
    for sign, row in product("\t;", (first, second)):
        cells = [cell.strip() for cell in row.split(sign)]
        if len(cells) > 1 and all(not c or _NUMBER.fullmatch(c) for c in cells):
            return sign
    signs = [sign for sign in "\t;," if sign in first]
    return max(
        signs,
        key=lambda sign: (first.count(sign) == second.count(sign), first.count(sign)),
        default=",",
    )
