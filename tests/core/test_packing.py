"""What the processes send each other comes out as it went in."""

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deeplabstream.core.command import Command, Mark, OutputName, Pulse, off, on
from deeplabstream.core.journal_entries import Edge, Intent, Note, Step
from deeplabstream.core.pose import Pose, Skeleton

LAMP = OutputName("lamp")
COMMANDS: tuple[Command, ...] = (on(LAMP, 0.5), Pulse(LAMP, 0.2), Mark("x"), off(LAMP))
SKELETON = Skeleton(("nose", "tail"), (("nose", "tail"),))
POINTS = arrays(np.float32, (3, 2, 2), elements=st.floats(width=32))
CONFIDENCES = arrays(np.float32, (3, 2), elements=st.floats(0, 1, width=32))


@given(POINTS, CONFIDENCES)
def test_a_pose_comes_out_bit_by_bit(
    points: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    confidence: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
) -> None:
    came = pickle.loads(pickle.dumps(Pose(SKELETON, points, confidence)))
    assert came.skeleton == SKELETON
    assert came.points.tobytes() == points.tobytes()
    assert came.confidence.tobytes() == confidence.tobytes()
    assert (came.points.shape, came.confidence.shape) == ((3, 2, 2), (3, 2))


def test_entries_come_out_equal() -> None:
    entries = (
        Intent(3, 4, COMMANDS),
        Edge("lamp", 1.0, "plan", 5, 6),
        Note("a", "b", 7),
    )
    assert pickle.loads(pickle.dumps(entries)) == entries


def test_a_step_comes_out_with_all_its_fields() -> None:
    pose = Pose(SKELETON, np.zeros((1, 2, 2), np.float32), np.ones((1, 2), np.float32))
    answers = {"a": True, "b": None, "c": False}
    step = Step("top", 1, 2, 3, 4, 5, 6, pose, answers, COMMANDS, "on", True, True)
    came = pickle.loads(pickle.dumps(step))
    for name in Step.__slots__:
        if name != "pose":
            assert getattr(came, name) == getattr(step, name)
