"""The wizard for a new rig: from nothing to bytes on a serial port, without a section name."""

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from cameras.video import VideoFile
from cameras.webcam import Webcam
from deeplabstream.core.command import OutputName, off, on
from deeplabstream.files import rig_folder
from deeplabstream.files.paths import ROOT
from deeplabstream.gui import camera_preview, file_opening
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.new_rig.camera_page import names_of
from deeplabstream.gui.dialogs.new_rig.output_page import OutputPage
from deeplabstream.gui.dialogs.new_rig.wizard import NewRigWizard
from deeplabstream.gui.file_opening import FileOpener
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape
from deeplabstream.plugins.camera import Device
from deeplabstream.plugins.experiment import Observation, PlanRunner
from deeplabstream.settings.fields import about_kind, keys_of
from deeplabstream.settings.loading import kinds_of, load, parse
from deeplabstream.settings.new_rig import TRIGGER, RigChoices
from experiments.conditional import Conditional
from outputs.serial_line import SerialLine
from tests.engine.patient_guards import use_patient_guards_of_output_tests
from tests.gui.fake_session import FakeSession
from tests.offline.films import write_film

SOON = 300_000  # ms


@pytest.fixture
def wizard(qtbot: QtBot, tmp_path: Path) -> Iterator[NewRigWizard]:
    above = QWidget()
    qtbot.addWidget(above)
    made = NewRigWizard(tmp_path / "my_rig", above)
    made.show()
    yield made
    made.reject()
    above.close()


def choose_camera(wizard: NewRigWizard, qtbot: QtBot, row: int = 0) -> None:
    """Go to the page of cameras, choose one and wait for its first frame."""
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    page.list.setCurrentRow(row)
    qtbot.waitUntil(lambda: page.image is not None, timeout=SOON)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_rig_is_made_from_choices_alone_and_its_output_is_tested(
    wizard: NewRigWizard,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_patient_guards_of_output_tests(monkeypatch)
    device, port = os.openpty()
    choose_camera(wizard, qtbot)
    assert wizard.camera.view.place is not None, "a live image"
    wizard.next()
    choice = wizard.network.choice
    assert choice.folder == ROOT / "models" / "arena"
    qtbot.waitUntil(lambda: choice.poses is not None, timeout=SOON)
    assert choice.found.text().startswith("Found in this frame: ")
    wizard.next()
    canvas = wizard.region.canvas
    wizard.region.tools["rectangle"].click()
    place = canvas.place
    assert place is not None
    left, right = place.to_view((100, 100)), place.to_view((300, 250))
    start, end = (QPoint(int(at[0]), int(at[1])) for at in (left, right))
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(canvas, end)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=end)
    wizard.next()
    assert wizard.trigger.bodypart.findText("snout") >= 0
    wizard.trigger.bodypart.setCurrentText("snout")
    wizard.trigger.where.setCurrentText("outside the region")
    wizard.next()
    wizard.output.choose("SerialLine")
    wizard.output.port.box.setCurrentText(os.ttyname(port))
    wizard.next()
    assert wizard.currentPage() is wizard.test
    assert wizard.test.title() == "7 of 7  Test"
    assert "Then press Start on the page Live." in wizard.test.message.text()
    wizard.test.press.click()
    qtbot.waitUntil(lambda: "is off again" in wizard.test.result.text(), timeout=SOON)
    assert "Finish writes" in wizard.test.message.text(), "still shown after the test"
    words = {name: label.text() for name, label in wizard.test.summary.items()}
    assert words["Camera"] == "Simulated mouse (no camera)"
    assert words["Network"] == "arena (the simulated mouse, one animal)"
    assert words["Trigger"] == "true while the snout is outside the region"
    assert words["Output"] == f"SerialLine, Serial port: {os.ttyname(port)}"
    assert not wizard.test.page.isVisible(), "the settings file is folded"
    wizard.test.show_file.click()
    assert "[Output stimulus]" in wizard.test.page.toPlainText()
    assert wizard.test.page.isVisible()
    heard = b""
    while b"H" not in heard or not heard.endswith(b"L"):
        heard += os.read(device, 10)  # it may give less than there is
    assert heard.strip(b"L") == b"H", "on once, and off"
    wizard.accept()
    assert wizard.file == tmp_path / "my_rig" / "settings.ini"
    settings = load(wizard.file)
    assert (tmp_path / "my_rig" / "models").is_dir(), "a whole rig folder"
    trigger = settings.new_triggers()["region"]
    assert type(trigger).__name__ == "OutsideRegion"
    assert trigger.bodyparts == ("snout",)
    assert isinstance(settings.outputs["stimulus"], SerialLine)
    assert settings.outputs["stimulus"].max_on_s == 5
    loop = settings.new_experiment()
    assert isinstance(loop, Conditional)
    assert (loop.max_on_s, loop.rest_s) == (5, 5)
    os.close(device)
    os.close(port)


