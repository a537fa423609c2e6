"""A take begins and ends between two frames: each is in it or not, and none is forgotten."""

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.ipc.ring import FrameRing, RingReader, RingWriter, create_ring
from deeplabstream.recording.camera_recording import VideoRecording
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.recording_options import RecordingOptions
from tests.recording.written_rows import rows

FORM = ImageFormat((48, 64), 1000.0)


@pytest.fixture
def ring() -> Iterator[FrameRing]:
    ring = create_ring("top", FORM, 512)
    yield ring
    ring.close()
    ring.unlink()


def published(ring: FrameRing, *indices: int) -> None:
    writer = RingWriter(ring)
    for index in indices:
        writer.slot()[:] = index % 250
        writer.publish(index, index * 1_000_000, index * 1_000_000)


def film(ring: FrameRing, root: Path, name: str = "top") -> VideoRecording:
    return VideoRecording(
        ring, lambda: root / f"{name}.mkv", RecordingOptions(), True, pytest.fail
    )


def test_a_frame_that_comes_while_a_take_begins_is_in_it(
    ring: FrameRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(ring: FrameRing) -> RingReader:
        reader = RingReader(ring)
        published(ring, 7)
        return reader

    published(ring, *range(7))
    monkeypatch.setattr("deeplabstream.recording.camera_recording.RingReader", made)
    one = film(ring, tmp_path)
    published(ring, 8, 9)
    one.stop()
    published(ring, 10)
    account = one.accounts()
    assert account.is_balanced()
    assert (account.delivered, account.recorded) == (3, 3)
    listed = list(rows(tmp_path / "top.frames.csv"))[1:]
    assert [row[1] for row in listed] == ["7", "8", "9"]


def test_what_came_after_the_end_is_no_loss_of_the_take(
    ring: FrameRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, free = threading.Event(), threading.Event()
    write = VideoWriter.write

    def slowly(video: VideoWriter, *frame: Any) -> None:
        begun.set()
        free.wait()
        write(video, *frame)

    monkeypatch.setattr(VideoWriter, "write", slowly)
    one = film(ring, tmp_path)
    published(ring, *range(20))
    begun.wait()
    one.stop()
    published(ring, *range(20, 2000))  # the ring goes round while the disk sleeps
    free.set()
    account = one.accounts()
    assert account.delivered == 20
    assert account.recorded == 1
    assert account.recording_losses == 19
    assert account.is_balanced()


def test_a_frame_that_comes_after_the_end_is_not_in_a_take_that_is_held_up(
    ring: FrameRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is asked for, and a frame comes, just before the thread reads on."""
    following = RingReader.following

    def held_up(reader: RingReader, last: int | None = None) -> Frame | None:
        if reader.place == ring.published == 3:
            one.stop()
            published(ring, 3)
        return following(reader, last)

    monkeypatch.setattr(RingReader, "following", held_up)
    one = film(ring, tmp_path)
    published(ring, 0, 1, 2)
    account = one.accounts()
    assert account.is_balanced()
    assert (account.delivered, account.recorded) == (3, 3)


def test_frames_that_were_overwritten_while_a_take_was_held_up_are_no_losses_of_the_camera(
    ring: FrameRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has read how many frames there are, and the camera fills the ring anew."""
    following = RingReader.following
    ready, resumed = threading.Event(), threading.Event()

    def held_up(reader: RingReader, last: int | None = None) -> Frame | None:
        ready.wait()
        if (reader.place, last) == (1, 3):
            published(ring, *range(3, 603))
        frame = following(reader, last)
        if frame is not None and frame.index > 2:
            resumed.set()
        return frame

    monkeypatch.setattr(RingReader, "following", held_up)
    one = film(ring, tmp_path)
    published(ring, 0, 1, 2)
    ready.set()
    resumed.wait()
    one.stop()
    account = one.accounts()
    assert account.is_balanced()
    assert (account.delivered, account.lost) == (603, 0)


def test_the_encoder_of_a_closed_file_is_released(
    ring: FrameRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has megabytes, and a run of weeks has thousands of files."""
    opened: list[weakref.ref[VideoWriter]] = []
    make = VideoWriter.__init__

    def counted(video: VideoWriter, *arguments: Any) -> None:
        opened.append(weakref.ref(video))
        make(video, *arguments)

    monkeypatch.setattr(VideoWriter, "__init__", counted)
    numbers = iter(range(1000))
    one = VideoRecording(
        ring,
        lambda: tmp_path / f"top_{next(numbers)}.mkv",
        RecordingOptions(split_bytes=1),
        True,
        pytest.fail,
    )
    published(ring, *range(20))
    one.stop()
    account = one.accounts()
    assert (account.delivered, account.recorded) == (20, 20)
    assert len(account.files) == 40 and account.files[-2] == "top_19.mkv"
    gc.collect()
    assert len(opened) == 20 and sum(video() is not None for video in opened) == 1
