"""Live page: images of the cameras and log on the left, run buttons and panels on the right."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note, Step
from deeplabstream.core.pose import Thresholds
from deeplabstream.engine.checks.preflight import WARNING
from deeplabstream.engine.plate_watch import AWAY_FLAG
from deeplabstream.engine.session.earlier_run import Resumption
from deeplabstream.engine.session.session_state import (
    Action,
    Phase,
    SessionState,
    last_line,
)
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.camera_controls_window import CameraWindow
from deeplabstream.gui.dialogs.output_test_dialog import OutputTest
from deeplabstream.gui.dialogs.questions import show_question
from deeplabstream.gui.interrupted_run_finder import InterruptedRunFinder
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import commit_field
from deeplabstream.gui.widgets.live_display import Display
from deeplabstream.gui.widgets.live_panels import (
    AnimalsPanel,
    MeasuresPanel,
    OutputsPanel,
    SubjectPanel,
)
from deeplabstream.gui.widgets.log_drawer import LogDrawer
from deeplabstream.gui.widgets.panels import Marks, Triggers
from deeplabstream.gui.widgets.problem_notice import ProblemNotice
from deeplabstream.gui.widgets.run_buttons import Controls
from deeplabstream.recording.frame_queue import count_queued
from deeplabstream.settings import ini_editing

_SIDE_WIDTH = 320
_TICKS_PER_UPDATE = 8
_STOP, _KEEP = "Stop", "Keep running"
_CONTINUE, _KEEP_WAITING = "Continue in a new run", "Wait for the plate"


class LivePage(QWidget):
    """Shows and controls a running rig; replaced when other settings are in use.

    Without cameras, as in settings with problems, it shows the problems.
    """

    def __init__(
        self, bridge: Bridge, document: Document, log: LogDrawer, test: OutputTest
    ) -> None:
        super().__init__()
        settings = bridge.session.settings
        self.bridge = bridge
        self.document = document
        self.log = log
        self.display = Display(bridge)
        if not settings.cameras:
            notice = ProblemNotice(document)
            notice.settings_requested.connect(bridge.settings_requested)
            self.display.replace_images(notice)
        self.controls = Controls(remote=bool(settings.controls()))
        self.subject = SubjectPanel(document)
        self.outputs = OutputsPanel(list(settings.outputs))
        self.animals = AnimalsPanel(list(settings.triggers_by_camera()))
        self.triggers = Triggers(list(settings.triggers))
        self.marks = Marks()
        self.measures = MeasuresPanel()
        self.test = test
        self.finder = InterruptedRunFinder(self)
        self._experimenting = False
        self._interrupted: Path | None = None
        """The last run, if it was interrupted and can go on."""
        self._idle = False
        self._ticks = 0
        self.adjusting: dict[str, QPushButton] = {}
        """Buttons for the controls of each camera."""
        self._levels: dict[str, float] = {}
        self._tested: dict[str, Edge] = {}
        """Last edge that a test has written, by output."""
        self._answered: dict[str, Acknowledged] = {}
        """Last acknowledgement in a test, by output."""
        self._noted: list[str] = []
        """Errors logged as notes: the session reports them a second time as failures."""
        self._refused = ""
        """Why the last action was refused, until the next one."""
        self._checks: list[Note] = []
        """Findings of a pre-flight check that are not in the log yet."""
        self._lines: list[tuple[int, str, str]] = []
        self._queue_logged: Path | None = None
        """The run whose frame queue was logged."""
        self._arrange()
        self._connect()
        self._show_status(bridge.session.state)

    def _arrange(self) -> None:
        self.side, below = QWidget(), QScrollArea()
        self.side.setObjectName("clear")
        column = QVBoxLayout(self.side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        # else a panel that grows squashes the others until the scroll area is laid out again
        column.setSizeConstraint(QLayout.SizeConstraint.SetMinimumSize)
        # outputs first: on a small screen the last panels have to be scrolled to
        for panel in (
            self.outputs, self.animals, self.triggers, self.marks, self.measures,
        ):  # fmt: skip
            column.addWidget(panel)
        column.addStretch(1)
        below.setWidget(self.side)
        below.setWidgetResizable(True)
        below.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.panels = QWidget()
        self.panels.setObjectName("clear")
        self.panels.setFixedWidth(_SIDE_WIDTH)
        side = QVBoxLayout(self.panels)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(8)
        for part in (self.controls, self.subject, below):
            side.addWidget(part)
        for camera, view in self.display.grid.views.items():
            self.adjusting[camera] = button = QPushButton("Adjust …")
            button.setObjectName("tile")
            button.setToolTip(
                "change exposure, gain, rate and crop while the camera runs"
            )
            button.clicked.connect(partial(self._adjust, camera))
            view.hold(button)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(self.display, 1)
        left.addWidget(self.log)
        row.addLayout(left, 1)
        row.addWidget(self.panels)

    def _connect(self) -> None:
        self.finder.found.connect(self._offer_to_resume)
        self.controls.action_requested.connect(self.request)
        self.controls.begun.connect(self.begin)
        self.controls.resumed.connect(self.resume)
        self.controls.plate_accepted.connect(self._accept_plate)
        self.controls.ended.connect(self.end)
        self.bridge.status_changed.connect(self._show_status)
        self.bridge.stepped.connect(self._take_steps)
        self.bridge.edged.connect(self._take_edge)
        self.bridge.noted.connect(self._take_note)
        self.bridge.failed.connect(self._take_failure)
        self.bridge.ticked.connect(self._tick)
        self.display.line.labelling_requested.connect(self.bridge.queue_requested)
        self.outputs.tested.connect(self._test_output)
        self.animals.identity_corrected.connect(self.bridge.session.set_identity)
        self.test.reported.connect(self._take_test)
        self.test.edged.connect(self._take_test_edge)
        self.test.acknowledged.connect(self._take_test_answer)

    def _show_status(self, status: SessionState) -> None:
        idle = status.phase is Phase.IDLE
        if idle and not self._idle:
            self._interrupted, self.controls.interrupted = None, ""
            self.finder.look(self.bridge.session.settings)
        self._idle = idle
        self.show_blocked()
        self.subject.show_fixed(self.bridge.session.fixed_subject)
        if status.phase is Phase.STARTING:
            self._tested.clear()
            self._answered.clear()
            self._noted.clear()
        if status.experimenting != self._experimenting:
            self._experimenting = status.experimenting
            self.marks.restart(running=status.experimenting)
        for button in self.adjusting.values():
            button.setVisible(status.phase is Phase.STREAMING)
        if not status.analysing:
            self.controls.is_plate_away = False
            self.triggers.show_answers({})
            self.animals.show_identity({}, Thresholds(0.0))
        skeleton = self.bridge.session.state.skeleton
        self.animals.show_names(skeleton.animals if skeleton else ())
        if status.phase is Phase.IDLE:
            self._offer_queue(self.bridge.session.state.run_folder)
        else:
            self.display.line.show_queued(0)

    def _offer_to_resume(self, run: Path | None) -> None:
        """Show the button that continues a run; None: there is none."""
        self._interrupted = run
        self.controls.interrupted = run.name if run is not None else ""
        self.show_blocked()

    def _offer_queue(self, run: Path | None) -> None:
        """Show the folder of the ended run, and the number of its queued frames."""
        line = self.display.line
        line.show_folder(run)
        count = count_queued(run) if run is not None else 0
        line.show_queued(count)
        if count and run != self._queue_logged:
            self._queue_logged = run
            frames = f"{count} uncertain frame{'s' * (count != 1)}"
            self._remember(f"labels: {frames} of the run can be labelled", None, "blue")

    def show_blocked(self) -> None:
        """Enable the buttons of the actions that are possible now."""
        bridge = self.bridge
        left = [] if bridge.starting else bridge.left_to_start()
        state = bridge.session.state
        self.controls.show_status(state, bridge.blocked, left, self._refused)

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        answers: dict[str, bool | None] = {}
        for step in steps:
            answers.update(step.answers)
            if step.camera == self.bridge.session.settings.deciding_camera:
                is_away = step.flags.items() >= AWAY_FLAG.items()
                self.controls.is_plate_away = is_away
        self.triggers.show_answers(answers)
        self.marks.add(steps)
        for step in steps:
            for command in step.commands:
                if isinstance(command, Mark):
                    self._remember(command.text, step.exposed_ns, "green")

    def _take_edge(self, edge: Edge) -> None:
        before = self._levels.get(edge.output, 0.0)
        self._levels[edge.output] = edge.level
        if edge.level != before:
            word = f"{edge.output} {'on' if edge.level > 0 else 'off'} ({edge.cause})"
            self._remember(word, edge.written_ns, "amber")

    @property
    def parts(self) -> Mapping[str, QWidget]:
        """The parts that the tour speaks of."""
        return {
            "image": self.display.grid,
            "controls": self.controls,
            "outputs": self.outputs,
            "triggers": self.triggers,
        }

    def show_images_only(self, only: bool) -> None:
        """Hide the panels and the log beside the images, or show them again."""
        for widget in (self.panels, self.log):
            widget.setVisible(not only)

    def _take_note(self, note: Note) -> None:
        if note.kind == "preflight":
            self._checks.append(note)
            return
        if note.is_alarm:
            self._noted.append(last_line(note.text))
            self._remember(last_line(note.text), note.time_ns, "red")
        else:
            self._remember(f"{note.kind}: {note.text}", note.time_ns, "blue")

    def _take_failure(self, text: str) -> None:
        if text in self._noted:
            self._noted.remove(text)
        else:
            self._remember(text, None, "red")
        if text not in (alarm.text for alarm in self.bridge.session.state.alarms):
            self._refused = text
            self.show_blocked()

    def request(self, action: Action) -> None:
        """Request an action of a run button or of the Run menu."""
        commit_field(self)
        self._refused = ""
        if not self._end_test():
            if action is Action.START_STREAM:
                self.bridge.session.resumes = None  # of a resumption that was refused
            self.bridge.do(action)

    def begin(self) -> None:
        """Start stream, analysis and experiment, each as soon as it is allowed."""
        self._begin(None)

    def resume(self) -> None:
        """Start in the same way, and continue the run that was interrupted."""
        if (run := self._interrupted) is not None:
            self._begin(Resumption(run))

    def _begin(self, resumes: Resumption | None) -> None:
        commit_field(self)
        self._refused = ""
        if not self._end_test():
            self.bridge.begin(resumes)
            self.show_blocked()

    def end(self) -> None:
        """Stop the stream; a running experiment only after a confirmation."""
        question = "The experiment is running. Stop it and end the run?"
        if self.bridge.session.state.experimenting:
            if show_question(self, question, _STOP, _KEEP) != _STOP:
                return
            if Action.STOP_STREAM not in self.bridge.session.state.allowed:
                return  # it has ended by now
        self._refused = ""
        self.bridge.do(Action.STOP_STREAM)

    def _accept_plate(self) -> None:
        """Start the stream again, so that the arenas are where the plate lies now."""
        if not self.bridge.session.state.experimenting:
            self.bridge.restart()
            return
        question = (
            "The experiment stops with its outputs off. A new run then continues it, with "
            "the arenas where the plate lies now."
        )
        if show_question(self, question, _CONTINUE, _KEEP_WAITING) == _CONTINUE:
            self.bridge.restart_experiment()

    def _end_test(self) -> bool:
        """Stop an output test, which has the output open; return whether one ran."""
        if not self.test.running:
            return False
        self.test.stop()
        text = "An output test is running. Start the experiment when it has ended."
        self._take_test(text, "red")
        return True

    def _adjust(self, camera: str, _checked: bool = False) -> None:
        window = CameraWindow(self.bridge, camera, self)
        window.kept.connect(self._keep)
        window.show()

    def _keep(self, camera: str, kept: Mapping[str, str]) -> None:
        """Write the values of camera controls to the settings, as one undo step."""
        text = self.document.text
        for key, word in kept.items():
            text = ini_editing.set_value(text, f"Camera {camera}", key, word or None)
        self.document.edit(text)

    def _test_output(self, name: str) -> None:
        """Pulse an output: in the engine if the stream runs, else in a separate process."""
        rig = self.bridge.session
        if rig.state.phase is Phase.STREAMING:
            rig.test(name)
        elif rig.state.phase is Phase.IDLE and not self.bridge.blocked:
            self.test.start(name, rig.settings.outputs[name])

    def _take_test(self, text: str, tone: str) -> None:
        self._remember(text, None, tone)

    def _take_test_edge(self, edge: Edge) -> None:
        self._tested[edge.output] = edge
        self._take_edge(edge)

    def _take_test_answer(self, answer: Acknowledged) -> None:
        self._answered[answer.output] = answer

    def _remember(self, text: str, time_ns: int | None, tone: str) -> None:
        last_ns = self._lines[-1][0] if self._lines else 0
        self._lines.append((last_ns if time_ns is None else time_ns, text, tone))

    def _sum_up_checks(self) -> None:
        """Log one line for all passed checks, and one for each warning."""
        if not self._checks:
            return
        bad = [note for note in self._checks if note.text.startswith(WARNING)]
        count = f"{len(self._checks)} checks, see the page Health"
        summary = (
            f"Pre-flight: {len(bad)} of {count}" if bad else f"Pre-flight OK: {count}"
        )
        time_ns = self._checks[0].time_ns
        self._remember(summary, time_ns, "amber" if bad else "green")
        for note in bad:
            self._remember(note.text, note.time_ns, "amber")
        self._checks.clear()

    @property
    def levels(self) -> Mapping[str, float]:
        """Level of each output now; a missing one is off."""
        return self._levels if self.test.running else self.bridge.session.state.levels

    def _tick(self) -> None:
        """Log the events since the last tick in the order of their times."""
        self._sum_up_checks()

        # Edges can arrive before the step that caused them: sort by time.
        start_ns = self.bridge.session.state.start_ns
        for time_ns, text, tone in sorted(self._lines, key=lambda line: line[0]):
            since = (time_ns - start_ns) / 1e9 if start_ns and time_ns else None
            self.log.add_line(text, since, tone)
        self._lines.clear()

        self.outputs.show_levels(self.levels)
        self.measures.show_measures(self.bridge.session.state.measured)

        self._ticks += 1
        if self._ticks % _TICKS_PER_UPDATE == 0:
            self.show_blocked()
            rig, now_ns = self.bridge.session, SystemClock().now_ns()
            edges = {**self._tested, **rig.state.edges}
            answers = {**self._answered, **rig.state.acknowledged}
            failed = {
                name: why
                for name, why in rig.state.failed_outputs.items()
                if name not in self._tested
            }
            self.outputs.show_answers(edges, answers, now_ns, failed)
            if rig.state.analysing:
                self.animals.show_identity(
                    rig.state.identity,
                    rig.state.thresholds,
                    rig.settings.animals.shelters,
                )

        status = self.bridge.session.state
        changing = status.phase in (Phase.STARTING, Phase.STOPPING)
        free = not (self.test.running or status.experimenting or changing)
        free = free and not (self.bridge.blocked and status.phase is Phase.IDLE)
        self.outputs.allow_tests(free)
