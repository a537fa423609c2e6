"""Disks that are full, slow, gone: a sentence, and nothing already written is lost."""

import errno
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np
import pytest

from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.processes.recorder_process import recorder_main
from deeplabstream.engine.session import messages
from deeplabstream.ipc.journal import JournalSpec, JournalWriter
from deeplabstream.ipc.ring import RingWriter
from deeplabstream.recording import disk_reserve
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.recording_options import RecordingOptions
from tests.engine.stream import (
    FORM,
    SKELETON,
    TICK_NS,
    Rig,
    listed,
    memory,
    open_run,
    recording,
    step,
)
from tests.recording.written_rows import rows


def test_a_disk_too_small_for_the_plan_is_refused(tmp_path: Path) -> None:
    refusals = {
        "minutes of video may need up to": RecordingOptions(planned_s=1e12),
        "MIN_FREE_MB = 1000000000000": RecordingOptions(min_free_bytes=10**18),
    }
    for words, recording_options in refusals.items():
        with recording(tmp_path) as rig:
            open_run(rig)
            rig.tell(
                messages.StartAnalysis(("top",)),
                messages.StartRecording(("top",), recording_options),
            )
            assert words in str(rig.of(messages.RecorderFailed)[0])
            rig.expose(0)
            rig.decide(0)
            rig.tell(messages.StopAnalysis())
            assert listed(rig.folder) == [(0, 1)]  # analysis goes on
            assert list(rig.folder.path.glob("*.mkv")) == []
            assert words in rig.folder.events()[0]["text"]


def test_filming_ends_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top",)))
        rig.expose(0, 1)
        takes = rig.recorder._takes
        # As if the disk had become full:
        takes._recording_options = RecordingOptions(min_free_bytes=10**18)
        give_up = perf_counter() + 60
        while not rig.recorder._problems:  # twice a second it looks
            assert perf_counter() < give_up
        rig.tell()
        (failure,) = rig.of(messages.RecorderFailed)
        assert "are free on the disk" in str(failure)
        assert rig.accounting[0]["recorded"] == 2
        rig.engine.write(Note("experiment", "goes on", 8))
        rig.tell()
        assert rig.folder.events()[-1]["text"] == "goes on"


def test_a_full_disk_ends_the_recording_with_a_sentence_and_drains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CsvTable.write

    def refuse(table: CsvTable, row: str) -> None:
        if table.path.name == "top.csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(table.path))
        write(table, row)

    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)), messages.StartRecording(("top",)))
        rig.expose(0, 1)
        rig.decide(0, 1)
        rig.tell()
        with monkeypatch.context() as patch:
            patch.setattr(CsvTable, "write", refuse)
            rig.expose(2)
            rig.decide(2)
            rig.tell()
        (failure,) = rig.of(messages.RecorderFailed)
        assert "No space left on device" in str(failure)
        assert listed(rig.folder) == [(0, 1), (1, 1)]
        with av.open(str(rig.folder.path / "top.mkv")) as video:
            assert len(list(video.decode(video=0))) == 3
        assert rig.folder.facts["how"].startswith("failed: ")
        for index in range(1000):  # more than the journal holds
            rig.decide(index)
            rig.recorder.work()
        rig.tell(messages.StartRecording(("top",)))
        assert "no run folder" in str(rig.of(messages.RecorderFailed)[-1])


