"""Contract of the wizard's pages, and the choices that they share."""

from dataclasses import dataclass, field
from pathlib import Path

from PyQt5.QtWidgets import QLabel, QWizardPage

from deeplabstream.core.frame import Image
from deeplabstream.settings.loading import parse
from deeplabstream.settings.new_rig import RigChoices
from deeplabstream.settings.sections import Settings


@dataclass
class RigDraft:
    """The choices so far, and what later pages show of them."""

    folder: Path = Path()
    """Folder of the rig."""
    choices: RigChoices = field(default_factory=RigChoices)
    camera: str = ""
    """Name of the camera in the list of connected ones."""
    image: Image | None = None
    """Last frame of the camera."""
    network: str = ""
    """Name and purpose of the network."""
    bodyparts: tuple[str, ...] = ()
    """Body parts of the network."""

    def settings(self) -> Settings:
        """Return the settings of the choices so far, or raise SettingsError."""
        return parse(self.choices.text(), self.folder.parent)


class RigPage(QWizardPage):
    """One page; `take` adds its fields to the choices."""

    def __init__(self, rig: RigDraft, title: str, about: str) -> None:
        super().__init__()
        self.rig = rig
        self.setTitle(title)
        self.setSubTitle(about)
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)

    def take(self) -> str:
        """Add the fields to the choices; return why they can't be used; empty: they can."""
        return ""

    def stop(self) -> None:
        """End threads and devices of the page."""

    def validatePage(self) -> bool:  # noqa: N802
        """Allow the next page if the fields can be used."""
        self.problem.setText(self.take())
        return not self.problem.text()
