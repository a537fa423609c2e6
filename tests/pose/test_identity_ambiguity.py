"""Doubts, and what a person says of them."""

from dataclasses import replace

import numpy as np
import pytest

from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.identity_ambiguity import IdentityAmbiguities
from deeplabstream.pose.tracking.identity_tracker import IdentityTracker
from deeplabstream.pose.tracking.tag_evidence import AnimalTag
from deeplabstream.simulation.arena import ARENA_SKELETON
from tests.pose.crowd import THRESHOLD, skeleton

SHAPE = np.array([[0, 0], [8, -6], [8, 6], [40, 0]], np.float32)


def test_doubts_spread_and_end() -> None:
    ambiguities = IdentityAmbiguities(4)
    ambiguities.confirm(range(4))
    assert not ambiguities
    assert ambiguities.begin(0, 1, 1.0) == [0, 1]
    assert ambiguities.begin(1, 2, 2.0) == [0, 1, 2]
    assert ambiguities.flags({3: "believed"}) == ["doubt1"] * 3 + ["believed"]
    assert ambiguities.flags({0: "swapped"})[0] == "doubt1+swapped"
    ambiguities.swap([1, 0, 2, 3])
    ambiguities.confirm([2])
    ambiguities.end(0, 1)
    assert not ambiguities
    assert ambiguities.resolve(3.0, 0.0) == {0: "exchanged", 1: "exchanged"}
    assert ambiguities.resolve(4.0, 0.0) == {}


def test_patience_counts_from_when_a_doubt_began() -> None:
    ambiguities = IdentityAmbiguities(3)
    ambiguities.confirm(range(3))
    for began_s in (1.0, 9.0):
        ambiguities.begin(0, 1, began_s)
        ambiguities.begin(0, 1, began_s + 0.4)  # the same doubt still
        assert ambiguities.resolve(began_s + 0.49, 0.5) == {}
        assert ambiguities.resolve(began_s + 100, 0.0) == {}
        assert ambiguities.ambiguous_animals() == (0, 1)
        assert ambiguities.resolve(began_s + 0.5, 0.5) == {0: "believed", 1: "believed"}
        assert not ambiguities
    ambiguities.begin(0, 1, 200.0)
    ambiguities.begin(1, 2, 200.4)  # the third has been in doubt for a moment only
    assert ambiguities.resolve(200.6, 0.5) == {}
    assert set(ambiguities.resolve(200.9, 0.5)) == {0, 1, 2}


class Scene:
    """Two or three animals that stand far apart, or upon each other."""

    def __init__(
        self, animals: int = 2, shades: tuple[int, ...] = (60, 60, 60)
    ) -> None:
        self.identity = IdentityTracker(skeleton(animals), THRESHOLD)
        self.shades = shades[:animals]
        self.heads: tuple[int, ...] = ()
        """Shades of the heads; empty: those of the bodies."""
        self.time_s = 0.0
        self.reads: list[AnimalTag] = []
        """Tags that are read before the next frame."""

    def show(
        self, *places: tuple[float, float] | None, parts: int = 4, first: int = 0
    ) -> Pose:
        """Show animals at these places, None: not found.

        Of the last one the parts from `first` to before `parts`.
        """
        self.time_s += 1 / 30
        image = np.full((400, 400), 120, np.uint8)
        points = np.full((len(self.shades), 4, 2), np.nan, np.float32)
        for row, (place, shade) in enumerate(zip(places, self.shades, strict=True)):
            if place is None:
                continue
            points[row] = SHAPE + np.float32(place)
            x, y = (int(v) for v in place)
            image[y - 10 : y + 10, x - 5 : x + 45] = shade
            if self.heads:
                image[y - 10 : y + 10, x - 5 : x + 10] = self.heads[row]
        points[-1, parts:] = points[-1, :first] = np.nan
        sure = np.isfinite(points[..., 0]).astype(np.float32)
        pose = Pose(ARENA_SKELETON, points, sure)
        reads, self.reads = self.reads, []
        return self.identity.update(image, pose, self.time_s, reads)

    def shown(self, *places: tuple[float, float] | None, times: int = 20) -> Pose:
        for _ in range(times):
            told = self.show(*places)
        return told


