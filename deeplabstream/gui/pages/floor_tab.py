"""Floor tab: chooses the frame with the board on the floor, and moves a calibration to it."""

from pathlib import Path

import cv2
import numpy as np
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.gui.programs import CALIBRATE, Values
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.plot_view import PlotView
from deeplabstream.gui.widgets.program_form import FORM_WIDTH
from deeplabstream.gui.widgets.program_view import CommandLine, ProgramView
from deeplabstream.gui.widgets.still_image import StillImage
from deeplabstream.offline.camera_calibration.board_views import open_image_folder
from deeplabstream.offline.camera_calibration.recorded_videos import recorded_parts

_TITLE = "Floor"
_ABOUT = (
    "Choose a frame in which the board lies still on the floor of the arena, seen by two "
    "cameras or more, or by the only one. Then x and y lie on the floor, z is the height above "
    "it, and the origin is the board's first corner."
)
_NONE = "Calibrate first: the floor is set in a calibration that was accepted."


class FloorTab(QWidget):
    """Image of a chosen frame, and the program that moves the calibration."""

    moved = pyqtSignal(object)
    """Path of the calibration that was moved to the floor."""

    def __init__(self) -> None:
        super().__init__()
        self.calibration: Path | None = None
        self._values: Values = {}
        self.video = QComboBox()
        self.video.setToolTip("camera whose image is shown")
        self.still = StillImage()
        self.image = PlotView(_NONE)
        self.from_below = QCheckBox("Cameras look from below the floor")
        self.from_below.setToolTip("most cameras look up, through the floor")
        self.state = QLabel(_NONE)
        self.state.setObjectName("caption")
        self.state.setWordWrap(True)
        self.begin = QPushButton("The board lies on the floor here")
        self.begin.setProperty("starts", True)
        self.view = ProgramView()
        self.command = CommandLine()
        self._arrange()
        self.video.activated.connect(self._open)
        self.still.shown.connect(self._show)
        self.still.failed.connect(self.image.clear)
        self.begin.clicked.connect(lambda: self.start())
        self.from_below.toggled.connect(self._show_state)
        self.view.ended.connect(self._ended)
        self.view.started.connect(self._show_state)
        self.view.stopped.connect(self._show_state)
        self._show_state()

    @property
    def frame(self) -> int:
        """Number of the chosen frame."""
        return self.still.slider.value()

    @property
    def arguments(self) -> list[str]:
        """Command line of the program."""
        known = str(self.calibration)
        words = [*CALIBRATE.arguments({**self._values, "--output": [known]})]
        words += ["--known", known, "--floor", str(self.frame), "--overwrite"]
        return [*words, *(["--from-below"] if self.from_below.isChecked() else [])]

    def take(self, calibration: Path, values: Values) -> None:
        """Offer to move a calibration that was made with these values of the form."""
        self.calibration, self._values = calibration, values
        shown = self.video.currentText()
        self.video.clear()
        for name in values.get("Videos", ()):
            path = Path(name)
            self.video.addItem(path.name, path)
        self.video.setCurrentIndex(max(0, self.video.findText(shown)))
        self.state.setText(f"Axes of {calibration.name}: those of the first camera")
        self._open()

    def start(self) -> None:
        """Move the calibration to the floor of the chosen frame."""
        if self.calibration is not None:
            self.view.show_results(self.calibration.parent)
            self.view.start(_TITLE, CALIBRATE.file, self.arguments)

    def finish(self) -> None:
        """End program and thread."""
        self.view.program.stop()
        self.still.finish()

    def _arrange(self) -> None:
        left = Panel(_TITLE)
        left.setFixedWidth(FORM_WIDTH)
        about = QLabel(_ABOUT)
        about.setObjectName("caption")
        about.setWordWrap(True)
        left.column.addWidget(about)
        left.column.addSpacing(8)
        left.column.addWidget(self.from_below)
        left.column.addStretch(1)
        left.column.addWidget(self.state)
        left.column.addWidget(self.begin)
        right = Panel("Frame")
        right.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        chosen = QHBoxLayout()
        chosen.addWidget(self.video)
        chosen.addWidget(self.still, 1)
        right.column.addLayout(chosen)
        right.column.addWidget(self.image, 3)
        right.column.addWidget(self.view, 1)
        right.column.addWidget(self.command)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(right, 1)

    def _open(self, _index: int = 0) -> None:
        path, frame = self.video.currentData(), self.frame
        if not isinstance(path, Path):
            return
        try:
            if path.is_dir():
                self.still.open_images(path, open_image_folder(path).files)
            else:
                self.still.open(*recorded_parts(path))
        except (DeepLabStreamError, OSError) as error:
            self.still.clear()
            self.image.clear(str(error))
        else:
            self.still.slider.setValue(frame)
        self._show_state()

    def _show(self, image: Image, _row: int | None) -> None:
        colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        _, content = cv2.imencode(".png", np.asarray(colour, np.uint8))
        self.image.show_png(content.tobytes())
        self._show_state()

    def _show_state(self) -> None:
        able = self.calibration is not None and self.still.file is not None
        self.begin.setEnabled(able and not self.view.running)
        for widget in (self.video, self.still, self.from_below):
            widget.setEnabled(able and not self.view.running)
        self.command.setVisible(able)
        if able:
            self.command.show_command(CALIBRATE.file, self.arguments)

    def _ended(self, code: int) -> None:
        self._show_state()
        if not code and self.calibration is not None:
            lines = self.view.page.toPlainText().strip().splitlines()
            self.state.setText(lines[-2] if len(lines) > 1 else "")
            self.moved.emit(self.calibration)
