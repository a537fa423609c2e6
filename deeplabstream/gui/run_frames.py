"""Run frames: a thread that reads runs and decodes their frames."""

from pathlib import Path
from threading import Condition

from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.recording.run_review import review
from deeplabstream.video.video_reader import VideoCursor, open_video

_PATIENCE_S = 5.0


class RunFrames(QThread):
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
        self._over = self._release = False
        self._cursors: dict[Path, VideoCursor] = {}

    def open(self, path: Path) -> None:
        """Read a run."""
        with self._changed:
            self._run, self._wanted = path, None
            self._changed.notify()

    def release(self) -> None:
        """Close the files, and wait until they are closed: they may be moved then."""
        with self._changed:
            self._run = self._wanted = None
            if self.isRunning() and not self._over:
                self._release = True
                self._changed.notify()
                self._changed.wait_for(lambda: not self._release, _PATIENCE_S)

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
                while not (self._over or self._release or self._run or self._wanted):
                    self._changed.wait()
                if self._release:
                    self._forget()
                    self._release = False
                    self._changed.notify_all()
                    continue
                if self._over:
                    self._forget()
                    return
                path, wanted = self._run, self._wanted
                self._run = None
                if path is None:
                    self._wanted = None
            try:
                if path is not None:
                    self._forget()
                    self.opened.emit(review(path))
                elif wanted is not None:
                    key, video, row = wanted
                    self.decoded.emit(key, self._image(video, row))
            except DeepLabStreamError as error:
                self.failed.emit(str(error))

    def _image(self, video: Path, row: int) -> Image | None:
        if video not in self._cursors:
            self._cursors[video] = VideoCursor(open_video(video))
        cursor = self._cursors[video]
        if row > 0:
            cursor.reader.prepare_jumps()
        return cursor.read(row).image

    def _forget(self) -> None:
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()
