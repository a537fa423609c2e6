"""What a recorder writes of a stream, and how it accounts for every frame."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import pytest

from deeplabstream.core.command import Mark, OutputName, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge, Intent, Note, Step
from deeplabstream.engine.processes import recorder_process
from deeplabstream.engine.session import messages
from deeplabstream.ipc.journal import JournalReader
from deeplabstream.recording import run_opening
from deeplabstream.recording.journal_recovery import complete_events
from deeplabstream.recording.recorded_frames import video_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import goes_on, open_run_folder
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.recording_options import RecordingOptions
from tests.engine.stream import TICK_NS, listed, open_run, recording, step
from tests.recording.written_rows import rows


def test_every_frame_that_came_while_analysing_has_a_row(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.expose(0, 1)
        rig.tell(messages.StartAnalysis(("top",)))
        rig.expose(2, 3)
        rig.decide(3)
        rig.tell()
        rig.expose(4, 5, 7, 8)
        rig.decide(5, 8)
        rig.expose(9)
        rig.tell(messages.StopAnalysis())
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
            "dropped": None,
            "closes": True,
        }


def test_headers_that_were_overwritten_are_counted(tmp_path: Path) -> None:
    with recording(tmp_path, slots=8) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)))
        rig.expose(0)
        rig.decide(0)
        rig.tell()
        rig.expose(*range(1, 30))
        rig.decide(5, 29)
        rig.tell(messages.StopAnalysis())
        (account,) = rig.accounting
        assert account["delivered"] == 30
        assert account["lost"] == 0
        assert account["unlisted"] == 30 - len(listed(rig.folder))
        assert account["closes"]


def test_an_acknowledgement_that_waits_for_its_frame_outlives_the_recorder(
    tmp_path: Path,
) -> None:
    """The device may answer before the engine has written the frame."""
    laser, at_ns = OutputName("laser"), TICK_NS
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)))
        rig.expose(1)
        rig.engine.write(Intent(1, at_ns + 3000, (on(laser),)))
        rig.engine.write(Edge("laser", 1.0, "plan", at_ns + 3000, at_ns + 4000))
        rig.engine.write(
            Acknowledged("laser", 1.0, at_ns + 3500, at_ns + 3600, at_ns + 3900)
        )
        rig.tell()
        assert "ack" not in kinds(rig.folder.events())
        killed = shutil.copytree(rig.folder.path, tmp_path / "killed")
        rig.engine.write(replace(step(1), commands=(on(laser),)))
        complete_events(killed, JournalReader(rig.journal).unrecorded())
        (ack,) = (row for row in RunFolder(killed).events() if row["kind"] == "ack")
        assert (ack["frame"], ack["posed_ns"]) == ("1", str(at_ns + 2000))
        events = kinds(RunFolder(killed).events())
        assert (events["intent"], events["edge"], events["command"]) == (1, 1, 1)
        rig.tell()
        assert kinds(rig.folder.events())["ack"] == 1
        assert rig.journal.waiting == 0


def test_an_acknowledgement_whose_frame_is_missing_does_not_fill_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_process, "_KEPT", 5)
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.engine.write(Intent(1, 10, (on(OutputName("laser")),)))
        rig.engine.write(Edge("laser", 1.0, "plan", 10, 20))
        rig.engine.write(Acknowledged("laser", 1.0, 15, 16, 19))
        for number in range(300):
            assert rig.engine.write(Note("test", "a note", number))
            rig.tell()
            assert rig.journal.waiting <= 3 + 5


def kinds(events: Iterable[Mapping[str, str]]) -> Counter[str]:
    return Counter(row["kind"] for row in events)


def test_analysis_twice_goes_on_in_the_same_table(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        for first in (0, 20):
            rig.tell(messages.StartAnalysis(("top",)))
            rig.expose(first, first + 1)
            rig.decide(first, first + 1)
            rig.tell(messages.StopAnalysis())
            rig.expose(first + 2)
        assert [frame for frame, _ in listed(rig.folder)] == [0, 1, 20, 21]
        assert [account["delivered"] for account in rig.accounting] == [2, 2]


def test_every_frame_is_filmed_in_two_takes(tmp_path: Path) -> None:
    with recording(tmp_path, "top", "side") as rig:
        open_run(rig)
        for _ in range(2):
            rig.expose(0)
            rig.tell(messages.StartRecording(("top", "side")))
            rig.expose(*range(1, 31))
            rig.expose(*range(1, 20, 2), camera="side")
            rig.tell(messages.StopRecording())
            rig.expose(31)
        counts = [[a["delivered"], a["recorded"], a["lost"]] for a in rig.accounting]
        assert counts == [[30, 30, 0], [10, 10, 9]] * 2
        assert all(account["closes"] for account in rig.accounting)
        for name, frames in (("top", 30), ("side", 10), ("top_2", 30), ("side_2", 10)):
            with av.open(str(rig.folder.path / f"{name}.mkv")) as video:
                assert len(list(video.decode(video=0))) == frames
        _header, *take = rows(rig.folder.path / "side.frames.csv")
        assert [int(row[1]) for row in take] == list(range(1, 20, 2))


def test_the_first_frame_of_each_video_is_reported_at_once(tmp_path: Path) -> None:
    with recording(tmp_path, "top", "side") as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top", "side"), number=3))
        for camera in ("side", "top"):
            far_away = 2**62  # the next regular report
            rig.recorder._progress_ns = far_away
            rig.expose(0, camera=camera)
            video = rig.recorder._takes._recordings[camera]
            give_up = perf_counter() + 60
            while not video.recorded:
                assert perf_counter() < give_up
            rig.told.clear()
            rig.tell()
            (progress,) = rig.of(messages.RecordingProgress)
            assert isinstance(progress, messages.RecordingProgress)
            assert (progress.recorded[camera], progress.number) == (1, 3)
            rig.recorder._progress_ns = far_away
            rig.tell()
            assert len(rig.of(messages.RecordingProgress)) == 1


def test_a_ring_that_goes_round_is_a_counted_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exposed, write = threading.Event(), VideoWriter.write

    def slowly(video: VideoWriter, *frame: Any) -> None:
        exposed.wait()
        write(video, *frame)

    monkeypatch.setattr(VideoWriter, "write", slowly)
    with recording(tmp_path, slots=8) as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top",)))
        rig.expose(*range(1000))
        exposed.set()
        rig.tell(messages.StopRecording())
        (account,) = rig.accounting
        assert account["delivered"] == 1000
        assert account["recording_losses"] == 1000 - int(str(account["recorded"])) > 0
        assert account["lost"] == 0
        assert account["closes"]


def test_a_take_is_cut_into_files_without_a_frame_lost(tmp_path: Path) -> None:
    recording_options = RecordingOptions(split_s=0.1)
    with recording(tmp_path, slots=128) as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top",), recording_options))
        rig.expose(*range(100))
        rig.tell(messages.StopRecording())
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


def test_the_record_says_at_which_date_and_time_each_video_begins(
    tmp_path: Path,
) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top",), RecordingOptions(split_bytes=1)))
        rig.expose(*range(12))
        rig.tell(messages.StopRecording())
        notes = [row["text"] for row in rig.folder.events() if row["name"] == "video"]
        begins = [text.partition(" begins at ") for text in notes]
        videos = [video.name for video in rig.folder.videos]
        assert [name for name, _, _ in begins] == videos
        assert videos[:2] == ["top.mkv", "top_2.mkv"] and videos[-1] == "top_12.mkv"
        now = datetime.now(UTC)
        for _, _, begin in begins:
            assert abs(now - datetime.fromisoformat(begin)) < timedelta(hours=1)
        frames = video_frames(rig.folder, "top")
        assert [*frames["frame"]] == [*range(12)], "the parts are read in their order"


def test_files_may_end_by_their_size(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top",), RecordingOptions(split_bytes=1)))
        rig.expose(*range(5))
        rig.tell(messages.StopRecording())
        assert len(list(rig.folder.path.glob("top*.mkv"))) == 5
        assert rig.accounting[0]["recorded"] == 5


def test_a_run_says_how_far_apart_its_cameras_were(tmp_path: Path) -> None:
    with recording(tmp_path, "top", "side") as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top", "side")))
        rig.expose(*range(20))
        for index in range(20):
            writer = rig.writers["side"]
            writer.slot()[:] = 0
            writer.publish(index, index * TICK_NS + 1_000_000, index * TICK_NS)
        rig.tell(messages.CloseRun("stopped"))
        (skew,) = rig.folder.facts["skew"]
        assert skew["cameras"] == ["top", "side"]
        assert skew["ms"] == {"p50": 1.0, "p95": 1.0, "max": 1.0}


@pytest.mark.parametrize("error", [DeviceError("no such table"), KeyError("time")])
def test_a_run_whose_skew_cannot_be_computed_is_closed_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(recorder_process, "recorded_skews", fail)
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.CloseRun("stopped"))
        assert len(rig.of(messages.RunClosed)) == 1 and not rig.of(
            messages.RecorderFailed
        )
        (problem,) = rig.of(messages.ProblemReport)
        assert isinstance(problem, messages.ProblemReport) and not problem.grave
        assert problem.text.startswith("The skew of the cameras was not computed (")
        facts = rig.folder.facts
        assert facts["not_saved"] == [problem.text] and facts["how"] == "stopped"
        assert rig.folder.events()[-1]["text"].startswith(problem.text)


def test_colour_of_16_bits_is_refused_by_the_camera_s_name(tmp_path: Path) -> None:
    deep = ImageFormat((48, 64, 3), 30.0, "uint16")
    with recording(tmp_path, "top", side=deep) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)))
        rig.tell(messages.StartRecording(("top", "side"), RecordingOptions()))
        (told,) = rig.of(messages.RecorderFailed)
        assert isinstance(told, messages.RecorderFailed)
        for words in (
            "Nothing is recorded",
            "[Camera side] delivers 16-bit colour",
            "RECORD = no",
        ):
            assert words in told.text
        assert not list(rig.folder.path.glob("*.mkv"))
        rig.expose(1, 2)
        rig.decide(2)
        rig.tell(messages.StopAnalysis())
        assert listed(rig.folder) == [(2, 1)]  # the analysis goes on


@pytest.mark.parametrize("locks", [True, False])
def test_a_run_in_which_nothing_happens_just_now_is_seen_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    """By the recorder's lock at once; by changes of files where none can be locked."""
    if locks:
        monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    else:
        monkeypatch.setattr(run_opening, "is_locked", lambda file: False)
        monkeypatch.setattr(run_opening, "OBSERVED_S", 60.0)  # a disk may be slow
        monkeypatch.setattr(run_opening, "OBSERVATIONS", 1200)
    with recording(tmp_path) as rig:
        open_run(rig)
        assert goes_on(rig.folder.path)
        with pytest.raises(DeviceError, match="is still being written"):
            open_run_folder(rig.folder.path, pytest.fail)
        assert rig.folder.facts["how"] is None
        rig.tell(messages.CloseRun("stopped", {}))
        assert open_run_folder(rig.folder.path, pytest.fail).facts["how"] == "stopped"
        assert not [*rig.folder.path.glob(".*")]


