"""Engine process: takes the newest frames from the rings through the loop."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import assert_never

import numpy as np

from deeplabstream.analysis.live_measures import measuring
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import (
    ANALYSIS_STARTED,
    LAST_NOTE,
    Entry,
    Intent,
    Note,
)
from deeplabstream.engine.behaviour_classifiers import open_classifiers
from deeplabstream.engine.device_manager import DeviceManager, run_self_tests
from deeplabstream.engine.dose_accounts import dose_places
from deeplabstream.engine.identity_reporting import identities_of
from deeplabstream.engine.light_switch import colour_problems, light_switch_of
from deeplabstream.engine.loop import Loop, run
from deeplabstream.engine.network_loading import (
    MissingNetwork,
    network_ready_message,
    open_network,
    outdated_networks,
)
from deeplabstream.engine.plate_search import PlateSearch
from deeplabstream.engine.plate_watch import (
    PLATE,
    PlateProcessReady,
    PlateSeen,
    PlateWatch,
    WatchPlate,
)
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.engine.processes.child_process import (
    EngineLinks,
    report_errors,
    send_message,
    set_up_child,
)
from deeplabstream.engine.processes.guard import (
    Heartbeat,
    guards_missing,
    last_entry_text,
)
from deeplabstream.engine.processes.moment_scheduler import MomentScheduler
from deeplabstream.engine.processes.real_time import (
    ENGINE,
    IdleCollection,
    RealTime,
)
from deeplabstream.engine.session.messages import (
    Analyse,
    Analysing,
    AnimalsDistinct,
    AttachRings,
    DevicesOpened,
    ExperimentRunning,
    FromAny,
    FromEngine,
    OpenDevices,
    PlateFound,
    ProblemReport,
    RunExperiment,
    SetIdentity,
    Stop,
    TestOutput,
    ToEngine,
    TraitsLearned,
    UnknownMessage,
)
from deeplabstream.engine.space_tracking import SpaceTracker, space_tracker_of
from deeplabstream.ipc.journal import Journal, JournalWriter
from deeplabstream.ipc.pipe import (
    Connection,
    Messages,
    has_message,
    message_check,
    receive,
)
from deeplabstream.ipc.ring import FrameRing, RingReader, RingSpec
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.model.model_opening import NO_MODEL
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.pose.per_light import per_light_of
from deeplabstream.pose.runtimes.batching import batches, frame_seconds
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.space_checks import (
    lens_problems,
    read_space_cameras,
    size_problems,
)

LISTEN_S = 0.02
"""Interval at which a busy engine checks for messages."""
HEARTBEAT_S = 0.2
"""Longest time to wait for a frame between two heartbeats to the guards."""
STOP_WITHOUT_MAIN = (
    "STOP was pressed in the stop window, the program's window did not respond"
)
"""Why an experiment was stopped without the main process: the end of a sentence."""
DISTINCT_S = 0.5
"""Interval at which a change in who looks alike is reported."""
TRAITS_S = 10.0
"""Interval at which the traits of the animals are reported."""
OTHERS_EVERY = 4
"""At least one in this many analysed frames comes from another camera than the deciding one."""
NEXT_FRAME_S = 2.0
"""Longest wait for a frame in which a plate is looked for."""
FEED_S = 0.02
"""Longest wait for a frame while a board's watchdog needs heartbeats."""


def engine_main(settings: Settings, pipe: Connection, links: EngineLinks) -> None:
    """Load the network, open the outputs, and decide until stopped."""
    # The thread that ends pulses must not wait 5 ms, Python's default, for the main thread.
    sys.setswitchinterval(0.0005)
    with (
        ExitStack() as at_last,
        report_errors(pipe) as messages,
        ExitStack() as resources,
    ):
        engine = _Engine(settings, messages, links, resources)
        set_up_child(orphaned=engine.orphaned, terminated=engine.stop)
        at_last.callback(engine.lower_priority)
        # The guards end at their goodbye. It is sent last: the session would report the end of
        # a guard instead of the error of the engine.
        at_last.callback(engine.goodbye)
        resources.callback(engine.write_last_entry)
        engine.prepare()
        engine.raise_priority()
        engine.work()


