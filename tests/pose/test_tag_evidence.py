"""A tag that is read names the animal at the reader, if it alone can be meant."""

import numpy as np
import pytest

from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Circle
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.shelters import shelter_number
from deeplabstream.pose.tracking.tag_evidence import AnimalTag, TagPlace
from tests.pose.crowd import THRESHOLD, skeleton
from tests.pose.test_identity_ambiguity import Scene
from tests.pose.test_shelters import DOOR, NEST, OTHER_DOOR, name_at

READER = TagPlace("door", Circle(180, 90, 40))
A, B, C = (20, 200), (150, 250), (320, 300)
AT = (170, 90)
"""A place at the reader."""
BESIDE = (170, 200)
"""A place more than a length away from it."""


class Door(Scene):
    """Three animals that look alike, and a reader at the door of a nest."""

    def __init__(self, first: str = "leftmost") -> None:
        super().__init__(3)
        self.identity = IdentityTracker(
            skeleton(3),
            THRESHOLD,
            IdentitySettings(first),  # type: ignore[arg-type]
            shelters=(NEST,),
            tag_places=(READER,),
        )
        self.shown(A, B, C, times=40)

    def read(
        self, animal: int, *places: tuple[float, float] | None, times: int = 1
    ) -> Pose:
        """Show animals, and read the tag of one at the last frame."""
        self.shown(*places, times=times)
        self.reads = [AnimalTag("door", animal, f"tag {animal}")]
        return self.show(*places)

    @property
    def outcomes(self) -> list[str]:
        return [result.outcome for result in self.identity.tag_results]


def walked(door: Door, *ways: tuple[tuple[float, float], ...] | None) -> None:
    """Show animals that walk along their places, each in 15 frames."""
    for leg in range(max(len(way) for way in ways if way) - 1):
        for share in np.linspace(0, 1, 15):
            places = []
            for way in ways:
                if way is None:
                    places.append(None)
                    continue
                start, end = np.array(way[min(leg, len(way) - 2) :][:2], float)
                places.append(tuple((start + share * (end - start)).tolist()))
            door.show(*places)  # type: ignore[arg-type]


def test_a_read_of_a_known_animal_changes_nothing() -> None:
    door = Door()
    walked(door, (A, AT), (B, B), (C, C))
    pose = door.read(0, AT, B, C)
    assert (door.outcomes, pose.identity) == (["known"], ("", "", ""))
    assert name_at(pose, AT) == "anna"


def test_an_animal_that_had_a_wrong_name_is_renamed_and_the_record_says_so() -> None:
    door = Door()
    walked(door, (A, AT), (B, B), (C, C))
    pose = door.read(1, AT, B, C)
    (result,) = door.identity.tag_results
    assert (result.outcome, result.former) == ("named", 0)
    assert name_at(pose, AT) == "bob"
    assert pose.identity[1] == "exchanged"
    # who has lost the name may be any of the others
    assert [state.startswith("doubt") for state in pose.identity] == [True, False, True]
    after = door.shown(AT, B, C)
    assert name_at(after, AT) == "bob"
    assert after.identity == ("doubt1", "", "doubt1")


def test_of_two_animals_both_are_known_after_one_read() -> None:
    scene = Scene()
    scene.identity = IdentityTracker(
        skeleton(2), THRESHOLD, IdentitySettings("tags"), tag_places=(READER,)
    )
    pose = scene.shown(AT, C, times=40)
    assert pose.identity == ("doubt1", "doubt1")
    scene.reads = [AnimalTag("door", 1, "")]
    pose = scene.show(AT, C)
    assert pose.identity == ("", "")  # no name was wrong before
    assert (name_at(pose, AT), name_at(pose, C)) == ("bob", "anna")


def test_with_first_tags_each_is_ambiguous_until_its_tag_is_read() -> None:
    door = Door("tags")
    pose = door.shown(A, B, C, times=100)
    assert pose.identity == ("doubt1",) * 3
    walked(door, (A, AT), (B, B), (C, C))
    pose = door.read(2, AT, B, C)
    assert name_at(pose, AT) == "carl"
    assert pose.identity == ("doubt1", "doubt1", "")
    walked(door, (AT, BESIDE, A), (B, B), (C, AT))
    pose = door.read(0, A, B, AT, times=10)
    assert pose.identity == ("", "", "")
    assert [name_at(pose, place) for place in (A, B, AT)] == ["carl", "bob", "anna"]


