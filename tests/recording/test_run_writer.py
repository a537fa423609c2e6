import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplabstream.core.command import Command, Mark, OutputName, Pulse, Set
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Edge, Intent, Note, Step
from deeplabstream.core.pose import Pose
from deeplabstream.ipc.ring import Stamp
from deeplabstream.recording import csv_tables
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from tests.recording.new_runs import FACTS, LASER, SKELETON, STARTED, new_run, step
from tests.recording.written_rows import rows

COMMANDS: tuple[Command, ...] = (
    Set(LASER, 0.1),
    Pulse(OutputName("valve"), 0.2, 0.5),
    Mark('trial 1, "left"'),
)
unique = itertools.count()


def same(one: Step, other: Step) -> bool:
    numbers = ("index", "exposed_ns", "arrived_ns", "posed_ns", "decided_ns")
    words = ("written_ns", "triggers", "commands", "status", "lost", "too_old")
    return (
        one.flags == other.flags
        and str(one.behaviours) == str(other.behaviours)
        and all(getattr(one, name) == getattr(other, name) for name in numbers + words)
        and one.pose.points.tobytes() == other.pose.points.tobytes()
        and one.pose.confidence.tobytes() == other.pose.confidence.tobytes()
    )


def a_run(folder: RunFolder) -> None:
    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", SKELETON, ("in corner",))
        run.entry(Note("analysis", "started, at last\nby a person", 1_000_000_000))
        run.step(step(0))
        run.skipped("top", Stamp(1, 1_033_333_333, 1_033_900_000))
        run.entry(Intent(2, 1_070_000_000, COMMANDS))
        run.entry(Edge(LASER, 0.1, "plan", 1_070_000_000, 1_070_100_000))
        run.step(step(2, triggers={"in corner": True}, commands=COMMANDS, status="a"))
        run.entry(Edge("valve", 0.0, "pulse end", 1_270_000_000, 1_270_100_000))
        run.step(step(3, triggers={"in corner": True}, lost=True, too_old=True))


def test_a_step_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    a_run(folder)
    steps = list(RunFolder(folder.path).steps("top"))
    wanted = [
        step(0),
        step(2, triggers={"in corner": True}, commands=COMMANDS, status="a"),
        step(3, triggers={"in corner": True}, lost=True, too_old=True),
    ]
    assert len(steps) == 3
    assert all(map(same, steps, wanted))
    assert steps[0].pose.skeleton == SKELETON


floats = st.floats(width=32)


@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(arrays(np.float32, (8, 2, 3, 3), elements=floats))
def test_every_float_comes_back_exactly(tmp_path: Path, values: np.ndarray) -> None:
    skeleton = replace(SKELETON, animals=("anna", "bob"))
    folder = new_run(tmp_path / str(next(unique)), replace(FACTS, skeleton=skeleton))
    values = np.where(np.isnan(values), np.float32(np.nan), values)
    identity = ("", "doubt1")
    poses = [
        Pose(skeleton, each[..., :2].copy(), each[..., 2].copy(), identity)
        for each in values
    ]
    wanted = [step(n, pose=pose, triggers={}) for n, pose in enumerate(poses)]
    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", skeleton)
        for each in wanted:
            run.step(each)
    found = list(folder.steps("top"))
    assert len(found) == len(wanted)
    for back, sent in zip(found, wanted, strict=True):
        assert same(back, sent)
        assert back.pose.identity == identity
        assert back.pose.skeleton == skeleton


