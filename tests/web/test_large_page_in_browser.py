"""A page with many cameras, and with those of another computer, in a real browser."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("it needs descriptors 3 and 4", allow_module_level=True)

from deeplabstream.settings.rack_file import RackFile, load_rack
from tests.web.chromium import browser, chromium
from tests.web.test_other_computers import overview, token_file
from tests.web.test_page_commands import commanded
from tests.web.test_page_in_browser import opened
from tests.web.test_rack_page import STATUS, camera_ring, rack, running, write_frame

__all__ = ["rack"]

pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium")

BOXES = 8
"""A browser opens six connections to a server; the others wait."""


def test_all_cameras_are_shown_and_a_command_is_sent_at_once(tmp_path: Path) -> None:
    names = [f"box {number}" for number in range(BOXES)]
    (tmp_path / "rig.ini").write_text("[Camera top]\nKIND = SimulatedCamera\n")
    file = tmp_path / "rack.ini"
    file.write_text("".join(f"[Box {name}]\nRIG = rig.ini\n" for name in names))
    rack = load_rack(file)
    with ExitStack() as stack:
        rings = [stack.enter_context(camera_ring((48, 64))) for _ in names]
        for name, ring in zip(names, rings, strict=True):
            status = replace(STATUS, rings={"top": ring.spec})
            stack.enter_context(running(rack, name, status))
        served = stack.enter_context(commanded(rack, tmp_path))
        it = stack.enter_context(browser(tmp_path))

        def write_frames() -> None:
            for ring in rings:
                write_frame(ring, 100)

        opened(it, served, BOXES)
        shown = (
            "[...document.querySelectorAll('.images img')]"
            f".filter((image) => image.naturalWidth === 64).length === {BOXES}"
        )
        it.until(shown, write_frames)
        it.answers = [""]
        it.click("#boxes article .stop")
        it.until(
            "document.querySelector('#answer').textContent.includes('ok: stop box 0')",
            write_frames,
        )
        assert it.errors == []


def test_boxes_of_another_computer_are_stopped_with_all_boxes(
    rack: RackFile, tmp_path: Path
) -> None:
    with (
        running(rack, "left"),
        commanded(rack, tmp_path) as far,
        ExitStack() as stack,
    ):
        address = f"http://127.0.0.1:{far.server.port}"
        lab = overview(tmp_path / "lab", address, token_file=token_file(tmp_path))
        near = stack.enter_context(commanded(lab, tmp_path / "lab"))
        it = stack.enter_context(browser(tmp_path))
        opened(it, near)
        text = it.value("document.body.innerText")
        assert "1 of 2 boxes run" in text
        assert "east" in text

        it.answers = ["", ""]
        it.click("#computers article .stop")
        answer = "document.querySelector('#answer').textContent"
        it.until(f"{answer}.includes('east: ok: stop left')")
        it.click("#stop")
        it.until(f"{answer}.includes('ok: stop; east: ok: stop')")
        assert it.dialogs[0].startswith("Stop left of east?")
        assert it.dialogs[1].startswith("Stop all boxes of all computers?")
        assert (near.commands, far.commands) == (["stop"], ["stop left", "stop"])

        far.process.stdin.close()  # type: ignore[union-attr]
        problem = "document.querySelector('#computers .problem')"
        it.until(f"{problem}.textContent.includes('What is shown is old')")
        assert it.errors == []
