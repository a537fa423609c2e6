"""Rehearsal: runs an experiment with simulated animals, faster than real time.

The true points of the animals replace the network's poses. Outputs may act on the animals.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Edge, Entry, Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.behaviour_classifiers import shown_behaviours
from deeplabstream.engine.replay.arena_animals import FLIGHT, ArenaAnimals, Walkers
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.engine.session.messages import NetworkReady
from deeplabstream.pose.background.background_detector import BACKGROUND
from deeplabstream.recording.run_folder import ModelFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.recording.table_reader import experiment_boundaries
from deeplabstream.settings.loading import check_against
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.text_rewriting import with_drawn_seeds
from deeplabstream.settings.validation_messages import guess
from deeplabstream.simulation.arena import (
    ARENA_SKELETON,
    Arena,
    ArenaCamera,
    ArenaView,
)
from deeplabstream.simulation.wells import WellsCamera
from deeplabstream.startup.progress import progress

_NO_FRAME: Image = np.zeros((1, 1), np.uint8)


@dataclass
class SimulatedEstimator:
    """Estimator without a network: returns the points that were set last."""

    skeleton: Skeleton = ARENA_SKELETON
    threshold: float = 0.5
    provider: str = "the simulated animal"
    sha256: str = ""
    points: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((1, 4, 2), np.float32)
    )
    """(animal, 4, 2), px; NaN: hidden by the shelter."""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return the same pose for each image."""
        seen = np.isfinite(self.points[..., 0]).astype(np.float32)
        return [Pose(self.skeleton, self.points, seen)] * len(images)

    def network_ready_message(self) -> NetworkReady:
        """Return the description of the network for the record."""
        facts = ModelFacts(self.provider, self.sha256, self.threshold, self.provider)
        return NetworkReady(self.skeleton, facts)


def arena_view(settings: Settings) -> ArenaView:
    """Return the view of the deciding camera if it is a simulated one, else the default."""
    camera = settings.cameras[settings.deciding_camera]
    if isinstance(camera, WellsCamera):
        return ArenaView(camera.wells.shape, camera.rate, camera.wells.seed)
    return camera.arena_view if isinstance(camera, ArenaCamera) else ArenaView()


class SimulatedAnimals:
    """Simulated animals below a camera; they run faster while some outputs are on."""

    def __init__(
        self, view: ArenaView, flees: Collection[str], number: int = 1
    ) -> None:
        self._rate = view.rate
        self._arena = Arena(
            view.shape, view.seed, view.shelter, animals=number, social=view.social
        )
        self._flees = frozenset(flees)
        self._levels: dict[str, float] = {}
        self._ahead_s = 0.0

    def receive(self, edge: Edge) -> None:
        """Store the level of an output that was written."""
        self._levels[edge.output] = edge.level

    def where(self, index: int) -> NDArray[np.float32]:
        """Return the body parts (animal, 4, 2), px, in image `index`, the next one.

        While an output from which the animals flee is on, they run `FLIGHT` times as fast.
        """
        if any(self._levels.get(name, 0.0) > 0 for name in self._flees):
            self._ahead_s += (FLIGHT - 1) / self._rate
        time_s = index / self._rate + self._ahead_s
        return np.round(4 * self._arena.truth(time_s)) / np.float32(4)


class _RehearsalWriter(RunWriter):
    """Writes the run, and passes the edges of the outputs to the animals."""

    def __init__(self, folder: RunFolder, animals: Walkers) -> None:
        super().__init__(folder, 0)
        self._animals = animals

    def entry(self, entry: Entry) -> None:
        if isinstance(entry, Edge):
            self._animals.receive(entry)
        super().entry(entry)


