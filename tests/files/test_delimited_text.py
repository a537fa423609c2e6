"""Tables of text as programs and spreadsheets of several languages save them."""

import csv
from pathlib import Path

import pytest

from deeplabstream.files.delimited_text import read_delimited

ROWS = [["name", "x", "y"], ["Käfig 1", "1.5", "-2"], ["b", "", "1e-3"]]
COMMAS = "name,x,y\nKäfig 1,1.5,-2\n\nb,,1e-3\n"
GERMAN = COMMAS.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (COMMAS, "utf-8"),
        (COMMAS, "utf-8-sig"),
        (GERMAN, "utf-8-sig"),
        (GERMAN.replace(";", "\t"), "utf-16"),
        ("sep=;\r\n" + GERMAN.replace("\n", "\r\n"), "utf-8"),
        (COMMAS.replace(",", ";"), "utf-8"),
        (COMMAS.replace("\n", "\r"), "utf-8"),  # Excel on a Macintosh
        ("sep=;\r" + GERMAN.replace("\n", "\r"), "utf-8"),
    ],
)
def test_the_same_rows_are_read_from_every_kind_of_csv(
    tmp_path: Path, text: str, encoding: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(text.encode(encoding))
    assert read_delimited(file).rows() == ROWS


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("0,5;1", ["0.5", "1"]),
        ("0,5;1,5;2,5", ["0.5", "1.5", "2.5"]),
        ("0.5,1", ["0.5", "1"]),
        ('"a;b",c,d', ["a;b", "c", "d"]),
        ('"1,234",2', ["1,234", "2"]),
        ("a\tb,c,d", ["a\tb", "c", "d"]),
        ('"a\tb",c', ["a\tb", "c"]),
        ("0,5\t1,5", ["0.5", "1.5"]),
        ("sep=\t\na,b,c\td", ["a,b,c", "d"]),
    ],
)
def test_a_table_without_header(tmp_path: Path, line: str, cells: list[str]) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"{line}\n", "utf-8")
    assert read_delimited(file).rows() == [cells]


@pytest.mark.parametrize("second", ["0.5\t1", "0,5\t1,5", "a\tb"])
def test_the_second_row_shows_that_commas_belong_to_names(
    tmp_path: Path, second: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"time, s\tlevel, V\n{second}\n", "utf-8")
    assert read_delimited(file).rows()[0] == ["time, s", "level, V"]


def test_a_row_with_more_cells_than_the_first_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    for text, line, cells in (
        ("time_s\n0,5\n1,5\n", 2, "2 cells and the first row 1"),
        ("sep=,\nx,y\n\n1,2\n0,5,2,5\n", 5, "4 cells and the first row 2"),
    ):
        file.write_text(text, "utf-8")
        for read in (read_delimited(file).rows, read_delimited(file).checked):
            with pytest.raises(ValueError, match=f"line {line} has {cells}"):
                read()
    file.write_text("a,b\n1\n2,\n", "utf-8")
    assert read_delimited(file).rows() == [["a", "b"], ["1"], ["2", ""]]


def test_numbers_whose_decimal_sign_is_not_certain_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    for text, said in (
        ("run;note;value\na;2,5;1.5\n", r"commas \(2,5\) and points \(1.5\)"),
        ("time\tlevel\n1,234\t1\n2,345\t0\n", "comma of 1,234 may separate"),
    ):
        file.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=said):
            read_delimited(file).rows()
    file.write_text("time\tlevel\n0,234\t1\n1,345\t0\n", "utf-8")
    assert read_delimited(file).rows()[1:] == [["0.234", "1"], ["1.345", "0"]]


def test_rows_of_blanks_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("time,level\n  \n1,1\n , \n", "utf-8")
    assert read_delimited(file).rows() == [["time", "level"], ["1", "1"]]


def test_other_content_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    for content, said in (
        (b"PK\x03\x04\0\0", "it is not text"),
        ("Käfig".encode("cp1252"), "save it as CSV UTF-8"),
        (b"\xff\xfe\x00", "save it as CSV UTF-8"),
        (b"a" * 70_000 + b"\0", "it is not text"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=said):
            read_delimited(file)
    file.write_text("a" * (csv.field_size_limit() + 1), "utf-8")
    with pytest.raises(csv.Error, match="field larger"):
        read_delimited(file).rows()