def test_doubts_and_behaviours_come_back(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    flags = {'left ear, "upper"': "jump+held", "tail": "bone"}
    behaviours = {"at rest": 1 / 3, "walk": float("nan")}
    wanted = [step(0, flags=flags, behaviours=behaviours)]
    wanted.append(step(1, behaviours={"at rest": 1e-9, "walk": 0.5}))
    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", SKELETON, ("in corner",), behaviours=tuple(behaviours))
        for each in wanted:
            run.step(each)
    assert list(map(same, folder.steps("top"), wanted)) == [True, True]


def test_every_delivered_frame_has_a_row(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    a_run(folder)
    header, *table = rows(folder.table_path("top"))
    assert [row[0] for row in table] == ["0", "1", "2", "3"]
    assert [row[header.index("analysed")] for row in table] == ["1", "0", "1", "1"]
    assert {len(row) for row in table} == {len(header)}
    assert header[8:11] == ["nose_x", "nose_y", "nose_confidence"]
    assert header[-5:] == ["trigger_in corner", "status", "lost", "too_old", "flags"]
    assert table[2][1] == "0.066667"


def test_only_changes_of_a_trigger_are_listed(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    a_run(folder)
    assert list(rows(folder.triggers_path))[1:] == [
        ["top", "0", "0.000000", "in corner", "unknown"],
        ["top", "2", "0.066667", "in corner", "1"],
    ]


def test_events_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", SKELETON)
        for number in range(5):
            run.entry(Note("output", f"number {number}", number))
            assert [row["text"] for row in folder.events()][-1] == f"number {number}"
        run.step(step(0))
        assert len(list(folder.steps("top"))) == 1


def test_events_hold_the_whole_chain(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    a_run(folder)
    events = folder.events()
    assert [row["kind"] for row in events] == [
        *("note", "intent", "intent", "edge", "command", "command", "mark", "edge")
    ]
    assert events[0]["text"] == "started, at last by a person"
    edge, command = events[3], events[4]
    assert (edge["frame"], edge["name"], edge["level"]) == ("2", LASER, "0.1")
    assert edge["written_ns"] == "1070100000"
    chain = ("exposed_ns", "arrived_ns", "posed_ns", "decided_ns", "written_ns")
    assert all(command[name] for name in chain)
    assert events[-1]["frame"] == ""


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    folders = [new_run(tmp_path) for _ in range(2)]
    for folder in folders:
        a_run(folder)
    one, other = folders
    for name in ("top.csv", "triggers.csv", "events.csv", "settings.ini"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


def test_a_row_cut_off_by_a_power_cut_is_left_out(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    a_run(folder)
    table = folder.table_path("top")
    table.write_bytes(table.read_bytes()[:-20])
    assert [each.index for each in folder.steps("top")] == [0, 2]


def test_what_is_on_disk_stays_when_the_disk_is_full(tmp_path: Path) -> None:
    class FullDisk:
        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    folder = new_run(tmp_path)
    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", SKELETON)
        run.step(step(0))
        table = run._cameras["top"].table
        table._file = FullDisk(table._file)  # type: ignore[assignment]
        with pytest.raises(OSError, match="No space"):
            run.step(step(1))
    assert [each.index for each in folder.steps("top")] == [0]


def test_a_vanished_folder_is_noticed_by_sync(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    with RunWriter(folder, FACTS.start_ns) as run:
        run.sync()
        folder.path.rename(tmp_path / "elsewhere")
        with pytest.raises(OSError):
            run.sync()


def test_a_table_that_is_closed_while_it_is_saved_is_no_error_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording ends in its own thread, and the sync thread is held up before its call."""
    table = csv_tables.CsvTable(tmp_path / "top.frames.csv", ["frame"])

    def late(_handle: int) -> None:
        monkeypatch.undo()
        assert table.close() is None
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(os, "fsync", late)
    table.sync()


def test_folders_never_meet(tmp_path: Path) -> None:
    names = [new_run(tmp_path / "deep" / "er").path.name for _ in range(3)]
    assert names == [
        "2026-11-21_10-58-55",
        "2026-11-21_10-58-55_2",
        "2026-11-21_10-58-55_3",
    ]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="choose another OUTPUT_DIRECTORY"):
        new_run(tmp_path / "file")
    with pytest.raises(DeviceError, match="is not empty"):
        RunFolder.create_at(tmp_path, STARTED, "", FACTS)


def test_names_that_no_disk_takes_are_written_otherwise(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    names = ["a/b", "a%2Fb", "..", "events", "Größe", "a:b", "top"]
    paths = {folder.table_path(name) for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {folder.path}
    with RunWriter(folder, 0) as run:
        for name in names:
            run.begin(name, SKELETON)
    takes = [folder.new_video_path("top") for _ in range(2)]
    assert [path.name for path in takes] == ["top.mkv"] * 2
    takes[0].touch()
    assert folder.new_video_path("top").name == "top_2.mkv"


def test_facts_are_there_from_the_start_and_complete_at_the_end(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    assert folder.facts["ended"] is None
    assert folder.facts["seed"] == 3
    assert folder.facts["model"]["sha256"] == "ab" * 32
    assert "numpy" in folder.facts["packages"]
    folder.finish(STARTED, "by a person", [])
    assert folder.facts["ended"] == "2026-11-21T10:58:55+00:00"
    assert folder.facts["cameras"]["top"]["shape"] == [48, 64]
    assert folder.settings_text == "[Streaming]\n"
    assert not list(folder.path.glob("*.new"))


def test_a_skeleton_that_comes_late_is_in_the_facts(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, STARTED, "", RunFacts(0, {}))
    with pytest.raises(DeviceError, match="no poses in"):
        _ = folder.skeleton
    with RunWriter(folder, 0) as run:
        run.begin("top", SKELETON)
    assert folder.skeleton == SKELETON
    assert folder.facts["skeleton"].keys() == {"bodyparts", "bones", "animals"}


def test_a_slow_disk_sees_the_run_change_before_each_table_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that open the run take one that does not change as killed."""
    folder = new_run(tmp_path)
    changed = []

    def slow(handle: int) -> None:
        changed.append(folder.events_path.stat().st_mtime_ns != 0)
        os.utime(folder.events_path, ns=(0, 0))

    with RunWriter(folder, FACTS.start_ns) as run:
        run.begin("top", SKELETON)
        with monkeypatch.context() as patch:
            patch.setattr(csv_tables, "os", SimpleNamespace(fsync=slow))
            run.sync()
    assert changed == [True] * 3
