"""Run frames: a thread that reads runs and decodes their frames."""

from pathlib import Path
from threading import Condition

from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.gui.run_space import RunSpace, UnreadableSpace, read_run_space
from deeplabstream.recording.run_review import review
from deeplabstream.video.video_reader import VideoCursor, open_video

_PATIENCE_S = 5.0


class RunFrames(QThread):
    """Reads the last requested run and frame; older requests are dropped."""

    opened = pyqtSignal(object)
    """Review: a run was read."""
    failed = pyqtSignal(str)
    """Why something can't be read."""
    decoded = pyqtSignal(object, object)
    """Key of the request and Image; None: the frame can't be decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.space: RunSpace | UnreadableSpace | None = None
        """Points in space of the last run that was read; None: it has none."""
        self._changed = Condition()
        self._run: Path | None = None
        self._requested: tuple[object, Path, int] | None = None
        self._over = self._release = False
        self._cursors: dict[Path, VideoCursor] = {}

    def open(self, path: Path) -> None:
        """Read a run."""
        with self._changed:
            self._run, self._requested = path, None
            self._changed.notify()

    def release(self) -> None:
        """Close the files, and wait for it, so that they can be moved."""
        with self._changed:
            self._run = self._requested = None
            if self.isRunning() and not self._over:
                self._release = True
                self._changed.notify()
                self._changed.wait_for(lambda: not self._release, _PATIENCE_S)

    def request(self, key: object, video: Path, row: int) -> None:
        """Decode a row of a video; `decoded` is emitted with `key`."""
        with self._changed:
            self._requested = key, video, row
            self._changed.notify()

    def finish(self) -> None:
        """End the thread, and wait until it has ended."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self.wait()

    def run(self) -> None:
        """Process requests until `finish`."""
        while True:
            # Wait for a request under the lock; process it without the lock.
            with self._changed:
                while not (self._over or self._release or self._run or self._requested):
                    self._changed.wait()
                if self._release:
                    self._close_videos()
                    self._release = False
                    self._changed.notify_all()
                    continue
                if self._over:
                    self._close_videos()
                    return
                path, requested = self._run, self._requested
                self._run = None
                if path is None:
                    self._requested = None

            try:
                if path is not None:
                    self._close_videos()
                    run = review(path)
                    self.space = read_run_space(run)
                    self.opened.emit(run)
                elif requested is not None:
                    key, video, row = requested
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

    def _close_videos(self) -> None:
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()
