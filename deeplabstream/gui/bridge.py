"""Bridge between a session and the widgets: polls the session, emits Qt signals."""

from collections import Counter

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Edge, Note, Step
from deeplabstream.engine.session.messages import ControlChanged
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    armed_instead,
)
from deeplabstream.engine.session.session import Session
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    Phase,
    SessionState,
    StateChanged,
)
from deeplabstream.settings.sections import Settings

PERIOD_MS = 33
_PATIENCE = 10  # ticks without a step after which images are shown without


class Bridge(QObject):
    """Polls a session 30 times a second, on the thread of the windows; never blocks."""

    stepped = pyqtSignal(object)
    """tuple[Step, ...], in their order."""
    noted = pyqtSignal(object)
    """Note"""
    edged = pyqtSignal(object)
    """Edge"""
    failed = pyqtSignal(str)
    """A sentence for the user."""
    status_changed = pyqtSignal(object)
    """SessionState"""
    imaged = pyqtSignal(object, object)
    """Frame, valid until the slot returns, and the Step about it or None."""
    control_changed = pyqtSignal(object)
    """ControlChanged: the answer of a camera to a live change."""
    blockers_changed = pyqtSignal()
    """A program that keeps streams from starting has begun or ended."""
    settings_changed = pyqtSignal()
    """The rig is another one: cameras, outputs, triggers may be new."""
    looked_back = pyqtSignal(object)
    """Path: a person wants to look at this run folder."""
    results_asked = pyqtSignal(object)
    """Path: a person wants to see the results of this run."""
    queue_asked = pyqtSignal(object)
    """Path: a person wants to label the uncertain frames of this run folder."""
    ticked = pyqtSignal()
    """Everything that happened was told."""

    def __init__(self, session: Session, agenda: RequestQueue | None = None) -> None:
        super().__init__()
        self.session = session
        self._agenda = agenda or RequestQueue()
        self.blocked = ""
        """Why no stream may be started, as a sentence; empty: one may."""
        self._steps: dict[str, Step] = {}
        self._awaited: Counter[str] = Counter()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)

    def start(self) -> None:
        """Begin to poll."""
        self._timer.start(PERIOD_MS)

    def stop(self) -> None:
        """Poll no more; nothing is told after this."""
        self._timer.stop()

    @property
    def polling(self) -> bool:
        """Whether it polls."""
        return self._timer.isActive()

    def do(self, action: Action) -> None:
        """Ask the rig for an action, on behalf of a person."""
        self._agenda.drop()
        if action is Action.START_STREAM and self.blocked:
            self.failed.emit(self.blocked)
        else:
            self.session.do(action)

    @property
    def starting(self) -> bool:
        """Whether actions are still to be requested, one after the other."""
        return not self._agenda.done

    def left_to_start(self) -> list[Action]:
        """Return what Start would start: stream, analysis, and an experiment if chosen.

        A rig that remotes start is armed instead.
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

    def begin(self) -> None:
        """Start all that is not running yet, each as soon as it is possible."""
        if self.blocked:
            self.failed.emit(self.blocked)
        else:
            self._agenda = RequestQueue(self.left_to_start())

    def restart(self) -> None:
        """Stop the stream and start it again, with analysis if it was on."""
        again = AGENDAS["analysis" if self.session.state.analysing else "stream"]
        self._agenda = RequestQueue([Action.STOP_STREAM, *again])

    def stop_outputs(self) -> None:
        """Switch every output off, whatever else goes on."""
        self._agenda.drop()
        self.session.take_over()
        for action in (Action.STOP_EXPERIMENT, Action.DISARM):
            if action in self.session.state.allowed:
                self.session.do(action)

    def outputs_off(self) -> bool:
        """Switch every output off; return whether the engine has said that it did."""
        self.stop_outputs()
        return not self.session.state.experimenting

    def use(self, settings: Settings) -> bool:
        """Have the rig use these settings; False: not now, it is running.

        A rig that runs takes only their [Session], until the run folder is made.
        """
        if self.session.state.phase is not Phase.IDLE:
            self.session.take_subject(settings)
            return False
        self.session.settings = settings
        self._steps.clear()
        self.settings_changed.emit()
        return True

    def tick(self) -> None:
        """Tell all that happened, in order, then show the images."""
        steps: list[Step] = []
        for news in self.session.poll():
            if isinstance(news, Step):
                steps.append(news)
                continue
            self._emit_steps(steps)
            if isinstance(news, Note):
                self.noted.emit(news)
            elif isinstance(news, Edge):
                self.edged.emit(news)
            elif isinstance(news, ControlChanged):
                self.control_changed.emit(news)
            elif isinstance(news, Failed):
                if news.grave:
                    self._agenda.drop()
                self.failed.emit(news.text)
            elif isinstance(news, StateChanged):
                self._steps.clear()
                self.status_changed.emit(news.state)
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
            frame: Frame | None = None
            if step is not None:
                frame = self.session.image_of(step)
            elif not status.analysing or self._awaited[camera] > _PATIENCE:
                frame = self.session.newest(camera)
            if frame is not None:
                self.imaged.emit(frame, step)
