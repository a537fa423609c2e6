"""The tab Record of the page Calibration: a board found live, its coverage, a recording."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Frame
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.pages.calibration_page import CalibrationPage
from deeplabstream.gui.pages.watching_tab import WatchingTab
from deeplabstream.gui.settings_document import Document
from tests.gui.fake_session import FakeSession
from tests.offline.camera_calibration.boards import BOARD, render
from tests.space.cameras import four_cameras, without_distortion

SOON = 300_000  # ms
NAMES = ("left", "right")
SETTINGS = "[Camera left]\nKIND = Webcam\n[Camera right]\nKIND = Webcam\n"


@pytest.fixture
def page(qtbot: QtBot, tmp_path: Path) -> Iterator[CalibrationPage]:
    (tmp_path / "settings.ini").write_text(SETTINGS, "utf-8")
    bridge = Bridge(FakeSession(*NAMES, shape=(480, 640)))
    made = CalibrationPage(Document(tmp_path / "settings.ini"), bridge)
    words = {"--board": [f"{BOARD.columns}x{BOARD.rows}"]}
    made.calibrating.panel.form.show_values(words)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.finish()


def tab_of(page: CalibrationPage) -> tuple[WatchingTab, FakeSession]:
    assert page.watching is not None
    session = page.watching.bridge.session
    assert isinstance(session, FakeSession)
    return page.watching, session


def start(page: CalibrationPage) -> tuple[WatchingTab, FakeSession]:
    tab, session = tab_of(page)
    tab.begin.click()
    tab.bridge.tick()
    assert tab.watch is not None
    return tab, session


def test_corners_coverage_and_pairs_are_shown_of_images_of_a_board(
    page: CalibrationPage, qtbot: QtBot, tmp_path: Path
) -> None:
    render(without_distortion(four_cameras()).select(NAMES), tmp_path / "images", 1)
    tab, session = start(page)
    assert session.asked == [Action.START_STREAM]
    images = {
        name: cv2.imread(str(tmp_path / "images" / name / "0.png"), 0) for name in NAMES
    }

    def seen() -> bool:
        """Offer the images until they are shown: the thread still has earlier ones."""
        for name, image in images.items():
            frame = Frame(name, 0, 1_000, 1_000, np.asarray(image, np.uint8))
            tab.bridge.imaged.emit(frame, None)
        return "left: 1 views" in tab.views.text()

    qtbot.waitUntil(seen, timeout=SOON)
    assert "left: 1 views" in tab.views.text()
    assert "left and right: 1" in tab.pairs.text()
    assert tab.message.text().startswith("Camera left: show the board")
    shown = tab.grid.views["left"].grab().toImage()
    green = sum(
        shown.pixelColor(x, y).getRgb()[:3] == (80, 220, 80)
        for x in range(shown.width())
        for y in range(shown.height())
    )
    assert green > 20


def test_the_board_is_not_looked_for_while_outputs_may_be_switched(
    page: CalibrationPage,
) -> None:
    tab, session = start(page)
    session.put(replace(session.state, analysing=True, experimenting=True))
    tab.bridge.tick()
    assert tab.watch is None
    assert "Stop it first" in tab.message.text()
    tab.begin.click()
    assert tab.watch is None


def test_a_recording_that_has_ended_is_calibrated_with(
    page: CalibrationPage, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    facts = {"cameras": {name: {} for name in NAMES}}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    for name in NAMES:
        (run / f"{name}.mkv").touch()
        (run / f"{name}.frames.csv").touch()
    tab, session = start(page)
    tab.record.click()
    tab.bridge.tick()
    assert tab.record.text() == "End and calibrate"
    assert not tab.begin.isEnabled()
    session.update(run_folder=run)
    tab.record.click()
    tab.bridge.tick()
    assert session.asked[-2:] == [Action.STOP_RECORDING, Action.STOP_STREAM]
    assert tab.watch is None
    assert page.tabs["Calibrate"].isChecked()
    values = page.calibrating.panel.form.values()
    assert values["Videos"] == [str(run / f"{name}.mkv") for name in NAMES]
    assert values["--names"] == [*NAMES]


def test_a_board_that_can_not_be_is_said(page: CalibrationPage) -> None:
    tab, _ = tab_of(page)
    page.calibrating.panel.form.show_values({"--board": ["7"]})
    tab.begin.click()
    tab.bridge.tick()
    assert tab.watch is None
    assert "expected the numbers of squares" in tab.message.text()


def test_the_cameras_are_not_started_without_the_squares_of_the_board(
    page: CalibrationPage,
) -> None:
    tab, session = tab_of(page)
    page.calibrating.panel.form.show_values({"--board": []})
    tab.begin.click()
    assert session.asked == []
    assert tab.message.text().startswith("The board is not known. Enter its squares")
    assert tab.begin.text() == "Start the cameras"

    page.calibrating.panel.form.show_values({"--board": ["7"]})
    tab.begin.click()
    assert session.asked == []
    assert tab.message.text().endswith("Correct the board on the tab Calibrate.")
