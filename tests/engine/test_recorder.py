import errno
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np
import pytest

from core.command import Mark
from core.frame import ImageFormat
from core.journal import Journal, JournalSpec, JournalWriter, create_journal
from core.pose import Pose, Skeleton
from core.record import Edge, Note, Step
from core.ring import Ring, RingWriter, create_ring
from engine import messages as say
from engine.recorder import recorder_main
from engine.stream_recorder import StreamRecorder
from recording.reading import rows
from recording.recipe import Recipe
from recording.repair import repair
from recording.run_folder import RunFolder
from recording.tables import Table
from recording.video import VideoFile

FORM = ImageFormat((48, 64, 3), 30.0)
SKELETON = Skeleton(("nose", "tail"))
TICK_NS = 10_000_000


class Rig:
    """A stream without its processes: a ring, a journal, and a recorder to turn."""

    def __init__(self, root: Path, rings: dict[str, Ring], journal: Journal) -> None:
        self.root, self.rings = root, rings
        self.writers = {name: RingWriter(ring) for name, ring in rings.items()}
        self.engine = JournalWriter(journal)
        self.pipe, theirs = Pipe()
        self.recorder = StreamRecorder(theirs, lambda: None, journal, 0)
        self._theirs = theirs
        self.told: list[object] = []
        specs = tuple(ring.spec for ring in rings.values())
        self.tell(say.Attach(specs, SKELETON, 0, dict.fromkeys(rings, True)))

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.pipe.send(message)
        self.recorder.turn()
        self.told.extend(self.sent())

    def sent(self) -> Iterator[object]:
        while self.pipe.poll():
            yield self.pipe.recv()

    def expose(self, *indices: int, camera: str = "top") -> None:
        writer = self.writers[camera]
        for index in indices:
            writer.slot()[:] = index % 250
            writer.publish(index, index * TICK_NS, index * TICK_NS + 1000)

    def decide(self, *indices: int, camera: str = "top") -> None:
        for index in indices:
            self.engine.write(step(index, camera))

    def of(self, kind: type) -> list[object]:
        return [message for message in self.told if isinstance(message, kind)]

    @property
    def folder(self) -> RunFolder:
        opened = self.of(say.RunOpened)[0]
        assert isinstance(opened, say.RunOpened)
        return RunFolder(opened.path)

    @property
    def accounting(self) -> list[dict[str, object]]:
        accounts: list[dict[str, object]] = self.folder.facts["accounting"]
        return accounts

    def close(self) -> None:
        self.recorder.close("the test is over")
        self.pipe.close()
        self._theirs.close()


def step(index: int, camera: str = "top") -> Step:
    points = np.full((1, 2, 2), index / 3, np.float32)
    pose = Pose(SKELETON, points, np.ones((1, 2), np.float32))
    at = index * TICK_NS
    times = at, at + 1000, at + 2000, at + 3000, 0
    return Step(camera, index, *times, pose, {"corner": index > 5}, ())


@contextmanager
def memory(*cameras: str, slots: int = 64) -> Iterator[tuple[dict[str, Ring], Journal]]:
    rings = {name: create_ring(name, FORM, slots) for name in cameras}
    journal = create_journal(256)
    try:
        yield rings, journal
    finally:
        for block in (*rings.values(), journal):
            block.close()
            block.unlink()


@contextmanager
def recording(root: Path, *cameras: str, slots: int = 64) -> Iterator[Rig]:
    with (
        memory(*(cameras or ("top",)), slots=slots) as (rings, journal),
        closing(Rig(root, rings, journal)) as rig,
    ):
        yield rig


def open_run(rig: Rig) -> None:
    rig.tell(say.OpenRun(rig.root, "[Streaming]\n", {"seed": 4}))


def listed(folder: RunFolder, camera: str = "top") -> list[tuple[int, int]]:
    """The frames of a camera's table, and whether they were analysed."""
    return [(int(r[0]), int(r[7])) for r in list(rows(folder.table_path(camera)))[1:]]


