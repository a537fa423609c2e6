"""What the processes of a rig say, and what follows from it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from time import perf_counter

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.camera_adjustment import CameraAdjustment
from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session.frame_rate import FrameRateMeter
from deeplabstream.engine.session.process_manager import ProcessManager
from deeplabstream.engine.session.rig import News
from deeplabstream.engine.session.states import (
    Alarm,
    Failed,
    Phase,
    Status,
    StatusChanged,
)
from deeplabstream.engine.session.stream_view import StreamView
from deeplabstream.ipc.journal import JournalReader
from deeplabstream.ipc.ring import RingSpec
from deeplabstream.settings.loading import Settings

SAVING_TOLD_S = 5.0
"""While the record is saved at the end: how often that is said."""


BEGIN_S = 10.0
"""A recording that was asked for must have begun within this time."""


class SessionEvents(StreamView):
    """Hears the processes of a stream and keeps them together; asks nothing of them itself."""

    _journal: JournalReader

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.used = settings
        """Those of the present or last stream: seeds that were to be drawn are numbers."""
        self.status = Status()
        self._adjusting = CameraAdjustment()
        self._pace = FrameRateMeter()
        self._crew: ProcessManager | None = None
        self._ending: Iterator[None] | None = None
        self._news: list[News] = []
        self._filming_for_experiment = False
        self._alarms: list[Alarm] = []
        self._closed = True
        """The run folder is complete, or there is none."""
        self._told_s = 0.0
        self._asked_s: float | None = None
        """When a recording was asked for that has not begun yet."""

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What was not recorded, or broke: since the last start, until acknowledged."""
        return tuple(self._alarms)

    def acknowledge(self) -> None:
        """Say that a person has seen the alarms."""
        self._alarms = []

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names, the deciding one first."""
        return self.settings.camera_order

    def _stop_stream(self, crew: ProcessManager, how: str) -> None:
        def last_words() -> tuple[object, ...]:
            text = how
            if left_on := crew.left_on:
                names = ", ".join(f"[Output {name}]" for name in left_on)
                text = f"{how}; {names} may still be on"
                self._alarm(f"{names} may still be on: switch off by hand")
            return say.CloseRun(text, self._stream.facts()), None

        self._ending = crew.ending(
            last_words, self.run_folder, lambda message: self._heard(crew, message)
        )
        self._become(Status(Phase.STOPPING))

    def _alarm(self, text: str, grave: bool = True) -> None:
        """Tell of something, and keep it until a person acknowledges it."""
        self._news.append(Failed(text, grave))
        if all(alarm.text != text for alarm in self._alarms):
            self._alarms.append(Alarm(text, SystemClock().now_ns()))

    def _fail(self, crew: ProcessManager, text: str) -> None:
        self._alarm(text)
        if self._ending is None:
            self._stop_stream(crew, text)

    def _open_run(self, crew: ProcessManager) -> None:
        """Have the recorder make the run folder, if there is none yet."""
        if self.run_folder is None:
            self._closed = False
            self._adjusting.run_begins()
            root, text = self.settings.output_directory, self._stream.text
            now = datetime.now().astimezone()
            exp_name = self.settings.experiment.exp_name
            name = self.settings.subject.folder_name(now, exp_name)
            wish = say.OpenRun(root, text, self._stream.facts(), name)
            crew.tell_recorder(wish)

    def _film(self, crew: ProcessManager, active: bool) -> None:
        self._asked_s = SystemClock().now_ns() / 1e9 if active else None
        if active:
            self._open_run(crew)
            recipe = self.settings.recording.recipe
            crew.tell_recorder(say.StartRecording(self.settings.recorded, recipe))
        else:
            crew.tell_recorder(say.StopRecording())
            self._filming_for_experiment = False
        self._become(replace(self.status, recording=active))

    def _listen(self, crew: ProcessManager) -> None:
        for entry in self._journal.read():
            self._stream.take(entry)
            crew.take(entry)
            self._news.append(entry)
        for member in crew.members:
            for message in member.told():
                self._heard(crew, message)

    def _heard(self, crew: ProcessManager, message: object) -> None:
        self._stream.hear(message)
        match message:
            case say.CameraOpened():
                self._camera_opened(crew, message)
            case say.NetworkReady():
                for remark in message.remarks:
                    self._tell(crew, "computer", remark)
                self._become(replace(self.status, network_ready=True))
                self._attach(crew)
            case say.Analysing(active):
                if not active:
                    crew.tell_recorder(say.StopAnalysis())
                self._become(replace(self.status, analysing=active))
            case say.ExperimentRunning(active):
                self._become(replace(self.status, experimenting=active))
                for_it = self._filming_for_experiment and self.status.recording
                if for_it and not active:
                    self._film(crew, False)
            case say.CameraTold(text):
                self._tell(crew, "camera", text)
            case say.ControlChanged():
                self._adjusting.answered(message)
                self._tell(crew, "setting", message.text)
                self._news.append(message)
            case say.RunOpened(path):
                self._closed = False
                crew.remain(path)
            case say.RunClosed(_, accounts):
                self._closed = True
                self._news.append(message)
                for span in accounts:
                    if span.recorded == 0 and span.delivered:
                        self._alarm(
                            f"[Camera {span.camera}] has no video: none of its "
                            f"{span.delivered} frames was saved"
                        )
            case say.Filmed():
                self._asked_s = None
            case say.Saving(frames):
                self._saving(crew, frames)
            case say.RecorderFailed(text, whole):
                self._recording_lost(crew, text, whole)
            case say.GuardActs() if crew.cut_short:
                text = "the engine was busy at the end and was stopped"
                self._tell(crew, "guard", f"{text}; the guard looks after the outputs")
            case say.Complaint(text, grave):
                self._alarm(text, grave)
            case say.ProcessFailed(text):
                self._fail(crew, text)

    def _recording_lost(self, crew: ProcessManager, text: str, whole: bool) -> None:
        """End the experiment if its record has ended, unless it is to go on."""
        rules = self.settings.experiment
        of_experiment = self.status.experimenting and (whole or rules.record_exp)
        goes_on = of_experiment and rules.on_recording_lost == "go on"
        self._closed = self._closed or whole or self.run_folder is None
        self._asked_s = None
        self._alarm(text, grave=not goes_on)
        if of_experiment and not goes_on:
            how = "failed: its recording has ended ([Experiment] ON_RECORDING_LOST = stop)"
            crew.tell_engine(say.RunExperiment(False, how))
        self._become(replace(self.status, recording=False))

    def _saving(self, crew: ProcessManager, frames: int) -> None:
        """Wait on for a recorder that gets on, and say now and then what it does."""
        now_s = perf_counter()
        crew.saved_s = now_s
        if self._ending is not None and now_s - self._told_s > SAVING_TOLD_S:
            self._told_s = now_s
            text = f"the disk is slow, the record is still being saved ({frames} frames wait)"
            self._news.append(Note("recording", text, SystemClock().now_ns()))

    def _check_begun(self, now_s: float) -> None:
        """Say so, once, when a recording that was asked for does not begin."""
        if self._asked_s is not None and now_s - self._asked_s > BEGIN_S:
            self._asked_s = None
            self._alarm(
                f"The recording has not begun after {BEGIN_S:g} s: the recorder does not "
                "answer; is the disk slow, or OUTPUT_DIRECTORY not reachable?",
                grave=False,
            )

    def _check_saved(self) -> None:
        """Say so when the recorder ended before the run folder was complete."""
        if not self._closed:
            self._closed = True
            if self.run_folder is None:
                self._alarm("Nothing was recorded: the recorder made no run folder")
                return
            self._alarm(
                f"The run was not saved whole, the recorder ended before: {self.run_folder} "
                "is repaired when it is opened, or by utils/RepairRun.py"
            )

    def _camera_opened(self, crew: ProcessManager, opened: say.CameraOpened) -> None:
        try:
            anew = opened.camera in crew.rings
            ring = crew.add_ring(opened.camera, opened.format)
        except (DeepLabStreamError, OSError) as error:
            self._fail(crew, str(error))
            return
        self._stream.add_camera(ring, opened)
        for remark in opened.remarks:
            self._tell(crew, "camera", f"[Camera {opened.camera}] {remark}")
        self._attach(crew)
        if anew:
            self._pace.forget(opened.camera)
            crew.begin(self._posed(crew), (opened.camera,))

    def _attach(self, crew: ProcessManager) -> None:
        """Tell engine and recorder of the rings once all cameras have opened."""
        if len(crew.rings) < len(self.settings.cameras) or self._ending is not None:
            return
        specs = tuple(crew.rings[name].spec for name in self.cameras)
        stream = self._stream
        losses = dict(stream.knows_losses)
        crew.tell_recorder(say.Attach(specs, self.skeleton, stream.start_ns, losses))
        if self.status.phase is Phase.STARTING:
            crew.begin(self._posed(crew), self.cameras)
            self._become(replace(self.status, phase=Phase.STREAMING))

    def _posed(self, crew: ProcessManager) -> tuple[RingSpec, ...]:
        """Return the rings of the cameras that the engine looks at, in their order."""
        posed = self.settings.asked_of()
        return tuple(crew.rings[name].spec for name in self.cameras if name in posed)

    def _tell(self, crew: ProcessManager, kind: str, text: str) -> None:
        """Say something, and write it into the record."""
        note = Note(kind, text, SystemClock().now_ns())
        self._news.append(note)
        crew.tell_recorder(say.WriteNote(note))

    def _become(self, status: Status) -> None:
        self.status = status
        self._news.append(StatusChanged(status))
