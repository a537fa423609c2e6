"""Animals enter shelters, and leave them under the right name or an ambiguous one."""

import numpy as np
import pytest

from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Rectangle
from deeplabstream.pose.tracking.identity_tracker import IdentityTracker
from deeplabstream.pose.tracking.shelters import Shelter, shelter_number
from tests.pose.crowd import THRESHOLD, skeleton
from tests.pose.test_identity_ambiguity import Scene

NEST = Shelter(1, Rectangle(150, 0, 100, 60))
TUBE = Shelter(2, Rectangle(0, 340, 60, 60))
DOOR, OTHER_DOOR = (170, 70), (205, 70)
"""Places of animals at the edge of the nest, a length apart from each other."""
A, B, C = (20, 150), (150, 200), (320, 300)
UNLIKE, ALIKE = (20, 90, 220), (60, 60, 60)
Place = tuple[float, float]


class Nest(Scene):
    """Three animals on a floor with a nest and a tube."""

    def __init__(self, shades: tuple[int, ...] = UNLIKE) -> None:
        super().__init__(3, shades)
        self.identity = IdentityTracker(skeleton(3), THRESHOLD, shelters=(NEST, TUBE))
        self.shown(A, B, C, times=40)

    def moved(self, *ways: tuple[Place, Place] | Place | None, times: int = 15) -> Pose:
        """Show animals that walk from one place to another, or stay."""
        for share in np.linspace(0, 1, times):
            places = []
            for way in ways:
                if way is not None and isinstance(way[0], tuple):
                    start, end = np.array(way, float)
                    x, y = start + share * (end - start)
                    places.append((float(x), float(y)))
                else:
                    places.append(way)  # type: ignore[arg-type]
            pose = self.show(*places)
        return pose


def name_at(pose: Pose, place: Place) -> str:
    """Return the name of the animal that the pose has at a place, with ? in doubt."""
    for animal, points in enumerate(pose.points):
        if np.allclose(points[0], place, atol=2):
            doubt = "?" if pose.is_ambiguous(animal) else ""
            return pose.skeleton.animals[animal] + doubt
    raise AssertionError(f"nobody at {place}: {pose.points[:, 0]}")


def test_an_animal_in_a_shelter_has_a_flag_and_no_position() -> None:
    nest = Nest()
    nest.moved((A, DOOR), B, C)
    pose = nest.shown(None, B, C, times=30)
    assert pose.identity == ("shelter1", "", "")
    assert shelter_number(pose.identity[0]) == 1
    assert np.isnan(pose.points[0]).all()


def test_the_only_animal_in_a_shelter_is_known_when_it_leaves() -> None:
    nest = Nest(ALIKE)
    nest.moved((A, DOOR), B, C)
    nest.shown(None, B, C, times=200)
    # by another door, and another one stands beside the shelter, all of it visible
    beside = (150, 120)
    nest.moved(None, (B, beside), C)
    pose = nest.moved((OTHER_DOOR, (300, 100)), beside, C)
    assert pose.identity == ("", "", "")
    assert name_at(pose, (300, 100)) == "anna"


@pytest.mark.parametrize("leaves", [0, 1])
def test_one_of_several_that_look_alike_stays_ambiguous_among_these(
    leaves: int,
) -> None:
    nest = Nest(ALIKE)
    nest.moved((A, DOOR), B, C)
    nest.shown(None, B, C, times=60)
    nest.moved(None, (B, OTHER_DOOR), C)
    nest.shown(None, None, C, times=60)
    way: list[tuple[Place, Place] | None] = [None, None]
    way[leaves] = (DOOR, (60, 250))
    pose = nest.moved(*way, C, times=40)
    # nobody else can be meant
    assert [state.startswith("doubt") for state in pose.identity] == [True, True, False]
    assert pose.identity[2] == ""


@pytest.mark.parametrize("leaves", [0, 1])
def test_one_of_several_is_named_by_its_appearance_within_two_seconds(
    leaves: int,
) -> None:
    nest = Nest(UNLIKE)
    nest.moved((A, DOOR), B, C)
    nest.shown(None, B, C, times=60)
    nest.moved(None, (B, OTHER_DOOR), C)
    nest.shown(None, None, C, times=60)
    way: list[tuple[Place, Place] | None] = [None, None]
    way[leaves] = (DOOR, (60, 250))
    pose = nest.moved(*way, C, times=60)  # 2 s at 30 frames/s
    assert name_at(pose, (60, 250)) == ("anna", "bob")[leaves]
    hidden = pose.identity[1 - leaves]
    assert hidden.endswith("shelter1")


@pytest.mark.parametrize(("missed", "known"), [(0, True), (1, False)])
def test_an_animal_in_the_door_of_an_occupied_shelter_is_known_while_its_parts_are_followed(
    missed: int, known: bool
) -> None:
    nest = Nest(ALIKE)
    nest.moved((A, DOOR), B, C)
    nest.shown(None, B, C, times=60)
    nest.moved(None, B, (C, (210, 66)), times=40)
    for _ in range(5):
        nest.show(None, B, (210, 66), parts=2)
    # not found: the occupant may have taken its place
    for _ in range(missed):
        nest.show(None, B, None)
    pose = nest.show(None, B, (210, 66), parts=2)
    words = ("shelter1", "") if known else ("doubt1+shelter1", "doubt1")
    assert (pose.identity[0], pose.identity[2]) == words
    assert pose.identity[1] == ""


def test_other_parts_in_the_door_of_an_occupied_shelter_may_be_the_occupants() -> None:
    nest = Nest(ALIKE)
    nest.moved((A, DOOR), B, C)
    nest.shown(None, B, C, times=60)
    nest.moved(None, B, (C, (210, 66)), times=40)
    nest.show(None, B, (210, 66), parts=1)
    pose = nest.show(None, B, (210, 66), parts=3, first=1)
    assert pose.identity == ("doubt1+shelter1", "", "doubt1")


def test_shelters_do_not_mix_their_occupants() -> None:
    nest = Nest(ALIKE)
    nest.moved((A, DOOR), (B, (40, 330)), C)
    pose = nest.shown(None, None, C, times=100)
    assert pose.identity == ("shelter1", "shelter2", "")
    pose = nest.moved((DOOR, A), ((40, 330), (200, 330)), C)
    assert pose.identity == ("", "", "")
    assert name_at(pose, A) == "anna"
    assert name_at(pose, (200, 330)) == "bob"


def test_an_animal_that_is_briefly_not_detected_beside_a_shelter_stays_known() -> None:
    nest = Nest(ALIKE)
    nest.moved((A, DOOR), B, C)
    nest.shown(None, B, C, times=60)
    beside = (150, 80)
    nest.moved(None, (B, beside), C)
    nest.shown(None, beside, C)
    nest.show(None, None, C)
    pose = nest.shown(None, beside, C, times=2)
    assert pose.identity == ("shelter1", "", "")


def test_the_same_frames_give_the_same_names() -> None:
    states = []
    for _ in range(2):
        nest = Nest(UNLIKE)
        nest.moved((A, DOOR), (B, OTHER_DOOR), C)
        nest.shown(None, None, C, times=40)
        pose = nest.moved((OTHER_DOOR, A), None, C, times=40)
        states.append((pose.identity, pose.points.tobytes()))
    assert states[0] == states[1]
