"""Rig facts: what the settings say about cameras, network, outputs and runs, without a stream."""

from collections.abc import Iterator
from pathlib import Path

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QGridLayout, QLabel

from deeplabstream.engine.checks.system_monitor import free_gb
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.plugins.camera import Camera
from deeplabstream.settings.sections import Settings


class RigFacts(Panel):
    """A row for each part of the rig, and a sentence on what to do."""

    def __init__(self) -> None:
        super().__init__("Rig")
        self.values: dict[str, QLabel] = {}
        """Texts by the part of the rig."""
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self.column.addLayout(self._grid)
        self.column.addStretch(1)
        for part in ("Cameras", "Network", "Outputs", "Experiment", "Runs"):
            caption, self.values[part] = QLabel(part), QLabel()
            caption.setObjectName("caption")
            self.values[part].setWordWrap(True)
            self.values[part].setTextFormat(Qt.TextFormat.PlainText)
            row = self._grid.rowCount()
            self._grid.addWidget(caption, row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(self.values[part], row, 1)

    def show_settings(self, settings: Settings) -> None:
        """Show the facts of a rig."""
        cameras = "\n".join(_camera_texts(settings))
        outputs = ", ".join(
            f"{name} ({type(output).__name__})"
            for name, output in settings.outputs.items()
        )
        self.values["Cameras"].setText(cameras)
        self.values["Network"].setText(settings.pose.model)
        self.values["Outputs"].setText(outputs or "none")
        self.values["Experiment"].setText(settings.experiment.exp_name or "none")
        self.values["Runs"].setText(_disk_text(settings.output_directory))


def _camera_texts(settings: Settings) -> Iterator[str]:
    for name in settings.camera_order:
        camera: Camera = settings.cameras[name]
        roles = [
            role
            for role, has in (
                ("analysed", camera.analyse),
                ("recorded", camera.record),
            )
            if has
        ]
        kind = type(camera).__name__
        yield f"{name} ({kind}): {', '.join(roles) or 'shown only'}"


def _disk_text(folder: Path) -> str:
    """Return a folder and the free space on its disk, also before the folder is made."""
    free = free_gb(folder)
    return (
        f"{folder}: can't be read" if free is None else f"{folder}\n{free:.1f} GB free"
    )
