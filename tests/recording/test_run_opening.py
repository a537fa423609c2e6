"""Killed runs that several programs open at the same time."""

import os
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Note
from deeplabstream.files import exclusive_writing
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.recording import run_folder, run_opening, run_repair
from deeplabstream.recording.journal_recovery import complete_events
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_repair import RepairReport, repair
from tests.files.meanwhile import Meanwhile
from tests.recording.recorded import STARTED, record


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    path = record(tmp_path / "run")
    RunFolder(path).update(ended=None, how=None)
    with (path / "top.csv").open("ab") as table:
        table.write(b"40,4.0,50")  # half a row
    (path / ".run.json.lock").touch()
    return path


def test_one_program_repairs_a_killed_run_and_the_other_waits(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    said_to_other: list[str] = []
    other = Meanwhile(
        monkeypatch, lambda: open_run_folder(killed, said_to_other.append)
    )

    def slow(path: Path) -> RepairReport:
        other.begin()
        return repair(path)

    monkeypatch.setattr(run_opening, "repair", slow)
    open_run_folder(killed, said.append)
    other.end()
    assert [sentence.split(":")[1] for sentence in said] == [" top.csv", " run.json"]
    assert said_to_other == []
    assert len(RunFolder(killed).facts["repaired"]) == 2
    assert not [*killed.glob(".*")]


def test_a_repair_that_takes_long_is_a_sentence(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (killed / "events.csv").read_bytes()
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 0.0)
    with exclusive(killed / "repair"):
        with pytest.raises(DeviceError, match="was killed and can't be repaired: "):
            open_run_folder(killed, pytest.fail)
        complete_events(killed, [Note("recording", "the disk is slow", 5)])
    assert (killed / "events.csv").read_bytes() == before
    assert RunFolder(killed).facts["ended"] is None


def test_a_file_that_vanishes_during_a_repair_is_passed_over(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir
    monkeypatch.setattr(
        Path, "iterdir", lambda folder: [*listed(folder), folder / "top.csv.copying"]
    )
    assert repair(killed).done
    assert RunFolder(killed).facts["how"] == "killed"


def test_a_damaged_run_json_is_there_while_it_is_made_again(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, the folder is none of a run for all other programs."""
    (killed / "run.json").write_bytes(b"\0" * 900)
    names = run_repair._stems
    seen = []

    def stems(path: Path) -> list[str]:
        seen.append((path / "run.json").is_file())
        return names(path)

    monkeypatch.setattr(run_repair, "_stems", stems)
    open_run_folder(killed, lambda sentence: None)
    assert seen and all(seen)


def test_two_programs_that_change_run_json_leave_it_whole(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, begun = os.fsync, []

    def slow(draft: int) -> None:
        if not begun:
            begun.append(True)
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda: 1)
                RunFolder(killed).update(note="a long note of the other program")
        sync(draft)

    monkeypatch.setattr(os, "fsync", slow)
    RunFolder(killed).update(how="by this program")
    assert begun
    assert RunFolder(killed).facts["how"] == "by this program"
    assert not [*killed.glob(".*.new")]


def test_of_two_programs_that_make_the_same_folder_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"

    def overtaken(*_: object) -> None:
        monkeypatch.undo()
        RunFolder.create_at(path, STARTED, "[first]\n", RunFacts(1, {}))

    monkeypatch.setattr(run_folder, "check_new", overtaken)
    with pytest.raises(DeviceError, match="can't be made: File exists"):
        RunFolder.create_at(path, STARTED, "[second]\n", RunFacts(2, {}))
    assert RunFolder(path).settings_text == "[first]\n"
    assert RunFolder(path).facts["start_ns"] == 1
