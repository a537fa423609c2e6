"""Canvas: images of a stimulus window, prepared in advance where possible.

Qt is imported in the functions: discovery of the outputs must not load it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deeplabstream.plugin import DeviceError

from .output import Screen
from .stimulus_video import RGB, StimulusVideo

if TYPE_CHECKING:
    from PyQt5.QtGui import QPixmap
    from PyQt5.QtWidgets import QLabel


class Canvas:
    """Images of the window: one while off, one or many while on.

    DeviceError: a file can't be shown.
    """

    def __init__(self, settings: Screen, window: "QLabel") -> None:
        from PyQt5.QtGui import QColor, QPixmap

        self._settings = settings
        self._ratio = window.devicePixelRatioF()
        plain = QPixmap(window.size() * self._ratio)
        plain.fill(QColor(settings.background))
        self._plain = plain
        self.video = None if settings.video is None else StimulusVideo(settings.video)
        background = plain
        if settings.background_image is not None:
            background = self._with(_read(settings.background_image))
        self.off = self._finished(background, on=False)
        if self.video is not None:
            self.on = self.drawn(self.video.image(0.0))
        elif settings.image is not None:
            self.on = self._finished(self._with(_read(settings.image)), on=True)
        else:
            white = QPixmap(plain)
            white.fill(QColor("white"))
            self.on = self._finished(white, on=True)

    def drawn(self, image: "RGB | None") -> "QPixmap":
        """Return an image of the video, scaled to fit."""
        from PyQt5.QtGui import QImage, QPixmap

        if image is None:
            return self.on
        height, width, _ = image.shape
        kind = QImage.Format.Format_RGB888
        frame = QImage(image.tobytes(), width, height, 3 * width, kind)
        return self._finished(self._with(QPixmap.fromImage(frame)), on=True)

    def close(self) -> None:
        """Close the video."""
        if self.video is not None:
            self.video.close()

    def _with(self, image: "QPixmap") -> "QPixmap":
        """Return the background with an image at its centre, scaled to fit."""
        from PyQt5.QtCore import Qt
        from PyQt5.QtGui import QPainter, QPixmap

        whole = QPixmap(self._plain)
        image = image.scaled(
            whole.size(),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        place = whole.rect().center() - image.rect().center()
        painter = QPainter(whole)
        painter.drawPixmap(place, image)
        painter.end()
        return whole

    def _finished(self, image: "QPixmap", on: bool) -> "QPixmap":
        """Return the image with the photodiode patch."""
        from PyQt5.QtGui import QColor, QPainter, QPixmap

        image = QPixmap(image)
        if self._settings.patch != "none":
            side = round(self._settings.patch_size * self._ratio)
            right, bottom = image.width() - side, image.height() - side
            left_edge = right if "right" in self._settings.patch else 0
            top_edge = bottom if "bottom" in self._settings.patch else 0
            painter = QPainter(image)
            colour = QColor("white" if on else "black")
            painter.fillRect(left_edge, top_edge, side, side, colour)
            painter.end()
        image.setDevicePixelRatio(self._ratio)
        return image


def _read(path: Path) -> "QPixmap":
    from PyQt5.QtGui import QPixmap

    image = QPixmap(str(path))
    if image.isNull():
        raise DeviceError(f"{path} is not an image that can be shown")
    return image
