"""Network preview: what each network finds on the rig's camera, to choose one."""

from collections.abc import Iterable
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from deeplabstream.gui.widgets.network_choice import NetworkChoice
from deeplabstream.plugins.camera import Camera

_SIZE = (900, 560)  # px


class NetworkPreviewWindow(QDialog):
    """Shows the points of the chosen network on a camera's frames; closing it closes both."""

    used = pyqtSignal(object)
    """Path: the folder of the network to use live."""

    def __init__(
        self,
        folders: Iterable[Path],
        first: Path | None,
        camera: Camera,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Preview of networks – DeepLabStream")
        self.choice = NetworkChoice(folders)
        self.use, close = QPushButton("Use live"), QPushButton("Close")
        self.use.setProperty("starts", True)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(close)
        buttons.addWidget(self.use)
        column = QVBoxLayout(self)
        column.addWidget(self.choice, 1)
        column.addLayout(buttons)
        self.resize(*_SIZE)
        self.choice.chosen.connect(self._show_state)
        self.use.clicked.connect(self._use)
        close.clicked.connect(self.reject)
        self.finished.connect(self.choice.stop)
        if first is not None:
            self.choice.choose(first.name)
        self.choice.show_camera(camera)
        self._show_state()

    def _show_state(self) -> None:
        self.use.setEnabled(self.choice.model is not None)

    def _use(self) -> None:
        if (folder := self.choice.folder) is not None:
            self.used.emit(folder)
        self.accept()
