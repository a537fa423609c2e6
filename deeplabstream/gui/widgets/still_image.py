"""Still image: an image file, or a frame of a video, of its parts, or of a folder of images."""

from collections.abc import Sequence
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.gui.run_frames import RunFrames
from deeplabstream.offline.video_files import ENDINGS
from deeplabstream.pose.image_files import SUFFIXES, read_image
from deeplabstream.video.video_reader import open_video

_PATTERNS = [f"*{ending}" for ending in sorted({*SUFFIXES, *ENDINGS})]
KINDS = f"Images and videos ({' '.join(_PATTERNS)});;All files (*)"
"""Files that can be chosen, for a file dialog."""


class StillImage(QWidget):
    """A slider that chooses the frame of a video or folder; hidden for an image file."""

    shown = pyqtSignal(object, object)
    """Image, and int: the number of its frame in the video; None: an image file."""
    failed = pyqtSignal(str)
    """Why the file can't be shown."""

    def __init__(self) -> None:
        super().__init__()
        self.slider, self.text = QSlider(Qt.Orientation.Horizontal), QLabel()
        self.file: Path | None = None
        """The chosen file; None: none."""
        self._parts: tuple[tuple[Path, int], ...] = ()
        """Videos that are shown as one, each with its number of frames."""
        self._images: tuple[Path, ...] = ()
        """Images of a folder; none: it is a video."""
        self._frames = RunFrames()
        self.slider.setToolTip("frame number, from 0")
        self.text.setObjectName("caption")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.text)
        self.slider.valueChanged.connect(self._request)
        self._frames.decoded.connect(self._take)
        self._frames.failed.connect(self.failed)
        self.hide()

    def open(self, file: Path, *later: Path) -> None:
        """Show an image file, or the first frame of a video; `later` parts of it follow."""
        self.clear()
        if file.suffix.lower() in SUFFIXES:
            image = read_image(file)
            if image is None:
                self.failed.emit(f"{file} can't be read as an image")
                return
            self.file = file
            self.shown.emit(image, None)
            return

        try:
            parts = tuple((part, len(open_video(part))) for part in (file, *later))
        except DeepLabStreamError as error:
            self.failed.emit(str(error))
            return
        self._parts = parts
        self._begin(file, sum(count for _, count in parts))

    def open_images(self, folder: Path, images: Sequence[Path]) -> None:
        """Show the first image of a folder; each is a frame."""
        self.clear()
        self._images = tuple(images)
        self._begin(folder, len(images))

    def _begin(self, file: Path, count: int) -> None:
        """Offer the frames of a file or folder, and show the first."""
        self.file = file
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, count - 1))
        self.slider.setValue(0)
        self.slider.blockSignals(False)
        self.show()
        self._request(0)

    def clear(self) -> None:
        """Show no file any more."""
        self.file, self._parts, self._images = None, (), ()
        self.hide()

    def finish(self) -> None:
        """End the thread that decodes frames."""
        self._frames.finish()

    def _request(self, row: int) -> None:
        if self.file is None:
            return
        self.text.setText(f"frame {row} of {self.slider.maximum() + 1}")
        if self._images:
            file = self._images[row]
            image = read_image(file)
            if image is None:
                self.failed.emit(f"{file} can't be read as an image")
            else:
                self.shown.emit(image, row)
            return
        if not self._frames.isRunning():
            self._frames.start()
        self._frames.request((self.file, row), *self._place(row))

    def _place(self, row: int) -> tuple[Path, int]:
        """Return the part that has a frame, and its number there."""
        for part, count in self._parts:
            if row < count:
                return part, row
            row -= count
        raise IndexError(f"no frame {row} behind the last part")

    def _take(self, key: tuple[Path, int], image: Image | None) -> None:
        if key != (self.file, self.slider.value()):
            return
        if image is None:
            self.failed.emit(f"frame {key[1]} of {key[0]} can't be decoded")
        else:
            self.shown.emit(image, key[1])
