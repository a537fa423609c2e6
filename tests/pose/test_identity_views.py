"""Which views of an animal's appearance resolve an ambiguity, and how many."""

import numpy as np
import pytest

from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.appearance_model import AppearanceModel
from deeplabstream.pose.tracking.detections import UsualLength, detections
from deeplabstream.pose.tracking.identity_tracker import CLEAR_SHARE, DISTINCT
from deeplabstream.simulation.arena import ARENA_SKELETON
from tests.pose.crowd import THRESHOLD
from tests.pose.test_identity_ambiguity import APART, SHAPE, UPON, Scene

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


def test_a_head_alone_is_no_view_and_a_part_is_its_share_of_the_length() -> None:
    """The rest is hidden, as in the door of a shelter; a head looks different from a body."""
    usual, model, image = (
        UsualLength(),
        AppearanceModel(1),
        np.zeros((99, 99), np.uint8),
    )
    shares, viewed = [], []
    for parts in ([0, 1, 2, 3], [0, 1, 2], [0, 1, 3]):
        points = np.full((1, 4, 2), np.nan, np.float32)
        points[0, parts] = SHAPE[parts] + 20
        sure = np.isfinite(points[..., 0]).astype(np.float32)
        found = detections(Pose(ARENA_SKELETON, points, sure), THRESHOLD)
        usual.update(found.lengths())
        shares.append(found.clear_views(image, model, usual_px=usual.px)[0].share)
        views = found.clear_views(image, model, least=CLEAR_SHARE, usual_px=usual.px)
        viewed.append(0 in views)
    assert viewed == [True, False, True]
    # of 97 px, of which four fifths are enough, a head has 32, and one side of a body 43
    assert shares == pytest.approx([1.0, 32 / 77.7, 43 / 77.7], rel=0.1)


def test_an_animal_never_seen_whole_is_the_one_that_resembles_no_known_one() -> None:
    scene = Scene(shades=(20, 220))
    for _ in range(60):
        scene.show(*APART, parts=3)
    scene.shown(*UPON)
    assert scene.show(*UPON).identity == ("doubt1", "doubt1")
    told = scene.shown(APART[1], APART[0])
    assert told.identity == ("", "")
    assert told.points[0, 0].tolist() == list(APART[1])


def test_the_usual_length_is_a_median() -> None:
    usual = UsualLength()
    usual.update([])
    assert usual.px == 0
    for number in range(200):
        # in every fifth frame two animals are found as one
        lengths = [np.full(4, 25.0), np.full(2, 150.0 if number % 5 == 0 else 10.0)]
        usual.update(lengths)
    assert usual.px == pytest.approx(100, rel=0.05)
    for _ in range(100):  # of the only one that is visible, the head alone
        usual.update([np.full(2, 16.0)])
    assert usual.px > 85


def test_a_pale_animal_that_varies_does_not_make_dark_ones_look_alike() -> None:
    random, model = np.random.default_rng(0), AppearanceModel(4)
    for _ in range(100):
        for animal, (grey, spread) in enumerate(
            [(60, 6), (92, 6), (130, 8), (200, 40)]
        ):
            model.learn(animal, random.normal(grey, spread, 3))
    assert model.differences[0, 1] > DISTINCT
    assert model.differences[3, :3].min() > DISTINCT
