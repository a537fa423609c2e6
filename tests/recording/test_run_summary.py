"""What is said of runs without reading their tables, and the notes on them."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Note
from deeplabstream.files import exclusive_writing
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_summary import (
    NOTES,
    RunNotes,
    change_notes,
    read_notes,
    summarise,
)
from deeplabstream.recording.run_writer import RunWriter
from tests.recording.recorded import (
    FORM,
    SETTINGS,
    SKELETON,
    START_NS,
    STARTED,
    record,
)


@pytest.mark.parametrize(
    "facts",
    [
        {"started": "0001-01-01T00:00:00"},
        {"started": "no time", "ended": 5},
        {"session": "me", "experiment": [1], "accounting": {}, "rehearsal": True},
        {"session": None, "cameras": 7, "how": 3},
    ],
)
def test_impossible_entries_say_nothing(
    tmp_path: Path, facts: dict[str, object]
) -> None:
    run = record(tmp_path / "run")
    words = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**words, **facts}), "utf-8")
    (run / NOTES).write_text('{"notes": 5, "tags": "x", "excluded": []}', "utf-8")
    found = summarise(run)
    assert (found.notes, found.tags, found.excluded) == ("", (), "")
    assert found.newest >= 0


def test_the_length_of_a_simulation_is_that_of_its_frames(tmp_path: Path) -> None:
    run = RunFolder(record(tmp_path / "run"))
    run.update(rehearsal=True)
    assert summarise(run.path).duration_s == pytest.approx(3.9)
    assert summarise(run.path).outcome.startswith("simulation, ")


@pytest.mark.parametrize(
    ("notes", "how", "outcome", "duration_s"),
    [
        ((), "stopped", "stopped", 600.0),
        (("started", "finished after 2 s (EXP_TIME_S)"), "stopped",
         "finished after 2 s (EXP_TIME_S)", 2.0),
        (("started", "finished", "not started: no camera"), "stopped", "finished", 2.0),
        (("started", "finished", "started", "failed: no board"), "stopped",
         "failed: no board", 6.0),
        (("started", "stopped"), "stopped", "stopped", 2.0),
        (("started", "finished"), "killed", "finished; recording killed", 2.0),
        (("started",), "killed", "killed", 600.0),
    ],
)  # fmt: skip
def test_outcome_and_duration_are_those_of_the_experiment(
    tmp_path: Path, notes: tuple[str, ...], how: str, outcome: str, duration_s: float
) -> None:
    facts = RunFacts(START_NS, {"top": FORM}, SKELETON, None)
    run = RunFolder.create_at(tmp_path / "run", STARTED, SETTINGS, facts)
    with RunWriter(run, START_NS) as writer:
        for place, text in enumerate(notes):
            at = START_NS + (1 + 2 * place) * 1_000_000_000
            writer.entry(Note("experiment", text, at))
    run.finish(STARTED + timedelta(minutes=10), how, [])
    found = summarise(run.path)
    assert (found.outcome, found.duration_s) == (outcome, duration_s)


def test_notes_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(tmp_path / "run")
    assert read_notes(run) == RunNotes()
    change_notes(run, notes="good", tags=("a", "b", "a"), excluded="lost tracking")
    kept = RunNotes("good", ("a", "b"), "lost tracking")
    assert read_notes(run) == kept

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(DeviceError, match=r"Can't write .*notes\.json: No space"):
            change_notes(run, notes="better")
    assert read_notes(run) == kept
    change_notes(run, excluded="")
    assert read_notes(run) == RunNotes("good", ("a", "b"))
    assert sorted(each.name for each in run.iterdir() if "notes" in each.name) == [
        NOTES
    ]


def test_no_note_is_lost_when_several_programs_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 600.0)
    run = record(tmp_path / "run")
    start = threading.Barrier(3)
    changes: tuple[Callable[[str], None], ...] = (
        lambda text: change_notes(run, notes=text),
        lambda text: change_notes(run, tags=(text,)),
        lambda text: change_notes(run, excluded=text),
    )

    def write(change: Callable[[str], None]) -> None:
        start.wait()
        for number in range(20):
            change(f"{number}")

    writers = [threading.Thread(target=write, args=(each,)) for each in changes]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read_notes(run) == RunNotes("19", ("19",), "19")


@pytest.mark.parametrize("text", ["{", "[]", '"good"', '{"notes": "good",}'])
def test_a_damaged_file_of_notes_is_never_overwritten(
    tmp_path: Path, text: str
) -> None:
    run = record(tmp_path / "run")
    (run / NOTES).write_text(text, "utf-8")
    with pytest.raises(DeviceError, match=r"notes\.json can't be read: .*correct it"):
        change_notes(run, tags=("pilot",))
    assert (run / NOTES).read_text("utf-8") == text


def test_what_other_programs_add_to_the_notes_is_kept(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    (run / NOTES).write_text('{"weight_g": 24.5, "tags": ["a"]}', "utf-8")
    change_notes(run, notes="good")
    words = json.loads((run / NOTES).read_text("utf-8"))
    assert words == {"weight_g": 24.5, "tags": ["a"], "notes": "good"}
