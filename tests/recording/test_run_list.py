"""What is said of runs without reading their tables, and the notes on them."""

import json
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_list import (
    NOTES,
    RunNotes,
    read_notes,
    summarise,
    write_notes,
)
from tests.recording.recorded import record


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


def test_notes_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record(tmp_path / "run")
    assert read_notes(run) == RunNotes()
    write_notes(run, RunNotes("good", ("a", "b", "a"), "lost tracking"))
    kept = RunNotes("good", ("a", "b"), "lost tracking")
    assert read_notes(run) == kept

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(DeviceError, match=r"Can't write .*notes\.json: No space"):
            write_notes(run, RunNotes("better"))
    assert read_notes(run) == kept
    assert sorted(each.name for each in run.iterdir() if "notes" in each.name) == [
        NOTES
    ]
