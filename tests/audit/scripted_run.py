"""A scripted run: an animal whose true position is known, and a network that errs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.audit.audit import Audit
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.engine.session.messages import NetworkReady
from deeplabstream.recording.audit_files import AuditClip, GivenVerdict, Verdict
from deeplabstream.recording.run_folder import ModelFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse

SHAPE = (300, 400)
SKELETON = Skeleton(("nose", "tail"), (("nose", "tail"),))
CENTRE, RADIUS = (120.0, 150.0), 50.0
SETTINGS = """\
[Pose Estimation]
MODEL = stand-in:0
[Camera top]
KIND = SimulatedCamera
[Trigger in]
KIND = InsideRegion
BODYPARTS = nose
REGION = circle 120 150 50
{more}
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = Conditional
[Experiment Conditional]
TRIGGER = in
OUTPUT = light
MAX_ON_S = 1
REST_S = 0.5
TRIALS = 10000
MAX_TOTAL_S = 100000
"""
_NO_IMAGE = np.zeros((1, 1), np.uint8)


@dataclass
class Scene:
    """Where the animal was, and what a network said of it.

    Errors are spans (`wrong_s`) in which the nose is found elsewhere with lower confidence, and
    spans in which it is not found; `jitter` is the standard deviation of each coordinate, px.
    """

    seed: int
    frames: int = 2000
    rate: float = 20.0
    jitter: float = 3.0
    wrong_per_min: float = 3.0
    wrong_s: tuple[float, float] = (0.1, 0.6)
    lost_per_min: float = 2.0
    home: float = 0.5
    """Probability with which a way ends in the region."""
    truth: NDArray[np.bool_] = field(init=False)
    """Whether the nose was inside the region, of each frame."""
    points: NDArray[np.float32] = field(init=False)
    confidence: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        places = self._walk(random)
        away = places - CENTRE
        self.truth = np.hypot(away[:, 0], away[:, 1]) <= RADIUS
        found = places + random.normal(0, self.jitter, places.shape)
        confidence = random.uniform(0.85, 1.0, self.frames)

        for first, last in self._spans(random, self.wrong_per_min, self.wrong_s):
            # It is found inside where it is outside, and the other way round.
            inside = not self.truth[first]
            found[first:last] = CENTRE if inside else (350.0, 40.0)
            found[first:last] += random.normal(0, 2, (last - first, 2))
            confidence[first:last] = random.uniform(0.55, 0.9, last - first)
        for first, last in self._spans(random, self.lost_per_min, (0.2, 2.0)):
            confidence[first:last] = 0.1
        self.points = found.astype(np.float32)
        self.confidence = confidence.astype(np.float32)

    def _walk(self, random: np.random.Generator) -> NDArray[np.float64]:
        """Return the places of the nose: ways at 100 px/s, with rests of up to 5 s."""
        ways: list[NDArray[np.float64]] = []
        here, done = np.array([300.0, 150.0]), 0
        while done < self.frames:
            if random.random() < self.home:
                there = np.array(CENTRE) + random.uniform(-25, 25, 2)
            else:
                there = random.uniform((220, 20), (380, 280))
            steps = max(1, round(float(np.hypot(*(there - here))) / 100 * self.rate))
            rest = round(random.uniform(0, 5) * self.rate)
            way = here + (there - here) * np.linspace(0, 1, steps)[:, None]
            ways += [way, np.repeat(there[None], rest, axis=0)]
            here, done = there, done + steps + rest
        return np.concatenate(ways)[: self.frames]

    def _spans(
        self, random: np.random.Generator, per_min: float, seconds: tuple[float, float]
    ) -> Iterator[tuple[int, int]]:
        for first in np.flatnonzero(
            random.random(self.frames) < per_min / 60 / self.rate
        ):
            length = max(1, round(random.uniform(*seconds) * self.rate))
            yield int(first), min(int(first) + length, self.frames)


@dataclass
class _Network:
    """An estimator that returns the scripted poses in order."""

    scene: Scene
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "script"
    sha256: str = "ab" * 32
    _next: int = 0

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        at, self._next = self._next, self._next + 1
        nose, confidence = self.scene.points[at], self.scene.confidence[at]
        points = np.stack([nose, nose + 30])[None]
        return [Pose(SKELETON, points, np.full((1, 2), confidence, np.float32))]


def record(path: Path, scene: Scene, more: str = "", video: bool = True) -> Path:
    """Write the run of a scene, as VideoAnalyzer does; `video`: it names its video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = parse(SETTINGS.format(more=more), path.parent)
    network = _Network(scene)
    model = ModelFacts("script", network.sha256, network.threshold, network.provider)
    form = ImageFormat(SHAPE, scene.rate)
    ready = NetworkReady(SKELETON, model)
    named = path.parent / "mouse.mp4"
    named.touch()  # no test decodes it
    facts = {"video": str(named)} if video else {}
    folder = new_folder(settings, path, form, ready, facts)
    times_ns = [round(index * 1e9 / scene.rate) for index in range(scene.frames)]
    frames = (Frame("top", at, ns, ns, _NO_IMAGE) for at, ns in enumerate(times_ns))
    with RunWriter(folder, 0) as writer:
        for _ in replay(settings, frames, network, writer):
            pass
    folder.finish(datetime.now(UTC), "end of the video", [])
    return path


def verdict_of(clip: AuditClip, scene: Scene) -> Verdict:
    """Return what a rater says who knows the truth."""
    held = bool(scene.truth[clip.frame])
    return "right" if held is (clip.answer is True) else "wrong"


def judge(audit: Audit, scene: Scene, rater: str = "anna") -> None:
    """Give the true verdict on every clip."""
    audit.give_all([
        GivenVerdict(clip=clip.number, rater=rater, verdict=verdict_of(clip, scene))
        for clip in audit.sample.clips
    ])  # fmt: skip


def true_shares(run: Path, scene: Scene, trigger: str = "in") -> tuple[float, float]:
    """Return precision and recall of a trigger on all frames of a run."""
    answers = [s.triggers[trigger] is True for s in steps_of(run)]
    fired = np.array(answers)
    right = (fired & scene.truth).sum()
    return float(right / fired.sum()), float(right / scene.truth.sum())


def steps_of(run: Path) -> Iterator[Step]:
    """Yield the steps of a run."""
    return RunFolder(run).steps("top")
