import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.settings.ini_editing import (
    add_section,
    remove_section,
    rename_section,
    set_value,
)
from deeplabstream.settings.ini_reading import read_sections

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "settings.ini").read_text(encoding="utf-8")
TITLES = list(read_sections(SHIPPED).texts)
KEYS = sorted({key for words in read_sections(SHIPPED).texts.values() for key in words})
WORDS = st.from_regex(r"[\w.,:/=-]+( [\w.,:/=#-]+)*", fullmatch=True)


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"\s*[#;]", line)]


@given(st.sampled_from(TITLES), st.sampled_from([*KEYS, "NEW"]), WORDS)
def test_one_word_changes_and_nothing_else(title: str, key: str, word: str) -> None:
    text = set_value(SHIPPED, title, key, word)
    wanted = read_sections(SHIPPED).texts
    wanted[title][key] = word
    assert read_sections(text).texts == wanted
    assert comments(text) == comments(SHIPPED)
    assert set_value(text, title, key, word) == text


@given(st.sampled_from(TITLES), st.sampled_from(KEYS))
def test_a_key_taken_away_takes_no_comment_along(title: str, key: str) -> None:
    text = set_value(SHIPPED, title, key, None)
    wanted = read_sections(SHIPPED).texts
    wanted[title].pop(key, None)
    assert read_sections(text).texts == wanted
    assert comments(text) == comments(SHIPPED)


@given(st.dictionaries(st.sampled_from(KEYS), WORDS, max_size=4))
def test_a_section_comes_and_goes(words: dict[str, str]) -> None:
    text = add_section(SHIPPED, "Trigger centre", words)
    wanted = read_sections(SHIPPED).texts | {"Trigger centre": words}
    assert read_sections(text).texts == wanted
    order = list(read_sections(text).texts)
    assert order.index("Trigger centre") == order.index("Trigger right") + 1
    without = remove_section(text, "Trigger centre")
    assert read_sections(without).texts == read_sections(SHIPPED).texts
    assert comments(without) == comments(SHIPPED)


def test_values_over_several_lines_are_replaced_whole() -> None:
    text = "[A]\nB = 1,\n  2,\n  3\nC = 4\n"
    assert set_value(text, "A", "b", "5") == "[A]\nB = 5\nC = 4\n"
    assert set_value(text, "A", "b", None) == "[A]\nC = 4\n"


def test_a_comment_ends_a_value() -> None:
    text = "[A]\nB = 1,\n  2\n# set by Anna\n  C = 4\n"
    assert read_sections(text).texts == {"A": {"B": "1, 2", "C": "4"}}
    changed = "[A]\nB = 5\n# set by Anna\n  C = 4\n"
    assert set_value(text, "A", "b", "5") == changed
    assert set_value(text, "A", "c", None) == "[A]\nB = 1,\n  2\n# set by Anna\n"


def test_an_example_in_a_comment_shows_where_a_key_belongs() -> None:
    text = set_value("[A]\n# B = 1\n\nC = 4\n", "A", "B", "5")
    assert text == "[A]\n# B = 1\nB = 5\n\nC = 4\n"


def test_windows_line_ends_and_a_missing_last_one_are_kept() -> None:
    assert set_value("[A]\r\nB = 1", "A", "C", "2") == "[A]\r\nB = 1\r\nC = 2\r\n"
    assert add_section("[A]\r\nB = 1", "D", {}) == "[A]\r\nB = 1\r\n\r\n[D]\r\n"
    assert add_section("", "D", {"E": "1"}) == "[D]\nE = 1\n"


def test_a_section_gets_another_name() -> None:
    text = rename_section(SHIPPED, "Trigger left", "Trigger nest")
    assert text == SHIPPED.replace("[Trigger left]", "[Trigger nest]")
