"""The page Calibration: board, calibration, floor and settings, step by step."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.gui.pages.calibration_page import CalibrationPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.recording.calibrations.calibration_file import (
    WRITERS,
    read_calibration,
)
from deeplabstream.space.camera_group import CameraGroup
from tests.gui.calibration_files import REASON, write_verdict
from tests.gui.main_windows import answer
from tests.offline.camera_calibration.boards import render
from tests.space.cameras import four_cameras, without_distortion

SOON = 300_000  # ms
NAMES = ["left", "right", "front"]
SETTINGS = """# of the lab
[Camera left]
KIND = Webcam
[Camera right]
KIND = Webcam
[Camera front]
KIND = Webcam

[Space]
LIMIT_PX = 12  ; measured
"""


@pytest.fixture
def page(qtbot: QtBot, tmp_path: Path) -> Iterator[CalibrationPage]:
    (tmp_path / "settings.ini").write_text(SETTINGS, "utf-8")
    made = CalibrationPage(Document(tmp_path / "settings.ini"))
    qtbot.addWidget(made)
    made.show()
    yield made
    made.finish()


def ended(page: CalibrationPage, code: int) -> None:
    page.calibrating.panel.view._ended(code, killed=False)


def test_a_board_is_written_and_its_words_are_those_of_the_calibration(
    page: CalibrationPage, qtbot: QtBot, tmp_path: Path
) -> None:
    page.board.form.show_values({"--board": ["6x8"], "--page": ["A3"]})
    with qtbot.waitSignal(page.board.ended, timeout=SOON):
        page.board.begin.click()
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF")
    assert "Measure with a caliper" in page.board.view.page.toPlainText()
    values = page.calibrating.panel.form.values()
    assert values["--board"] == ["6x8"]
    assert values["--output"] == [str(tmp_path / "calibration.toml")]
    page.next["Board"].click()
    assert page.tabs["Calibrate"].isChecked()


def test_files_get_the_names_of_the_cameras_of_the_settings(
    page: CalibrationPage,
) -> None:
    form = page.calibrating.panel.form
    videos = [f"day1_{name}.mp4" for name in ("front", "left", "right")]
    form.show_values({"Videos": videos})
    assert form.values()["--names"] == ["front", "left", "right"]
    form.show_values({"Videos": videos[:2]})
    assert form.values()["--names"] == ["front", "left"]
    form.show_values({"--names": ["mine", "own"]})
    form.show_values({"Videos": videos})
    assert form.values()["--names"] == ["mine", "own"], "what was typed stays"


def test_files_of_other_cameras_get_the_word_in_which_they_differ(
    page: CalibrationPage,
) -> None:
    form = page.calibrating.panel.form
    form.show_values({"Videos": ["b_one.avi", "b_two.avi", "b_three.avi"]})
    assert form.values()["--names"] == ["one", "two", "three"]
    form.show_values({"Videos": ["b_one.avi", "c_two.avi"]})
    assert form.values()["--names"] == []


def test_the_videos_of_a_recording_are_filled_in_with_the_names_of_its_cameras(
    page: CalibrationPage, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    facts = {"cameras": {name: {} for name in (*NAMES, "not recorded")}}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    for name in NAMES:
        (run / f"{name}.mkv").touch()
        (run / f"{name}.frames.csv").touch()
        (run / f"{name}_2.frames.csv").touch()
    page.calibrating.take_run(run)
    values = page.calibrating.panel.form.values()
    assert values["Videos"] == [str(run / f"{name}.mkv") for name in NAMES]
    assert values["--names"] == NAMES

    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/run.json").write_text('{"cameras": {"left": {}}}', "utf-8")
    answer("OK")
    page.calibrating.take_run(tmp_path / "empty")
    assert page.calibrating.panel.form.values() == values


def test_the_coverage_is_shown_while_the_program_runs(
    page: CalibrationPage, tmp_path: Path
) -> None:
    tab, file = page.calibrating, tmp_path / "calibration.toml"
    assert tab.panel.plot.isHidden()
    write_verdict(file)
    tab.panel.view.program.output_received.emit(f"{file.stem}.coverage.png\n")
    assert not tab.panel.plot.isHidden()
    assert not tab.buttons["Coverage"].isHidden()
    assert tab.buttons["Worst moment"].isHidden()


def test_a_refusal_is_shown_with_its_reasons_and_nothing_goes_on(
    page: CalibrationPage, tmp_path: Path
) -> None:
    write_verdict(tmp_path / "calibration.toml", refused=True)
    ended(page, 1)
    told = page.calibrating.panel.result.text()
    assert told.startswith("Refused:")
    assert REASON in told
    assert not page.calibrating.buttons["Worst moment"].isHidden()
    assert page.next["Calibrate"].isHidden()
    assert page.floor.calibration is None
    assert not page.calibrated.use.isEnabled()

    write_verdict(tmp_path / "calibration.toml")
    ended(page, 0)
    assert not page.next["Calibrate"].isHidden()
    page.calibrating.panel.view.started.emit()
    assert page.next["Calibrate"].isHidden()


def test_an_accepted_calibration_shows_its_errors_in_mm_and_is_taken_on(
    page: CalibrationPage, tmp_path: Path
) -> None:
    write_verdict(tmp_path / "calibration.toml")
    ended(page, 0)
    told = page.calibrating.panel.result.text()
    assert told.startswith("Accepted.")
    assert "corners are 0.21 mm off (median), 95 % below 0.40 mm" in told
    assert page.calibrated.table.text(0, 0) == "left"
    assert page.calibrated.table.text(0, 1) == "yes"
    page.next["Calibrate"].click()
    assert page.tabs["Floor"].isChecked()


def test_the_settings_get_the_calibration_and_keep_all_else(
    page: CalibrationPage, tmp_path: Path
) -> None:
    write_verdict(tmp_path / "calibration.toml")
    ended(page, 0)
    page.calibrated.use.click()
    text = page.document.text
    assert page.document.values["Space"]["CALIBRATION"] == "calibration.toml"
    assert "# of the lab" in text
    assert "LIMIT_PX = 12  ; measured" in text
    page.document.undo()
    assert page.document.text == SETTINGS


def test_another_calibration_in_the_settings_is_replaced_only_when_asked(
    page: CalibrationPage, tmp_path: Path
) -> None:
    page.document.set_value("Space", "CALIBRATION", "old.toml")
    write_verdict(tmp_path / "calibration.toml")
    ended(page, 0)
    answer("Cancel")
    page.calibrated.use.click()
    assert page.document.values["Space"]["CALIBRATION"] == "old.toml"
    answer("Use the new one")
    page.calibrated.use.click()
    assert page.document.values["Space"]["CALIBRATION"] == "calibration.toml"


def test_cameras_that_the_settings_do_not_have_are_named(
    page: CalibrationPage, tmp_path: Path
) -> None:
    WRITERS["aniposelib"](four_cameras(), tmp_path / "other.toml")
    page.calibrated.take(tmp_path / "other.toml")
    told = page.calibrated.message.text()
    assert f"The settings have no camera {four_cameras().names[3]}" in told
    assert page.calibrated.use.isEnabled()
    (tmp_path / "broken.toml").write_text("no", "utf-8")
    page.calibrated.take(tmp_path / "broken.toml")
    assert "broken.toml" in page.calibrated.message.text()
    assert not page.calibrated.use.isEnabled()


def test_a_calibration_of_other_cameras_is_used_once_the_settings_have_two_of_them(
    page: CalibrationPage, tmp_path: Path
) -> None:
    tab, document = page.calibrated, page.document
    cameras = [
        replace(camera, name=f"board_{camera.name}")
        for camera in four_cameras().cameras
    ]
    WRITERS["aniposelib"](CameraGroup(tuple(cameras)), tmp_path / "other.toml")
    tab.take(tmp_path / "other.toml")
    assert not tab.use.isEnabled()
    assert "Add cameras with these names" in tab.message.text()
    for camera in cameras[:2]:
        document.set_value(f"Camera {camera.name}", "KIND", "SimulatedCamera")
    assert tab.use.isEnabled()
    assert f"no camera {cameras[2].name}" in tab.message.text()

    tab.use.click()
    assert "The settings use other.toml now" in tab.message.text()
    document.undo()
    assert "The settings use" not in tab.message.text()


def test_the_floor_is_the_frame_that_is_shown(
    page: CalibrationPage, qtbot: QtBot, tmp_path: Path
) -> None:
    cameras = without_distortion(four_cameras()).select(NAMES)
    render(cameras, tmp_path / "images", 2)
    videos = []
    for name in NAMES:
        video = tmp_path / f"{name}.avi"
        size, codec = (640, 480), cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(video), codec, 10, size)
        for number in (1, 0):  # the board lies on the floor in the last frame
            image = cv2.imread(str(tmp_path / "images" / name / f"{number}.png"))
            writer.write(np.asarray(image, np.uint8))
        writer.release()
        videos.append(str(video))
    form, file = page.calibrating.panel.form, tmp_path / "calibration.toml"
    form.show_values({"Videos": videos, "--board": ["7x5"], "--square-mm": ["30"]})
    write_verdict(file)
    WRITERS["aniposelib"](CameraGroup(cameras.cameras).scaled(1.0), file)
    ended(page, 0)
    page.show_step("Floor")
    page.floor.still.slider.setValue(1)
    qtbot.waitUntil(lambda: page.floor.image.plot is not None, timeout=SOON)
    with qtbot.waitSignal(page.floor.moved, timeout=SOON):
        page.floor.begin.click()
    assert page.floor.state.text().startswith("heights of the cameras above the floor")
    np.testing.assert_allclose(read_calibration(file).centres, cameras.centres, atol=5)


def test_the_floor_is_an_image_of_folders(
    page: CalibrationPage, qtbot: QtBot, tmp_path: Path
) -> None:
    cameras = without_distortion(four_cameras()).select(NAMES)
    render(cameras, tmp_path / "images", 3)
    folders = [tmp_path / "images" / name for name in NAMES]
    for folder in folders:  # the board lies on the floor in the last image
        (folder / "0.png").rename(folder / "10.png")
    form, file = page.calibrating.panel.form, tmp_path / "calibration.toml"
    values = {"Videos": [*map(str, folders)], "--board": ["7x5"], "--square-mm": ["30"]}
    form.show_values(values)
    write_verdict(file)
    WRITERS["aniposelib"](CameraGroup(cameras.cameras).scaled(1.0), file)
    ended(page, 0)
    page.show_step("Floor")
    slider = page.floor.still.slider
    assert slider.maximum() == 2
    slider.setValue(2)
    assert page.floor.image.plot is not None
    page.floor.video.setCurrentIndex(1)
    page.floor.video.activated.emit(1)
    assert slider.value() == 2
    with qtbot.waitSignal(page.floor.moved, timeout=SOON):
        page.floor.begin.click()
    np.testing.assert_allclose(read_calibration(file).centres, cameras.centres, atol=5)
    (folders[0] / "1.png").write_bytes(b"no image")
    page.floor.video.activated.emit(0)
    page.floor.video.setCurrentIndex(0)
    page.floor.video.activated.emit(0)
    slider.setValue(0)
    assert page.floor.image.plot is None
