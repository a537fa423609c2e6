"""A take: the frames of one ring into videos, every one of them, in its own thread."""

import threading
from collections.abc import Callable
from pathlib import Path

from core.ring import Ring, RingReader
from recording.accounts import Accounts, Tally
from recording.recipe import Recipe
from recording.video import VideoFile

LOOK_S = 0.02
"""How often a film looks for new frames: it is in no hurry, and being woken for each one
costs more than all its other work but the encoding."""


class Filming:
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
