"""Which views of an animal's appearance resolve an ambiguity, and how many."""

from tests.pose.test_identity_ambiguity import APART, UPON, Scene

FAR = (350, 50)
BESIDE = (150, 150), (150, 215)


def test_animals_that_touch_are_told_apart_by_the_parts_that_are_clear() -> None:
    scene = Scene(shades=(20, 220))
    before = scene.shown(*APART, times=40)
    scene.shown(*UPON)
    assert scene.show(*UPON).identity == ("doubt1", "doubt1")
    in_a_row = (150, 150), (198, 150)
    told = scene.shown(*in_a_row, times=10)
    assert told.identity == ("", "")
    assert told.points[0, 0].tolist() == list(in_a_row[0])
    assert before.points[0, 0].tolist() == list(APART[0])


def test_an_animal_that_left_others_is_known_while_these_stay_ambiguous() -> None:
    scene = Scene(3, shades=(20, 90, 220))
    scene.shown(*APART, FAR, times=40)
    scene.shown(*UPON, (177, 177), times=10)
    assert scene.show(*UPON, (177, 177)).identity == ("doubt1",) * 3
    told = scene.shown(*UPON, (270, 270), times=10)
    assert told.identity == ("doubt1", "doubt1", "")
    assert told.points[2, 0].tolist() == [270, 270]


def test_one_view_does_not_decide_who_is_who() -> None:
    scene = Scene(shades=(20, 220))
    scene.shown(*APART, times=40)
    scene.shown(*UPON)
    right = scene.shades
    scene.shades = right[::-1]  # a reflection: each looks like the other
    told = scene.show(*BESIDE)
    assert told.identity == ("doubt1", "doubt1")
    scene.shades = right
    ends = {tuple(scene.show(*BESIDE).identity) for _ in range(20)}
    assert ends == {("doubt1", "doubt1"), ("", "")}  # no names were swapped back


def test_one_that_looks_like_none_of_its_group_is_not_given_one_of_their_names() -> (
    None
):
    # as after an identity switch with the third one that was not noticed
    scene = Scene(3, shades=(20, 90, 220))
    scene.shown(*APART, FAR, times=40)
    scene.shown(*UPON, FAR)
    assert scene.show(*UPON, FAR).identity == ("doubt1", "doubt1", "")
    scene.shades = (20, 220, 90)
    stated = []
    for _ in range(20):
        told = scene.show(*BESIDE, FAR)
        pale = [points[0].tolist() == list(BESIDE[1]) for points in told.points]
        name = pale.index(True)
        if not told.is_ambiguous(name):
            stated.append(name)
    assert stated
    assert {*stated} == {2}
