"""Run buttons: Start and Stop of the whole session, and of its parts."""

from collections.abc import Sequence

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton

from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.theme import AMBER, GREEN
from deeplabstream.gui.widgets.buttons import Lamp
from deeplabstream.gui.widgets.stop_button import StopButton

_PAIRS = {
    "Stream": (Action.START_STREAM, Action.STOP_STREAM),
    "Analysis": (Action.START_ANALYSIS, Action.STOP_ANALYSIS),
    "Experiment": (Action.START_EXPERIMENT, Action.STOP_EXPERIMENT),
    "Recording": (Action.START_RECORDING, Action.STOP_RECORDING),
    "Remote": (Action.ARM, Action.DISARM),
}


class Controls(QFrame):
    """Start and Stop, and a pair of buttons with a lamp for each part of the session.

    The pair for remotes is shown with `remote`: the rig has a remote control.
    """

    begun = pyqtSignal()
    """Start was pressed."""
    ended = pyqtSignal()
    """Stop was pressed."""

    action_requested = pyqtSignal(object)
    """Action of the button that was pressed."""

    def __init__(self, remote: bool = False) -> None:
        super().__init__()
        self._remote = remote
        self.setObjectName("panel")
        self.buttons: dict[Action, QPushButton] = {}
        self._lamps: dict[str, Lamp] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(12, 10, 12, 12)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        self.start, self.stop = QPushButton("Start"), StopButton("Stop")
        self.start.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.start.setProperty("starts", True)
        self.start.clicked.connect(self.begun)
        self.stop.clicked.connect(self.ended)
        self.stop.setToolTip("ends experiment, recording, analysis and stream")
        for column, button in enumerate((self.start, self.stop), start=1):
            button.setObjectName("all")
            grid.addWidget(button, 0, column)
        for row, (name, pair) in enumerate(_PAIRS.items(), start=1):
            self._lamps[name] = Lamp()
            grid.addWidget(self._lamps[name], row, 0)
            for column, action in enumerate(pair, start=1):
                grid.addWidget(self._button(action, starts=column == 1), row, column)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        self.buttons[Action.ARM].setToolTip("waits for the start by a [Remote NAME]")
        self.message = QLabel()
        self.message.setObjectName("caption")
        self.message.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.message.setWordWrap(True)
        grid.addWidget(self.message, len(_PAIRS) + 1, 0, 1, 3)
        self.show_status(SessionState())

    def show_status(
        self,
        status: SessionState,
        blocked: str = "",
        left: Sequence[Action] = (),
        refused: str = "",
    ) -> None:
        """Enable the allowed actions, and switch on the lamps of running parts.

        `blocked`: why no stream can be started; empty: it can. `left`: actions that Start
        would request. `refused`: why the last action was refused; empty: it was not.
        """
        for action, button in self.buttons.items():
            able = action in status.allowed
            able = able and not (blocked and action is Action.START_STREAM)
            self._enable(button, able)
        self._enable(self.start, bool(left) and not blocked)
        self.stop.setEnabled(Action.STOP_STREAM in status.allowed)
        self.start.setToolTip(_starts(left))
        remote = self._remote or bool(status.remote_controls)
        for action in _PAIRS["Remote"]:
            self.buttons[action].setVisible(remote)
        self._lamps["Remote"].setVisible(remote)
        self._lamps["Remote"].show_colour(AMBER if status.armed else "")
        streaming = status.phase is Phase.STREAMING
        changing = status.phase in (Phase.STARTING, Phase.STOPPING)
        self._lamps["Stream"].show_colour(
            AMBER if changing else GREEN if streaming else ""
        )
        self._lamps["Analysis"].show_colour(GREEN if status.analysing else "")
        self._lamps["Experiment"].show_colour(
            AMBER
            if status.experiment_starting
            else GREEN
            if status.experimenting
            else ""
        )
        self._lamps["Recording"].show_colour(
            AMBER if status.recording_starting else GREEN if status.recording else ""
        )
        idle = status.phase is Phase.IDLE
        wrong = (blocked if idle else _unusable(status)) or refused
        self.message.setText(wrong or _sentence(status))
        if self.message.objectName() != (name := "problem" if wrong else "caption"):
            self.message.setObjectName(name)
            if (
                style := self.message.style()
            ):  # a style sheet is not evaluated again by itself
                style.unpolish(self.message)
                style.polish(self.message)

    def _enable(self, button: QPushButton, able: bool) -> None:
        # otherwise Qt moves the focus to the next button
        if not able and button.hasFocus():
            self.setFocus()
        button.setEnabled(able)

    def _button(self, action: Action, *, starts: bool) -> QPushButton:
        button = QPushButton(action.value) if starts else StopButton(action.value)
        if starts:  # a click does not move the focus
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setProperty("starts", starts)
        button.clicked.connect(lambda: self.action_requested.emit(action))
        self.buttons[action] = button
        return button


def _starts(left: Sequence[Action]) -> str:
    """Return the tooltip of Start."""
    if not left:
        return "all runs"
    parts = [a.value.split()[1].lower() for a in left if a is not Action.ARM]
    starts = [f"starts {', '.join(parts)}"] * bool(parts)
    armed = ["arms the rig for a start by a remote"] * (Action.ARM in left)
    return "; ".join((*starts, *armed))


def _unusable(status: SessionState) -> str:
    """Return why Start ended with the stream: an output that can't be opened."""
    if status.phase is not Phase.STREAMING or status.analysing or status.armed:
        return ""
    failed = [f"[Output {name}] {why}" for name, why in status.failed_outputs.items()]
    return f"Start stopped here: {'; '.join(failed)}" if failed else ""


def _sentence(status: SessionState) -> str:
    if status.phase is Phase.IDLE:
        return "Nothing is running."
    if status.phase is Phase.STARTING:
        return "Opening the cameras …"
    if status.phase is Phase.STOPPING:
        return "Stopping …"
    if status.recording_starting:
        names = ", ".join(f"[Camera {name}]" for name in status.unrecorded)
        return f"The recording starts: no frame of {names} is in its video yet."
    if not status.network_ready:
        return "Loading the network …"
    if status.experiment_starting:
        return "The experiment starts …"
    if status.experimenting:
        by = f", started by [Remote {status.started_by}]" * bool(status.started_by)
        return f"The experiment controls the outputs{by}."
    if status.armed:
        names = " or ".join(f"[Remote {name}]" for name in status.remote_controls)
        return f"Armed: waits for the start by {names}."
    if status.analysing:
        if failed := ", ".join(f"[Output {name}]" for name in status.failed_outputs):
            return f"Tracking; {failed} failed."
        if status.error:
            return f"Tracking; last error: {status.error}"
        return "Tracking; outputs idle."
    return "Frames arrive. Analysis can start."
