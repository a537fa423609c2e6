"""The index of run folders always says what the folders say."""

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from deeplabstream.recording import run_catalogue
from deeplabstream.recording.run_catalogue import (
    INDEX,
    RunCatalogue,
    RunQuery,
    list_runs,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_summary import (
    NOT_ENDED,
    NOTES,
    UNREADABLE,
    change_notes,
    summarise,
)
from tests.recording.recorded import record


def test_runs_are_listed_newest_first_and_damaged_ones_say_so(tmp_path: Path) -> None:
    for name, started in (
        ("a", "2026-11-20"),
        ("b", "2026-11-22"),
        ("c", "2026-11-21"),
    ):
        run = RunFolder(record(tmp_path / name))
        run.update(started=f"{started}T10:00:00+00:00", ended=None, how=None)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "run.json").write_text("{", "utf-8")
    found = list_runs(tmp_path, 10)
    assert [run.path.name for run in found] == ["b", "c", "a", "d"]
    assert [run.outcome for run in found] == [NOT_ENDED] * 3 + [UNREADABLE]
    assert list_runs(tmp_path / "nowhere", 10) == []


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, animal, group, day in (
        ("a", "M1", "control", "2026-11-20"),
        ("b", "M2", "treated", "2026-11-21"),
        ("c", "M1", "control", "2026-11-22"),
    ):
        RunFolder(record(tmp_path / name)).update(
            started=f"{day}T12:00:00+00:00",
            ended=f"{day}T12:10:00+00:00",
            how="stopped",
            session={"animal": animal, "group": group, "notes": "calm"},
        )
    change_notes(tmp_path / "a", tags=("pilot",), excluded="camera moved")
    return tmp_path


def names(folder: Path, **conditions: object) -> list[str]:
    query = RunQuery(**conditions)  # type: ignore[arg-type]
    return [run.path.name for run in RunCatalogue(folder).runs(query)]


def test_the_catalogue_says_what_the_folders_say(runs: Path) -> None:
    for _ in range(2):  # the second time from the index
        found = RunCatalogue(runs).runs()
        assert found == [summarise(runs / name) for name in "cba"]
    assert found[0].duration_s == 600
    assert (runs / INDEX).is_file()


def test_runs_are_found_by_what_is_said_of_them(runs: Path) -> None:
    assert names(runs, animal="m1") == ["c", "a"]
    assert names(runs, group="treated") == ["b"]
    assert names(runs, tags=["pilot"]) == ["a"]
    assert names(runs, first=date(2026, 11, 21)) == ["c", "b"]
    assert names(runs, last=date(2026, 11, 21)) == ["b", "a"]
    assert names(runs, text="calm m1 11-22") == ["c"]
    assert names(runs, excluded=False) == ["c", "b"]
    assert names(runs, animal="M") == []


def test_changes_of_the_folders_are_seen(runs: Path) -> None:
    catalogue = RunCatalogue(runs)
    assert len(catalogue.runs()) == 3
    change_notes(runs / "b", notes="escaped", excluded="escaped")
    shutil.rmtree(runs / "a")
    RunFolder(runs / "c").update(session={"animal": "M9"})
    found = {run.path.name: run for run in catalogue.runs()}
    assert set(found) == {"b", "c"}
    assert (found["b"].excluded, found["c"].animal) == ("escaped", "M9")


def test_notes_of_equal_length_within_a_tick_of_the_clock_are_seen(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_catalogue, "_NEW_S", float("inf"))
    change_notes(runs / "b", notes="good")
    times = (runs / "b" / NOTES).stat()
    assert names(runs, text="good") == ["b"]
    change_notes(runs / "b", notes="evil")
    os.utime(runs / "b" / NOTES, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert names(runs, text="evil") == ["b"]


def test_copied_runs_are_listed_without_reading_them_again(
    runs: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy has other numbers of files; where it is read-only, no index can be made."""
    for file in (*runs.glob("*/run.json"), *runs.glob(f"*/{NOTES}")):
        os.utime(file, (1e9, 1e9))
    assert names(runs) == ["c", "b", "a"]
    copy = tmp_path_factory.mktemp("copy") / "runs"
    shutil.copytree(runs, copy)
    monkeypatch.setattr(run_catalogue, "summarise", lambda path: pytest.fail(str(path)))
    assert names(copy) == ["c", "b", "a"]


def test_two_programs_that_make_the_index_list_all_runs(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other found no table either; it makes one after this has filled its own."""
    other = sqlite3.connect(runs / INDEX)
    update = RunCatalogue._update

    def overtaken(catalogue: RunCatalogue, index: sqlite3.Connection) -> object:
        updated = update(catalogue, index)
        run_catalogue._with_table(other)
        return updated

    monkeypatch.setattr(RunCatalogue, "_update", overtaken)
    with closing(other):
        assert names(runs) == ["c", "b", "a"]


def test_a_damaged_index_is_made_anew(runs: Path) -> None:
    for content in (b"no database at all", (runs / "a/run.json").read_bytes() * 200):
        (runs / INDEX).write_bytes(content)
        assert names(runs) == ["c", "b", "a"]
    with sqlite3.connect(runs / INDEX) as index:
        index.execute("DROP TABLE runs")
        index.execute("PRAGMA user_version = 99")
    index.close()
    assert names(runs) == ["c", "b", "a"]


def test_without_a_place_for_the_index_runs_are_listed_too(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runs / INDEX).mkdir()  # cannot be opened as a file, by no user
    catalogue = RunCatalogue(runs)
    assert [run.path.name for run in catalogue.runs()] == ["c", "b", "a"]
    shutil.rmtree(runs / "c")
    assert [run.path.name for run in catalogue.runs()] == ["b", "a"]


def test_a_folder_without_runs_gets_no_index(tmp_path: Path) -> None:
    assert RunCatalogue(tmp_path).runs() == []
    assert list(tmp_path.iterdir()) == []
