"""Calibrated tab: shows the cameras of a calibration and writes it to the settings."""

from pathlib import Path

from PyQt5.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.questions import CANCEL, show_question
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.settings_form import names_in
from deeplabstream.gui.widgets.values_table import ValuesTable
from deeplabstream.offline.camera_calibration.one_camera import camera_settings
from deeplabstream.recording.calibrations.calibration_file import (
    FILTER,
    read_calibration,
    read_stored,
)
from deeplabstream.settings import ini_editing
from deeplabstream.space.calibrated_camera import CalibratedCamera

SECTION, KEY = "Space", "CALIBRATION"
_COLUMNS = ("camera", "in the settings", "image", "focal length, px", "x, mm", "y, mm",
            "z, mm")  # fmt: skip
_NONE = "Calibrate first, or choose a calibration of another program."
_REPLACE = "Use the new one"


class CalibratedTab(QWidget):
    """Cameras of a calibration, and a button that writes it to [Space]."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.calibration: Path | None = None
        self._used = ""
        """Settings to which the calibration was just written; empty: it was not."""
        self.cameras: tuple[CalibratedCamera, ...] = ()
        self.message = QLabel(_NONE)
        self.message.setWordWrap(True)
        self.table = ValuesTable()
        self.choose = QPushButton("Choose a calibration …")
        self.use = QPushButton("Use in the settings")
        self.use.setProperty("starts", True)
        self.use.setToolTip(
            f"writes {KEY} of [{SECTION}], or LENS and MARKS of one camera; all else "
            "stays as it is"
        )
        panel = Panel("Calibration")
        panel.column.addWidget(self.table, 1)
        panel.column.addWidget(self.message)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.choose)
        buttons.addWidget(self.use)
        panel.column.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(panel)
        self.choose.clicked.connect(lambda: self._browse())
        self.use.clicked.connect(lambda: self.use_calibration())
        document.changed.connect(self._follow)
        self._show_cameras()

    def take(self, calibration: Path) -> None:
        """Show a calibration."""
        try:
            cameras = _cameras_of(calibration)
        except (DeepLabStreamError, OSError) as error:
            self.calibration, self.cameras = None, ()
            self.message.setText(str(error))
        else:
            self.calibration, self.cameras = calibration, cameras
            self.message.setText(self._advice())
        self._show_cameras()

    def use_calibration(self) -> None:
        """Write the calibration to the settings; another one only after a question."""
        if self.calibration is None:
            return
        if len(self.cameras) == 1:
            self._use_one(self.cameras[0])
            return
        folder = self.document.path.parent
        word = _word(self.calibration, folder)
        present = self.document.values.get(SECTION, {}).get(KEY, "").strip()
        if present and (folder / present).resolve() != self.calibration.resolve():
            question = (
                f"The settings use the calibration {present}. Use {word} instead?"
            )
            if show_question(self, question, _REPLACE, CANCEL) != _REPLACE:
                return
        self.document.set_value(SECTION, KEY, word)
        self._used = self.document.text
        self.document.check()
        problems = [*self.document.problems, *self.document.findings]
        self.message.setText(
            "\n".join([f"The settings use {word} now. Save to keep it.", *problems])
        )

    def _use_one(self, camera: CalibratedCamera) -> None:
        """Write the lens of one camera, and its marks of the floor, to its section."""
        title, text = f"Camera {camera.name}", self.document.text
        try:
            values = camera_settings(camera)
        except DeepLabStreamError as error:
            self.message.setText(str(error))
            return
        if camera.name not in self._own:
            self.message.setText(self._advice())
            return
        present = self.document.values.get(title, {})
        used = [
            key for key in ("MM_PER_PIXEL", "MARKS") if present.get(key, "").strip()
        ]
        if used and "MARKS" in values:
            question = (
                f"[{title}] has {used[0]}. Use the floor of the calibration instead?"
            )
            if show_question(self, question, _REPLACE, CANCEL) != _REPLACE:
                return
            text = ini_editing.set_value(text, title, "MM_PER_PIXEL", None)
        for key, value in values.items():
            text = ini_editing.set_value(text, title, key, value)
        self.document.edit(text)
        self._used = self.document.text
        self.document.check()
        lines = [f"{' and '.join(values)} of [{title}] are set. Save to keep them."]
        if "MARKS" not in values:
            lines = [
                f"LENS of [{title}] is set. Save to keep it. Then set the floor here, or draw "
                "a scale on the page Regions: a scale or marks of before do not fit."
            ]
        self.message.setText("\n".join([*lines, *self.document.problems]))

    def _advice(self) -> str:
        """Return what does not fit the settings; empty: all does."""
        if not self.cameras:
            return ""
        lines = []
        own = self._own
        names = [camera.name for camera in self.cameras]
        if unknown := [name for name in names if name not in own]:
            lines.append(
                f"The settings have no camera {', '.join(unknown)} (they have "
                f"{', '.join(own) or 'none'}). Add cameras with these names on the page "
                "Settings, or calibrate again with the names of the settings."
            )
        if missing := [name for name in own if name not in names]:
            lines.append(f"Not calibrated: {', '.join(missing)}.")
        if not self.cameras[0].centre.any():
            lines.append(
                f"x, y and z are those of the camera {names[0]}. Set the "
                "floor, so that z is the height above it."
            )
        return "\n".join(lines)

    @property
    def _own(self) -> list[str]:
        """Cameras of the settings, which may have problems."""
        return names_in(self.document, "Camera")

    def _follow(self) -> None:
        """Show the cameras beside those of changed settings, and what does not fit any more."""
        self._show_cameras()
        if self.cameras and self.document.text != self._used:
            self._used = ""
            self.message.setText(self._advice())

    def _show_cameras(self) -> None:
        rows: list[list[object]] = []
        own = self._own
        for camera in self.cameras:
            height, width = camera.size
            size = f"{width} × {height}" if height and width else ""
            place = [round(float(value), 1) for value in camera.centre]
            known = "yes" if camera.name in own else "no"
            focal = round(float(camera.matrix[0, 0]))
            rows.append([camera.name, known, size, focal, *place])
        self.table.show_values(_COLUMNS, rows)
        self.table.resizeColumnsToContents()
        here = sum(camera.name in own for camera in self.cameras)
        self.use.setEnabled(here >= min(2, len(self.cameras)) > 0)

    def _browse(self) -> None:
        start = str(self.document.path.parent)
        if name := file_dialogs.open_file(self, "Calibration", start, FILTER):
            self.take(Path(name))


def _cameras_of(calibration: Path) -> tuple[CalibratedCamera, ...]:
    """Return the cameras of a calibration, which may be one; DeepLabStreamError: none."""
    stored = read_stored(calibration)
    if len(stored.cameras) == 1:
        return stored.cameras
    return read_calibration(calibration).cameras


def _word(calibration: Path, folder: Path) -> str:
    """Return the path as it is written in the settings: relative below their folder."""
    path = calibration.resolve()
    inside = path.is_relative_to(folder.resolve())
    return path.relative_to(folder.resolve()).as_posix() if inside else str(path)