def test_the_output_page_asks_for_the_pause_and_says_what_it_does(
    wizard: NewRigWizard,
) -> None:
    page = wizard.output
    assert page.pause.value() == page.longest.value() == 5
    assert page.message.text().startswith("On at most 5 s, then at least 5 s off")
    page.longest.setValue(2)
    assert page.pause.value() == 2, "equal to the longest time until it is changed"
    page.pause.setValue(7)
    page.longest.setValue(3)
    assert page.message.text().startswith("On at most 3 s, then at least 7 s off")
    assert page.chosen == "SimulatedOutput"
    assert page.take() == ""
    loop = wizard.rig.settings().new_experiment()
    assert isinstance(loop, Conditional)
    assert (loop.max_on_s, loop.rest_s) == (3, 7)
    page.pause.setValue(0)
    assert page.message.text().startswith("No pause")


@pytest.mark.parametrize("max_on_s", [0.5, 5.0])
def test_an_animal_that_stays_in_the_region_has_the_output_on_half_of_the_time(
    tmp_path: Path, max_on_s: float
) -> None:
    choices = RigChoices(max_on_s=max_on_s, rest_s=max_on_s, minutes=2)
    runner = PlanRunner(parse(choices.text(), tmp_path).new_experiment().plan())
    output = OutputName("stimulus")
    switch_on = on(output)
    lit, frames = [False], 30 * 60
    for frame in range(frames):
        seen = Observation(frame / 30, {"region": True})
        changes = [c for c in runner.step(seen) if c in (switch_on, off(output))]
        lit.append(changes[-1] == switch_on if changes else lit[-1])
    edges = [n for n in range(1, frames + 1) if lit[n] != lit[n - 1]]
    spans = [(end - start) / 30 for start, end in pairwise(edges)]
    assert sum(lit) / frames <= 0.5 + max_on_s / 60, "on first, so half a cycle more"
    assert all(span <= max_on_s + 1 / 30 for span in spans[::2]), "times on"
    assert all(span >= max_on_s - 1e-9 for span in spans[1::2]), "pauses"
    assert len(spans) > 8


