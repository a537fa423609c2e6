"""The page of a rack in a real browser; skipped where there is no Chromium."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("it needs descriptors 3 and 4", allow_module_level=True)

from deeplabstream.rack.rack_commands import COMMANDS
from deeplabstream.settings.rack_file import RackFile
from tests.web.chromium import Browser, browser, chromium
from tests.web.test_page_commands import Rack, commanded
from tests.web.test_rack_page import (
    STATUS,
    TOKEN,
    camera_ring,
    rack,
    running,
    write_frame,
)

__all__ = ["rack"]

pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium")

SIZES = {"a phone's screen": (360, 740), "a desk's screen": (1280, 800)}


def opened(it: Browser, served: Rack, boxes: int = 2) -> None:
    """Open the page as a viewer does, who gives the token."""
    it.open(f"http://127.0.0.1:{served.server.port}/")
    it.until("document.querySelector('input') !== null")
    it.value(f"document.querySelector('input').value = {TOKEN!r}")
    it.click("button")
    it.until(f"document.querySelectorAll('article').length === {boxes}")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_page_shows_all_boxes_without_a_horizontal_scroll_bar(
    rack: RackFile, tmp_path: Path, size: tuple[int, int]
) -> None:
    with (
        camera_ring((48, 64)) as ring,
        running(rack, "left", replace(STATUS, rings={"top": ring.spec})),
        commanded(rack, tmp_path) as served,
        browser(tmp_path) as it,
    ):
        opened(it, served)
        it.resize(*size)
        shown = "document.querySelector('.images img')?.naturalWidth === 64"
        it.until(shown, lambda: write_frame(ring, 100))
        text = it.value("document.body.innerText")
        assert "1 of 2 boxes run" in text
        assert "top 30.0" in text
        assert it.value("document.documentElement.scrollWidth") <= size[0]
        assert it.errors == []


def test_errors_of_cameras_are_shown_only_where_there_are_points_in_space(
    rack: RackFile, tmp_path: Path
) -> None:
    errors = {"top": 1.25, "side": None}
    with (
        running(rack, "left", replace(STATUS, left_out_px=errors)),
        running(rack, "right"),
        commanded(rack, tmp_path) as served,
        browser(tmp_path) as it,
    ):
        opened(it, served)
        it.until("document.body.innerText.includes('2 of 2 boxes run')")
        text = it.value("document.body.innerText")
        assert text.casefold().count("camera errors") == 1
        assert "top 1.3, side – px" in text or "top 1.2, side – px" in text
        assert it.errors == []


def test_a_command_needs_a_click_and_a_confirmation(
    rack: RackFile, tmp_path: Path
) -> None:
    recorded = replace(STATUS, run_folder="run 1")
    with (
        running(rack, "left", recorded),
        commanded(rack, tmp_path) as served,
        browser(tmp_path) as it,
    ):
        opened(it, served)
        it.until("document.querySelector('#boxes article .mark').hidden === false")

        it.click("#boxes article .stop")
        until_asked(it, "Stop left?")
        assert served.commands == [], "it was cancelled"

        it.answers = [""]
        it.click("#boxes article .stop")
        it.until(
            "document.querySelector('#answer').textContent.includes('ok: stop left')"
        )

        it.answers = ["ate <b>", ""]
        it.click("#boxes article .mark")
        it.until(
            "document.querySelector('#answer').textContent.includes('error: mark')"
        )
        first, marked = served.commands
        assert first == "stop left"
        assert marked.startswith("mark left ate <b> (marked ")
        assert it.dialogs[-1].startswith("Mark left ate <b> (marked ")
        assert it.value("document.querySelector('#answer b')") is None
        assert it.errors == []


def test_a_box_that_runs_is_restarted_after_a_confirmation(
    rack: RackFile, tmp_path: Path
) -> None:
    left, right = "#boxes article:nth-child(1)", "#boxes article:nth-child(2)"
    with (
        running(rack, "left"),
        commanded(rack, tmp_path) as served,
        browser(tmp_path) as it,
    ):
        opened(it, served)
        it.until(f"document.querySelector('{left} .restart').hidden === false")
        assert it.value(f"document.querySelector('{right} .restart').hidden") is True
        assert it.value(f"document.querySelector('{left} .start').hidden") is True

        it.click(f"{left} .restart")
        until_asked(it, f"Restart left? {COMMANDS['restart'].consequence}")
        assert served.commands == [], "it was cancelled"

        it.answers = [""]
        it.click(f"{left} .restart")
        answer = "document.querySelector('#answer').textContent"
        it.until(f"{answer}.includes('ok: restart left')")
        assert served.commands == ["restart left"]
        for width, height in SIZES.values():
            it.resize(width, height)
            assert it.value("document.documentElement.scrollWidth") <= width
            cut = (
                "[...document.querySelectorAll('.buttons button:not([hidden])')]"
                ".filter((it) => it.scrollWidth > it.clientWidth).length"
            )
            assert it.value(cut) == 0
        assert it.errors == []


def until_asked(it: Browser, question: str) -> None:
    """Wait until the page asks a question."""
    while not any(asked.startswith(question) for asked in it.dialogs):
        it.until("true")
