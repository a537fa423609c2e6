"""A live rig as windows and command lines see it: ask, poll, look."""

from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Self

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.camera_adjustment import CameraAdjustment
from deeplabstream.engine.checks.camera_watchdog import CameraWatchdog
from deeplabstream.engine.checks.preflight import inspect
from deeplabstream.engine.checks.system_monitor import SystemMonitor, SystemStatus
from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session.frame_rate import FrameRateMeter
from deeplabstream.engine.session.process_manager import ProcessManager
from deeplabstream.engine.session.rig import News
from deeplabstream.engine.session.session_events import SessionEvents
from deeplabstream.engine.session.states import Action, Failed, Phase, Status, allowed
from deeplabstream.engine.session.stream import Stream
from deeplabstream.ipc.journal import JournalReader
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.text_rewriting import settled


class Session(SessionEvents):
    """Owns the processes of a rig from Start Stream to Stop Stream, again and again.

    Nothing here blocks, but `close` and `rest`. Call `poll` about 30 times a second: it
    also drives starting and stopping. Leaving the `with` ends everything, outputs first.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.vitals: SystemStatus | None = None
        self._physician = SystemMonitor()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("stopped" if kind is None else f"ended by {kind.__name__}")

    @property
    def allowed(self) -> frozenset[Action]:
        """What may be asked now."""
        return allowed(self.status)

    def processes(self) -> list[BaseProcess]:
        """Return the processes of the stream; none when there is no stream."""
        return [m.process for m in self._crew.members] if self._crew else []

    def do(self, action: Action) -> None:
        """Ask for something; what comes of it is told by `poll`."""
        if action is Action.START_STREAM and action in self.allowed:
            self._start_stream()
        elif self._crew is None or action not in self.allowed:
            state = self.status.phase.value
            text = f"{action.value} is not possible while the rig is {state}"
            self._news.append(Failed(text))
        else:
            self._ask(self._crew, action)

    def adjust(self, camera: str, key: str, word: str) -> None:
        """Change a setting of a camera that films, as settings.ini writes it.

        What comes of it is told by `poll`, as `Turned` or `Failed`.
        """
        try:
            if self._crew is None or self.status.phase is not Phase.STREAMING:
                raise DeviceError(f"[Camera {camera}] does not film now")
            asked = self._adjusting.ask(
                self.settings.cameras[camera], camera, key, word
            )
            self._crew.cameras[camera].tell(asked)
        except DeepLabStreamError as error:
            self._news.append(Failed(str(error)))

    def say_who(self, camera: str, exchanged: Sequence[str] = ()) -> None:
        """Say that the animals' names are right, or exchange those of two.

        What comes of it is told by `poll`, as a note, or as `Failed`.
        """
        if self._crew is None or not self.status.analysing:
            self._news.append(
                Failed("who is who can be said while frames are analysed")
            )
            return
        names = self.skeleton.animals if self.skeleton else ()
        if strangers := [name for name in exchanged if name not in names]:
            self._news.append(Failed(f"no animal is named {strangers[0]}"))
            return
        pair = None
        if exchanged:
            one, other = exchanged
            pair = names.index(one), names.index(other)
        self._crew.tell_engine(say.SetIdentity(camera, pair))

    def test(self, output: str) -> None:
        """Pulse an output for a moment while the stream runs, but no experiment."""
        if self._crew is not None and not self.status.experimenting:
            self._crew.tell_engine(say.TestOutput(output))

    def note(self, kind: str, text: str) -> None:
        """Tell something by `poll`, and write it into the record if there is one."""
        if self._crew is not None:
            self._tell(self._crew, kind, text)
        else:
            self._news.append(Note(kind, text, SystemClock().now_ns()))

    def poll(self) -> Sequence[News]:
        """Return what happened since the last call; never waits."""
        crew = self._crew
        if crew is not None:
            self._listen(crew)
            if self._ending is not None:
                if self._ends():
                    self._ended()
            elif dead := crew.dead():
                text = f"The process '{dead[0]}' ended unexpectedly"
                self._fail(crew, text)
            elif self.status.phase is Phase.STREAMING:
                now_ns = SystemClock().now_ns()
                self._pace.look(crew.rings, now_ns)
                for text in self._watchman.look(crew.rings, now_ns):
                    self._tell(crew, "camera", text)
                self._examine(crew, now_ns)
                self._check_begun(now_ns / 1e9)
        news, self._news = self._news, []
        return news

    def rest(self, seconds: float) -> None:
        """Wait until a process says something or ends, `seconds` at the most."""
        members = self._crew.members if self._crew and not self._ending else []
        pipes = [member.pipe for member in members]
        wait([*pipes, *(p.sentinel for p in self.processes())], timeout=seconds)

    def close(self, how: str = "stopped") -> None:
        """End everything and wait until it has ended."""
        if self._crew is None:
            return
        if self._ending is None:
            self._stop_stream(self._crew, how)
        while not self._ends():
            self._listen(self._crew)
        self._ended()

    def _examine(self, crew: ProcessManager, now_ns: int) -> None:
        """Look at the computer once a second; some of the looks go into the record."""
        folder = self.run_folder or self.settings.output_directory
        entries = crew.journal.waiting
        vitals = self._physician.visit(self.processes(), folder, now_ns, entries)
        if vitals is None:
            return
        self.vitals = vitals
        for worry in self._physician.new_worries:
            self._tell(crew, "computer", worry)
        if self._physician.notes:
            crew.tell_recorder(say.WriteNote(Note("health", vitals.text, now_ns)))

    def _ask(self, crew: ProcessManager, action: Action) -> None:
        if why := self._adjusting.forbids(action):
            self._news.append(Failed(why))
            return
        match action:
            case Action.STOP_STREAM:
                self._stop_stream(crew, "stopped")
            case Action.START_ANALYSIS:
                self._open_run(crew)
                triggers = self.settings.asked_of()
                crew.tell_recorder(say.StartAnalysis(tuple(triggers), triggers))
                crew.tell_engine(say.Analyse(True))
            case Action.STOP_ANALYSIS:
                crew.tell_engine(say.Analyse(False))
            case Action.START_EXPERIMENT:
                self._start_experiment(crew)
            case Action.STOP_EXPERIMENT:
                crew.tell_engine(say.RunExperiment(False))
            case Action.START_RECORDING | Action.STOP_RECORDING:
                self._film(crew, action is Action.START_RECORDING)

    def _start_experiment(self, crew: ProcessManager) -> None:
        """Start it unless something is wrong that would spoil it; say all that is found."""
        found = inspect(self, self._pace.rates)
        if grave := [finding.text for finding in found if finding.grave]:
            self._news.append(Failed(f"Cannot start because {'; '.join(grave)}"))
            return
        for finding in found:
            self._tell(crew, "preflight", finding.text)
        if self.settings.experiment.record_exp and not self.status.recording:
            self._film(crew, True)
            self._filming_for_experiment = True
        crew.tell_engine(say.RunExperiment(True))

    def _start_stream(self) -> None:
        now_ns = SystemClock().now_ns()
        self._watchman, self._pace = CameraWatchdog(), FrameRateMeter()
        self._physician, self._adjusting = SystemMonitor(), CameraAdjustment()
        self.used = used = settled(self.settings)
        self._stream = Stream.of(used, now_ns)
        self._filming_for_experiment = False
        self._alarms, self._closed, self._asked_s = [], True, None
        try:
            self._crew = ProcessManager(used, now_ns)
        except OSError as error:
            self._news.append(Failed(f"The rig can't be started: {error}"))
            return
        self._journal = JournalReader(self._crew.journal)
        self._become(Status(Phase.STARTING))

    def _ends(self) -> bool:
        """Go on with the ending; return whether it is over, whatever went wrong in it."""
        try:
            return self._ending is None or next(self._ending, self) is self
        except OSError as error:
            self._news.append(Failed(f"Not everything could be cleared up: {error}"))
            return True

    def _ended(self) -> None:
        left_on = self._crew.left_on if self._crew is not None else ()
        self._check_saved()
        self._crew, self._ending = None, None
        self._stream.end(left_on)
        self._become(Status(Phase.IDLE))