class FrameScheduler:
    """Round-robin scheduler: chooses the camera whose newest frame is analysed next.

    The deciding camera comes first. Where its frames alone keep the network busy, the
    others still get one of `OTHERS_EVERY` analyses, in turn.
    """

    def __init__(self, readers: Sequence[RingReader]) -> None:
        """Store the readers, the deciding camera's first."""
        self._deciding = readers[:1]
        self._others = deque(readers[1:])
        self._in_a_row = 0

    def next(self) -> Frame | None:
        """Return a frame that was not analysed yet; None: there is none."""
        order = [*self._deciding, *self._others]
        # a fast deciding camera alone would leave the others without any analysis
        if self._in_a_row >= OTHERS_EVERY - 1:
            order = [*self._others, *self._deciding]
        for reader in order:
            if (frame := reader.newest()) is None:
                continue
            if reader in self._deciding:
                self._in_a_row += 1
            else:
                self._in_a_row = 0
                # to the end of the queue: the others take turns
                self._others.remove(reader)
                self._others.append(reader)
            return frame
        return None


@dataclass
class _Engine:
    settings: Settings
    pipe: Messages
    links: EngineLinks
    resources: ExitStack
    clock: SystemClock = field(default_factory=SystemClock)
    readers: tuple[RingReader, ...] = ()
    scheduler: "FrameScheduler" = field(default_factory=lambda: FrameScheduler(()))
    moments: MomentScheduler = field(default_factory=lambda: MomentScheduler(()))
    """Schedules the cameras whose poses become points in space."""
    moments_in_a_row: int = 0
    """Moments that were analysed since the last frame of another camera."""
    analysing: bool = False
    batching: bool = False
    """Whether frames of several cameras that are ready together are one batch."""
    experiment_running: bool = False
    feeds_watchdog: bool = False
    """Whether a board's watchdog needs heartbeats of this loop."""
    stopped: bool = False
    unguarded: int = 0
    """Number of guards that are not yet ready."""
    lost: int = 0
    """Lost journal entries at the last check."""
    stops: int = 0
    """Stop requests at the last check."""
    distinctness: dict[str, Distinctness] = field(default_factory=dict)
    """Which animals look alike, by camera, as it was last sent."""
    distinctness_ns: int = 0
    """Time of the last check for a change of it."""
    traits_ns: int = 0
    """Time of the last report of the animals' traits."""

    def __post_init__(self) -> None:
        self.writing = threading.Lock()
        self.plate = PlateSearch(self.settings)
        self.unguarded = len(self.links.guards)
        self.shared = journal = Journal(self.links.journal)
        self.heart = Heartbeat(*self.links.guards, journal=journal)
        self.journal = JournalWriter(journal)
        self.device_manager = DeviceManager(
            self.settings.outputs,
            self.settings.inputs,
            self.clock,
            self.write,
            self.report_problem,
            self.resources,
            dose_places(self.settings),
        )
        self.plate_watch: PlateWatch | None = None
        self.has_plate_check: Callable[[], bool] = lambda: False
        if self.links.plate is not None:
            self.has_plate_check = message_check(self.links.plate)
        self.loop: Loop
        self.space_tracker: SpaceTracker | None = None
        self.real_time: RealTime | None = None
        self.garbage: IdleCollection

    def prepare(self) -> None:
        """Complete all slow work before the first frame; outputs are opened, switched off."""
        # Before the devices are opened: a board that is tested must not be in use.
        for result in run_self_tests(self.settings.outputs, self.settings.inputs):
            self.send(result)
        # Before the network, which takes seconds to load: a missing device is reported at once.
        if self.settings.outputs or self.settings.inputs:
            self.ready()

        if self.settings.lacks_network:
            self.loop = self.loop_without_network()
            return
        self.find_plate()
        estimator = open_network(self.settings)
        skeleton, thresholds = estimator.skeleton, thresholds_of(estimator)
        classifiers = open_classifiers(self.settings, skeleton)
        self.space_tracker = space_tracker_of(self.settings)
        self.loop = Loop(
            estimator,
            self.settings.experiment,
            self.settings.deciding_camera,
            self.clock,
            self.write,
            self.links.zero_ns,
            self.is_intact,
            pose_filter_of(self.settings, thresholds, classifiers),
            self.device_manager.levels,
            identities_of(
                self.settings, skeleton, thresholds, self.device_manager.take_reads
            ),
            measuring(self.settings, skeleton, thresholds),
            self.settings.arenas,
            self.space_tracker,
            self.settings.light_cycle,
            light_switch_of(self.settings, estimator),
            earlier_s=self.settings.earlier_s,
            plate=self.plate_watch,
        )
        self.batching = batches(estimator, len(self.settings.triggers_by_camera()))
        self.report_network(estimator)

    def loop_without_network(self) -> Loop:
        """Return a loop that gets no frames: the cameras stream, and can be calibrated."""
        return Loop(
            MissingNetwork(),
            self.settings.experiment,
            self.settings.deciding_camera,
            self.clock,
            self.write,
            self.links.zero_ns,
        )

    def find_plate(self) -> None:
        """Move the arenas to where the markers of their plate are seen."""
        if not self.plate.needed:
            return
        self.heart.pause()
        while not self.readers and not self.stopped:
            # the cameras open meanwhile; their rings come in a message
            if has_message(self.pipe):
                self.handle_message()
                self.heart.pause()
            else:
                self.links.wake.acquire(timeout=HEARTBEAT_S)
        self.plate.find(self.next_deciding_frame)
        self.settings = self.plate.settings
        if self.plate.place is not None:
            self.send(PlateFound(self.plate.place))
            self.plate_watch = PlateWatch(self.plate.tolerance_px)
            self.request_plate_checks()

    def request_plate_checks(self) -> None:
        """Have the markers looked for in the frames of the deciding camera."""
        plate = self.links.plate
        # without a ring: `attach` requests them when the next one is mapped
        if plate is not None and self.plate_watch is not None and self.readers:
            ring = self.readers[0].spec
            send_message(plate, WatchPlate(ring, self.settings.plate))

    def take_plate_checks(self) -> None:
        """Take the results of the checks that have arrived."""
        plate, watch = self.links.plate, self.plate_watch
        if plate is None or watch is None:
            return
        while self.has_plate_check():
            seen = receive(plate)
            if isinstance(seen, PlateProcessReady):
                self.request_plate_checks()
            elif isinstance(seen, PlateSeen):
                watch.take(seen)
            else:
                # the main process has ended; unchecked is unknown
                return

    def next_deciding_frame(self) -> Frame | None:
        """Wait for a new frame of the deciding camera; None: it does not come in time."""
        until_ns = self.clock.now_ns() + int(NEXT_FRAME_S * 1e9)
        while self.readers and not self.stopped and self.clock.now_ns() < until_ns:
            if (frame := self.readers[0].newest()) is not None:
                return frame
            self.links.wake.acquire(timeout=HEARTBEAT_S)
        return None

    def plate_problem(self) -> str:
        """Return why the frames must not be analysed: the plate is not where it was."""
        if not self.plate.needed:
            return ""
        self.heart.pause()  # finding the markers takes longer than a heartbeat may
        problem = self.plate.problem(self.next_deciding_frame())
        self.heartbeat()
        return problem

    def report_network(self, estimator: PoseEstimator) -> None:
        """Warm the network up and report that it is ready."""
        # the first call allocates memory and, on a GPU, compiles for seconds: do it
        # before the first frame
        taken = self.frame_seconds(estimator)
        if networks := per_light_of(estimator):
            # both, so that the first switch takes no time; the slower one counts
            networks.usual = "infrared"
            infrared = self.frame_seconds(estimator)
            networks.usual = "white"
            taken = {name: max(taken[name], infrared[name]) for name in taken}
        frame_ms = {camera: 1e3 * seconds for camera, seconds in taken.items()}

        message = network_ready_message(estimator, self.settings)
        self.send(replace(message, frame_ms=frame_ms))
        for sentence in outdated_networks(self.settings):
            self.write(Note("network", sentence, self.clock.now_ns()))

    def frame_seconds(self, estimator: PoseEstimator) -> dict[str, float]:
        """Warm a network up; return the time for a frame of each analysed camera."""
        estimator.estimate([np.zeros((480, 640, 3), np.uint8)])
        analysed = tuple(self.settings.triggers_by_camera())
        return frame_seconds(estimator, analysed, self.batching)

    def raise_priority(self) -> None:
        """Get real-time priority and collect garbage at idle moments only."""
        self.real_time = RealTime(ENGINE, self.settings.streaming.real_time)
        self.write(Note("scheduling", self.real_time.remark, self.clock.now_ns()))
        self.garbage = IdleCollection()

    def lower_priority(self) -> None:
        """Give up real-time priority, when the outputs are off."""
        if self.real_time is not None:
            self.real_time.end()

    def check_real_time(self, now_ns: int) -> None:
        """Record which threads lost their real-time priority."""
        if self.real_time is not None:
            for sentence in self.real_time.check(now_ns):
                self.write(Note("scheduling", sentence, now_ns))

    def goodbye(self) -> None:
        """End the guards, unless an output could not be switched off."""
        # without a goodbye they take over when this process ends, and open that output again
        if not self.device_manager.left_on:
            self.heart.goodbye()

    def write_last_entry(self) -> None:
        """Write the last entry of the journal, when the outputs are off and closed.

        A guard writes it where an output could not be switched off.
        """
        if not self.device_manager.left_on:
            text = last_entry_text(())
            if self.device_manager.bank is None and self.settings.outputs:
                # nothing was written, so "off" is not known
                text = "ended; no output was open"
            self.write(Note(LAST_NOTE, text, self.clock.now_ns()))
            self.heart.pause()  # the last messages may take longer than a heartbeat

    def stop(self) -> None:
        """End soon; callable from any thread."""
        self.stopped = True
        self.links.wake.release()

    def orphaned(self) -> None:
        """Switch off at once, because the main process ended; then end.

        Runs in a thread of its own: the loop may be in the network for a long time.
        """
        try:
            self.device_manager.switch_off("The main process ended", "main ended")
        finally:
            self.stop()

    def work(self) -> None:
        """Run until stopped; the experiment ends on every exit path."""
        try:
            run(self.frames(), self.loop, lambda step: None)
        finally:
            self.loop.end("stopped with the stream")

    def frames(self) -> Iterator[list[Frame]]:
        """Yield the newest frames, the deciding camera's first; empty: none arrived.

        The engine is busy only when woken: by a frame, a message, or its own heartbeat.
        A frame comes before messages, and is waited for only when none are left. A busy
        engine checks for messages and silence of the deciding camera every `LISTEN_S`.

        It sends a heartbeat after each frame's outputs, because that wakes the guards. While
        frames take longer than it waits for one, it also sends one before them: waiting must
        not add to the time that the guards count.
        """
        listened_ns, took_ns = 0, inf
        while not self.stopped:
            # before each frame, not only with the messages: it reads one number in memory
            self.check_stops()
            ready = self.newest()
            # a heartbeat wakes both guards: before a fast frame it would only add latency
            slow = took_ns > self.wait_s * 1e9
            began_ns = self.heartbeat() if ready and slow else self.clock.now_ns()
            yield ready
            now_ns = self.heartbeat()
            if ready:
                took_ns = now_ns - began_ns
            self.check_record()
            self.report_end()

            # A check for messages is a system call: while frames arrive it is made
            # every `LISTEN_S` only.
            if not ready or now_ns - listened_ns > LISTEN_S * 1e9:
                listened_ns = now_ns
                while not self.stopped and has_message(self.pipe):
                    self.handle_message()
                    self.heartbeat()
                self.take_plate_checks()
                self.check_real_time(now_ns)
                self.report_distinctness(now_ns)
                if now_ns - self.traits_ns > TRAITS_S * 1e9:
                    self.report_traits()
                deadline_ns = self.loop.idle()
                # collect garbage only while no frame or message is waiting; an engine that is
                # being stopped has no frame to wait for, and its outputs are still on
                if not ready and not self.stopped:
                    if self.moments.deadline_ns() is None:
                        self.garbage.idle(now_ns)
                    self.heartbeat()
                    self.sleep(deadline_ns)

    @property
    def wait_s(self) -> float:
        """Longest time to wait for a frame."""
        return FEED_S if self.feeds_watchdog else HEARTBEAT_S

    def heartbeat(self) -> int:
        """Send a heartbeat to the guards, and to boards with a watchdog; return the time."""
        now_ns = self.clock.now_ns()
        self.heart.send(now_ns)
        bank = self.device_manager.bank
        self.feeds_watchdog = bank is not None and bank.heartbeat(now_ns)
        return now_ns

    def newest(self) -> list[Frame]:
        """Return a frame that was not analysed yet; those of all cameras where that pays.

        The frames of calibrated cameras come together when they show one moment.
        """
        if not self.analysing:
            return []
        if self.space_tracker is not None:
            return self.newest_moment()
        if self.batching:
            frames = [reader.newest() for reader in self.readers]
            return [frame for frame in frames if frame is not None]
        frame = self.scheduler.next()
        return [] if frame is None else [frame]

    def newest_moment(self) -> list[Frame]:
        """Return the frames of a moment, or at times one of a camera that is not calibrated."""
        turn_of_others = self.moments_in_a_row >= OTHERS_EVERY - 1
        frame = self.scheduler.next() if turn_of_others else None
        moment = [] if frame is not None else self.moments.next(self.clock.now_ns())
        if frame is None and not moment:
            frame = self.scheduler.next()
        self.moments_in_a_row = self.moments_in_a_row + 1 if moment else 0
        return [frame] if frame is not None else moment

    def is_intact(self, frame: Frame) -> bool:
        """Return whether the image has not been overwritten since `newest` returned it."""
        for reader in self.readers:
            if reader.camera == frame.camera:
                return reader.is_intact
        return True

    def sleep(self, deadline_ns: int | None) -> None:
        """Wait to be woken, no longer than heartbeat and deadline allow."""
        until_s = self.wait_s
        due_ns = self.moments.deadline_ns()
        if due_ns is not None:
            deadline_ns = min(deadline_ns or due_ns, due_ns)
        if deadline_ns is not None:
            until_s = min(until_s, max(0.0, (deadline_ns - self.clock.now_ns()) / 1e9))
        self.links.wake.acquire(timeout=until_s)
        # one wake is enough for all frames and messages that have arrived since
        while self.links.wake.acquire(block=False):
            pass

    def handle_message(self) -> None:
        """Handle the next message; report an unknown one as a bug and continue."""
        message = receive(self.pipe)
        if message is None:  # the main process ended
            message = Stop()
        if not isinstance(message, ToEngine):
            self.send(UnknownMessage.received(message))
            return
        match message:
            case AttachRings(rings):
                # A camera that was opened again meanwhile has another ring, which the next
                # message names. Until then its frames are missing, as of a silent camera.
                with suppress(FileNotFoundError):
                    self.attach(rings)
            case Analyse(active):
                self.analyse(active)
            case RunExperiment(active, how, stops):
                self.start_experiment(stops) if active else self.loop.end(how)
            case OpenDevices():
                self.send(DevicesOpened(self.open_devices()))
            case TestOutput(name):
                self.test(name)
            case SetIdentity(camera, swapped):
                self.loop.set_identity(camera, swapped)
                self.report_traits()
            case Stop():
                self.report_traits()
                self.stopped = True
            case _:
                assert_never(message)

    def attach(self, specs: tuple[RingSpec, ...]) -> None:
        """Map the cameras' rings, in the order given: the deciding camera's first.

        Those that are mapped already stay. Mapping a large one takes longer than a board
        waits for a heartbeat.
        """
        mapped = {reader.spec: reader for reader in self.readers}
        # if a ring can't be mapped, no reader may refer to one that was unmapped here
        self.readers, self.scheduler = (), FrameScheduler(())
        self.moments = MomentScheduler(())
        for spec in mapped.keys() - {*specs}:
            mapped.pop(spec).close()
        for spec in specs:
            if spec not in mapped:
                ring = FrameRing(spec, meanwhile=self.heartbeat)
                mapped[spec] = RingReader(ring, borrows=True)
        self.readers = tuple(mapped[spec] for spec in specs)
        self.request_plate_checks()
        tracker = self.space_tracker
        in_space = tracker.cameras.names if tracker is not None else ()
        by_pulse = tracker is not None and tracker.matches_pulses
        self.moments = MomentScheduler(
            [reader for reader in self.readers if reader.camera in in_space],
            tracker.expected_pulse if tracker is not None and by_pulse else None,
        )
        self.scheduler = FrameScheduler(
            [reader for reader in self.readers if reader.camera not in in_space]
        )

        # All cameras are open, so generators of exposure pulses may start. A board that restarts
        # answers after 2 s, in which the guards must not see a hanging engine.
        self.heart.pause()
        if problem := self.device_manager.cameras_open():
            self.report_problem(problem)

    def analyse(self, active: bool) -> None:
        """Start or stop the analysis, with the next frame."""
        self.moments.reset()
        self.report_traits()
        if active and (problems := self.analysis_problems()):
            self.report_problem("; ".join(problems))
            self.send(Analysing(False))
            return
        # frames from before the request are not analysed, and do not count as missed
        for reader in self.readers:
            reader.skip()
        if active:
            self.loop.set_triggers(self.settings.new_triggers())
            self.distinctness = {}
            self.write(Note(*ANALYSIS_STARTED, self.clock.now_ns()))
            if self.plate.place is not None:
                text = self.plate.place.sentence
                self.write(Note(PLATE, text, self.clock.now_ns()))
        else:
            self.loop.end()
        self.analysing = active
        self.send(Analysing(active))

    def analysis_problems(self) -> list[str]:
        """Return why the frames must not be analysed."""
        if self.settings.lacks_network:
            return [NO_MODEL]
        plate = filter(None, [self.plate_problem()])
        return [*self.images_wrong(), *self.calibration_changed(), *plate]

    def calibration_changed(self) -> Iterator[str]:
        """Yield a sentence if the calibration is another one than when the stream started.

        The run folder gets a copy of the file, which a re-run reads.
        """
        tracker = self.space_tracker
        try:
            if tracker is not None and not tracker.cameras.equals(
                read_space_cameras(self.settings)
            ):
                yield "[Space] CALIBRATION has changed: stop the stream and start it again"
        except SettingsError as error:
            yield from error.problems

    def images_wrong(self) -> list[str]:
        """Return sentences on cameras whose images have another size than calibration or lens.

        And on those whose images can't show the light that decides on the network.
        """
        forms = {reader.camera: reader.spec.format for reader in self.readers}
        sizes = {name: (form.width, form.height) for name, form in forms.items()}
        shapes = {name: form.shape for name, form in forms.items()}
        problems = colour_problems(self.settings, shapes)
        problems += lens_problems(self.settings, sizes)
        if self.space_tracker is not None:
            problems += size_problems(self.space_tracker.cameras, sizes)
        return problems

    def start_experiment(self, stops: int) -> None:
        """Start the experiment with new triggers and a new plan, if frames are analysed.

        It is not started after a stop request that is not among the `stops` first ones.
        """
        # the analysis may have been stopped between the session's request and now
        if not self.analysing:
            self.report_problem("Cannot start the experiment: start the analysis first")
        elif problem := self.plate_problem():
            self.report_problem(f"Cannot start the experiment: {problem}")
            self.send(ExperimentRunning(False))
            return
        bank = self.device_manager.bank if self.analysing and self.ready() else None
        # last: opening the outputs may take seconds
        if self.shared.stops != stops:
            text = f"not started: {STOP_WITHOUT_MAIN}"
            self.write(Note("experiment", text, self.clock.now_ns()))
        elif bank is not None and not self.loop.experimenting:
            used = self.settings
            experiments, triggers = used.new_experiments(), used.new_triggers()
            self.loop.begin(experiments, triggers, bank, used.arena_experiments)
            self.experiment_running = True
        self.send(ExperimentRunning(self.loop.experimenting))

    def ready(self) -> bool:
        """Return whether the outputs are open; open them if not, and report why that failed."""
        if problem := self.open_devices():
            self.report_problem(problem)
        return not problem

    def open_devices(self) -> str:
        """Open outputs and inputs, unless all are open; return why that failed, or ""."""
        if self.device_manager.whole:
            return ""
        self.heart.pause()
        guarded = self.links.guarded
        self.unguarded = guards_missing(guarded, self.unguarded, lambda: self.stopped)
        if self.unguarded:
            return "The guards did not start, so the outputs stay closed"
        problem = self.device_manager.open()
        # opening has started a thread that ends pulses: it needs real-time priority too
        if self.real_time is not None:
            self.real_time.raise_threads()
        return problem

    def test(self, name: str) -> None:
        """Switch an output on for a moment; ignored while an experiment runs."""
        if not self.experiment_running and self.ready():
            self.device_manager.test(name)

    def check_stops(self) -> None:
        """End the experiment if a stop was requested without the main process."""
        if (stops := self.shared.stops) == self.stops:
            return
        self.stops = stops
        self.loop.end(f"stopped: {STOP_WITHOUT_MAIN}")
        self.shared.stops_done = stops

    def check_record(self) -> None:
        """End the experiment when entries of the record are lost: outputs go off."""
        if (lost := self.journal.lost) == self.lost:
            return

        # reported at the first loss and for each experiment that it ends, not for each entry
        is_new = not self.lost or self.loop.experimenting
        self.lost = lost
        text = "the recorder does not keep up, entries of the record are lost"
        self.loop.end(f"failed: {text}", "error")
        if is_new:
            self.report_problem(f"{text[0].upper()}{text[1:]}: is the disk slow?")

    def report_end(self) -> None:
        """Report the end of the experiment, once."""
        if self.experiment_running and not self.loop.experimenting:
            self.experiment_running = False
            self.send(ExperimentRunning(False))

    def report_distinctness(self, now_ns: int) -> None:
        """Report which animals look alike, where that has changed; outputs come first."""
        if now_ns - self.distinctness_ns < DISTINCT_S * 1e9:
            return
        self.distinctness_ns = now_ns
        for camera, distinctness in self.loop.distinctness().items():
            if self.distinctness.get(camera) != distinctness:
                self.distinctness[camera] = distinctness
                self.send(AnimalsDistinct(camera, distinctness))

    def report_traits(self) -> None:
        """Report the traits of the animals, where they are to be remembered."""
        self.traits_ns = self.clock.now_ns()
        if self.analysing and self.settings.animals.remember:
            for camera, traits in self.loop.traits().items():
                self.send(TraitsLearned(camera, traits))

    def report_problem(self, text: str) -> None:
        """Report a problem to the session."""
        self.send(ProblemReport(text))

    def send(self, message: FromEngine | FromAny) -> None:
        """Send a message to the session."""
        send_message(self.pipe, message)

    def write(self, entry: Entry) -> None:
        """Write into the journal and wake its readers."""
        # the journal has one writer; the timer thread of the bank writes the ends of pulses
        with self.writing:
            self.journal.write(entry)
        if isinstance(entry, Note) and entry.is_alarm:
            text, grave = entry.text.splitlines()[-1], entry.kind == "error"
            self.send(ProblemReport(text, grave))
        # The output is written after an intent: waking others now would delay it. The step
        # of the same frame wakes them.
        if not isinstance(entry, Intent):
            for listener in self.links.listeners:
                listener.release()
