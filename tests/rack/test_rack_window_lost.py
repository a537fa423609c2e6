"""A rack that a window has started: it waits for commands, and the rack file's policy holds."""

import signal
import sys

import pytest

from tests.rack.test_rack_run import Rack, goes_on, rack

__all__ = ["rack"]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)


def lose_window(rack: Rack) -> None:
    """Close what the window writes to, as the system does when it is killed."""
    assert rack.running.stdin is not None
    rack.running.stdin.close()


def test_boxes_start_on_command_again_after_a_stop_and_end_with_their_window(
    rack: Rack,
) -> None:
    rack.start("--by-window")
    rack.type("start left")
    rack.wait_until_on("left")
    rack.type("stop")
    rack.wait_until_off("left")
    rack.wait(lambda: "[Box left] ended" in rack.told.read_text())
    assert rack.status("right") is None

    rack.type("start left")
    rack.wait_until_on("left")
    lose_window(rack)
    rack.wait_until_off("left")
    assert rack.running.wait(60) == 0
    assert "All boxes are being stopped: the window has ended." in rack.text()


def test_boxes_go_on_without_their_window_where_the_rack_file_says_so(
    rack: Rack,
) -> None:
    policy = "[Rack]\nIF_WINDOW_LOST = go on\n"
    rack.file.write_text(policy + rack.file.read_text("utf-8"), "utf-8")
    rack.start("--by-window")
    rack.type("start left")
    rack.wait_until_on("left")
    lose_window(rack)
    rack.wait_for_reports("left", 2)
    goes_on(rack, "left")
    # the stop window asks the rack to end
    rack.running.send_signal(signal.SIGTERM)
    rack.wait_until_off("left")
    rack.running.wait(60)
