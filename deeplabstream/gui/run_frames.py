"""A thread of its own that reads runs and decodes their pictures, so that no window waits."""

from collections.abc import Iterator
from pathlib import Path
from threading import Condition

from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.recording.run_review import review
from deeplabstream.video.video_reader import Picture, VideoReader, open_video

_NEAR = 40
"""Rows that are sooner decoded one after the other than jumped to."""


class RunPictures(QThread):
    """Gives what was last asked for; what was asked for meanwhile is passed over."""

    opened = pyqtSignal(object)
    """Review: a run was read."""
    failed = pyqtSignal(str)
    """Why something can't be read."""
    decoded = pyqtSignal(object, object)
    """What was asked for, (camera, row), and its Image; None: it can't be decoded."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = Condition()
        self._run: Path | None = None
        self._wanted: tuple[object, Path, int] | None = None
        self._over = False
        self._rows: dict[Path, VideoReader] = {}
        self._film: Iterator[Picture] = iter(())
        self._playing: Path | None = None
        self._next = 0

    def open(self, path: Path) -> None:
        """Read a run."""
        with self._changed:
            self._run, self._wanted = path, None
            self._changed.notify()

    def want(self, key: object, video: Path, row: int) -> None:
        """Decode a row of a video; `key` comes back with it."""
        with self._changed:
            self._wanted = key, video, row
            self._changed.notify()

    def finish(self) -> None:
        """End the thread, and wait until it has ended."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self.wait()

    def run(self) -> None:
        """Do what is asked until `finish`."""
        while True:
            with self._changed:
                while not (self._over or self._run or self._wanted):
                    self._changed.wait()
                if self._over:
                    return
                path, wanted = self._run, self._wanted
                self._run = None
                if path is None:
                    self._wanted = None
            try:
                if path is not None:
                    self._rows.clear()
                    self._playing = None
                    self.opened.emit(review(path))
                elif wanted is not None:
                    key, video, row = wanted
                    self.decoded.emit(key, self._picture(video, row))
            except DeepLabStreamError as error:
                self.failed.emit(str(error))

    def _picture(self, video: Path, row: int) -> Image | None:
        if video not in self._rows:
            self._rows[video] = open_video(video)
        if video != self._playing or not self._next <= row <= self._next + _NEAR:
            if row > 0:
                self._rows[video].prepare_jumps()
            self._film = self._rows[video].pictures(row)
            self._playing = video
        for picture in self._film:
            self._next = picture.row + 1
            if picture.row >= row:
                return picture.image
        self._playing = None
        return None
