"""Network page of the wizard: what each network is for, and what it finds now."""

from dataclasses import replace

from PyQt5.QtWidgets import QVBoxLayout

from deeplabstream.core.errors import SettingsError
from deeplabstream.files.paths import ROOT
from deeplabstream.files.rig_folder import MODELS
from deeplabstream.gui.camera_preview import camera_of
from deeplabstream.gui.dialogs.new_rig.rig_page import RigDraft, RigPage
from deeplabstream.gui.widgets.network_choice import NetworkChoice
from deeplabstream.settings.new_rig import model_folders

_FOR_THE_SIMULATED, _FOR_MICE = "arena", "openfield"


class NetworkChoicePage(RigPage):
    """Networks of the program and of the rigs in use, with their points on the camera."""

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(
            rig,
            "Network",
            "Which network finds your animal? Choose one: its points are drawn on the "
            "camera's image. You can train one of your own later, on the page Network.",
        )
        self.choice = NetworkChoice(model_folders())
        column = QVBoxLayout(self)
        column.addWidget(self.choice, 1)
        column.addWidget(self.problem)
        self._proposed = ""

    def initializePage(self) -> None:  # noqa: N802
        """Propose the network for the simulated mouse or a real one, and open the camera."""
        camera = self.rig.choices.camera
        simulated = camera["KIND"] == "SimulatedCamera"
        proposed = _FOR_THE_SIMULATED if simulated else _FOR_MICE
        if proposed != self._proposed and self.choice.choose(proposed):
            self._proposed = proposed
        try:
            self.choice.show_camera(camera_of(camera))
        except SettingsError as error:
            self.problem.setText("\n".join(error.problems))

    def cleanupPage(self) -> None:  # noqa: N802
        """Close the camera for the page before."""
        super().cleanupPage()
        self.stop()

    def take(self) -> str:
        """Take the chosen network."""
        folder, model = self.choice.folder, self.choice.model
        if folder is None or model is None:
            return "Choose a network that can be read."
        shipped = folder.parent == ROOT / MODELS
        word = folder.name if shipped else str(folder.absolute())
        self.rig.choices = replace(self.rig.choices, model=word)
        self.rig.bodyparts = model.skeleton.bodyparts
        self.rig.network = f"{folder.name} ({model.purpose})"
        if self.choice.poses is not None:
            self.rig.image = self.choice.poses.image
        self.stop()
        return ""

    def stop(self) -> None:
        """Close the camera and the network."""
        self.choice.stop()