def rehearse(
    settings: Settings,
    path: Path | None = None,
    *,
    seconds: float,
    flees: Collection[str] = (),
    seed: int | None = None,
    animals: int = 1,
) -> tuple[RunFolder, list[Step]]:
    """Run the settings' experiment on simulated animals until it ends, for `seconds` at most.

    A simulated deciding camera sets rate, frame size and SEED of the walk. The run folder,
    `path` or a new one, has everything except a video. With arenas, an animal walks in each;
    it flees from its arena's output, also if `flees` has only the first part of its name. With
    [Light Cycle], the lamps go off in the middle, so that both phases are tried.
    SettingsError: the settings do not
    fit the simulated animals.
    """
    if settings.decides_in_space:
        raise SettingsError(
            [
                "[Space]: a rehearsal has one camera, and so no points in space; start the "
                "experiment with cameras of KIND = SimulatedSpaceCamera instead"
            ]
        )
    settings = _started_before_dark(with_drawn_seeds(settings), seconds / 2)
    settings.new_experiment()
    view = arena_view(settings)
    view = view if seed is None else replace(view, seed=seed)
    known = {*settings.outputs}
    if settings.arenas:
        known |= {name.partition(".")[0] for name in settings.outputs}
    unknown = sorted(set(flees) - known)
    skeleton = _skeleton(settings, view, animals)
    problems = check_against(settings, skeleton)
    problems += [
        f"flees {name}: there is no [Output {name}]{guess(name, settings.outputs)}"
        for name in unknown
    ]
    if problems:
        raise SettingsError(problems)
    walkers: Walkers = (
        ArenaAnimals(settings.arenas, skeleton, view.rate, view.seed, flees)
        if settings.arenas
        else SimulatedAnimals(view, flees, skeleton.count)
    )
    truth = SimulatedEstimator(skeleton)
    form = ImageFormat(view.shape, view.rate)
    more = {"rehearsal": True, "walk": view.seed}
    network = replace(
        truth.network_ready_message(),
        behaviours=shown_behaviours(settings, skeleton),
    )
    folder = new_folder(settings, path, form, network, more)
    with _RehearsalWriter(folder, walkers) as writer:
        frames = _frames(settings.deciding_camera, view.rate, seconds, walkers, truth)
        with closing(
            replay(settings, frames, truth, writer, identified=True)
        ) as replayed:
            # without a status the experiment has ended
            steps = list(takewhile(lambda step: bool(step.status), replayed))
    how = "finished" if steps and len(steps) < seconds * view.rate - 1 else "stopped"
    how = failure(folder) or how
    folder.finish(datetime.now().astimezone(), how, [])
    return folder, steps


def _started_before_dark(settings: Settings, seconds: float) -> Settings:
    """Return the settings of a stream that starts some time before lights-off."""
    if settings.light.lit is None:
        return settings
    # any day will do, and the same one each time
    offset = timezone(timedelta(hours=settings.light.utc_offset or 0.0))
    off = datetime.combine(date(2000, 1, 2), settings.light.lit.end, offset)
    return replace(settings, started=off - timedelta(seconds=seconds))


def _skeleton(settings: Settings, view: ArenaView, animals: int) -> Skeleton:
    """Return the skeleton of the simulated animals, with their names."""
    if settings.arenas:
        camera = settings.cameras[settings.deciding_camera]
        model = settings.model_named(camera.model or settings.pose.model)
        is_background = model == BACKGROUND
        found = settings.background.skeleton if is_background else ARENA_SKELETON
        return replace(found, animals=tuple(settings.arenas))
    in_rules = [max(rule.actor, rule.target) for rule in view.social]
    animals = max(animals, len(settings.animals.names), *in_rules)
    return replace(ARENA_SKELETON, animals=settings.animals.of(ARENA_SKELETON, animals))


def failure(folder: RunFolder) -> str:
    """Return how the experiment of a rehearsal failed: `failed: …`; empty: it did not."""
    *_, (_, how) = experiment_boundaries(folder.events_path)
    return how if how.startswith("failed") else ""


def _frames(
    name: str,
    rate: float,
    seconds: float,
    animals: Walkers,
    truth: SimulatedEstimator,
) -> Iterator[Frame]:
    count = round(seconds * rate)
    for index in progress(range(count), "simulating", count):
        truth.points = animals.where(index)
        time_ns = round(index * 1e9 / rate)
        yield Frame(name, index, time_ns, time_ns, _NO_FRAME)
