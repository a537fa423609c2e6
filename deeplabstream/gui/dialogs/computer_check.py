"""Button that examines the computer and shows what was found, in a window."""

from PyQt5.QtWidgets import QPushButton

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.program_window import ProgramWindow

OUTCOMES = {1: "Problems were found: see the list above."}


class ExamineButton(QPushButton):
    """Starts `utils/Doctor.py`; disabled while the rig runs, which the checks would disturb."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__("Examine computer …")
        self.setToolTip(
            "Packages, disk, cameras, serial ports, GPU: what is wrong, and the command "
            "that fixes it. Stop the stream first."
        )
        self._bridge = bridge
        self.clicked.connect(self._examine)
        bridge.status_changed.connect(self._take_status)
        self._take_status(bridge.session.state)

    def _take_status(self, state: SessionState) -> None:
        self.setEnabled(state.phase is Phase.IDLE)

    def _examine(self) -> None:
        folder = str(self._bridge.session.settings.output_directory)
        window = ProgramWindow(
            "Examine computer", "Doctor.py", ["--output", folder], self, OUTCOMES
        )
        window.show()
