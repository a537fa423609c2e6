"""The events of Windows, without Windows: what becomes of each message."""

import threading

from deeplabstream.engine.processes.termination import Termination
from deeplabstream.engine.processes.windows_events import (
    PBT_APMSUSPEND,
    WM_ENDSESSION,
    WM_POWERBROADCAST,
    WM_QUERYENDSESSION,
    answer,
)


def answered(message: int, word: int) -> tuple[int | None, Termination]:
    """Answer a message while a program switches off as soon as it is asked to."""
    asked, over = Termination(), threading.Event()

    def look() -> None:
        while not over.wait(0.001):
            if asked.requested:
                asked.finish()

    program = threading.Thread(target=look)
    program.start()
    try:
        return answer(asked, message, word), asked
    finally:
        over.set()
        program.join()


def test_log_off_and_shut_down_wait_until_outputs_are_off() -> None:
    assert answered(WM_QUERYENDSESSION, 0)[0] == 1
    answer_, asked = answered(WM_ENDSESSION, 1)
    assert answer_ == 0
    assert asked.reason == "the user logs off or the computer is being shut down"
    assert asked.await_off(0)
    assert not asked.pauses


def test_a_log_off_that_was_called_off_ends_nothing() -> None:
    answer_, asked = answered(WM_ENDSESSION, 0)
    assert answer_ is None
    assert not asked.requested


def test_a_sleep_is_a_pause() -> None:
    answer_, asked = answered(WM_POWERBROADCAST, PBT_APMSUSPEND)
    assert answer_ == 1
    assert asked.pauses
    assert asked.await_off(0)
