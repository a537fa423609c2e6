"""Connected cameras: small live images of the cameras found, to select one."""

from collections.abc import Callable, Mapping
from functools import partial

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QHideEvent, QPixmap
from PyQt5.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Image
from deeplabstream.gui.camera_preview import (
    CameraFinder,
    CameraPreview,
    camera_of,
    leave,
    section_of,
)
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.video_view import to_qimage
from deeplabstream.plugins.camera import Device

_WIDTH, _HEIGHT, _COLUMNS = 200, 150, 3


class ConnectedCameras(Panel):
    """Searches for cameras on request, and shows them until the page is hidden.

    `why_not` returns why no camera can be opened now; empty: it can.
    """

    chosen = pyqtSignal(object)
    """Mapping[str, str]: KIND and the key that selects the camera."""

    def __init__(self, why_not: Callable[[], str]) -> None:
        super().__init__("Connected cameras")
        self._why_not = why_not
        self.search = QPushButton("Show connected cameras")
        self.search.setToolTip("opens each camera that is found; stop the stream first")
        self.message = QLabel()
        self.message.setObjectName("caption")
        self.message.setWordWrap(True)
        self.tiles: list[CameraTile] = []
        self._grid = QGridLayout()
        self._finder: CameraFinder | None = None
        self._grid.setColumnStretch(_COLUMNS, 1)
        self.column.addWidget(self.search, alignment=Qt.AlignmentFlag.AlignLeft)
        self.column.addWidget(self.message)
        self._show_message("")
        self.column.addLayout(self._grid)
        self.search.clicked.connect(self.start)

    def start(self) -> None:
        """Search for cameras, and show the image of each."""
        if self._finder is not None and self._finder.isRunning():
            return
        self.stop()
        if why := self._why_not():
            self._show_message(why)
            return
        self._show_message("Searching for cameras …")
        self._finder = CameraFinder()
        self._finder.found.connect(self._add)
        self._finder.finished.connect(self._show_result)
        self._finder.start()

    def stop(self) -> None:
        """Close all cameras and remove their images."""
        if self._finder is not None:
            self._finder.disconnect()
            leave(self._finder)
            self._finder = None
        for tile in self.tiles:
            tile.stop()
            self._grid.removeWidget(tile)
            tile.deleteLater()
        self.tiles = []
        self._show_message("")

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Close the cameras, which the rig may need."""
        super().hideEvent(event)
        self.stop()

    def _add(self, devices: tuple[Device, ...]) -> None:
        for device in devices:
            tile = CameraTile(device)
            tile.use.clicked.connect(partial(self._use, tile.section))
            row, column = divmod(len(self.tiles), _COLUMNS)
            self._grid.addWidget(tile, row, column, Qt.AlignmentFlag.AlignLeft)
            self.tiles.append(tile)
            tile.start()

    def _show_result(self) -> None:
        self._show_message("" if self.tiles else "No camera found.")

    def _show_message(self, text: str) -> None:
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def _use(self, section: Mapping[str, str], _checked: bool = False) -> None:
        self.stop()
        self.chosen.emit(section)


class CameraTile(QWidget):
    """A camera's live image, its name, and a button to use it."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.section = section_of(device)
        self.image = QLabel("Opening …")
        self.image.setFixedSize(_WIDTH, _HEIGHT)
        self.image.setWordWrap(True)
        self.image.setAlignment(Qt.AlignmentFlag.AlignCenter)
        name = Elided(device.label or f"{device.kind} {device.serial}")
        name.setFixedWidth(_WIDTH)
        self.use = QPushButton("Use")
        self.use.setFixedWidth(_WIDTH)
        self.use.setToolTip(
            "\n".join(f"{key} = {value}" for key, value in self.section.items())
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 4)
        for widget in (self.image, name, self.use):
            column.addWidget(widget)
        self._preview: CameraPreview | None = None

    def start(self) -> None:
        """Open the camera."""
        try:
            camera = camera_of(self.section)
        except SettingsError as error:
            self._fail("\n".join(error.problems))
            return
        self._preview = CameraPreview(camera)
        self._preview.imaged.connect(self._show_image)
        self._preview.failed.connect(self._fail)
        self._preview.start()

    def stop(self) -> None:
        """Close the camera."""
        if self._preview is not None:
            self._preview.finish()
            self._preview = None

    def _show_image(self, image: Image, _number: int) -> None:
        aspect = Qt.AspectRatioMode.KeepAspectRatio
        shown = QPixmap.fromImage(to_qimage(image)).scaled(_WIDTH, _HEIGHT, aspect)
        self.image.setPixmap(shown)

    def _fail(self, why: str) -> None:
        self.image.setToolTip(why)
        self.image.setText(f"No image: {why}"[:120])
