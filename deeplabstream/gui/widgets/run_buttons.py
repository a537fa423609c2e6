"""Run buttons: Start and Stop of the whole session, and folded below them of its parts."""

from collections.abc import Sequence

from PyQt5.QtCore import Qt, pyqtBoundSignal, pyqtSignal
from PyQt5.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.theme import AMBER, GREEN, repolish
from deeplabstream.gui.widgets.buttons import Lamp, fold_text
from deeplabstream.gui.widgets.stop_button import StopButton

_PAIRS = {
    "Stream": (Action.START_STREAM, Action.STOP_STREAM),
    "Analysis": (Action.START_ANALYSIS, Action.STOP_ANALYSIS),
    "Experiment": (Action.START_EXPERIMENT, Action.STOP_EXPERIMENT),
    "Recording": (Action.START_RECORDING, Action.STOP_RECORDING),
    "Remote": (Action.ARM, Action.DISARM),
}


class Controls(QFrame):
    """Start and Stop, a lamp for each part of the session, and its folded single steps.

    Lamp and steps of remotes are shown with `remote`: the rig has a remote control.
    """

    begun = pyqtSignal()
    """Start was pressed."""
    ended = pyqtSignal()
    """Stop was pressed."""

    resumed = pyqtSignal()
    """*Resume the interrupted run* was pressed."""

    plate_accepted = pyqtSignal()
    """*Use the plate where it lies* was pressed."""

    action_requested = pyqtSignal(object)
    """Action of the button that was pressed."""

    def __init__(self, remote: bool = False) -> None:
        super().__init__()
        self._remote = remote
        self.setObjectName("panel")
        self.buttons: dict[Action, QPushButton] = {}
        self._lamps: dict[str, Lamp] = {}
        self._captions: dict[str, QLabel] = {}
        self.start, self.stop = QPushButton("Start"), StopButton("Stop")
        _let_start(self.start, self.begun)
        self.stop.clicked.connect(self.ended)
        self.interrupted = ""
        """Name of the run that was interrupted, and can go on; empty: none."""
        self.resume = QPushButton("Resume the interrupted run")
        _let_start(self.resume, self.resumed)
        self.is_plate_away = False
        """Whether the plate of the arenas is not where it was at the start of the stream."""
        self.accept_plate = QPushButton("Use the plate where it lies")
        _let_start(self.accept_plate, self.plate_accepted)
        self.accept_plate.setToolTip(
            "starts the stream again, with the arenas where the plate is found; a running "
            "experiment goes on where it was, in a new run"
        )
        self.stop.setToolTip("ends experiment, recording, analysis and stream")
        both = QHBoxLayout()
        both.setSpacing(8)
        for button in (self.start, self.stop):
            button.setObjectName("all")
            both.addWidget(button, 1)

        self.message = QLabel()
        """What runs, or why nothing can be started."""
        self.message.setObjectName("caption")
        self.message.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.message.setWordWrap(True)
        self.unfold = QPushButton()
        """Shows or hides the single steps."""
        self.unfold.setObjectName("link")
        self.unfold.setCheckable(True)
        self.unfold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.unfold.setToolTip("starts and stops the parts alone")
        self.unfold.toggled.connect(self._unfold)
        self._steps = self._build_steps()

        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(8)
        column.addLayout(both)
        column.addWidget(self.resume)
        column.addWidget(self.accept_plate)
        column.addLayout(self._build_lamps())
        column.addWidget(self.message)
        column.addWidget(self.unfold)
        column.addWidget(self._steps)
        self._unfold(False)
        self.show_status(SessionState())

    def _build_lamps(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        for place, name in enumerate(_PAIRS):
            row, column = divmod(place, 2)
            self._lamps[name], self._captions[name] = Lamp(), QLabel(name)
            self._captions[name].setObjectName("caption")
            grid.addWidget(self._lamps[name], row, 2 * column)
            grid.addWidget(self._captions[name], row, 2 * column + 1)
        for column in (1, 3):
            grid.setColumnStretch(column, 1)
        return grid

    def _build_steps(self) -> QWidget:
        steps = QWidget()
        steps.setObjectName("clear")
        grid = QGridLayout(steps)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        for row, pair in enumerate(_PAIRS.values()):
            for column, action in enumerate(pair):
                grid.addWidget(self._button(action, starts=column == 0), row, column)
                grid.setColumnStretch(column, 1)
        self.buttons[Action.ARM].setToolTip("waits for the start by a [Remote NAME]")
        return steps

    def _unfold(self, unfolded: bool) -> None:
        self.unfold.setText(fold_text("Single steps", unfolded))
        self._steps.setVisible(unfolded)

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
        for widget in (self._lamps["Remote"], self._captions["Remote"]):
            widget.setVisible(remote)
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
        self._enable(self.resume, self.start.isEnabled())
        self.resume.setVisible(idle and bool(self.interrupted))
        self.resume.setToolTip(
            f"continues the experiment of {self.interrupted} where it was; Start begins a "
            "new one"
        )
        self.accept_plate.setVisible(streaming and self.is_plate_away)
        wrong = (blocked if idle else _unusable(status)) or refused
        self.message.setText(wrong or _sentence(status, self.interrupted))
        if self.message.objectName() != (name := "problem" if wrong else "caption"):
            self.message.setObjectName(name)
            repolish(self.message)

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


def _let_start(button: QPushButton, pressed: pyqtBoundSignal) -> None:
    """Let a button emit a signal that starts something; a click does not move the focus."""
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setProperty("starts", True)
    button.clicked.connect(pressed)


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


def _sentence(status: SessionState, interrupted: str) -> str:
    if status.phase is Phase.IDLE:
        return (
            f"The last run, {interrupted}, was interrupted: its end is not recorded, as after "
            "a power cut."
            if interrupted
            else "Nothing is running."
        )
    if status.phase is Phase.STARTING:
        return "Opening the cameras …"
    if status.phase is Phase.STOPPING:
        return "Stopping …"
    if status.recording_starting:
        names = ", ".join(f"[Camera {name}]" for name in status.unrecorded)
        return f"The recording starts: no frame of {names} is in its video yet."
    if not (status.network_ready or status.lacks_network):
        return "Loading the network …"
    if status.experiment_starting:
        unknown = status.animals_unknown
        waits = f"The experiment waits: {unknown}."
        return waits if unknown else "The experiment starts …"
    if status.experimenting:
        by = f", started by [Remote {status.started_by}]" * bool(status.started_by)
        return f"The experiment controls the outputs{by}."
    if status.armed:
        names = " or ".join(f"[Remote {name}]" for name in status.remote_controls)
        return f"Armed: waits for the start by {names}."
    if status.lacks_network:
        return "Frames arrive. The analysis needs a network: [Pose Estimation] MODEL."
    if status.analysing:
        if failed := ", ".join(f"[Output {name}]" for name in status.failed_outputs):
            return f"Tracking; {failed} failed."
        if status.error:
            return f"Tracking; last error: {status.error}"
        return "Tracking; outputs idle."
    return "Frames arrive. Analysis can start."