APART = (50, 50), (300, 300)
UPON = (175, 175), (176, 176)


def test_a_person_ends_a_doubt_that_nothing_else_would_end() -> None:
    scene = Scene()
    assert scene.shown(*APART).identity == ("", "")
    scene.shown(*UPON)
    told = scene.shown(*APART)
    assert told.identity == ("doubt1", "doubt1")  # they look alike
    scene.identity.apply_user_correction()
    before = told.points
    told = scene.show(*APART)
    assert told.identity == ("confirmed", "confirmed")
    np.testing.assert_array_equal(told.points, before)
    assert scene.show(*APART).identity == ("", "")


def test_a_person_exchanges_two_and_it_stays_so() -> None:
    scene = Scene()
    before = scene.shown(*APART)
    scene.identity.apply_user_correction((0, 1))
    told = scene.show(*APART)
    assert told.identity == ("swapped", "swapped")
    np.testing.assert_array_equal(told.points, before.points[::-1])
    told = scene.shown(*APART)
    assert told.identity == ("", "")
    np.testing.assert_array_equal(told.points, before.points[::-1])
    scene.identity.apply_user_correction((0, 1))  # and back
    np.testing.assert_array_equal(scene.show(*APART).points, before.points)


def test_names_that_were_wrong_from_the_start_are_not_taken_back() -> None:
    """Black and white: what each looks like goes with it."""
    scene = Scene(shades=(20, 220))
    before = scene.shown(*APART)
    scene.identity.apply_user_correction((0, 1))
    told = scene.shown(*APART, times=60)
    np.testing.assert_array_equal(told.points, before.points[::-1])
    assert told.identity == ("", "")
    scene.identity.apply_user_correction((0, 1))
    scene.shown(
        *UPON, times=2
    )  # at once in doubt again, and back before they were seen
    scene.identity.apply_user_correction((0, 1))
    told = scene.shown(*APART, times=60)
    assert told.identity == ("", "")
    assert {tuple(end) for end in told.points[:, 0].tolist()} == {(50, 50), (300, 300)}


def test_a_word_taken_back_before_they_were_seen_leaves_the_names_as_they_were() -> (
    None
):
    scene = Scene(shades=(20, 220))
    scene.shown(*APART)
    scene.shown(*UPON, times=3)
    before = scene.show(*UPON).points
    for _ in range(2):
        scene.identity.apply_user_correction((0, 1))
        told = scene.show(*UPON)
    np.testing.assert_array_equal(told.points, before)
    scene.shown(*UPON, times=2)
    words = {word for _ in range(60) for word in scene.show(*APART).identity}
    assert "exchanged" not in words  # nothing that the person did not say


def test_of_three_in_doubt_two_are_told_and_the_third_is_known_too() -> None:
    scene = Scene(animals=3)
    places = (150, 140), (230, 190), (150, 230)
    assert scene.shown(*places).identity == ("", "", "")
    for step in range(1, 11):  # they walk onto one place
        scene.show(
            *[(x + (180 - x) * step / 10, y + (180 - y) * step / 10) for x, y in places]
        )
    for step in range(9, 0, -1):
        scene.show(
            *[(x + (180 - x) * step / 10, y + (180 - y) * step / 10) for x, y in places]
        )
    assert scene.shown(*places).identity == ("doubt1",) * 3
    scene.identity.apply_user_correction((0, 2))
    assert scene.show(*places).identity == ("swapped", "", "swapped")


@pytest.mark.parametrize("exchanged", [None, (0, 1)])
def test_a_person_names_animals_that_nobody_could_name(
    exchanged: tuple[int, int] | None,
) -> None:
    scene = Scene()
    touching = (150, 150), (150, 160)
    told = scene.shown(*touching)
    assert told.identity == ("doubt1", "doubt1")
    scene.identity.apply_user_correction(exchanged)
    again = scene.show(*touching)
    assert all("doubt" not in word for word in again.identity)
    wanted = told.points if exchanged is None else told.points[::-1]
    np.testing.assert_array_equal(again.points, wanted)


