"""Frames of a video through the same loop, on the frames' own clock: no processes."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from core.clock import ManualClock
from core.frame import Frame, ImageFormat
from core.record import Step
from engine.classifiers import open_classifiers
from engine.effective import effective
from engine.loop import Loop
from engine.messages import NetworkReady
from engine.seeing import seeing_of
from engine.settings import Settings
from engine.who import identities_of
from outputs.bank import Bank, opened
from outputs.simulated import simulated
from outputs.ticker import catch_up
from pose.estimator import PoseEstimator
from pose.per_camera import thresholds_of
from recording.run_folder import RunFacts, RunFolder
from recording.run_writer import RunWriter


def replay(
    settings: Settings,
    frames: Iterable[Frame],
    estimator: PoseEstimator,
    writer: RunWriter,
    experiment: bool = True,
    identified: bool = False,
) -> Generator[Step, None, None]:
    """Yield what happens to each frame; the outputs are simulated ones.

    The frames move the clock, so equal frames give equal steps and equal files. Posing
    takes no time here: a frame is decided at the moment it was taken. `identified`: the
    estimator knows already who is who.
    """
    clock = ManualClock()
    deciding = settings.deciding_camera
    triggers = settings.new_triggers()
    watchers = open_classifiers(settings, estimator.skeleton)
    behaviours = [name for it in watchers.get(deciding, ()) for name in it.behaviours]
    names = tuple(triggers)
    writer.begin(deciding, estimator.skeleton, names, behaviours=tuple(behaviours))
    outputs = simulated(settings.outputs)
    who = None
    if not identified:
        who = identities_of(settings, estimator.skeleton, thresholds_of(estimator))
    with opened(outputs, clock, writer.entry) as bank:
        loop = Loop(
            estimator,
            settings.experiment,
            deciding,
            clock,
            writer.entry,
            zero_ns=0,
            seeing=seeing_of(settings, thresholds_of(estimator), watchers),
            who=who,
        )
        if experiment:
            loop.begin(settings.new_experiment(), triggers, bank)
        else:
            loop.ask(triggers)
        try:
            yield from _steps(frames, loop, bank, clock)
        finally:
            loop.end("the video is over")


def new_folder(
    settings: Settings,
    path: Path | None,
    form: ImageFormat,
    network: NetworkReady,
    more: Mapping[str, object],
) -> RunFolder:
    """Make the run folder of a replay: `path`, or a new one under OUTPUT_DIRECTORY.

    `form` is what the deciding camera's pictures are like.
    """
    facts = RunFacts(
        start_ns=0,
        cameras={settings.deciding_camera: form},
        skeleton=network.skeleton,
        model=network.facts,
        more={**more, **effective(settings)},
    )
    now = datetime.now().astimezone()
    if path is not None:
        return RunFolder.create_at(path, now, settings.text, facts)
    return RunFolder.create(settings.output_directory, now, settings.text, facts)


def _steps(
    frames: Iterable[Frame], loop: Loop, bank: Bank, clock: ManualClock
) -> Iterator[Step]:
    for frame in frames:
        catch_up(bank, clock, frame.time_ns)
        yield loop.step(frame)
