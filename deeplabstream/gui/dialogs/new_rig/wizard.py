"""Wizard for a new rig: camera, network, region, trigger, output and its test."""

import os
from pathlib import Path

from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
    QWizard,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.overwriting import check_new, free_path
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.new_rig.camera_page import CameraPage
from deeplabstream.gui.dialogs.new_rig.network_page import NetworkChoicePage
from deeplabstream.gui.dialogs.new_rig.output_page import OutputPage
from deeplabstream.gui.dialogs.new_rig.rig_page import RigDraft, RigPage
from deeplabstream.gui.dialogs.new_rig.test_page import TestPage
from deeplabstream.gui.dialogs.new_rig.trigger_pages import RegionPage, TriggerPage

_SIZE = (860, 640)  # px


class NewRigWizard(QWizard):
    """Collects choices on several pages; `file` is the settings file that was written."""

    def __init__(self, folder: Path, parent: QWidget) -> None:
        super().__init__(parent)
        self.rig = RigDraft(folder)
        self.file: Path | None = None
        self.setWindowTitle("New rig – DeepLabStream")
        self.setWizardStyle(QWizard.WizardStyle.ClassicStyle)
        self.setOption(QWizard.WizardOption.NoBackButtonOnStartPage)
        self.folder = FolderPage(self.rig)
        self.camera = CameraPage(self.rig)
        self.network = NetworkChoicePage(self.rig)
        self.region = RegionPage(self.rig)
        self.trigger = TriggerPage(self.rig)
        self.output = OutputPage(self.rig)
        self.test = TestPage(self.rig)
        self._steps: tuple[RigPage, ...] = (
            *(self.folder, self.camera, self.network, self.region),
            *(self.trigger, self.output, self.test),
        )
        for number, page in enumerate(self._steps, start=1):
            page.setTitle(f"{number} of {len(self._steps)}  {page.title()}")
            self.addPage(page)
        self.resize(*_SIZE)

    def done(self, result: int) -> None:
        """Close cameras and outputs; write the rig folder unless the user cancelled."""
        for page in self._steps:
            page.stop()
        if result:
            try:
                self.file = self.rig.choices.write(self.rig.folder)
            except DeepLabStreamError as error:
                self.test.problem.setText(str(error))
                return
        super().done(result)


class FolderPage(RigPage):
    """Name and location of the rig folder."""

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(
            rig,
            "Rig folder",
            "A new folder for settings, networks and recordings of this rig.",
        )
        self.line = QLineEdit(str(free_path(rig.folder)))
        self.line.setToolTip("a new or empty folder")
        browse = QPushButton("Browse …")
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(browse)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self.problem)
        column.addStretch(1)

    @property
    def path(self) -> Path:
        """The folder that was entered."""
        return Path(self.line.text().strip()).expanduser().absolute()

    def take(self) -> str:
        """Check that the folder is new or empty, and can be created."""
        if not self.line.text().strip():
            return "Name a folder."
        try:
            check_new(self.path)
            places = self.path, *self.path.parents
            above = next(place for place in places if place.exists())
        except (DeepLabStreamError, OSError) as error:
            return str(error)
        if not above.is_dir() or not os.access(above, os.W_OK):
            return f"No folder can be created in {above}. Choose another place."
        self.rig.folder = self.path
        return ""

    def _browse(self) -> None:
        folder = file_dialogs.new_folder(
            self, "Folder of the rig, new or empty", self.path.parent
        )
        if folder is not None:
            self.line.setText(str(folder))
