"""A learned appearance names animals again by bursts of views, within limits it has earned."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.tracking.appearance_folder import (
    AppearanceScores,
    PairAccuracy,
)
from deeplabstream.pose.tracking.embedding_evidence import (
    APART_S,
    BURST,
    KNOWN,
    MOST_BURSTS,
    EmbeddingEvidence,
    View,
    largest_evidence,
)
from deeplabstream.pose.tracking.identity_tracker import DECISIVE, IdentityTracker
from deeplabstream.simulation.arena import ARENA_SKELETON
from tests.pose.appearance import ColourEmbedder, folder_of
from tests.pose.crowd import THRESHOLD, skeleton
from tests.pose.test_identity_ambiguity import SHAPE, Scene

PAIRS = (PairAccuracy("anna", "bob", 0.99), PairAccuracy("anna", "carl", 0.85))
SCORES = AppearanceScores(800, 0.97, 0.33, 160, 150, 150, PAIRS)
NAMES = Skeleton(("snout", "tailbase"), animals=("anna", "bob", "carl"))
POINTS, SEEN = np.array([[150.0, 100.0], [190.0, 100.0]]), np.ones(2, bool)
FAR = np.array([[500.0, 500.0]])
WHO: View = (POINTS, SEEN, FAR)
RATE = 30


class Rig:
    """Evidence of three animals that are shown one by one."""

    def __init__(self, path: Path) -> None:
        self.embedder = ColourEmbedder()
        self.folder = folder_of(path, SCORES)
        self.evidence = EmbeddingEvidence(self.folder, self.embedder, NAMES)
        self.frame = 0

    def show(
        self, animal: int, shade: int, bursts: int = 1, ambiguous: int = -1
    ) -> None:
        """Show an animal for so many bursts, and long enough for the next one."""
        image: Image = np.full((300, 300), shade, np.uint8)
        for _ in range(round(bursts * APART_S * RATE)):
            self.frame += 1
            self.add(image, {animal: WHO}, {ambiguous}, self.frame / RATE)

    def add(
        self,
        image: Image,
        shown: dict[int, View],
        ambiguous: Collection[int],
        time_s: float,
    ) -> None:
        due = self.evidence.due(shown, ambiguous, time_s)
        views = {animal: shown[animal] for animal in due}
        self.evidence.add(image, views, ambiguous, time_s)

    def learn(self, shades: tuple[int, ...] = (50, 150, 250), bursts: int = 20) -> None:
        for _ in range(bursts):
            for animal, shade in enumerate(shades):
                self.show(animal, shade)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_successive_frames_are_one_burst_a_second(rig: Rig) -> None:
    rig.show(0, 50, bursts=3)
    assert rig.embedder.calls == 3 * BURST


def test_one_animal_is_embedded_in_a_frame_and_each_in_turn(rig: Rig) -> None:
    image = np.full((300, 300), 50, np.uint8)
    shown = dict.fromkeys(range(3), WHO)
    for frame in range(RATE):
        before = rig.embedder.calls
        rig.add(image, shown, (), frame / RATE)
        assert rig.embedder.calls - before <= 1
    assert rig.embedder.calls == 3 * BURST


def test_a_crop_into_which_another_animal_reaches_is_not_used(rig: Rig) -> None:
    image = np.full((300, 300), 50, np.uint8)
    covered = POINTS, SEEN, POINTS[:1] + 5
    hidden = POINTS, np.array([True, False]), FAR
    for view in (covered, hidden):
        rig.add(image, {0: view}, (), 0.0)
    assert rig.embedder.calls == 0
    # another one is used instead
    rig.add(image, {0: covered, 1: WHO}, (), 0.0)
    assert rig.embedder.calls == 1


def test_animals_are_known_after_enough_bursts_and_told_apart_after_more(
    rig: Rig,
) -> None:
    rig.learn(bursts=KNOWN - 1)
    assert not rig.evidence.known.any()
    rig.learn(bursts=1)
    assert rig.evidence.known.all()
    assert not rig.evidence.distinct(DECISIVE).any()
    rig.learn(bursts=10)
    assert rig.evidence.distinct(DECISIVE)[0, 1:].all()


def test_evidence_is_limited_for_each_burst_and_for_all(rig: Rig) -> None:
    rig.learn()
    most = rig.evidence.limits[1]
    assert 0 < most[0] <= largest_evidence(rig.folder)
    against = []
    for _ in range(2 * MOST_BURSTS):
        rig.show(0, 150, ambiguous=0)  # looks like the second one
        against.append(rig.evidence.evidence([0, 1, 2])[0].copy())
    assert against[0].tolist() == pytest.approx([most[0], 0.0, most[2]])
    assert against[-1].tolist() == pytest.approx(
        [MOST_BURSTS * most[0], 0.0, MOST_BURSTS * most[2]]
    )
    rig.evidence.begin([0])
    assert not rig.evidence.evidence([0, 1, 2]).any()


def test_animals_that_look_alike_give_no_evidence(rig: Rig) -> None:
    rig.learn(shades=(50, 50, 150))
    assert rig.evidence.limits[0, 1] == 0
    assert rig.evidence.limits[0, 2] > 0
    rig.show(0, 50, ambiguous=0)
    against = rig.evidence.evidence([0, 1, 2])[0]
    assert against[:2].tolist() == [0, 0]
    assert against[2] > 0


def test_bursts_that_fit_another_animal_are_not_learned_and_lower_the_limit(
    rig: Rig,
) -> None:
    rig.learn()
    before = rig.evidence.limits.copy()
    for _ in range(30):
        rig.show(0, 150)
    assert rig.evidence.limits[0, 1] == 0 < before[0, 1]
    # what was learned is still right
    rig.show(0, 50, ambiguous=0)
    assert rig.evidence.evidence([0, 2])[0, 0] == 0


class Banded(Scene):
    """Two animals that differ behind their last body part only."""

    def __init__(self, evidence: EmbeddingEvidence | None) -> None:
        super().__init__(2)
        self.identity = IdentityTracker(skeleton(2), THRESHOLD, embeddings=evidence)

    def show(self, *places: tuple[float, float] | None, parts: int = 4) -> Pose:
        self.time_s += 1 / 30
        image = np.full((400, 400), 120, np.uint8)
        points = np.full((2, 4, 2), np.nan, np.float32)
        for row, (place, band) in enumerate(zip(places, (250, 120), strict=True)):
            assert place is not None
            points[row] = SHAPE + np.float32(place)
            x, y = (int(v) for v in place)
            image[y - 10 : y + 10, x - 5 : x + 45] = 60
            image[y - 8 : y + 8, x + 45 : x + 60] = band
        sure = np.isfinite(points[..., 0]).astype(np.float32)
        pose = Pose(ARENA_SKELETON, points, sure)
        return self.identity.update(image, pose, self.time_s)


@pytest.mark.parametrize("learned", [True, False])
def test_animals_with_bands_have_their_names_again_after_a_meeting(
    tmp_path: Path, learned: bool
) -> None:
    evidence = None
    if learned:
        folder = folder_of(tmp_path, SCORES, scale=1e6)
        evidence = EmbeddingEvidence(folder, ColourEmbedder(), skeleton(2))
    scene = Banded(evidence)
    one, other, between = (50, 100), (300, 300), (170, 200)
    scene.shown(one, other, times=25 * RATE)
    known = scene.identity.distinctness
    assert not known.alike  # neither has moved: its coat says nothing
    assert (not known.undecided) is learned
    for share in np.linspace(0, 1, 20):
        met = [
            tuple((np.array(start) * (1 - share) + np.array(between) * share).tolist())
            for start in (one, other)
        ]
        scene.show(*met)
    scene.shown(between, between, times=10)
    # they part, each to the place of the other one
    for share in np.linspace(0, 1, 20):
        parting = [
            tuple((np.array(between) * (1 - share) + np.array(end) * share).tolist())
            for end in (other, one)
        ]
        pose = scene.show(*parting)
    assert pose.identity[0].startswith("doubt")
    pose = scene.shown(other, one, times=6 * RATE)
    if learned:
        assert pose.identity == ("", "")
        assert np.allclose(pose.points[0, 0], other)
    else:
        assert pose.identity[0].startswith("doubt")