def test_a_time_limit_names_no_animal_that_was_never_named() -> None:
    scene = Scene()
    rules = IdentitySettings("tags", believe_after_s=0.5)
    scene.identity = IdentityTracker(skeleton(2), THRESHOLD, rules)
    assert scene.shown(A, C, times=100).identity == ("doubt1", "doubt1")


def test_two_animals_at_the_reader_are_evidence_for_neither() -> None:
    door = Door()
    near = (140, 90)
    walked(door, (A, AT), (B, near), (C, C))
    before = door.show(AT, near, C).identity
    pose = door.read(2, AT, near, C)
    assert door.outcomes == ["several"]
    assert pose.identity == before


def test_an_animal_that_was_at_the_reader_just_before_may_be_meant() -> None:
    door = Door()
    walked(door, (A, AT), (B, B), (C, C))
    door.shown((AT[0] - 30, AT[1] + 45), B, C, times=1)
    door.reads = [AnimalTag("door", 2, "")]
    door.show((AT[0] - 60, AT[1] + 90), B, C)
    assert door.outcomes == ["named"]


def test_a_tag_without_an_animal_at_the_reader_is_reported() -> None:
    door = Door()
    pose = door.read(0, A, B, C, times=20)
    assert door.outcomes == ["no_animal"]
    assert pose.identity == ("", "", "")


def test_an_animal_that_may_be_hidden_at_the_reader_makes_a_read_no_evidence() -> None:
    door = Door()
    walked(door, (A, BESIDE), (B, B), (C, C))
    walked(door, (BESIDE, (170, 140)), (B, B), (C, C))
    walked(door, None, (B, B), (C, AT))
    pose = door.read(0, None, B, AT)
    assert door.outcomes == ["unseen"]
    assert "carl" in name_at(pose, AT)


def test_a_read_is_no_evidence_while_one_animal_may_cover_another() -> None:
    door = Door()
    walked(door, (A, (150, 250)), ((B[0], B[1] + 15), (150, 265)), (C, C))
    walked(door, None, ((150, 265), (150, 200), AT), (C, C))
    door.read(0, None, AT, C)
    assert door.outcomes == ["unseen"]


@pytest.mark.parametrize("leaves", [0, 1])
def test_a_reader_at_a_shelter_names_who_leaves_it_and_who_stays(leaves: int) -> None:
    door = Door()
    walked(door, (A, DOOR), (B, B), (C, C))
    door.shown(None, B, C, times=60)
    walked(door, None, (B, OTHER_DOOR), (C, C))
    door.shown(None, None, C, times=60)
    ways: list[tuple[tuple[float, float], ...] | None] = [None, None]
    ways[leaves] = (DOOR, AT)
    walked(door, *ways, (C, C))
    places: list[tuple[float, float] | None] = [None, None, C]
    places[leaves] = AT
    assert door.show(*places).is_ambiguous(leaves)
    pose = door.read(leaves, *places)
    assert name_at(pose, AT) == ("anna", "bob")[leaves]
    assert shelter_number(pose.identity[1 - leaves]) == 1
    assert not pose.is_ambiguous(1 - leaves)


def test_tags_of_two_while_one_is_visible_leave_both_ambiguous() -> None:
    door = Door()
    walked(door, (A, AT), (B, B), (C, C))
    assert not door.read(0, AT, B, C).is_ambiguous(0)
    pose = door.read(1, AT, B, C, times=5)
    assert door.outcomes == ["several"]
    assert pose.identity == ("doubt1", "doubt1", "")
    # alone there again, the next read decides
    pose = door.read(1, AT, B, C, times=60)
    assert name_at(pose, AT) == "bob"


def test_the_same_frames_and_reads_give_the_same_names() -> None:
    def told() -> list[tuple[str, ...]]:
        door = Door("tags")
        walked(door, (A, AT), (B, B), (C, C))
        first = door.read(1, AT, B, C)
        return [first.identity, *(door.show(AT, B, C).identity for _ in range(5))]

    assert told() == told()
