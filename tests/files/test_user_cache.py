"""Entries of the user's cache that several programs add."""

from pathlib import Path

import pytest

from deeplabstream.files import user_cache
from deeplabstream.files.user_cache import add_entries, read_entries
from tests.files.meanwhile import Meanwhile


def test_no_entry_is_lost_when_several_programs_add_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "videos.json"
    other = Meanwhile(monkeypatch, lambda: add_entries(file, {"b": {"jumps": False}}))

    def late(file: Path) -> dict[str, dict[str, object]]:
        known = read_entries(file)
        other.begin()
        return known

    monkeypatch.setattr(user_cache, "read_entries", late)
    add_entries(file, {"a": {"jumps": True}})
    other.end()
    assert read_entries(file) == {"a": {"jumps": True}, "b": {"jumps": False}}
    assert [*tmp_path.iterdir()] == [file]


def test_the_oldest_entries_leave(tmp_path: Path) -> None:
    file = tmp_path / "videos.json"
    for name in "abca":
        add_entries(file, {name: {}}, most=2)
    assert [*read_entries(file)] == ["c", "a"]


def test_a_cache_that_can_not_be_written_is_ignored(tmp_path: Path) -> None:
    add_entries(tmp_path / "none" / "videos.json", {"a": {}})
    assert not [*tmp_path.iterdir()]