def test_every_frame_that_came_while_analysing_has_a_row(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.expose(0, 1)
        rig.tell(say.StartAnalysis(("top",)))
        rig.expose(2, 3)
        rig.decide(3)
        rig.tell()
        rig.expose(4, 5, 7, 8)
        rig.decide(5, 8)
        rig.expose(9)
        rig.tell(say.StopAnalysis())
        assert listed(rig.folder) == [(3, 1), (4, 0), (5, 1), (7, 0), (8, 1)]
        (account,) = rig.accounting
        assert account == {
            "camera": "top",
            "span": "analysis",
            "delivered": 5,
            "lost": 1,
            "exposed": 6,
            "analysed": 3,
            "skipped": 2,
            "unlisted": 0,
            "recorded": None,
            "recording_losses": None,
            "files": [],
            "closes": True,
        }


def test_a_span_can_be_given_by_its_times(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.expose(*range(10))
        rig.tell(say.StartAnalysis(("top",), since_ns=6 * TICK_NS))
        rig.decide(8)
        rig.expose(*range(10, 15))
        rig.tell(say.StopAnalysis(until_ns=13 * TICK_NS))
        expected = [(6, 0), (7, 0), (8, 1), *((n, 0) for n in range(9, 13))]
        assert listed(rig.folder) == expected
        assert rig.accounting[0]["closes"]


def test_a_network_that_hangs_leaves_rows_too(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(say.StartAnalysis(("top",), {"top": ("corner",)}, since_ns=0))
        rig.expose(*range(5))
        rig.tell(say.StopAnalysis(until_ns=TICK_NS * 100))
        assert listed(rig.folder) == [(n, 0) for n in range(5)]
        assert rig.accounting[0]["closes"]


def test_headers_that_were_overwritten_are_counted(tmp_path: Path) -> None:
    with recording(tmp_path, slots=8) as rig:
        open_run(rig)
        rig.tell(say.StartAnalysis(("top",), since_ns=0))
        rig.expose(0)
        rig.decide(0)
        rig.tell()
        rig.expose(*range(1, 30))
        rig.decide(5, 29)
        rig.tell(say.StopAnalysis())
        (account,) = rig.accounting
        assert account["delivered"] == 30
        assert account["lost"] == 0
        assert account["unlisted"] == 30 - len(listed(rig.folder))
        assert account["closes"]


def test_analysis_twice_goes_on_in_the_same_table(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        for first in (0, 20):
            rig.tell(say.StartAnalysis(("top",)))
            rig.expose(first, first + 1)
            rig.decide(first, first + 1)
            rig.tell(say.StopAnalysis())
            rig.expose(first + 2)
        assert [frame for frame, _ in listed(rig.folder)] == [0, 1, 20, 21]
        assert [account["delivered"] for account in rig.accounting] == [2, 2]


def test_every_frame_is_filmed_in_two_takes(tmp_path: Path) -> None:
    with recording(tmp_path, "top", "side") as rig:
        open_run(rig)
        for _ in range(2):
            rig.expose(0)
            rig.tell(say.StartRecording(("top", "side")))
            rig.expose(*range(1, 31))
            rig.expose(*range(1, 20, 2), camera="side")
            rig.tell(say.StopRecording())
            rig.expose(31)
        counts = [[a["delivered"], a["recorded"], a["lost"]] for a in rig.accounting]
        assert counts == [[30, 30, 0], [10, 10, 9]] * 2
        assert all(account["closes"] for account in rig.accounting)
        for name, frames in (("top", 30), ("side", 10), ("top_2", 30), ("side_2", 10)):
            with av.open(str(rig.folder.path / f"{name}.mkv")) as video:
                assert len(list(video.decode(video=0))) == frames
        _header, *take = rows(rig.folder.path / "side.frames.csv")
        assert [int(row[1]) for row in take] == list(range(1, 20, 2))


def test_a_ring_that_goes_round_is_a_counted_loss(tmp_path: Path) -> None:
    with recording(tmp_path, slots=8) as rig:
        open_run(rig)
        rig.tell(say.StartRecording(("top",)))
        rig.expose(*range(1000))
        rig.tell(say.StopRecording())
        (account,) = rig.accounting
        assert account["delivered"] == 1000
        assert account["recording_losses"] == 1000 - int(str(account["recorded"])) > 0
        assert account["lost"] == 0
        assert account["closes"]


def test_a_take_is_cut_into_files_without_a_frame_lost(tmp_path: Path) -> None:
    recipe = Recipe(split_s=0.1)
    with recording(tmp_path, slots=128) as rig:
        open_run(rig)
        rig.tell(say.StartRecording(("top",), recipe))
        rig.expose(*range(100))
        rig.tell(say.StopRecording())
        (account,) = rig.accounting
        assert (account["delivered"], account["recorded"]) == (100, 100)
        seen, pictures = [], 0
        files = account["files"]
        assert isinstance(files, list)
        for name in files:
            path = rig.folder.path / str(name)
            if path.suffix == ".csv":
                seen += [int(row[1]) for row in list(rows(path))[1:]]
            else:
                with av.open(str(path)) as video:
                    pictures += len(list(video.decode(video=0)))
        assert seen == list(range(100))
        assert pictures == 100
        assert len(files) == 2 * 10  # 11 frames each: a file ends at 0.1 s


def test_files_may_end_by_their_size(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(say.StartRecording(("top",), Recipe(split_bytes=1)))
        rig.expose(*range(5))
        rig.tell(say.StopRecording())
        assert len(list(rig.folder.path.glob("top*.mkv"))) == 5
        assert rig.accounting[0]["recorded"] == 5


def test_a_disk_too_small_for_the_plan_is_refused(tmp_path: Path) -> None:
    refusals = {
        "minutes of video need about": Recipe(planned_s=1e12),
        "MIN_FREE_MB = 1000000000000": Recipe(min_free_bytes=10**18),
    }
    for words, recipe in refusals.items():
        with recording(tmp_path) as rig:
            open_run(rig)
            rig.tell(say.StartAnalysis(("top",)), say.StartRecording(("top",), recipe))
            assert words in str(rig.of(say.RecorderFailed)[0])
            rig.expose(0)
            rig.decide(0)
            rig.tell(say.StopAnalysis())
            assert listed(rig.folder) == [(0, 1)]  # analysis goes on
            assert list(rig.folder.path.glob("*.mkv")) == []
            assert words in rig.folder.events()[0]["text"]


def test_filming_ends_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(say.StartRecording(("top",)))
        rig.expose(0, 1)
        takes = rig.recorder._takes
        takes._recipe = Recipe(min_free_bytes=10**18)  # as if it had become full
        takes.sync()
        rig.tell()
        (failure,) = rig.of(say.RecorderFailed)
        assert "are free on the disk" in str(failure)
        assert rig.accounting[0]["recorded"] == 2
        rig.engine.write(Note("experiment", "goes on", 8))
        rig.tell()
        assert rig.folder.events()[-1]["text"] == "goes on"


def test_a_run_says_how_far_apart_its_cameras_were(tmp_path: Path) -> None:
    with recording(tmp_path, "top", "side") as rig:
        open_run(rig)
        rig.tell(say.StartRecording(("top", "side")))
        rig.expose(*range(20))
        for index in range(20):
            writer = rig.writers["side"]
            writer.slot()[:] = 0
            writer.publish(index, index * TICK_NS + 1_000_000, index * TICK_NS)
        rig.tell(say.CloseRun("stopped"))
        (skew,) = rig.folder.facts["skew"]
        assert skew["cameras"] == ["top", "side"]
        assert skew["ms"] == {"p50": 1.0, "p95": 1.0, "max": 1.0}


def test_what_happened_before_the_run_was_opened_is_in_it(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        rig.engine.write(Edge("laser", 0.0, "open", 5, 6))
        rig.tell(say.WriteNote(Note("camera", "top is open", 7)))
        open_run(rig)
        rig.engine.write(Note("experiment", "started", 8))
        rig.tell()
        names = [(row["kind"], row["name"]) for row in rig.folder.events()]
        assert names == [("edge", "laser"), ("note", "camera"), ("note", "experiment")]


def test_a_closed_run_says_how_it_ended(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(say.StartAnalysis(("top",)), say.StartRecording(("top",)))
        rig.expose(0, 1, 2)
        rig.decide(0, 2)
        rig.tell(say.CloseRun("stopped", {"animal": "m3"}), None)
        facts = rig.folder.facts
        assert rig.recorder.over
        assert (facts["how"], facts["animal"], facts["seed"]) == ("stopped", "m3", 4)
        assert facts["ended"] >= facts["started"]
        assert facts["cameras"]["top"]["shape"] == [48, 64, 3]
        assert [account["closes"] for account in facts["accounting"]] == [True, True]
        (closed,) = rig.of(say.RunClosed)
        assert isinstance(closed, say.RunClosed)
        assert len(closed.accounts) == 2


def test_a_full_disk_ends_the_recording_with_a_sentence_and_drains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Table.write

    def refuse(table: Table, row: str) -> None:
        if table.path.name == "top.csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(table.path))
        write(table, row)

    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(say.StartAnalysis(("top",)), say.StartRecording(("top",)))
        rig.expose(0, 1)
        rig.decide(0, 1)
        rig.tell()
        with monkeypatch.context() as patch:
            patch.setattr(Table, "write", refuse)
            rig.expose(2)
            rig.decide(2)
            rig.tell()
        (failure,) = rig.of(say.RecorderFailed)
        assert "No space left on device" in str(failure)
        assert listed(rig.folder) == [(0, 1), (1, 1)]
        with av.open(str(rig.folder.path / "top.mkv")) as video:
            assert len(list(video.decode(video=0))) == 3
        assert rig.folder.facts["how"].startswith("failed: ")
        for index in range(1000):  # more than the journal holds
            rig.decide(index)
            rig.recorder.turn()
        rig.tell(say.StartRecording(("top",)))
        assert "no run folder" in str(rig.of(say.RecorderFailed)[-1])


def test_a_video_that_fails_ends_the_recording_with_a_sentence(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        (rig.folder.path / "top.mkv").mkdir()
        (rig.folder.path / "top_2.frames.csv").mkdir()
        rig.tell(say.StartRecording(("top",)))
        path = rig.folder.path / "top_3.mkv"
        path.mkdir()
        rig.expose(0)
        film = rig.recorder._takes._films["top"]
        film.wake()
        film._thread.join()
        rig.tell()
        (failure,) = rig.of(say.RecorderFailed)
        assert "the video of 'top' failed" in str(failure)
        assert rig.accounting[-1]["recording_losses"] == 1
        (note,) = rig.folder.events()  # the tables go on
        assert "the video of 'top' failed" in note["text"]


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with recording(tmp_path / "file") as rig:
        open_run(rig)
        (failure,) = rig.of(say.RecorderFailed)
        assert "choose another OUTPUT_DIRECTORY" in str(failure)


# --- the real process


def film_and_decide(rings: dict[str, Ring], journal: Journal, frames: int) -> None:
    ring, engine = RingWriter(rings["top"]), JournalWriter(journal)
    for index in range(1, frames + 1):
        ring.slot()[:] = index
        ring.publish(index, index * TICK_NS, index * TICK_NS + 1000)
        engine.write(step(index))


def test_the_process_records_and_ends_when_told(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with memory("top") as (rings, journal):
        ours, theirs = spawn.Pipe()
        wake = spawn.Semaphore(0)
        arguments = theirs, wake, journal.spec, 0
        process = spawn.Process(target=recorder_main, args=arguments)
        process.start()
        theirs.close()
        specs = tuple(ring.spec for ring in rings.values())
        for message in (
            say.Attach(specs, SKELETON, 0, {}),
            say.OpenRun(tmp_path, ""),
            say.StartAnalysis(("top",)),
            say.StartRecording(("top",)),
            say.StopRecording(),
            say.StartRecording(("top",)),
        ):
            ours.send(message)
        wake.release()
        opened, stopped = ours.recv(), ours.recv()
        assert isinstance(opened, say.RunOpened)
        assert isinstance(stopped, say.RecordingStopped)
        film_and_decide(rings, journal, 40)
        wake.release()
        ours.send(say.CloseRun("stopped"))
        ours.send(None)
        wake.release()
        process.join()
        told = []
        while ours.poll():
            try:
                told.append(ours.recv())
            except EOFError:
                break
        ours.close()
        assert process.exitcode == 0
        process.close()
    closed = told[-1]
    assert isinstance(closed, say.RunClosed)
    assert all(account.closes() for account in closed.accounts)
    assert len(list(RunFolder(closed.path).steps("top"))) == 40


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
            say.Attach(specs, SKELETON, 0, {}),
            say.OpenRun(tmp_path, ""),
            say.StartAnalysis(("top",)),
            say.StartRecording(("top",)),
        ):
            ours.send(message)
        wake.release()
        opened = ours.recv()
        ring, engine = RingWriter(rings["top"]), JournalWriter(journal)
        told: list[object] = []
        index = 0
        while not any(isinstance(each, say.RecorderFailed) for each in told):
            index += 1
            assert index < 2000
            ring.slot()[:] = noise[index % 30]
            ring.publish(index, index * TICK_NS, index * TICK_NS + 1000)
            engine.write(step(index))
            wake.release()
            if ours.poll(0.005):
                told.append(ours.recv())
        for later in range(index + 1, index + 20):  # analysis goes on
            ring.publish(later, later * TICK_NS, later * TICK_NS + 1000)
            engine.write(step(later))
        for last in (say.CloseRun("stopped"), None):
            ours.send(last)
        wake.release()
        process.join()
        process.close()
        ours.close()
    folder = RunFolder(opened.path)
    failed = next(each for each in told if isinstance(each, say.RecorderFailed))
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
        rig.tell(say.StartAnalysis(("top",)), say.StartRecording(("top",)))
        rig.expose(0, 1)
        rig.decide(0, 1)
        rig.tell()
        film = rig.recorder._takes._films["top"]
        give_up = perf_counter() + 10
        while film.recorded < 2:
            assert perf_counter() < give_up
        (tmp_path / "stick").rename(tmp_path / "gone")
        syncing = rig.recorder._syncing
        assert syncing is not None
        syncing._thread.join()  # twice a second it looks, and ends when it sees
        rig.tell()
        (failure,) = rig.of(say.RecorderFailed)
        assert "Recording has ended, the disk failed: No such file" in str(failure)
        for index in range(1000):  # more than the journal holds: it is drained on
            rig.decide(index)
            rig.recorder.turn()


def test_a_slow_disk_costs_counted_frames_and_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    write = VideoFile.write

    def slowly(video: VideoFile, *frame: Any) -> None:
        free.wait()
        write(video, *frame)

    monkeypatch.setattr(VideoFile, "write", slowly)
    with recording(tmp_path, slots=8) as rig:
        open_run(rig)
        rig.tell(say.StartAnalysis(("top",)), say.StartRecording(("top",)))
        for index in range(100):
            rig.expose(index)
            rig.decide(index)
            rig.tell()
        free.set()
        film = rig.recorder._takes._films["top"]
        give_up = perf_counter() + 10
        while not film.losses:
            film.wake()
            assert perf_counter() < give_up
        rig.recorder._told_ns = 0
        rig.tell()
        rig.tell(say.StopRecording(), say.StopAnalysis())
        (complaint,) = rig.of(say.Complaint)
        assert "frames are lost to the video" in str(complaint)
        assert listed(rig.folder) == [(n, 1) for n in range(100)]
        film_account, _ = rig.accounting
        assert film_account["closes"]
        lost = film_account["recording_losses"]
        assert isinstance(lost, int)
        assert lost > 80


def session(
    root: Path, journal: JournalSpec, alive: Connection, said: Connection
) -> None:
    """Start a recorder, as the session does, and wait to be killed."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    wake = spawn.Semaphore(0)
    arguments = theirs, wake, journal, 0, alive
    spawn.Process(target=watched_recorder, args=arguments).start()
    ours.send(say.OpenRun(root, ""))
    wake.release()
    said.send(ours.recv().path)
    ours.recv()


def watched_recorder(
    pipe: Connection, wake: object, journal: JournalSpec, zero: int, alive: Connection
) -> None:
    recorder_main(pipe, wake, journal, zero)  # type: ignore[arg-type]
    alive.send("ended")


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_recorder_whose_session_was_killed_completes_its_files(
    tmp_path: Path,
) -> None:
    spawn = multiprocessing.get_context("spawn")
    with memory("top") as (_, journal):
        alive, its_end = spawn.Pipe(duplex=False)
        said, mouth = spawn.Pipe(duplex=False)
        arguments = tmp_path, journal.spec, its_end, mouth
        process = spawn.Process(target=session, args=arguments)
        process.start()
        its_end.close()
        mouth.close()
        path = said.recv()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        process.close()
        assert wait([alive], timeout=60)
        assert alive.recv() == "ended"
        for end in (alive, said):
            end.close()
    facts = json.loads((path / "run.json").read_text("utf-8"))
    assert facts["how"] == "the application ended without a word"
    assert facts["ended"]


def test_a_mark_is_an_event(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(say.StartAnalysis(("top",)))
        rig.expose(1)
        plain = step(1)
        pose, triggers = plain.pose, plain.triggers
        times = (plain.exposed_ns, plain.arrived_ns, plain.posed_ns, plain.decided_ns)
        marked = Step("top", 1, *times, 0, pose, triggers, (Mark("trial 1"),))
        rig.engine.write(marked)
        rig.tell()
        (event,) = rig.folder.events()
        assert (event["kind"], event["frame"], event["text"]) == (
            "mark",
            "1",
            "trial 1",
        )
