"""A take: the frames of one ring into a video, every one of them, in its own thread."""

import threading
from collections.abc import Callable
from pathlib import Path

from core.ring import Ring, RingReader
from recording.accounts import Accounts, Tally
from recording.video import VideoFile


class Filming:
    """Films from the frame that is published next until it is told to stop.

    `failed` is called, from the thread, with a sentence when the film has to end early.
    """

    def __init__(
        self,
        ring: Ring,
        path: Path,
        knows_losses: bool,
        failed: Callable[[str], None],
    ) -> None:
        self._ring, self._failed = ring, failed
        self._video = VideoFile(path, ring.spec.format)
        self._reader = RingReader(ring)
        self._first = ring.published
        self._stop: int | None = None
        self._broken = False
        self._tally = Tally(knows_losses)
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._film, name=path.stem)
        self._thread.start()

    @property
    def recorded(self) -> int:
        """Frames in the video so far."""
        return self._video.frames

    @property
    def losses(self) -> int:
        """Frames overwritten in the ring before they were filmed, so far."""
        return self._reader.missed

    def wake(self) -> None:
        """Say that there may be a new frame."""
        self._wake.set()

    def sync(self) -> None:
        """Have the disk itself take what was filmed."""
        self._video.sync()

    def stop(self) -> None:
        """Film no more than what was published so far."""
        self._stop = self._ring.published - self._first
        self._wake.set()

    def accounts(self) -> Accounts:
        """Wait until the film is complete after `stop`, and say where its frames went."""
        self._thread.join()
        delivered, recorded = self._stop or 0, self._video.frames
        losses = delivered - recorded if self._broken else self._reader.missed
        files = self._video.path.name, self._video.table.path.name
        return Accounts(
            self._ring.spec.camera,
            "recording",
            delivered=delivered,
            lost=self._tally.lost,
            recorded=recorded,
            recording_losses=losses,
            files=files,
        )

    def _film(self) -> None:
        try:
            with self._video:
                while not self._done():
                    self._wake.wait()
                    self._wake.clear()
                    self._catch_up()
        except Exception as error:
            self._broken = True
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            camera = self._ring.spec.camera
            self._failed(f"Recording has ended, the video of {camera!r} failed: {why}")

    def _done(self) -> bool:
        read = self._reader.taken + self._reader.missed
        return self._stop is not None and read >= self._stop

    def _catch_up(self) -> None:
        missed = self._reader.missed
        while not self._done() and (frame := self._reader.following()) is not None:
            self._tally.saw(frame.index, self._reader.missed - missed)
            missed = self._reader.missed
            self._video.write(frame.image, frame.index, frame.time_ns, frame.arrived_ns)
