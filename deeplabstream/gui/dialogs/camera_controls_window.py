"""Camera controls: exposure, gain, rate and crop of a running camera."""

from functools import partial

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.engine.session.messages import ControlChanged
from deeplabstream.gui.bridge import Bridge
from deeplabstream.plugins.camera import CameraControl, Value, format_value

_NAMES = {
    "exposure_us": ("Exposure", "µs"),
    "exposure": ("Exposure", "driver's unit"),
    "gain": ("Gain", "camera's unit"),
    "rate": ("Rate", "frames/s"),
    "region": ("Region on the sensor", "x, y, width, height px"),
    "crop": ("Crop", "x, y, width, height px"),
}
_HELP = {
    "crop": (
        "used part of the frame; empty: the whole frame. The size can change "
        "only while nothing is analysed or recorded"
    ),
    "region": (
        "part of the sensor that is read out. The size can change only while "
        "nothing is analysed or recorded"
    ),
    "rate": "upper limit; exposure and frame size can lower the rate",
}


class CameraWindow(QDialog):
    """Requests each entered value from the camera, and shows the value that it uses."""

    kept = pyqtSignal(str, object)
    """Name of the camera, and Mapping[str, str]: keys and values for the settings."""

    def __init__(self, bridge: Bridge, camera: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Camera {camera} – DeepLabStream")
        self.bridge, self.camera = bridge, camera
        self.lines: dict[str, QLineEdit] = {}
        self.now: dict[str, QLabel] = {}
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setMinimumHeight(44)
        self.message.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.keep = QPushButton("Keep in settings")
        self.keep.setToolTip(
            "writes the values that the camera accepted to the settings"
        )
        self.keep.setEnabled(False)
        self.keep.clicked.connect(self._keep)
        self._changed: dict[str, str] = {}
        """Values that the camera has accepted, by key of the settings."""
        self._arrange()
        bridge.control_changed.connect(self._take_answer)
        bridge.failed.connect(self._take_failure)
        bridge.settings_changed.connect(self._leave)
        self.resize(520, 0)

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        controls = self.bridge.session.state.controls.get(self.camera, ())
        for row, control in enumerate(controls):
            self._add(grid, row, control)
        close = QPushButton("Close")
        close.setAutoDefault(False)
        close.clicked.connect(self._leave)
        self.keep.setAutoDefault(False)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self.keep)
        foot.addWidget(close)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(grid)
        if missing := self._missing(controls):
            label = QLabel(missing)
            label.setObjectName("caption")
            label.setWordWrap(True)
            column.addWidget(label)
        column.addWidget(self.message)
        column.addLayout(foot)

    def _add(self, grid: QGridLayout, row: int, control: CameraControl) -> None:
        name, unit = _NAMES.get(control.key, (control.key.upper(), ""))
        line = QLineEdit(format_value(control.now))
        line.setToolTip(_HELP.get(control.key, "") or _range_text(control))
        line.setMinimumWidth(150)
        line.returnPressed.connect(partial(self._request, control.key))
        line.editingFinished.connect(partial(self._request, control.key))
        now = QLabel()
        now.setObjectName("caption")
        self.lines[control.key], self.now[control.key] = line, now
        label = QLabel(name)
        label.setToolTip(line.toolTip())
        grid.addWidget(label, row, 0)
        grid.addWidget(line, row, 1)
        grid.addWidget(QLabel(unit), row, 2)
        grid.addWidget(now, row, 3)
        self._show(control)

    def _missing(self, controls: tuple[CameraControl, ...]) -> str:
        """Return a sentence that names common controls which this camera lacks."""
        present = {control.key.removesuffix("_us") for control in controls}
        absent = [name for name in ("exposure", "gain", "rate") if name not in present]
        if not absent:
            return ""
        kind = type(self.bridge.session.settings.cameras[self.camera]).__name__
        listed = " and ".join([", ".join(absent[:-1]), absent[-1]][len(absent) < 2 :])
        return f"{kind} can't change its {listed} while the camera runs."

    def _request(self, key: str) -> None:
        value = self.lines[key].text().strip()
        if value == self.lines[key].property("shown"):
            return
        self.lines[key].setProperty("shown", value)
        self.message.setText("…")
        self.bridge.session.adjust(self.camera, key.upper(), value)

    def _take_answer(self, answer: ControlChanged) -> None:
        if answer.camera != self.camera:
            return
        self.message.setText(answer.text.removeprefix(f"[Camera {self.camera}] "))
        for control in answer.controls:
            self._show(control, rewrite=control.key == answer.key)
            if answer.done and control.key == answer.key:
                self._changed[answer.key.upper()] = _settings_value(control)
        self.keep.setEnabled(bool(self._changed))

    def _take_failure(self, text: str) -> None:
        self.message.setText(text)

    def _show(self, control: CameraControl, rewrite: bool = True) -> None:
        """Show the reported value; a field that may be being edited is left alone."""
        if control.key not in self.lines:
            return
        self.now[control.key].setText(f"now {format_value(control.now) or 'unknown'}")
        line = self.lines[control.key]
        if rewrite or not line.hasFocus():
            line.setText(format_value(control.now))
            line.setProperty("shown", line.text())

    def _keep(self) -> None:
        self.kept.emit(self.camera, dict(self._changed))
        self.message.setText("Changed in the settings. File → Save writes the file.")
        self._changed.clear()
        self.keep.setEnabled(False)

    def _leave(self) -> None:
        self.close()


def _range_text(control: CameraControl) -> str:
    if isinstance(control.low, float | int) and isinstance(control.high, float | int):
        return f"{format_value(control.low)} to {format_value(control.high)}"
    return ""


def _settings_value(control: CameraControl) -> str:
    """Return the value for the settings; empty for a crop of the whole image."""
    value: Value = control.now
    return (
        "" if control.key == "crop" and value == control.high else format_value(value)
    )
