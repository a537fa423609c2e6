"""A live rig as windows and command lines see it: ask, poll, look."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType, TracebackType

from core.clock import SystemClock
from core.errors import DeepLabStreamError
from core.frame import Frame, ImageFormat
from core.journal import JournalReader
from core.pose import Skeleton
from core.record import Edge, Note, Step
from core.ring import RingReader
from engine import messages as say
from engine.crew import Crew
from engine.session import News
from engine.settings import Settings
from engine.states import Action, Counts, Failed, Phase, Status, StatusChanged, allowed
from recording.run_folder import ModelFacts


class Session:
    """Owns the processes of a rig from Start Stream to Stop Stream, again and again.

    Nothing here blocks, but `close`. Call `poll` about 30 times a second: it also drives
    starting and stopping. Leaving the `with` ends everything, outputs first.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.status = Status()
        self.levels: dict[str, float] = {}
        self._news: list[News] = []
        self._crew: Crew | None = None
        self._ending: Iterator[None] | None = None
        self._forget()

    def _forget(self) -> None:
        """Start afresh: nothing is known of the stream that comes next."""
        self.stream_start_ns = 0
        self.formats: dict[str, ImageFormat] = {}
        self.network: say.NetworkReady | None = None
        self.run_folder: Path | None = None
        self._knows_losses: dict[str, bool] = {}
        self._previews: dict[str, RingReader] = {}
        self._painted: dict[str, RingReader] = {}
        self._analysed: dict[str, int] = {}
        self._analysed_from: dict[str, int] = {}
        self._recorded: Mapping[str, int] = {}
        self._recording_losses: Mapping[str, int] = {}
        self._recorded_with_experiment = False

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("stopped" if error is None else f"ended by {kind}")

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names, the deciding one first."""
        first = self.settings.deciding_camera
        return (first, *(name for name in self.settings.cameras if name != first))

    @property
    def allowed(self) -> frozenset[Action]:
        """What may be asked now."""
        return allowed(self.status)

    @property
    def skeleton(self) -> Skeleton | None:
        """The network's body parts; None until it is loaded."""
        return self.network.skeleton if self.network else None

    @property
    def threshold(self) -> float:
        """The confidence below which a point counts as not seen."""
        return self.network.threshold if self.network else 0.0

    @property
    def provider(self) -> str:
        """What computes the poses; empty until the network is loaded."""
        return self.network.provider if self.network else ""

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Where the frames of each camera went so far."""
        return MappingProxyType({name: self._counted(name) for name in self._previews})

    def newest(self, camera: str) -> Frame | None:
        """Return the newest picture not yet shown; good until the next call."""
        reader = self._previews.get(camera)
        return reader.newest() if reader else None

    def image_of(self, step: Step) -> Frame | None:
        """Return the picture that a step tells of; None when it is gone already."""
        reader = self._painted.get(step.camera)
        return reader.of(step.index) if reader else None

    def do(self, action: Action) -> None:
        """Ask for something; what comes of it is told by `poll`."""
        if action not in self.allowed:
            what = f"{action.value} is not possible while the rig is {self.status.phase.value}"
            self._news.append(Failed(what))
            return
        match action:
            case Action.START_STREAM:
                self._start_stream()
            case Action.STOP_STREAM:
                self._stop_stream("stopped")
            case Action.START_ANALYSIS:
                self._open_run()
                cameras = self._analysed_cameras
                self._tell_recorder(say.StartAnalysis(cameras, self._triggers()))
                self._tell_engine(say.Analyse(True))
            case Action.STOP_ANALYSIS:
                self._tell_engine(say.Analyse(False))
            case Action.START_EXPERIMENT:
                if self.settings.experiment.record_exp and not self.status.recording:
                    self._record(True)
                    self._recorded_with_experiment = True
                self._tell_engine(say.Conduct(True))
            case Action.STOP_EXPERIMENT:
                self._tell_engine(say.Conduct(False))
            case Action.START_RECORDING:
                self._record(True)
            case Action.STOP_RECORDING:
                self._record(False)

    def poll(self) -> Sequence[News]:
        """Return what happened since the last call; never waits."""
        crew = self._crew
        if crew is not None:
            self._listen(crew)
            if self._ending is not None:
                if next(self._ending, self) is self:
                    self._ended()
            elif dead := crew.dead():
                self._fail(
                    f"The process '{dead[0]}' ended unexpectedly; everything is off"
                )
        news, self._news = self._news, []
        return news

    def rest(self, seconds: float) -> None:
        """Wait until a process says something or ends, `seconds` at the most."""
        members = self._crew.members if self._crew and not self._ending else []
        pipes = [member.pipe for member in members]
        wait([*pipes, *(p.sentinel for p in self.processes())], timeout=seconds)

    def processes(self) -> list[BaseProcess]:
        """Return the processes of the stream; none when there is no stream."""
        return [m.process for m in self._crew.members] if self._crew else []

    def close(self, how: str = "stopped") -> None:
        """End everything and wait until it has ended."""
        if self._crew is None:
            return
        if self._ending is None:
            self._stop_stream(how)
        for _ in self._ending or ():
            self._listen(self._crew)
        self._ended()

    # --- asking

    def _start_stream(self) -> None:
        self._forget()
        self.stream_start_ns = SystemClock().now_ns()
        self.levels = dict.fromkeys(self.settings.outputs, 0.0)
        try:
            self._crew = Crew(self.settings, self.stream_start_ns)
        except OSError as error:
            self._news.append(Failed(f"The rig can't be started: {error}"))
            return
        self._journal = JournalReader(self._crew.journal)
        self._become(Status(Phase.STARTING))

    def _stop_stream(self, how: str) -> None:
        if self._crew is None:
            return
        words = (say.CloseRun(how, self._facts()), None)
        self._ending = self._crew.ending(words)
        self._become(Status(Phase.STOPPING))

    def _fail(self, text: str) -> None:
        self._news.append(Failed(text))
        if self._crew is not None and self._ending is None:
            self._stop_stream(text)

    def _tell_engine(self, message: object) -> None:
        if self._crew is not None:
            self._crew.tell_engine(message)

    def _tell_recorder(self, message: object) -> None:
        if self._crew is not None:
            self._crew.tell_recorder(message)

    @property
    def _analysed_cameras(self) -> tuple[str, ...]:
        cameras = self.settings.cameras
        return tuple(name for name in self.cameras if cameras[name].analyse)

    def _open_run(self) -> None:
        """Have the recorder make the run folder, if there is none yet."""
        if self.run_folder is None:
            root = self.settings.output_directory
            self._tell_recorder(say.OpenRun(root, self.settings.text, self._facts()))

    def _facts(self) -> dict[str, object]:
        """Return what the record has to say of the network, once that is loaded."""
        network = self.network
        if network is None:
            return {}
        model = ModelFacts(
            network.model, network.sha256, network.threshold, network.provider
        )
        return {"model": asdict(model), "skeleton": asdict(network.skeleton)}

    def _triggers(self) -> dict[str, tuple[str, ...]]:
        """Return the names of each camera's triggers."""
        triggers = self.settings.new_triggers()
        return {
            camera: tuple(
                name
                for name, trigger in triggers.items()
                if self.settings.camera_of(trigger) == camera
            )
            for camera in self._analysed_cameras
        }

    def _record(self, active: bool) -> None:
        if active:
            self._open_run()
            cameras = self.settings.cameras
            names = tuple(name for name in self.cameras if cameras[name].record)
            self._tell_recorder(say.StartRecording(names))
        else:
            self._tell_recorder(say.StopRecording())
            self._recorded_with_experiment = False
        self._become(replace(self.status, recording=active))

    # --- listening

    def _listen(self, crew: Crew) -> None:
        for entry in self._journal.read():
            if isinstance(entry, Step):
                self._analysed[entry.camera] = self._analysed.get(entry.camera, 0) + 1
            elif isinstance(entry, Edge):
                self.levels[entry.output] = entry.level
            self._news.append(entry)
        for member in crew.members:
            for message in member.told():
                self._heard(crew, message)

    def _heard(self, crew: Crew, message: object) -> None:
        match message:
            case say.CameraOpened(camera, form, knows_losses):
                self._camera_opened(crew, camera, form, knows_losses)
            case say.NetworkReady():
                self.network = message
                self._become(replace(self.status, network_ready=True))
                self._attach(crew)
            case say.Analysing(active):
                self._analysis(crew, active)
            case say.Conducting(active):
                self._conducting(active)
            case say.CameraEnded(camera):
                self._tell(f"[Camera {camera}] has no more pictures")
            case say.RunOpened(path):
                self.run_folder = path
            case say.Filmed(recorded, losses):
                self._recorded, self._recording_losses = recorded, losses
            case Edge():
                self.levels[message.output] = message.level
                self._news.append(message)
                text = f"the guard switched [Output {message.output}] off"
                note = Note("guard", text, message.written_ns)
                crew.tell_recorder(say.WriteNote(note))
            case say.RecorderFailed(text):
                self._news.append(Failed(text))
                self._become(replace(self.status, recording=False))
            case say.Complaint(text):
                self._news.append(Failed(text))
            case say.ProcessFailed(text):
                self._fail(text)
            case _:
                pass

    def _camera_opened(
        self, crew: Crew, camera: str, form: ImageFormat, knows_losses: bool
    ) -> None:
        self.formats[camera] = form
        self._knows_losses[camera] = knows_losses
        try:
            crew.add_ring(camera, form)
        except (DeepLabStreamError, OSError) as error:
            self._fail(str(error))
            return
        self._previews[camera] = RingReader(crew.rings[camera])
        self._painted[camera] = RingReader(crew.rings[camera])
        self._attach(crew)

    def _attach(self, crew: Crew) -> None:
        """Tell engine and recorder of the rings, once all cameras and the network are up."""
        if len(crew.rings) < len(self.settings.cameras) or self._ending is not None:
            return
        specs = tuple(crew.rings[name].spec for name in self.cameras)
        start, losses = self.stream_start_ns, self._knows_losses
        crew.tell_recorder(say.Attach(specs, self.skeleton, start, losses))
        if self.status.phase is Phase.STARTING:
            posed = set(self._analysed_cameras)
            crew.tell_engine(tuple(spec for spec in specs if spec.camera in posed))
            self._become(replace(self.status, phase=Phase.STREAMING))

    def _analysis(self, crew: Crew, active: bool) -> None:
        if active:
            self._analysed = {}
            self._analysed_from = {name: r.published for name, r in crew.rings.items()}
        else:
            self._tell_recorder(say.StopAnalysis())
        self._become(replace(self.status, analysing=active))

    def _conducting(self, active: bool) -> None:
        self._become(replace(self.status, experimenting=active))
        if not active and self._recorded_with_experiment and self.status.recording:
            self._record(False)

    def _tell(self, text: str) -> None:
        self._news.append(Note("camera", text, time.perf_counter_ns()))

    def _become(self, status: Status) -> None:
        self.status = status
        self._news.append(StatusChanged(status))

    def _counted(self, camera: str) -> Counts:
        crew = self._crew
        if crew is None or camera not in crew.rings:
            return Counts()
        ring = crew.rings[camera]
        delivered = ring.published
        lost = (
            max(0, ring.last_index + 1 - delivered)
            if self._knows_losses[camera]
            else None
        )
        analysed = self._analysed.get(camera, 0)
        skipped = 0
        if self.status.analysing and camera in self._analysed_from:
            waiting = 1
            since = delivered - self._analysed_from[camera]
            skipped = max(0, since - analysed - waiting)
        recorded = self._recorded.get(camera, 0)
        losses = self._recording_losses.get(camera, 0)
        return Counts(delivered, lost, analysed, skipped, recorded, losses)

    def _ended(self) -> None:
        self._crew, self._ending = None, None
        self._previews, self._painted = {}, {}
        self.levels = dict.fromkeys(self.levels, 0.0)
        self._become(Status(Phase.IDLE))
