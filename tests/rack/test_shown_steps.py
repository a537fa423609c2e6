"""Poses of a box that other programs show: each belongs to exactly its frame."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.ipc.ring import FrameRing, RingWriter, create_ring
from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.newest_frames import INTERVAL_NS, PATIENCE_NS, NewestFrames
from deeplabstream.rack.shown_steps import LONGEST, ShownSteps, decode, encode
from tests.web.test_rack_page import STATUS

SKELETON = Skeleton(("snout", "tail"), (("snout", "tail"),), ("anna", "bob"))
POINTS = np.array([[[10.25, 20], [30, 40]], [[np.nan, np.nan], [7, 8]]], np.float32)


def step_of(index: int) -> Step:
    confidence = np.array([[0.9, 0.9], [np.nan, 0.2]], np.float32)
    return Step(
        camera="top",
        index=index,
        exposed_ns=1,
        arrived_ns=2,
        posed_ns=3,
        decided_ns=4,
        written_ns=0,
        pose=Pose(SKELETON, POINTS, confidence, ("", "doubt1")),
        triggers={"left": True, "right": None},
        commands=(),
        flags={"anna_snout": "held"},
    )


@pytest.fixture
def shown() -> Iterator[ShownSteps]:
    made = ShownSteps()
    yield made
    made.close()


@pytest.fixture
def frames() -> Iterator[FrameRing]:
    ring = create_ring("top", ImageFormat((4, 4), 30.0), 8)
    yield ring
    ring.close()
    ring.unlink()


def publish(ring: FrameRing, index: int) -> None:
    writer = RingWriter(ring)
    writer.slot()[:] = index
    writer.publish(index, 1, 1)


def view_of(frames: FrameRing, shown: ShownSteps) -> BoxView:
    status = replace(STATUS, rings={"top": frames.spec}, steps=shown.rings)
    return BoxView(
        name="left",
        runs=True,
        waits=False,
        state="",
        fails=False,
        animal="",
        status=status,
    )


def test_a_step_is_shown_as_triggers_saw_it() -> None:
    text = np.frombuffer(encode(step_of(7), 0.5, {"light": 1.0}) + b"\0\0", np.uint8)
    found = decode(text)
    assert found is not None
    assert found.step.index == 7 and found.step.camera == "top"
    assert found.step.triggers == {"left": True, "right": None}
    assert found.step.pose.skeleton == SKELETON
    assert found.step.flags == {"anna_snout": "held"}
    np.testing.assert_allclose(found.step.pose.points, POINTS, atol=0.051)
    seen = found.step.as_seen(0.5).points
    assert np.isnan(seen[1]).all() and np.isfinite(seen[0]).all()
    assert found.levels == {"light": 1.0} and found.threshold == 0.5


def test_a_reduced_step_has_scaled_points_and_no_names() -> None:
    found = decode(np.frombuffer(encode(step_of(7), 0.5, {}), np.uint8))
    assert found is not None
    small = found.reduced(0.5).step
    np.testing.assert_allclose(small.pose.points, POINTS / 2, atol=0.03)
    assert small.pose.skeleton.animals == ()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"camera":"top"}', b"\xff\xfe"])
def test_another_text_shows_nothing(text: bytes) -> None:
    assert decode(np.frombuffer(text, np.uint8)) is None


def test_a_pose_is_shown_with_its_own_frame(
    frames: FrameRing, shown: ShownSteps, tmp_path: Path
) -> None:
    clock = ManualClock()
    newest = NewestFrames(clock)
    shown.write(step_of(0), 0.5, {})
    newest.follow([view_of(frames, shown)])
    try:
        for index in (1, 2, 3):
            publish(frames, index)
        shown.write(step_of(2), 0.5, {})
        found = newest.newest_step("left", "top")
        assert found is not None and found[1] is not None
        assert found[0].index == found[1].step.index == 2
        assert found[0].image[0, 0] == 2

        clock.set(clock.now_ns() + INTERVAL_NS)
        assert newest.newest_step("left", "top") is None
        clock.set(clock.now_ns() + PATIENCE_NS)
        found = newest.newest_step("left", "top")
        assert found is not None
        assert found[0].index == 3 and found[1] is None
    finally:
        newest.close()


def test_a_step_that_is_too_long_is_left_out(shown: ShownSteps) -> None:
    skeleton = Skeleton(("centre",), (), tuple(f"animal{n}" for n in range(3000)))
    points = np.full((3000, 1, 2), 123.4, np.float32)
    pose = Pose(skeleton, points, np.ones((3000, 1), np.float32))
    step = replace(step_of(1), pose=pose)
    assert len(encode(step, 0.5, {})) > LONGEST
    shown.write(step, 0.5, {})
    assert shown.rings == {}
