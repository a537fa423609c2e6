"""Between the network's points and the triggers: refused, held, recorded, repeated."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.pose_filtering import PoseFilter, pose_filter_of
from deeplabstream.pose.filters.edge_lengths import EdgeRange
from deeplabstream.settings.cross_checks import check_against
from deeplabstream.settings.loading import parse
from deeplabstream.settings.tracking import Tracking

SKELETON = Skeleton(("snout", "tail"))
CAMERA = "[Camera top]\nKIND = SimulatedCamera\n"
Place = tuple[float, float]


def pose(*places: Place, sure: float = 1.0) -> Pose:
    points = np.array([places], np.float32)
    return Pose(SKELETON, points, np.full((1, len(places)), sure, np.float32))


def filter_with(**rules: float) -> PoseFilter:
    return PoseFilter(Thresholds(0.5), {"": Tracking(**rules)})


def test_without_rules_only_the_threshold_counts() -> None:
    pose_filter = PoseFilter(Thresholds(0.5))
    filtered = pose_filter.filter("top", pose((1, 2), (3, 4), sure=0.4), 0.0)
    assert np.isnan(filtered.pose.points).all()
    assert not filtered.changed


def test_a_point_that_can_not_have_gone_so_far_is_refused() -> None:
    pose_filter = filter_with(max_speed=1000)
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    filtered = pose_filter.filter("top", pose((15, 10), (150, 50)), 0.01)
    assert filtered.flags == {"tail": "jump"}
    assert np.isnan(filtered.pose.points[0, 1]).all()
    assert filtered.pose.points[0, 0].tolist() == [15, 10]


def test_a_refused_point_that_was_right_is_believed_in_time() -> None:
    pose_filter = filter_with(max_speed=1000)
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    refused = [
        "tail" in pose_filter.filter("top", pose((10, 10), (150, 50)), n / 100).flags
        for n in range(1, 12)
    ]
    assert refused == [True] * 9 + [False] * 2


def test_the_limit_goes_by_time_not_by_frames() -> None:
    pose_filter = filter_with(max_speed=1000)
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    assert not pose_filter.filter("top", pose((90, 10), (50, 50)), 0.1).flags


def test_a_missing_point_is_held_and_then_unknown() -> None:
    pose_filter = filter_with(hold_ms=50)
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    gone = pose((0, 0), (0, 0), sure=0.1)
    held = pose_filter.filter("top", gone, 0.05)
    assert held.flags == {"snout": "held", "tail": "held"}
    assert held.pose.points[0, 1].tolist() == [50, 50]
    assert np.isnan(pose_filter.filter("top", gone, 0.06).pose.points).all()


def test_a_refused_point_may_be_held_too() -> None:
    pose_filter = filter_with(hold_ms=50, max_speed=1000)
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    filtered = pose_filter.filter("top", pose((10, 10), (250, 50)), 0.01)
    assert filtered.flags == {"tail": "jump+held"}
    assert filtered.pose.points[0, 1].tolist() == [50, 50]


def test_cameras_have_memories_of_their_own_and_forget() -> None:
    pose_filter = filter_with(max_speed=1000)
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    assert not pose_filter.filter("side", pose((300, 10), (350, 50)), 0.01).flags
    pose_filter.reset()
    assert not pose_filter.filter("top", pose((300, 10), (350, 50)), 0.02).flags


def test_one_camera_may_have_rules_of_its_own() -> None:
    words = "[Tracking]\nHOLD_MS = 100\n[Tracking side]\nMAX_SPEED = 500\n"
    side = "[Camera side]\nKIND = SimulatedCamera\n"
    pose_filter = pose_filter_of(parse(CAMERA + side + words, Path()), Thresholds(0.5))
    for camera in ("top", "side"):
        pose_filter.filter(camera, pose((10, 10), (50, 50)), 0.0)
    far = pose((300, 10), (50, 50))
    assert not pose_filter.filter("top", far, 0.01).flags
    assert pose_filter.filter("side", far, 0.01).flags == {"snout": "jump"}


MM = "MM_PER_PIXEL = 0.5\n"


def test_speeds_may_be_told_in_millimetres() -> None:
    words = "[Tracking]\nMAX_SPEED = 1000\nUNIT = mm\n"
    pose_filter = pose_filter_of(parse(CAMERA + MM + words, Path()), Thresholds(0.5))
    pose_filter.filter("top", pose((10, 10), (50, 50)), 0.0)
    filtered = pose_filter.filter("top", pose((28, 10), (72, 50)), 0.01)
    assert filtered.flags == {"tail": "jump"}  # 9 mm and 11 mm in 10 ms


def test_triggers_may_be_told_in_millimetres() -> None:
    pose_filter = pose_filter_of(parse(CAMERA + MM, Path()), Thresholds(0.5))
    filtered = pose_filter.filter("top", pose((10, 20), (50, 60), sure=0.9), 0.0)
    assert filtered.in_unit("mm").points.tolist() == [[[5, 10], [25, 30]]]
    assert filtered.in_unit("px").points.tolist() == [[[10, 20], [50, 60]]]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            "[Tracking]\nMAX_SPEED = 9\nUNIT = mm\n",
            r"\[Tracking\] UNIT = mm: \[Camera top",
        ),
        (
            "[Trigger a]\nKIND = Speed\nBODYPARTS = snout\nSPEED = 50\nUNIT = mm\n",
            r"\[Trigger a\] UNIT = mm: .*MM_PER_PIXEL",
        ),
        ("MARKS = 0 0 0 0, 9 0 9 0\n", r"\[Camera top\] MARKS: expected at least four"),
        ("MARKS = 0 0 0 0, 9 0 9\n", r"MARKS.*X Y X_MM Y_MM"),
        (MM + "MARKS = 0 0 0 0, 9 0 9 0, 9 9 9 9, 0 9 0 9\n", "remove one"),
        ("[Tracking]\nBONES = snout tail 1 2\n", "BODYPART - BODYPART"),
        ("[Tracking]\nBONES = snout - tail 2 1\n", "SHORTEST LONGEST"),
    ],
)
def test_what_can_not_be_told_is_a_sentence(words: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        parse(CAMERA + words, Path())


def test_bones_are_of_body_parts_that_the_network_knows() -> None:
    rig = parse(CAMERA + "[Tracking]\nBONES = snout - tale 1 2\n", Path())
    assert check_against(rig, SKELETON) == [
        "[Tracking] BONES: the network has no body part 'tale'; did you mean tail?"
    ]


def test_an_end_of_a_bone_that_can_not_be_is_refused() -> None:
    edges = (EdgeRange("snout", "neck", 10, 30), EdgeRange("neck", "tail", 20, 60))
    pose_filter = PoseFilter(Thresholds(0.5), {"": Tracking(bones=edges)})
    skeleton = Skeleton(("snout", "neck", "tail"))

    def doubts(*points: Place, sure: tuple[float, ...] = (1, 1, 1)) -> object:
        there = np.array([points], np.float32)
        return pose_filter.filter(
            "top", Pose(skeleton, there, np.array([sure], np.float32)), 0.0
        ).flags

    assert doubts((0, 0), (20, 0), (60, 0)) == {}
    assert doubts((0, 0), (200, 0), (60, 0)) == {"neck": "bone"}, "it spoils two edges"
    assert doubts((0, 0), (20, 0), (200, 0), sure=(1, 0.9, 0.8)) == {"tail": "bone"}
    assert doubts((0, 0), (20, 0), (200, 0), sure=(1, 0.6, 0.8)) == {"neck": "bone"}
    assert doubts((0, 0), (np.nan, 0), (200, 0)) == {}, "nothing to measure"


def test_a_section_for_no_camera_is_told() -> None:
    with pytest.raises(SettingsError, match=r"no section \[Camera sid\].*did you mean"):
        parse(CAMERA.replace("top", "side") + "[Tracking sid]\nMAX_SPEED = 1\n", Path())