def test_a_copy_of_a_run_and_a_failed_run_are_not_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed recorder leaves the hidden file behind."""
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    with recording(tmp_path) as rig:
        open_run(rig)
        hidden = shutil.ignore_patterns(".*")
        copy = shutil.copytree(rig.folder.path, tmp_path / "copy", ignore=hidden)
        (copy / ".run.json.lock").touch()
        assert not goes_on(copy)
        assert open_run_folder(copy, lambda told: None).facts["how"] == "killed"
        assert not [*copy.glob(".*")]
        rig.recorder._fail("the disk is full")
        assert rig.folder.facts["how"] == "failed: the disk is full"
        assert not [*rig.folder.path.glob(".*")]


def test_what_happened_before_the_run_was_opened_is_in_it(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        rig.engine.write(Edge("laser", 0.0, "open", 5, 6))
        rig.tell(messages.WriteNote(Note("camera", "top is open", 7)))
        open_run(rig)
        rig.engine.write(Note("experiment", "started", 8))
        rig.tell()
        names = [(row["kind"], row["name"]) for row in rig.folder.events()]
        assert names == [("edge", "laser"), ("note", "camera"), ("note", "experiment")]


def test_an_open_run_takes_another_session_section(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        text = "[Streaming]\n[Session]\nANIMAL = m3\n"
        rig.tell(messages.ChangeRun(text, {"session": {"animal": "m3"}}))
        assert rig.folder.settings_text == text
        facts = rig.folder.facts
        assert (facts["session"], facts["seed"]) == ({"animal": "m3"}, 4)
        rig.tell(messages.CloseRun("stopped"), messages.Stop())
        rig.tell()
        assert rig.folder.facts["session"] == {"animal": "m3"}


def test_a_closed_run_says_how_it_ended(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)), messages.StartRecording(("top",)))
        rig.expose(0, 1, 2)
        rig.decide(0, 2)
        rig.tell(messages.CloseRun("stopped", {"animal": "m3"}), messages.Stop())
        facts = rig.folder.facts
        assert rig.recorder.over
        assert (facts["how"], facts["animal"], facts["seed"]) == ("stopped", "m3", 4)
        assert facts["ended"] >= facts["started"]
        assert facts["cameras"]["top"]["shape"] == [48, 64, 3]
        assert [account["closes"] for account in facts["accounting"]] == [True, True]
        (closed,) = rig.of(messages.RunClosed)
        assert isinstance(closed, messages.RunClosed)
        assert len(closed.accounts) == 2


def test_a_mark_is_an_event(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartAnalysis(("top",)))
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


def test_the_devices_own_numbers_stand_beside_each_picture(tmp_path: Path) -> None:
    with recording(tmp_path) as rig:
        open_run(rig)
        rig.tell(messages.StartRecording(("top",)))
        writer = rig.writers["top"]
        for index, device_id in enumerate((65535, 1, None, 0)):
            writer.slot()[:] = 0
            writer.publish(index, index * TICK_NS, index * TICK_NS + 7, device_id)
        rig.tell(messages.StopRecording())
        header, *listed = rows(rig.folder.path / "top.frames.csv")
    assert header[1:] == ["frame", "exposed_ns", "arrived_ns", "device_id"]
    assert [row[4] for row in listed] == ["65535", "1", "", "0"]
    assert [int(row[3]) for row in listed] == [n * TICK_NS + 7 for n in range(4)]