def test_a_disk_without_room_for_run_json_is_named_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Space that was reserved at the start is released for it."""
    write_json = RunFolder._write_json

    def refuse(folder: RunFolder, facts: Any) -> None:
        if (folder.path / disk_reserve.NAME).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.path))
        write_json(folder, facts)

    with recording(tmp_path) as rig:
        open_run(rig)
        assert (rig.folder.path / disk_reserve.NAME).stat().st_size > 100_000
        monkeypatch.setattr(RunFolder, "_write_json", refuse)
        rig.recorder._fail("the disk failed: No space left on device")
        assert rig.folder.facts["how"].startswith("failed: the disk failed")
        assert repair(rig.folder.path).done == []
        assert "No space left on device" in rig.folder.facts["not_saved"][0]
        assert not (rig.folder.path / disk_reserve.NAME).exists()


class FullDisk:
    """A disk that takes no byte of a run while it is `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        append, write_json = CsvTable._append, RunFolder._write_json

        def refuse(table: CsvTable, data: bytes) -> None:
            self._check(table.path)
            append(table, data)

        def refuse_json(folder: RunFolder, facts: Any) -> None:
            self._check(folder.path)
            write_json(folder, facts)

        monkeypatch.setattr(CsvTable, "_append", refuse)
        monkeypatch.setattr(RunFolder, "_write_json", refuse_json)

    def _check(self, path: Path) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def end_on_full_disk(rig: Rig, disk: FullDisk) -> None:
    """Switch an output on, fill the disk, and switch it off."""
    open_run(rig)
    rig.engine.write(Edge("laser", 1.0, "plan", 10, 20))
    rig.tell()
    disk.full = True
    # the row that fails, one of the same call, and one of a later call
    rig.engine.write(Note("experiment", "refused", 30))
    rig.engine.write(Edge("laser", 0.0, "stop", 40, 50))
    rig.tell()
    rig.engine.write(Note("experiment", "stopped", 60))
    rig.tell()
    assert [row["level"] for row in rig.folder.events()] == ["1.0"]
    assert rig.folder.facts["ended"] is None


def test_events_after_a_full_disk_are_written_once_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    with recording(tmp_path) as rig:
        end_on_full_disk(rig, disk)
        disk.full = False
        rig.recorder.close("stopped")
        events = [
            (row["kind"], row["level"], row["text"]) for row in rig.folder.events()
        ]
        assert events == [
            ("edge", "1.0", ""),
            ("note", "", "refused"),
            ("edge", "0.0", ""),
            ("note", "", "stopped"),
        ]
        assert rig.folder.facts["how"].startswith("failed: Recording has ended")
        assert repair(rig.folder.path).done == []


def test_events_that_a_full_disk_never_took_are_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    with recording(tmp_path) as rig:
        end_on_full_disk(rig, disk)
        rig.recorder.close("stopped")
        rig.told.extend(rig.sent())
        (problem,) = rig.of(messages.ProblemReport)
        assert (
            "3 events after the disk failed are not in events.csv, the last of outputs: "
            "[Output laser] = 0 at 0.000000 s"
        ) in str(problem)
        disk.full = False
        assert (
            "events.csv: when [Output laser] was switched off is not recorded (it was 1 "
            "from 0.000000 s on)"
        ) in repair(rig.folder.path).done


def test_a_row_that_a_disk_takes_in_part_is_removed(tmp_path: Path) -> None:
    table = CsvTable(tmp_path / "table.csv", ["a"])
    table.write("1")

    class Partly(_FullAtClose):
        def write(self, data: bytes) -> int:
            size: int = self._file.write(data[:5])
            return size

    file = table._file
    table._file = Partly(file)  # type: ignore[assignment]
    table.hold()
    for row in ("22", "33"):
        table.write(row)
    with pytest.raises(OSError, match="No space left"):
        table.release()
    file.close()
    assert table.path.read_text() == "a\n1\n22\n"


def test_a_video_that_fails_ends_the_recording_with_a_sentence(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        (rig.folder.path / "top.mkv").mkdir()
        (rig.folder.path / "top_2.frames.csv").mkdir()
        rig.tell(messages.StartRecording(("top",)))
        path = rig.folder.path / "top_3.mkv"
        path.mkdir()
        rig.expose(0)
        film = rig.recorder._takes._recordings["top"]
        film._thread.join()
        rig.tell()
        (failure,) = rig.of(messages.RecorderFailed)
        assert "the video of 'top' failed" in str(failure)
        assert rig.accounting[-1]["recording_losses"] == 1
        (note,) = rig.folder.events()  # the tables go on
        assert "the video of 'top' failed" in note["text"]


class _FullAtClose:
    """A file whose last data the disk refuses when it is closed, as on a network drive."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        self._file.close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failed", [False, True])
def test_a_disk_that_is_full_when_tables_are_closed_is_reported_and_the_run_ends(
    tmp_path: Path, failed: bool
) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)))
        rig.expose(0)
        rig.decide(0)
        rig.tell()
        assert rig.recorder._run is not None
        for table in rig.recorder._run._tables():
            table._file = _FullAtClose(table._file)  # type: ignore[assignment]
        if failed:
            rig.recorder._fail("the disk failed")
        rig.tell(messages.CloseRun("stopped"))
        (problem,) = rig.of(messages.ProblemReport)
        assert "The last rows of the tables may not be saved: No space" in str(problem)
        facts = rig.folder.facts
        assert facts["how"] == ("failed: the disk failed" if failed else "stopped")
        assert any("last rows" in each for each in facts["not_saved"])


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with recording(tmp_path / "file") as rig:
        open_run(rig)
        (failure,) = rig.of(messages.RecorderFailed)
        assert "choose another OUTPUT_DIRECTORY" in str(failure)


def limited_recorder(
    pipe: Connection, wake: Semaphore, journal: JournalSpec, largest: int
) -> None:
    """A recorder on a disk that takes no file above `largest` bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    recorder_main(pipe, wake, journal, 0)


@pytest.mark.skipif(os.name == "nt", reason="no resource limits")
def test_a_disk_that_fills_up_ends_the_video_and_loses_nothing_of_it(
    tmp_path: Path,
) -> None:
    spawn = multiprocessing.get_context("spawn")
    noise = np.random.default_rng(1).integers(0, 255, (30, *FORM.shape), np.uint8)
    with memory("top") as (rings, journal):
        ours, theirs = spawn.Pipe()
        wake = spawn.Semaphore(0)
        arguments = theirs, wake, journal.spec, 100_000
        process = spawn.Process(target=limited_recorder, args=arguments)
        process.start()
        theirs.close()
        specs = tuple(ring.spec for ring in rings.values())
        for message in (
            messages.AttachStream(specs, SKELETON, 0, {}),
            messages.OpenRun(tmp_path, ""),
            messages.StartAnalysis(("top",)),
            messages.StartRecording(("top",)),
        ):
            ours.send(message)
        wake.release()
        opened = ours.recv()
        while not isinstance(ours.recv(), messages.RecordingProgress):
            pass  # analysis and recording run when progress is reported
        ring, engine = RingWriter(rings["top"]), JournalWriter(journal)
        told: list[object] = []
        index = 0
        while not any(isinstance(each, messages.RecorderFailed) for each in told):
            index += 1
            assert index < 10_000
            ring.slot()[:] = noise[index % 30]
            ring.publish(index, index * TICK_NS, index * TICK_NS + 1000)
            engine.write(step(index))
            wake.release()
            while ours.poll(0.005) or journal.waiting:  # the journal must not overflow
                told.extend([ours.recv()] if ours.poll() else [])
        for later in range(index + 1, index + 20):  # analysis goes on
            ring.publish(later, later * TICK_NS, later * TICK_NS + 1000)
            engine.write(step(later))
        for last in (messages.CloseRun("stopped"), messages.Stop()):
            ours.send(last)
        wake.release()
        process.join()
        process.close()
        ours.close()
    folder = RunFolder(opened.path)
    failed = next(each for each in told if isinstance(each, messages.RecorderFailed))
    assert "the video of 'top' failed: File too large" in failed.text
    assert [s.index for s in folder.steps("top")] == list(range(1, index + 20))
    assert folder.facts["how"] == "stopped"
    recorded = {each["span"]: each for each in folder.facts["accounting"]}["recording"]
    assert recorded["closes"]
    repair(folder.path)
    with av.open(str(folder.path / "top.mkv")) as video:
        shown = sum(1 for _ in video.decode(video=0))
    assert shown == len(list(rows(folder.path / "top.frames.csv"))) - 1
    assert recorded["recorded"] - shown <= 20  # what the last 200 ms held
    assert (folder.path / "top.mkv").stat().st_size > 75_000


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps open files")
def test_a_folder_that_vanishes_ends_the_recording_with_a_sentence(
    tmp_path: Path,
) -> None:
    with recording(tmp_path / "stick") as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)), messages.StartRecording(("top",)))
        rig.expose(0, 1)
        rig.decide(0, 1)
        rig.tell()
        film = rig.recorder._takes._recordings["top"]
        give_up = perf_counter() + 60
        while film.recorded < 2:
            assert perf_counter() < give_up
        (tmp_path / "stick").rename(tmp_path / "gone")
        syncing = rig.recorder._syncing
        assert syncing is not None
        syncing._thread.join()  # twice a second it looks, and ends when it sees
        rig.tell()
        (failure,) = rig.of(messages.RecorderFailed)
        assert "Recording has ended, the disk failed: No such file" in str(failure)
        for index in range(1000):  # more than the journal holds: it is drained on
            rig.decide(index)
            rig.recorder.work()


def test_a_slow_disk_costs_counted_frames_and_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    write = VideoWriter.write

    def slowly(video: VideoWriter, *frame: Any) -> None:
        free.wait()
        write(video, *frame)

    monkeypatch.setattr(VideoWriter, "write", slowly)
    with recording(tmp_path, slots=8) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)), messages.StartRecording(("top",)))
        for index in range(100):
            rig.expose(index)
            rig.decide(index)
            rig.tell()
        free.set()
        film = rig.recorder._takes._recordings["top"]
        give_up = perf_counter() + 60
        while not film.losses:
            assert perf_counter() < give_up
        rig.recorder._progress_ns = 0
        rig.tell()
        rig.tell(messages.StopRecording(), messages.StopAnalysis())
        (complaint,) = rig.of(messages.ProblemReport)
        assert "frames are lost to the video" in str(complaint)
        assert listed(rig.folder) == [(n, 1) for n in range(100)]
        film_account, _ = rig.accounting
        assert film_account["closes"]
        lost = film_account["recording_losses"]
        assert isinstance(lost, int)
        assert lost > 80
