"""A live rig as windows and command lines see it: ask, poll, look."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Self

from core.clock import SystemClock
from core.errors import DeepLabStreamError
from core.journal import JournalReader
from core.record import Edge, Note
from engine import messages as say
from engine.crew import Crew
from engine.pace import Pace
from engine.preflight import inspect
from engine.rig import News
from engine.seeds import settled
from engine.settings import Settings
from engine.states import Action, Failed, Phase, Status, StatusChanged, allowed
from engine.stream import Stream
from engine.stream_view import StreamView
from engine.vitals import NOTE_EVERY, Physician, Vitals
from engine.watchman import Watchman


class Session(StreamView):
    """Owns the processes of a rig from Start Stream to Stop Stream, again and again.

    Nothing here blocks, but `close` and `rest`. Call `poll` about 30 times a second: it
    also drives starting and stopping. Leaving the `with` ends everything, outputs first.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.status = Status()
        self.vitals: Vitals | None = None
        self._physician, self._next_look_ns, self._looks = Physician(), 0, 0
        self._crew: Crew | None = None
        self._ending: Iterator[None] | None = None
        self._news: list[News] = []
        self._filming_for_experiment = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("stopped" if kind is None else f"ended by {kind.__name__}")

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names, the deciding one first."""
        return self.settings.camera_order

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

    def poll(self) -> Sequence[News]:
        """Return what happened since the last call; never waits."""
        crew = self._crew
        if crew is not None:
            self._listen(crew)
            if self._ending is not None:
                if next(self._ending, self) is self:
                    self._ended()
            elif dead := crew.dead():
                text = f"The process '{dead[0]}' ended unexpectedly; everything is off"
                self._fail(crew, text)
            elif self.status.phase is Phase.STREAMING:
                now_ns = SystemClock().now_ns()
                self._pace.look(crew.rings, now_ns)
                for text in self._watchman.look(crew.rings, now_ns):
                    self._tell(crew, "camera", text)
                self._examine(crew, now_ns)
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
        for _ in self._ending or ():
            self._listen(self._crew)
        self._ended()

    def _examine(self, crew: Crew, now_ns: int) -> None:
        """Look at the computer once a second; some of the looks go into the record."""
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + 1_000_000_000
        folder = self.run_folder or self.settings.output_directory
        self.vitals = self._physician.look(self.processes(), folder)
        self._looks += 1
        if self._looks % NOTE_EVERY == 0:
            note = Note("health", self.vitals.text, now_ns)
            crew.tell_recorder(say.WriteNote(note))

    def _ask(self, crew: Crew, action: Action) -> None:
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
                crew.tell_engine(say.Conduct(False))
            case Action.START_RECORDING | Action.STOP_RECORDING:
                self._film(crew, action is Action.START_RECORDING)

    def _start_experiment(self, crew: Crew) -> None:
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
        crew.tell_engine(say.Conduct(True))

    def _start_stream(self) -> None:
        now_ns = SystemClock().now_ns()
        self._watchman, self._pace = Watchman(), Pace()
        self._physician, self._next_look_ns, self._looks = Physician(), 0, 0
        used = settled(self.settings)
        self._stream = Stream.of(used, now_ns)
        self._filming_for_experiment = False
        try:
            self._crew = Crew(used, now_ns)
        except OSError as error:
            self._news.append(Failed(f"The rig can't be started: {error}"))
            return
        self._journal = JournalReader(self._crew.journal)
        self._become(Status(Phase.STARTING))

    def _stop_stream(self, crew: Crew, how: str) -> None:
        words = say.CloseRun(how, self._stream.facts()), None
        self._ending = crew.ending(words, self.run_folder)
        self._become(Status(Phase.STOPPING))

    def _fail(self, crew: Crew, text: str) -> None:
        self._news.append(Failed(text))
        if self._ending is None:
            self._stop_stream(crew, text)

    def _ended(self) -> None:
        self._crew, self._ending = None, None
        self._stream.end()
        self._become(Status(Phase.IDLE))

    def _open_run(self, crew: Crew) -> None:
        """Have the recorder make the run folder, if there is none yet."""
        if self.run_folder is None:
            root, text = self.settings.output_directory, self._stream.text
            now = datetime.now().astimezone()
            exp_name = self.settings.experiment.exp_name
            name = self.settings.subject.folder_name(now, exp_name)
            wish = say.OpenRun(root, text, self._stream.facts(), name)
            crew.tell_recorder(wish)

    def _film(self, crew: Crew, active: bool) -> None:
        if active:
            self._open_run(crew)
            recipe = self.settings.recording.recipe
            crew.tell_recorder(say.StartRecording(self.settings.recorded, recipe))
        else:
            crew.tell_recorder(say.StopRecording())
            self._filming_for_experiment = False
        self._become(replace(self.status, recording=active))

    def _listen(self, crew: Crew) -> None:
        for entry in self._journal.read():
            self._stream.take(entry)
            self._news.append(entry)
        for member in crew.members:
            for message in member.told():
                self._heard(crew, message)

    def _heard(self, crew: Crew, message: object) -> None:
        stream = self._stream
        match message:
            case say.CameraOpened():
                self._camera_opened(crew, message)
            case say.NetworkReady():
                stream.network = message
                self._become(replace(self.status, network_ready=True))
                self._attach(crew)
            case say.Analysing(active):
                stream.analyse(active)
                if not active:
                    crew.tell_recorder(say.StopAnalysis())
                self._become(replace(self.status, analysing=active))
            case say.Conducting(active):
                self._become(replace(self.status, experimenting=active))
                for_it = self._filming_for_experiment and self.status.recording
                if for_it and not active:
                    self._film(crew, False)
            case say.CameraTold(text):
                self._tell(crew, "camera", text)
            case say.RunClosed():
                self._news.append(message)
            case say.RunOpened(path):
                stream.run_folder = path
            case say.Filmed(recorded, losses):
                stream.recorded, stream.recording_losses = recorded, losses
            case Edge():
                stream.take(message)
                self._news.append(message)
                text = f"the guard switched [Output {message.output}] off"
                self._tell(crew, "guard", text)
            case say.RecorderFailed(text):
                self._news.append(Failed(text))
                self._become(replace(self.status, recording=False))
            case say.Complaint(text):
                self._news.append(Failed(text))
            case say.ProcessFailed(text):
                self._fail(crew, text)

    def _camera_opened(self, crew: Crew, opened: say.CameraOpened) -> None:
        try:
            ring = crew.add_ring(opened.camera, opened.format)
        except (DeepLabStreamError, OSError) as error:
            self._fail(crew, str(error))
            return
        self._stream.add_camera(ring, opened)
        for remark in opened.remarks:
            self._tell(crew, "camera", f"[Camera {opened.camera}] {remark}")
        self._attach(crew)

    def _attach(self, crew: Crew) -> None:
        """Tell engine and recorder of the rings once all cameras have opened."""
        if len(crew.rings) < len(self.settings.cameras) or self._ending is not None:
            return
        specs = tuple(crew.rings[name].spec for name in self.cameras)
        stream = self._stream
        losses = dict(stream.knows_losses)
        crew.tell_recorder(say.Attach(specs, self.skeleton, stream.start_ns, losses))
        if self.status.phase is Phase.STARTING:
            posed = self.settings.asked_of()
            crew.begin(tuple(spec for spec in specs if spec.camera in posed))
            self._become(replace(self.status, phase=Phase.STREAMING))

    def _tell(self, crew: Crew, kind: str, text: str) -> None:
        """Say something, and write it into the record."""
        note = Note(kind, text, SystemClock().now_ns())
        self._news.append(note)
        crew.tell_recorder(say.WriteNote(note))

    def _become(self, status: Status) -> None:
        self.status = status
        self._news.append(StatusChanged(status))
