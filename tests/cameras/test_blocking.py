"""A driver that hangs is given up, and closed when it comes back."""

from threading import Event

import pytest

from cameras.webcam import TimeoutCaller
from deeplabstream.core.errors import DeviceError


def test_results_and_errors_come_through() -> None:
    answers = iter([1, 2])
    closed = Event()
    waiting = TimeoutCaller(lambda: next(answers), closed.set)
    assert [waiting.result(60), waiting.result(60)] == [1, 2]
    with pytest.raises(StopIteration):
        waiting.result(60)
    waiting.end(60)
    assert closed.is_set()


def test_a_call_that_hangs_is_given_up_and_closed_behind_it() -> None:
    lets_go, closed = Event(), Event()
    waiting = TimeoutCaller(lets_go.wait, closed.set)
    with pytest.raises(DeviceError, match=r"gave no frame for 0\.1 s"):
        waiting.result(0.1)
    waiting.end(0.01)
    assert not closed.is_set()
    lets_go.set()
    assert closed.wait(60)


def test_a_late_answer_is_not_taken_for_that_of_the_next_call() -> None:
    """A setting that the driver changes late; the next frame is a frame."""
    lets_go, closed = Event(), Event()
    waiting = TimeoutCaller(lambda: "frame", closed.set)
    with pytest.raises(DeviceError, match="did not answer"):
        waiting.other(lets_go.wait, 0.01)
    lets_go.set()
    assert waiting.result(60) == "frame"
    waiting.end(60)
