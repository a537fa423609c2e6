"""Video replay: runs the loop over the frames of a video, in one process, on their times."""

from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from deeplabstream.analysis.live_measures import measuring
from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Step, TagRead
from deeplabstream.engine.behaviour_classifiers import open_classifiers
from deeplabstream.engine.identity_reporting import identities_of
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.plate_watch import PlateKnown
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.replay.recorded_tags import RecordedTags
from deeplabstream.engine.session.messages import NetworkReady
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.recording.behaviour_columns import behaviour_facts
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_schema import LIGHT, VIDEO_ENDED
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.sections import effective
from deeplabstream.simulation.virtual_output import virtual_outputs


def replay(
    settings: Settings,
    frames: Iterable[Frame],
    estimator: PoseEstimator,
    writer: RunWriter,
    experiment: bool = True,
    identified: bool = False,
    tags: Sequence[TagRead] = (),
    analysis_starts: Sequence[int] = (),
    plate: PlateKnown | None = None,
) -> Generator[Step, None, None]:
    """Yield the step of each frame; the outputs are simulated.

    The clock follows the times of the frames, so equal frames give equal steps and equal
    files. Pose estimation takes no time on this clock: a frame is decided at the time of
    its exposure. `identified`: the poses have their animals in the order of their names.
    `tags`: what RFID readers read, by the times of the frames. `analysis_starts`: times of
    frames, ns, at which an analysis started: the animals get new names there. `plate` knows when
    the plate of the arenas was away.
    """
    clock = ManualClock()
    deciding = settings.deciding_camera
    triggers = settings.new_triggers()
    classifiers = open_classifiers(settings, estimator.skeleton)
    behaviours = [
        name
        for classifier in classifiers.get(deciding, ())
        for name in classifier.behaviours
    ]
    names = tuple(triggers)
    light = () if settings.light_cycle is None else (LIGHT.name,)
    writer.begin(
        deciding,
        estimator.skeleton,
        names,
        behaviours=tuple(behaviours),
        optional=light,
    )
    outputs = virtual_outputs(settings.outputs)
    trackers = None
    if not identified:
        thresholds, taken = thresholds_of(estimator), RecordedTags(tags).take
        trackers = identities_of(settings, estimator.skeleton, thresholds, taken)
    with opened(outputs, clock, writer.entry) as bank:
        loop = Loop(
            estimator,
            settings.experiment,
            deciding,
            clock,
            writer.entry,
            zero_ns=0,
            pose_filter=pose_filter_of(settings, thresholds_of(estimator), classifiers),
            identity_trackers=trackers,
            measuring=measuring(settings, estimator.skeleton, thresholds_of(estimator)),
            arenas=settings.arenas,
            light=settings.light_cycle,
            plate=plate,
        )
        if experiment:
            experiments = settings.new_experiments()
            loop.begin(experiments, triggers, bank, settings.arena_experiments)
        else:
            loop.set_triggers(triggers)
        try:
            recorded, starts = RecordedTags(tags), deque(sorted(analysis_starts))
            for frame in frames:
                while starts and starts[0] <= frame.time_ns:
                    starts.popleft()
                    if trackers is not None:
                        trackers.reset()
                catch_up(bank, clock, frame.time_ns)
                for read in recorded.take_all(frame.time_ns):
                    writer.entry(read)
                yield loop.step(frame)
        finally:
            loop.end(VIDEO_ENDED)


def new_folder(
    settings: Settings,
    path: Path | None,
    form: ImageFormat,
    network: NetworkReady,
    more: Mapping[str, object],
) -> RunFolder:
    """Make the run folder of a replay: `path`, or a new one under OUTPUT_DIRECTORY.

    `form` is the format of the deciding camera's images.
    """
    facts = RunFacts(
        start_ns=0,
        cameras={settings.deciding_camera: form},
        skeleton=network.skeleton,
        model=network.facts,
        more={
            **more,
            **effective(settings),
            **behaviour_facts(network.behaviours),
        },
    )
    now = datetime.now().astimezone()
    if path is not None:
        return RunFolder.create_at(path, now, settings.text, facts)
    return RunFolder.create(settings.output_directory, now, settings.text, facts)
