"""Camera recording: writes every frame of a camera's ring to video, one thread per camera."""

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from deeplabstream.core.clock import Calendar, Clock, SystemCalendar, SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame
from deeplabstream.ipc.ring import FrameRing, RingReader
from deeplabstream.recording.frame_accounts import FrameCounter, FrameCounts
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.segment_end import SegmentEnd
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.recording_options import MB, RecordingOptions

FileBegan: TypeAlias = Callable[[Path, datetime], None]
"""Receives a file with its first frame, and the local date and time of that frame."""
POLL_S = 0.02
"""Period of polling for new frames. Waking up for each frame costs more than polling."""


class VideoRecording:
    """Records one camera from the next published frame until `stop`.

    `new_path` returns the path of the next file; a recording may be split into several
    without losing frames. `failed` is called from a thread with a sentence when the
    recording ends early, `began` when a file has its first frame.
    """

    def __init__(
        self,
        ring: FrameRing,
        new_path: Callable[[], Path],
        recording_options: RecordingOptions,
        knows_losses: bool,
        failed: Callable[[str], None],
        began: FileBegan = lambda path, begin: None,
        calendar: Calendar | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._ring, self._new_path, self._recording_options = (
            ring,
            new_path,
            recording_options,
        )
        self._failed, self._began = failed, began
        self._segment_end = SegmentEnd(
            recording_options, clock or SystemClock(), calendar or SystemCalendar()
        )

        # A disk that can't be written is reported by the caller, before a thread runs.
        self._video = self._open()
        self._files: list[str] = [*_names(self._video)]
        # A closed video is not kept: its encoder has megabytes. Both values change at once.
        self._written = 0, self._video
        """Frames in the files before the present one, and the present one."""
        self._closing: list[threading.Thread] = []
        self._reader = RingReader(ring)
        self._first = self._reader.place
        self._last: int | None = None
        self._broken = False
        self._frame_counter = FrameCounter(knows_losses)
        self._counted_losses = 0

        # A small ring of a fast camera is read four times before it is full.
        self._poll_s = min(POLL_S, ring.spec.slots / 4 / (ring.spec.format.rate or 30))
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._record, name=ring.spec.camera)
        self._thread.start()

    @property
    def recorded(self) -> int:
        """Frames in the videos so far."""
        before, video = self._written
        return before + video.frames

    @property
    def losses(self) -> int:
        """Frames overwritten in the ring before they were recorded, so far."""
        return self._reader.missed

    @property
    def waiting(self) -> int:
        """Frames in the ring that are not recorded yet."""
        return self._reader.waiting

    def sync(self) -> None:
        """Write the recorded frames to the disk (fsync)."""
        self._video.sync()

    def stop(self) -> None:
        """Stop recording frames that are published from now on."""
        if self._last is None:
            self._last = self._ring.published
        self._wake.set()

    def finished(self, patience_s: float) -> bool:
        """Wait after `stop`, at most `patience_s`; return whether all frames are written."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def accounts(self) -> FrameCounts:
        """Wait after `stop` until the recording is complete; return its frame accounts."""
        self._thread.join()
        # All frames from the first to the last must be counted as recorded or lost. A
        # recording that failed has lost all later frames.
        last = self._first if self._last is None else self._last
        delivered, recorded = last - self._first, self.recorded
        losses = delivered - recorded if self._broken else self._reader.missed
        return FrameCounts(
            self._ring.spec.camera,
            "recording",
            delivered=delivered,
            lost=self._frame_counter.lost,
            dropped=self._frame_counter.dropped,
            recorded=recorded,
            recording_losses=losses,
            files=tuple(self._files),
        )

    def _record(self) -> None:
        try:
            while not self._done():
                self._wake.wait(self._poll_s)
                self._catch_up()
        except Exception as error:
            self._fail(error)

        # A video that failed is closed too: what was written stays readable.
        self._close(self._video)
        for thread in self._closing:
            thread.join()

    def _done(self) -> bool:
        return self._last is not None and self._reader.place >= self._last

    def _catch_up(self) -> None:
        while (frame := self._following()) is not None:
            # frames missed before a call that returned none
            missed = self._reader.missed
            self._frame_counter.add(frame.index, missed - self._counted_losses)
            self._counted_losses = missed

            # A new file begins between two frames, so none is lost.
            video = self._video
            if video.frames and self._segment_end.is_due(
                frame.time_ns, video.seconds, video.size
            ):
                video = self._next_file()
            video.write(
                frame.image,
                frame.index,
                frame.time_ns,
                frame.arrived_ns,
                frame.device_id,
            )
            if video.frames == 1:
                self._began(video.path, self._segment_end.begin(frame.time_ns))

    def _following(self) -> Frame | None:
        """Return the next frame; none that was published after `stop`.

        The count of frames is read first: `stop` may be called before it is used.
        """
        newest = self._ring.published
        return self._reader.following(newest if self._last is None else self._last)

    def _open(self) -> VideoWriter:
        return VideoWriter(
            self._new_path(), self._ring.spec.format, self._recording_options
        )

    def _next_file(self) -> VideoWriter:
        """Begin a new file; close the old one in a thread, because the disk may be slow."""
        old, new = self._video, self._open()
        self._written, self._video = (self.recorded, new), new
        self._files += _names(new)
        thread = threading.Thread(target=self._close, args=(old,), name=old.path.stem)
        self._closing = [other for other in self._closing if other.is_alive()]
        self._closing.append(thread)
        thread.start()
        return new

    def _close(self, video: VideoWriter) -> None:
        try:
            video.close()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        # One report per camera: the errors that follow have the same cause.
        if self._broken:
            return
        self._broken = True
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        camera = self._ring.spec.camera
        self._failed(f"Recording has ended, the video of {camera!r} failed: {reason}")


def _names(video: VideoWriter) -> tuple[str, str]:
    return video.path.name, video.table.path.name


class CameraRecordings:
    """Starts and stops recordings; `failed` gets the reason, from any thread, when one ends.

    `began` is called from any thread when a file has its first frame.
    """

    def __init__(
        self,
        failed: Callable[[str], None],
        began: FileBegan = lambda path, begin: None,
    ) -> None:
        self._failed, self._began = failed, began
        self._recordings: dict[str, VideoRecording] = {}
        self._recording_options = RecordingOptions()
        self._folder: RunFolder | None = None
        self._full = False

    def __bool__(self) -> bool:
        """Whether any camera is recorded."""
        return bool(self._recordings)

    def start(
        self,
        folder: RunFolder,
        rings: Sequence[FrameRing],
        recording_options: RecordingOptions,
        knows_losses: Mapping[str, bool],
    ) -> list[str]:
        """Start recording these rings; return how the videos will differ from the settings.

        DeviceError: nothing can be recorded.
        """
        # Check all cameras before the first file is made.
        rings = [ring for ring in rings if ring.spec.camera not in self._recordings]
        for ring in rings:
            recording_options.check_form(ring.spec.camera, ring.spec.format)
        remarks = [
            remark
            for ring in rings
            for remark in recording_options.remarks(ring.spec.camera, ring.spec.format)
        ]

        try:
            recording_options.check_free_disk_space(
                folder.path, [ring.spec.format for ring in rings]
            )
            self._folder, self._recording_options, self._full = (
                folder,
                recording_options,
                False,
            )
            for ring in rings:
                name = ring.spec.camera
                knows = knows_losses.get(name, False)
                self._recordings[name] = VideoRecording(
                    ring,
                    lambda name=name: folder.new_video_path(name),  # type: ignore[misc]
                    recording_options,
                    knows,
                    self._failed,
                    self._began,
                )
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeviceError(
                f"Nothing is recorded, the disk failed: {reason}"
            ) from error
        return remarks

    def stop(
        self, waits: Callable[[], object] = lambda: None
    ) -> tuple[FrameCounts, ...]:
        """Complete all recordings; return their accounts. `waits` is called while waiting."""
        recordings = self._recordings

        # Stop all first: the videos of several cameras then end at the same time.
        for recording in recordings.values():
            recording.stop()
        for recording in recordings.values():
            while not recording.finished(0.25):
                waits()
        accounts = tuple(recording.accounts() for recording in recordings.values())
        self._recordings = {}
        return accounts

    def sync(self) -> None:
        """Write the recorded frames to the disk (fsync), and check the free space."""
        for recording in list(self._recordings.values()):
            recording.sync()
        self.check_free_disk_space()

    def check_free_disk_space(self) -> None:
        """Report once when less than MIN_FREE_MB is free."""
        if self._recordings and self._folder is not None and not self._full:
            free = shutil.disk_usage(self._folder.path).free
            if free < self._recording_options.min_free_bytes:
                self._full = True
                self._failed(
                    f"Recording has ended: only {free / MB:.0f} MB are free on the disk, "
                    f"and [Recording] MIN_FREE_MB = {self._recording_options.min_free_bytes // MB}"
                )

    def recorded(self) -> dict[str, int]:
        """Return how many frames are in the videos of each camera so far."""
        return {
            name: recording.recorded for name, recording in self._recordings.items()
        }

    def waiting(self) -> dict[str, int]:
        """Return how many frames of each camera wait to be recorded."""
        return {name: recording.waiting for name, recording in self._recordings.items()}

    def losses(self) -> dict[str, int]:
        """Return how many frames of each camera were lost to its video so far."""
        return {name: recording.losses for name, recording in self._recordings.items()}