def test_what_a_person_says_of_one_that_is_hidden_beside_a_stray_is_not_lost() -> None:
    scene = Scene()
    scene.shown(*APART)
    scene.identity.apply_user_correction((0, 1))
    told = scene.show((50, 50), (180, 150))
    assert sorted(told.identity) == ["stray+swapped", "swapped"]


def test_what_a_person_says_into_a_new_doubt_is_not_lost() -> None:
    scene = Scene()
    scene.shown(*APART)
    scene.shown(*UPON)
    scene.identity.apply_user_correction((0, 1))
    told = scene.show(*UPON)
    assert told.identity == ("doubt1+swapped",) * 2
    assert told.is_ambiguous(0)
    assert replace(ARENA_SKELETON, animals=("anna", "bob")) == told.skeleton


def test_looks_do_not_exchange_animals_that_motion_kept_apart() -> None:
    """Two animals far apart whose lights change: one comes into the shade of the other."""
    scene = Scene(shades=(20, 220))
    before = scene.shown(*APART, times=60)
    scene.shades = (220, 20)
    told = scene.shown(*APART, times=60)
    assert told.identity == ("", "")
    np.testing.assert_array_equal(told.points, before.points)


BESIDE = (150, 150), (150, 185)


@pytest.mark.parametrize("walks_over", [False, True])
def test_one_that_reappears_in_its_place_is_known_unless_it_could_be_covered(
    walks_over: bool,
) -> None:
    scene = Scene()
    one, other = BESIDE
    assert scene.shown(*BESIDE).identity == ("", "")
    assert scene.shown(one, None, times=10).identity == ("", "")
    if walks_over:
        for step in (*range(30), *range(30, -1, -1)):
            scene.show((150, 150 + step), None)
    told = scene.shown(one, other)
    assert told.identity == (("doubt1",) * 2 if walks_over else ("", ""))


@pytest.mark.parametrize(("turned", "ambiguous"), [(0.0, True), (np.pi / 2, False)])
def test_one_that_lies_otherwise_than_the_hidden_one_is_not_the_hidden_one(
    turned: float, ambiguous: bool
) -> None:
    tracker = IdentityTracker(skeleton(2), THRESHOLD)
    image = np.full((400, 400), 120, np.uint8)
    cosine, sine = np.cos(turned), np.sin(turned)
    turn = np.array([[cosine, sine], [-sine, cosine]], np.float32)
    middle = SHAPE.mean(axis=0)
    points = np.stack([SHAPE + 100, (SHAPE - middle) @ turn + middle + 100])
    for step in range(75):
        # the second one comes from below, stays 16 px beside the first, and is not found
        points[1, :, 1] += 176 if step == 0 else -4 if step <= 40 else 0
        shown = points.copy()
        shown[1] = np.nan if step >= 60 else shown[1]
        sure = np.isfinite(shown[..., 0]).astype(np.float32)
        pose = tracker.update(image, Pose(ARENA_SKELETON, shown, sure), step / 30)
        if step == 59:
            assert pose.identity == ("", "")
    assert pose.identity == (("doubt1",) * 2 if ambiguous else ("", ""))


def test_a_body_part_that_was_found_alone_takes_no_other_animal() -> None:
    """Of the last one ever fewer parts are found; the first one stays what it is."""
    identity = IdentityTracker(skeleton(2), THRESHOLD)
    image = np.full((400, 400), 120, np.uint8)
    bodies = np.stack([SHAPE * 4 + (100, 100), SHAPE * 4 + (100, 290)])
    found = [4] * 20 + [3, 2, 1, 1] + [0] * 5 + [1] + [0] * 13
    for index, parts in enumerate(found):
        points = bodies.astype(np.float32)
        points[1, parts:] = np.nan
        sure = np.isfinite(points[..., 0]).astype(np.float32)
        pose = Pose(ARENA_SKELETON, points, sure)
        told = identity.update(image, pose, index / 30)
        first = told.points[told.skeleton.animals.index("anna")]
        if index > 10:
            np.testing.assert_array_equal(first, points[0])
            assert not told.is_ambiguous(0)
