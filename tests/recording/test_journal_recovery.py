"""Events of a killed recorder: each entry of the journal has one row, with all its times."""

import os
import shutil
from pathlib import Path

import pytest

from deeplabstream.core.command import Mark, Set
from deeplabstream.core.journal_entries import Acknowledged, Edge, Entry, Intent, Note
from deeplabstream.recording.journal_recovery import complete_events
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_writer import RunWriter
from tests.recording.new_runs import FACTS, LASER, SKELETON, new_run, step


def acted(index: int, level: float) -> list[Entry]:
    """Return what the journal has of a frame that switches the laser."""
    ns = FACTS.start_ns + index * 33_333_333 + 9_100_000
    commands = Set(LASER, level), Mark("on, off")
    return [
        Intent(index, ns, commands),
        Edge(LASER, level, "plan", ns + 10, ns + 90),
        step(index, commands=commands),
        Acknowledged(LASER, level, ns + 50, ns + 700, ns + 900),
    ]


ENTRIES: list[Entry] = [
    *acted(5, 0.5),
    *acted(6, 0.0),
    Edge(LASER, 0.0, "stop", FACTS.start_ns + 10**9, FACTS.start_ns + 10**9 + 5),
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without tables."""
    return new_run(tmp_path_factory.mktemp("runs")).path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def written(empty: Path, entries: list[Entry], path: Path) -> RunFolder:
    folder = RunFolder(shutil.copytree(empty, path))
    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", SKELETON, ("in corner",))
        for entry in entries:
            run.entry(entry)
    return folder


@pytest.mark.parametrize("on_disk", range(len(ENTRIES) + 1))
def test_a_recorder_killed_at_any_entry_leaves_the_events_of_one_that_was_not(
    tmp_path: Path, empty: Path, on_disk: int
) -> None:
    """It may die between writing entries and storing in the journal that it has."""
    expected = written(empty, ENTRIES, tmp_path / "whole").events()
    killed = written(empty, ENTRIES[:on_disk], tmp_path / "killed").path
    for recorded in range(on_disk + 1):
        path = shutil.copytree(killed, killed.with_name(f"recorded {recorded}"))
        complete_events(path, ENTRIES[recorded:])
        *events, said = RunFolder(path).events()
        assert events == expected
        assert "ended unexpectedly" in said["text"]


@pytest.mark.parametrize("damaged", ["{", "[]", '{"ended": null, "start_ns": null}'])
def test_a_damaged_run_json_is_left_to_the_repair(
    tmp_path: Path, empty: Path, damaged: str
) -> None:
    folder = written(empty, ENTRIES, tmp_path / "damaged")
    before = folder.events()
    (folder.path / "run.json").write_text(damaged)
    complete_events(folder.path, [Note("experiment", "stopped", FACTS.start_ns)])
    assert folder.events() == before
