"""Bridge between a session and the widgets: polls the session, emits Qt signals."""

from collections import Counter

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Edge, Note, Step
from deeplabstream.engine.session.earlier_run import Resumption
from deeplabstream.engine.session.messages import ControlChanged
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    armed_instead,
)
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    Phase,
    SessionState,
    StateChanged,
)
from deeplabstream.settings.sections import Settings

PERIOD_MS = 33
_PATIENCE = 10  # ticks without a step after which frames are shown without a pose


class Bridge(QObject):
    """Polls a session 30 times a second in the window's thread, without blocking."""

    stepped = pyqtSignal(object)
    """tuple[Step, ...]: the steps since the last signal, in order."""
    noted = pyqtSignal(object)
    """Note"""
    edged = pyqtSignal(object)
    """Edge"""
    failed = pyqtSignal(str)
    """Error message."""
    status_changed = pyqtSignal(object)
    """SessionState"""
    imaged = pyqtSignal(object, object)
    """Frame, valid until the slot returns, and its Step or None."""
    control_changed = pyqtSignal(object)
    """ControlChanged: reply of a camera to a change of a control."""
    blockers_changed = pyqtSignal()
    """A program that blocks the start of streams has started or ended."""
    settings_changed = pyqtSignal()
    """Other settings are in use: cameras, outputs and triggers may have changed."""
    run_requested = pyqtSignal(object)
    """Path of a run folder, to show on the page Runs."""
    results_requested = pyqtSignal(object)
    """Path of a run folder, to show on the page Results."""
    settings_requested = pyqtSignal()
    """The page Settings is to be shown."""
    queue_requested = pyqtSignal(object)
    """Path of a run folder whose uncertain frames are to be labelled."""
    stop_requested = pyqtSignal()
    """STOP was pressed in the stop window, while this process did not respond."""
    ticked = pyqtSignal()
    """All events since the last tick have been emitted."""

    def __init__(self, session: RigSession, agenda: RequestQueue | None = None) -> None:
        super().__init__()
        self.session = session
        self._agenda = agenda or RequestQueue()
        self.blocked = ""
        """Why no stream can be started; empty: it can."""
        self._steps: dict[str, Step] = {}
        self._awaited: Counter[str] = Counter()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)

    def start(self) -> None:
        """Start polling."""
        self._timer.start(PERIOD_MS)

    def stop(self) -> None:
        """Stop polling: no further signal is emitted."""
        self._timer.stop()

    @property
    def polling(self) -> bool:
        """Whether the session is polled."""
        return self._timer.isActive()

    def do(self, action: Action) -> None:
        """Request an action of the user; actions still waiting are dropped."""
        self._agenda.drop()
        if action is Action.START_STREAM and self.blocked:
            self.failed.emit(self.blocked)
        else:
            self.session.do(action)

    @property
    def starting(self) -> bool:
        """Whether actions of the start are still to be requested."""
        return not self._agenda.done

    def left_to_start(self) -> list[Action]:
        """Return the actions that Start would request: stream, analysis, experiment.

        A rig with remote controls is armed instead of starting its experiment.
        """
        state, settings = self.session.state, self.session.settings
        if state.phase is Phase.STOPPING:
            return []

        runs = {
            Action.START_STREAM: state.phase is not Phase.IDLE,
            Action.START_ANALYSIS: state.analysing,
            Action.START_EXPERIMENT: state.experimenting or state.experiment_starting,
        }

        agenda = "experiment" if settings.experiment.exp_name else "analysis"
        runs[Action.ARM] = runs[Action.START_EXPERIMENT] or state.armed
        actions = armed_instead(AGENDAS[agenda], settings)
        if settings.controls() and Action.ARM not in actions:
            actions.append(Action.ARM)
        return [action for action in actions if not runs[action]]

    def begin(self, resumes: Resumption | None = None) -> None:
        """Start the parts that do not run yet, in order, each as soon as it is allowed.

        `resumes`: the run whose experiment goes on; None: a new one begins.
        """
        if self.blocked:
            self.failed.emit(self.blocked)
        else:
            self.session.resumes = resumes
            self._agenda = RequestQueue(self.left_to_start())

    def restart(self) -> None:
        """Stop the stream and start it again, with analysis if it was on."""
        again = AGENDAS["analysis" if self.session.state.analysing else "stream"]
        self._agenda = RequestQueue([Action.STOP_STREAM, *again])

    def restart_experiment(self) -> None:
        """Stop the stream, start it again, and continue the run's experiment in a new run."""
        session = self.session
        if (run := session.state.run_folder) is not None:
            session.resumes = Resumption(run, required=False)
        again = armed_instead(AGENDAS["experiment"], session.settings)
        self._agenda = RequestQueue([Action.STOP_STREAM, *again])

    def stop_outputs(self) -> None:
        """Switch all outputs off, in every state of the session."""
        self._agenda.drop()
        # First: a remote must not arm the rig again by itself.
        self.session.take_over()
        for action in (Action.STOP_EXPERIMENT, Action.DISARM):
            if action in self.session.state.allowed:
                self.session.do(action)

    def outputs_off(self) -> bool:
        """Switch all outputs off; return whether the engine has confirmed it."""
        self.stop_outputs()
        return not self.session.state.experimenting

    def use(self, settings: Settings) -> bool:
        """Use these settings; False: the rig is running and keeps its own.

        A running rig takes only the section [Session], until the experiment starts.
        """
        if self.session.state.phase is not Phase.IDLE:
            self.session.take_subject(settings)
            return False
        self.session.settings = settings
        self._steps.clear()
        self.settings_changed.emit()
        return True

    def tick(self) -> None:
        """Emit all events since the last tick in order, then the images."""
        # First: nothing may start that was still to be requested when STOP was pressed.
        if self.session.stop_requested():
            self.stop_requested.emit()

        steps: list[Step] = []
        for event in self.session.poll():
            # Consecutive steps share one signal: several cameras deliver many per tick.
            if isinstance(event, Step):
                steps.append(event)
                continue

            # Any other event comes after the steps before it, as in the session.
            self._emit_steps(steps)
            if isinstance(event, Note):
                self.noted.emit(event)
            elif isinstance(event, Edge):
                self.edged.emit(event)
            elif isinstance(event, ControlChanged):
                self.control_changed.emit(event)
            elif isinstance(event, Failed):
                if event.grave:
                    self._agenda.drop()
                self.failed.emit(event.text)
            elif isinstance(event, StateChanged):
                self._steps.clear()
                self.status_changed.emit(event.state)
        self._emit_steps(steps)

        if not self.blocked:
            self._agenda.advance(self.session)
        if self.session.state.phase is Phase.STREAMING:
            self._show(self.session.state)
        self.ticked.emit()

    def _emit_steps(self, steps: list[Step]) -> None:
        if steps:
            self._steps.update((step.camera, step) for step in steps)
            self.stepped.emit(tuple(steps))
            steps.clear()

    def _show(self, status: SessionState) -> None:
        for camera in self.session.cameras:
            step = self._steps.pop(camera, None)
            self._awaited[camera] = 0 if step else self._awaited[camera] + 1

            # A pose is painted over the frame that it was found in. Newer frames are
            # shown without a pose only if the analysis is off or late.
            frame: Frame | None = None
            if step is not None:
                frame = self.session.image_of(step)
            elif not status.analysing or self._awaited[camera] > _PATIENCE:
                frame = self.session.newest(camera)
            if frame is not None:
                self.imaged.emit(frame, step)
