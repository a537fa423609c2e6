"""All cameras that are filmed at present, and the room that is left for their videos.

A take: the frames of one ring into videos, every one of them, in its own thread.
"""

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deeplabstream.core.errors import DeviceError
from deeplabstream.ipc.ring import Ring, RingReader
from deeplabstream.recording.frame_accounts import Accounts, Tally
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.video_writer import VideoFile
from deeplabstream.video.recording_options import MB, Recipe

LOOK_S = 0.02
"""How often a film looks for new frames: it is in no hurry, and being woken for each one
costs more than all its other work but the encoding."""


class VideoRecording:
    """Films from the frame that is published next until it is told to stop.

    `new_path` says where the next file goes: a take may be cut into several, without a
    frame lost. `failed` is called, from a thread, with a sentence when the film has to
    end early.
    """

    def __init__(
        self,
        ring: Ring,
        new_path: Callable[[], Path],
        recipe: Recipe,
        knows_losses: bool,
        failed: Callable[[str], None],
    ) -> None:
        self._ring, self._new_path, self._recipe = ring, new_path, recipe
        self._failed = failed
        self._videos = [self._open()]
        self._closing: list[threading.Thread] = []
        self._reader = RingReader(ring)
        self._first = self._reader.place
        self._last: int | None = None
        self._broken = False
        self._tally = Tally(knows_losses)
        self._look_s = min(LOOK_S, ring.spec.slots / 4 / (ring.spec.format.rate or 30))
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._film, name=ring.spec.camera)
        self._thread.start()

    @property
    def recorded(self) -> int:
        """Frames in the videos so far."""
        return sum(video.frames for video in self._videos)

    @property
    def losses(self) -> int:
        """Frames overwritten in the ring before they were filmed, so far."""
        return self._reader.missed

    @property
    def waiting(self) -> int:
        """Frames in the ring that are not filmed yet."""
        return self._reader.waiting

    def sync(self) -> None:
        """Have the disk itself take what was filmed."""
        self._videos[-1].sync()

    def stop(self) -> None:
        """Film no more than what was published so far."""
        if self._last is None:
            self._last = self._ring.published
        self._wake.set()

    def finished(self, patience_s: float) -> bool:
        """Wait after `stop` until all is in the file, so long at the most."""
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def accounts(self) -> Accounts:
        """Wait until the film is complete after `stop`, and say where its frames went."""
        self._thread.join()
        last = self._first if self._last is None else self._last
        delivered, recorded = last - self._first, self.recorded
        losses = delivered - recorded if self._broken else self._reader.missed
        videos = self._videos
        return Accounts(
            self._ring.spec.camera,
            "recording",
            delivered=delivered,
            lost=self._tally.lost,
            recorded=recorded,
            recording_losses=losses,
            files=tuple(n for v in videos for n in (v.path.name, v.table.path.name)),
        )

    def _film(self) -> None:
        try:
            while not self._done():
                self._wake.wait(self._look_s)
                self._catch_up()
        except Exception as error:
            self._fail(error)
        self._close(self._videos[-1])
        for thread in self._closing:
            thread.join()

    def _done(self) -> bool:
        return self._last is not None and self._reader.place >= self._last

    def _catch_up(self) -> None:
        missed = self._reader.missed
        while (frame := self._reader.following(self._last)) is not None:
            self._tally.saw(frame.index, self._reader.missed - missed)
            missed = self._reader.missed
            video = self._videos[-1]
            if self._recipe.ends_file(video.seconds, video.size):
                video = self._next_file()
            video.write(
                frame.image,
                frame.index,
                frame.time_ns,
                frame.arrived_ns,
                frame.device_id,
            )

    def _open(self) -> VideoFile:
        return VideoFile(self._new_path(), self._ring.spec.format, self._recipe)

    def _next_file(self) -> VideoFile:
        """Begin a new file; the disk takes its time to close the old one, so aside."""
        old, new = self._videos[-1], self._open()
        self._videos.append(new)
        thread = threading.Thread(target=self._close, args=(old,), name=old.path.stem)
        self._closing.append(thread)
        thread.start()
        return new

    def _close(self, video: VideoFile) -> None:
        try:
            video.close()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._broken:
            return
        self._broken = True
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        camera = self._ring.spec.camera
        self._failed(f"Recording has ended, the video of {camera!r} failed: {why}")


class CameraRecordings:
    """Starts and stops the films; `failed` is told, from any thread, why they end."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._films: dict[str, VideoRecording] = {}
        self._recipe = Recipe()
        self._folder: RunFolder | None = None
        self._full = False

    def __bool__(self) -> bool:
        """Whether anything is filmed."""
        return bool(self._films)

    def start(
        self,
        folder: RunFolder,
        rings: Sequence[Ring],
        recipe: Recipe,
        knows_losses: Mapping[str, bool],
    ) -> list[str]:
        """Film these rings too; return how videos will differ from what was asked for.

        DeviceError says why nothing can be filmed.
        """
        rings = [ring for ring in rings if ring.spec.camera not in self._films]
        for ring in rings:
            recipe.check_form(ring.spec.camera, ring.spec.format)
        remarks = [
            remark
            for ring in rings
            for remark in recipe.remarks(ring.spec.camera, ring.spec.format)
        ]
        try:
            recipe.check_room(folder.path, [ring.spec.format for ring in rings])
            self._folder, self._recipe, self._full = folder, recipe, False
            for ring in rings:
                name = ring.spec.camera
                knows = knows_losses.get(name, False)
                self._films[name] = VideoRecording(
                    ring,
                    lambda name=name: folder.new_video_path(name),  # type: ignore[misc]
                    recipe,
                    knows,
                    self._failed,
                )
        except OSError as error:
            said = error.strerror or str(error)
            raise DeviceError(
                f"Nothing is recorded, the disk failed: {said}"
            ) from error
        return remarks

    def stop(self, waits: Callable[[], object] = lambda: None) -> tuple[Accounts, ...]:
        """Complete all films and say where their frames went; `waits` is called meanwhile."""
        films = self._films
        for film in films.values():
            film.stop()
        for film in films.values():
            while not film.finished(0.25):
                waits()
        accounts = tuple(film.accounts() for film in films.values())
        self._films = {}
        return accounts

    def sync(self) -> None:
        """Have the disk itself take what was filmed, and see how much room it has left."""
        for film in list(self._films.values()):
            film.sync()
        if self._films and self._folder is not None and not self._full:
            free = shutil.disk_usage(self._folder.path).free
            if free < self._recipe.min_free_bytes:
                self._full = True
                self._failed(
                    f"Recording has ended: only {free / MB:.0f} MB are free on the disk, "
                    f"and [Recording] MIN_FREE_MB = {self._recipe.min_free_bytes // MB}"
                )

    def recorded(self) -> dict[str, int]:
        """Return how many frames are in the videos of each camera so far."""
        return {name: film.recorded for name, film in self._films.items()}

    def waiting(self) -> dict[str, int]:
        """Return how many frames of each camera wait to be filmed."""
        return {name: film.waiting for name, film in self._films.items()}

    def losses(self) -> dict[str, int]:
        """Return how many frames of each camera were lost to its video so far."""
        return {name: film.losses for name, film in self._films.items()}