def test_a_page_says_what_is_missing_and_stays(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x", "utf-8")
    wizard.folder.line.setText(str(tmp_path / "full"))
    wizard.next()
    assert "full_2 is free" in wizard.folder.problem.text()
    wizard.folder.line.setText(str(tmp_path / "mine"))
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    page.use_videos(tmp_path / "no_such.mkv")
    qtbot.waitUntil(lambda: bool(page.problem.text()), timeout=SOON)
    wizard.next()
    assert wizard.currentPage() is page
    assert "no_such.mkv" in page.problem.text()
    wizard.reject()
    assert not (tmp_path / "mine").exists()
    assert wizard.file is None


def test_a_place_where_no_folder_can_be_made_is_refused_on_the_first_page(
    wizard: NewRigWizard, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    wizard.folder.line.setText(str(tmp_path / "file"))
    assert "is a file; name a new folder: file_2 is free" in wizard.folder.take()
    wizard.folder.line.setText(str(tmp_path / "file" / "rig"))
    assert wizard.folder.take().startswith("No folder can be created in")
    wizard.folder.line.setText(str(tmp_path / ("x" * 300)))
    assert "File name too long" in wizard.folder.take()


def test_an_empty_folder_is_taken_where_no_other_can_be_made(
    wizard: NewRigWizard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir(exist_ok=True)
    monkeypatch.setattr("os.access", lambda path, _: Path(path) == mine)
    wizard.folder.line.setText(str(mine))
    assert wizard.folder.take() == ""
    wizard.folder.line.setText(str(tmp_path / "other"))
    assert wizard.folder.take().startswith("No folder can be created in")


def test_a_port_without_a_usb_device_is_not_proposed(
    wizard: NewRigWizard, monkeypatch: pytest.MonkeyPatch
) -> None:
    motherboard = ListPortInfo("/dev/ttyS0")
    board = ListPortInfo("/dev/ttyUSB0")
    board.vid = 0x2341
    for ports, kind in (
        ([motherboard], "SimulatedOutput"),
        ([motherboard, board], "SerialLine"),
    ):
        monkeypatch.setattr(list_ports, "comports", lambda ports=ports: ports)
        page = OutputPage(wizard.rig)
        page.initializePage()
        assert page.chosen == kind
    assert page.port.box.currentText() == "/dev/ttyUSB0"
    assert page.port.box.findText("/dev/ttyS0") > 0, "it can be chosen"


@pytest.mark.parametrize("kind", kinds_of("Output"))
def test_each_kind_of_output_is_offered_with_the_fields_that_it_needs(
    wizard: NewRigWizard, kind: str
) -> None:
    page, made = wizard.output, kinds_of("Output")[kind]
    page.choose(kind)
    assert about_kind(made).rstrip(".") in page.kind.currentText()
    needed = {key for key, (_, info) in keys_of(made).items() if info.is_required()}
    shown = {key for key, editor in page.editors.items() if not page.is_folded(key)}
    assert needed <= shown <= needed | {"BAUDRATE", "ON_BYTES", "OFF_BYTES"}
    assert bool(page.take()) is bool(needed), "a missing value is named"


def test_the_values_of_another_kind_of_output_stay(wizard: NewRigWizard) -> None:
    page = wizard.output
    page.choose("RaspberryPin")
    line = page.editors["PIN"].findChild(QLineEdit)
    assert line is not None
    line.setText("17")
    line.editingFinished.emit()
    assert page.take() == ""
    assert wizard.rig.choices.output == {"KIND": "RaspberryPin", "PIN": "17"}
    page.choose("SimulatedOutput")
    assert page.take() == ""
    assert wizard.rig.choices.output == {"KIND": "SimulatedOutput"}
    page.choose("RaspberryPin")
    assert page.take() == ""
    assert wizard.rig.choices.output["PIN"] == "17"


def test_each_network_says_what_it_is_for(wizard: NewRigWizard) -> None:
    choice = wizard.network.choice
    texts = [choice.list.item(row).text() for row in range(choice.list.count())]  # type: ignore[union-attr]
    assert "openfield\na dark mouse on a bright floor, from above" in texts
    assert all(text.partition("\n")[2] for text in texts)


def test_another_network_is_tried_on_the_camera(
    wizard: NewRigWizard, qtbot: QtBot
) -> None:
    choose_camera(wizard, qtbot)
    wizard.next()
    choice = wizard.network.choice
    qtbot.waitUntil(lambda: choice.poses is not None, timeout=SOON)
    choice.choose("arena_animals")
    assert choice.poses is None, "the points of the network before are not shown"
    qtbot.waitUntil(lambda: choice.poses is not None, timeout=SOON)
    assert choice.poses is not None
    assert choice.poses.pose.points.shape[0] == 4
    wizard.back()
    wizard.reject()


def test_the_result_of_a_test_is_not_shown_for_other_choices(
    wizard: NewRigWizard,
) -> None:
    wizard.test.result.setText("stimulus was on for 0.2 s and is off again")
    wizard.test.problem.setText("Can't create the folder")
    wizard.test.initializePage()
    assert wizard.test.result.text() == wizard.test.problem.text() == ""


def test_a_network_of_another_rig_is_named_by_its_path(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "first" / "models" / "own"
    shutil.copytree(ROOT / "models" / "arena", own)
    monkeypatch.setenv(rig_folder.VARIABLE, str(tmp_path / "first"))
    above = QWidget()
    qtbot.addWidget(above)
    wizard = NewRigWizard(tmp_path / "second", above)
    for name, word in (("own", str(own)), ("arena", "arena")):
        assert wizard.network.choice.choose(name)
        assert wizard.network.take() == ""
        assert wizard.rig.choices.model == word
    wizard.reject()


def test_finish_waits_for_a_running_output_test(
    wizard: NewRigWizard, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, running = wizard.test, [True]
    monkeypatch.setattr(type(page.test), "running", property(lambda _: running[0]))
    assert not page.isComplete()
    running[0] = False
    page._tick()
    assert page.isComplete()


def test_a_video_that_cannot_be_read_leaves_no_size_of_the_camera_before(
    wizard: NewRigWizard,
) -> None:
    wizard.camera._show_format("640 × 480, 30 frames/s")
    wizard.camera._fail("/videos/a.mp4 can't be read")
    assert wizard.camera.message.text() == ""
    assert "can't be read" in wizard.camera.problem.text()


def test_a_late_failure_of_the_camera_before_is_not_shown(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    page.use_videos(tmp_path / "no_such.mkv")
    preview = page._preview
    assert preview is not None
    assert preview.wait(SOON)  # it has failed, and the window does not know it yet
    del preview
    page.list.setCurrentRow(0)
    qtbot.waitUntil(lambda: page.image is not None, timeout=SOON)
    assert page.problem.text() == ""


def test_a_second_search_lists_each_camera_once(
    wizard: NewRigWizard, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("Webcam", "", "SOURCE = 3", "Brio 4K")
    monkeypatch.setattr(Webcam, "connected_devices", classmethod(lambda cls: (device,)))
    wizard.next()
    page = wizard.camera
    assert page._finder is not None
    assert page._finder.wait(SOON)  # the window does not know yet what was found
    page.search()
    assert page._finder.wait(SOON)
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    labels = [page.list.item(row) for row in range(page.list.count())]
    assert len([each for each in labels if each and each.text() == "Brio 4K"]) == 1


def test_a_video_stands_in_for_a_camera(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    page.use_videos(write_film(tmp_path / "film.mkv"))
    qtbot.waitUntil(lambda: page.image is not None, timeout=SOON)
    wizard.next()
    assert wizard.network.choice.folder == ROOT / "models" / "openfield"
    for _ in range(3):
        wizard.next()
    assert wizard.currentPage() is wizard.output
    assert isinstance(wizard.rig.settings().cameras["camera"], VideoFile)


def test_cameras_have_the_names_in_which_their_files_differ() -> None:
    assert names_of(["mouse_left_1.mp4", "mouse_right_1.mp4"]) == ["left", "right"]
    assert names_of(["left.mp4", "top.avi"]) == ["left", "top"]
    assert names_of(["Webcam 0", "Webcam 0", "_.mp4"]) == [
        "Webcam 0",
        "Webcam 0 2",
        "camera",
    ]
    assert names_of(["left.mp4"]) == ["camera"]


def test_several_videos_become_cameras_with_the_names_of_their_files(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    films = [
        write_film(_made(tmp_path / folder) / f"{name}.mkv")
        for folder, name in (("a", "left"), ("b", "right"), ("c", "right"))
    ]
    page.use_videos(*films)
    qtbot.waitUntil(lambda: page.image is not None, timeout=SOON)
    wizard.next()
    cameras = wizard.rig.settings().cameras
    assert [*cameras] == ["left", "right", "right 2"]
    found = [camera.source for camera in cameras.values()]  # type: ignore[attr-defined]
    assert found == [film.resolve() for film in films]


def test_another_camera_gets_a_region_in_its_frame_and_its_network(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    choose_camera(wizard, qtbot)
    wizard.next()
    wizard.next()
    wizard.region._change(TRIGGER, Shape("circle", (500.0, 400.0, 50.0)))
    for _ in range(2):
        wizard.back()
    wizard.next()
    wizard.next()
    assert wizard.region.canvas.shapes[TRIGGER].numbers == (500, 400, 50), "same camera"
    for _ in range(2):
        wizard.back()
    wizard.camera.use_videos(write_film(tmp_path / "film.mkv"))
    qtbot.waitUntil(lambda: wizard.camera.image is not None, timeout=SOON)
    image = wizard.camera.image
    assert image is not None
    wizard.next()
    assert wizard.network.choice.folder == ROOT / "models" / "openfield"
    wizard.next()
    x, y, _ = wizard.region.canvas.shapes[TRIGGER].numbers
    assert (2 * y, 2 * x) == image.shape[:2]


def test_without_a_camera_the_page_names_what_else_can_be_chosen(
    wizard: NewRigWizard, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_preview, "camera_kinds", dict)
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    said = "No camera found. Choose a video file or the simulated mouse."
    assert page.message.text() == said


def test_connected_cameras_are_offered_with_the_key_that_selects_them(
    wizard: NewRigWizard, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("Webcam", "", "SOURCE = 3", "Brio 4K")
    monkeypatch.setattr(Webcam, "connected_devices", classmethod(lambda cls: (device,)))
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.message.text(), timeout=SOON)
    labels = [page.list.item(row) for row in range(page.list.count())]
    (item,) = (each for each in labels if each and each.text() == "Brio 4K")
    assert item.data(Qt.ItemDataRole.UserRole) == {"KIND": "Webcam", "SOURCE": "3"}


def test_the_window_opens_the_new_rig(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rig.ini"
    file.write_text(RigChoices().text(), "utf-8")
    rig = FakeSession()
    rig.settings = load(file)
    window = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(window)
    window.show()

    class Accepted:
        """A wizard whose user has chosen."""

        file = RigChoices().write(tmp_path / "new")

        def __init__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(file_opening, "run_dialog", lambda _wizard: 1)
    monkeypatch.setattr(file_opening, "NewRigWizard", Accepted)
    window.menu.actions["New rig"].trigger()
    assert window.document.path == tmp_path / "new" / "settings.ini"
    assert not window.document.problems
    assert isinstance(window.opener, FileOpener)
    window.end()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
