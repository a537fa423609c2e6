"""Commands that users type to a rack, or send from its page."""

import os
import signal
import sys
import threading

import pytest

from deeplabstream.core.clock import rest
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.rack.box_input import LONGEST_MARK, BoxInput, mark_line
from deeplabstream.rack.rack_commands import (
    CommandQueue,
    RackCommand,
    RackRequest,
    parse_command,
)

BOXES = ["left", "left a", "right"]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("start left a", RackCommand("start", "left a")),
        (" stop  right ", RackCommand("stop", "right")),
        ("restart left", RackCommand("restart", "left")),
        ("stop", RackCommand("stop")),
        ("status", RackCommand("status")),
        ("mark left ate", RackCommand("mark", "left", "ate")),
        ("mark left a ate", RackCommand("mark", "left a", "ate")),
        ("mark left a", RackCommand("mark", "left", "a")),
        ("mark right \x1b[2J", RackCommand("mark", "right", "\\x1b[2J")),
    ],
)
def test_a_command_names_a_box_and_a_mark_its_text(
    line: str, command: RackCommand
) -> None:
    assert parse_command(line, BOXES) == command


@pytest.mark.parametrize(
    "line",
    [
        *(
            "",
            "start",
            "start both",
            "status left",
            "stop both",
            "dance left",
            "restart",
        ),
        *("mark", "mark right", "mark both ate", f"mark right {'x' * 201}"),
    ],
)
def test_what_is_not_a_command_is_refused_with_what_is_possible(line: str) -> None:
    with pytest.raises(DeepLabStreamError, match="mark NAME TEXT"):
        parse_command(line, BOXES)


def test_a_box_reads_marks_of_any_length_and_stops_at_the_end_of_its_input() -> None:
    theirs, ours = os.pipe()
    given = BoxInput(theirs)
    longest = "ä" * LONGEST_MARK
    for line in (mark_line("ate"), b"nonsense", mark_line(longest + "x"), b"mark "):
        os.write(ours, line + b"\n")
    os.close(ours)
    while not given.stop_requested:
        rest(0.001)
    os.close(theirs)
    assert given.take_marks() == ["ate", longest, ""]
    assert given.take_marks() == []
    assert given.reason == "the rack has ended"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer signal")
def test_a_signal_at_the_end_of_a_wait_for_commands_does_not_prolong_it() -> None:
    queue, came = CommandQueue(), threading.Event()

    def handle(*_: object) -> None:
        came.set()
        rest(0.1)  # past the end of the wait

    # a wait without an end would end with this request, and fail the test
    late = threading.Timer(20.0, queue.put, [RackRequest("status")])
    late.start()
    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert queue.take(0.05) == [] and came.is_set()
    finally:
        signal.signal(signal.SIGALRM, before)
        late.cancel()
