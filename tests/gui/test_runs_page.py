"""A recorded run looked at again: list, picture, timeline, events, decided again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import bodypart_colour
from deeplabstream.recording import run_opening
from deeplabstream.recording.run_folder import RunFolder
from tests.gui.fake_session import close_to
from tests.recording.recorded import SETTINGS, brightness, record

SOON = 90_000  # ms


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> Iterator[RunsPage]:
    record(tmp_path / "output" / "monday")
    made = RunsPage(Document(tmp_path / "rig.ini", SETTINGS))
    qtbot.addWidget(made)
    made.resize(1200, 700)
    made.show()
    with qtbot.waitSignal(made.view.pictures.decoded, timeout=SOON):
        made.list.setCurrentRow(0)
    yield made
    made.finish()


def shown(qtbot: QtBot, page: RunsPage, time_s: float) -> int:
    """Go to a moment and return the grey of the picture's upper right corner."""
    with qtbot.waitSignal(page.view.pictures.decoded, timeout=SOON):
        page.view.go_to(time_s)
    image, place = page.view.video.grab().toImage(), page.view.video.place
    assert place is not None
    x, y = place.to_view((60, 45))
    return image.pixelColor(int(x), int(y)).red()


def test_the_picture_is_that_of_the_moment(page: RunsPage, qtbot: QtBot) -> None:
    assert page.list.count() == 1
    for time_s in (0.0, 2.5, 1.2, 1.3, 0.4):
        frame = round(time_s * 10)
        assert abs(shown(qtbot, page, time_s) - brightness(frame)) < 8


def test_what_was_found_is_drawn_above(page: RunsPage, qtbot: QtBot) -> None:
    shown(qtbot, page, 1.2)
    video = page.view.video
    assert video.place is not None
    x, y = video.place.to_view((12, 10))
    image = video.grab().toImage()
    assert close_to(image.pixelColor(int(x), int(y)), bodypart_colour(0).name())
    assert [zone.trigger for zone in video.zones] == ["in"]
    assert page.view.review is not None
    assert video.levels == {"light": 0.5}


def test_a_click_in_the_timeline_or_on_an_event_goes_there(
    page: RunsPage, qtbot: QtBot
) -> None:
    timeline = page.view.timeline
    middle = QPoint(timeline.width() // 2, 30)
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=middle)
    assert 0.5 < page.view.time_s < 3
    texts = [
        (item.text() if (item := page.view.events.item(row, 2)) else "")
        for row in range(page.view.events.rowCount())
    ]
    assert texts == ["light off (open)", "entry", "light on (plan)", "light off (lost)"]
    page.view.events.cellClicked.emit(2, 0)
    assert page.view.time_s == 1.05


def test_frames_are_stepped_through(page: RunsPage) -> None:
    page.view.go_to(1.0)
    page.view.forth.click()
    assert page.view.time_s == pytest.approx(1.1)
    page.view.back.click()
    page.view.back.click()
    assert page.view.time_s == pytest.approx(0.9)


def test_playing_stops_at_the_end(page: RunsPage, qtbot: QtBot) -> None:
    page.view.go_to(3.85)
    page.view.play.click()
    qtbot.waitUntil(lambda: not page.view.play.isChecked(), timeout=SOON)
    assert page.view.time_s == pytest.approx(3.9)


def test_a_run_is_decided_again_with_the_settings_of_the_window(
    page: RunsPage, qtbot: QtBot
) -> None:
    text = SETTINGS.replace("circle 20 20 9", "circle 20 20 200")
    page.document.edit(text)
    page.again.click()
    window = page.findChild(ProgramWindow)
    assert window is not None
    qtbot.waitUntil(
        lambda: not window.program.running,
        timeout=SOON,
    )
    assert "39 frames re-run" in window.page.toPlainText()
    window.close()


def test_a_folder_that_is_no_run_is_a_sentence(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    with qtbot.waitSignal(page.view.pictures.failed, timeout=SOON):
        page.open(tmp_path)
    assert "is not a run folder" in page.view.video.empty_text


def test_a_killed_run_is_mended_and_a_run_that_goes_on_is_let_alone(
    page: RunsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(record(tmp_path / "output" / "tuesday"))
    folder.update(ended=None, how=None)
    with monkeypatch.context() as patch:
        patch.setattr(run_opening, "goes_on", lambda path: True)
        with qtbot.waitSignal(page.view.pictures.failed, timeout=SOON):
            page.open(folder.path)
    assert "still being written" in page.view.video.empty_text
    assert folder.facts["ended"] is None
    assert "was killed and will be repaired" in page.about.text()
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.open(folder.path)
    assert folder.facts["how"] == "killed"
    assert "repaired:\nrun.json: the run was killed" in page.about.text()


def test_a_run_opens_at_the_first_moment_that_was_recorded(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    late = record(tmp_path / "output" / "tuesday", filmed=range(12, 30))
    with qtbot.waitSignal(page.view.pictures.decoded, timeout=SOON):
        page.open(late)
    assert page.view.time_s == pytest.approx(1.2)
    assert page.view.video.place is not None, "a picture is shown"


def test_a_pose_without_a_picture_is_shown_all_the_same(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    rehearsed = record(tmp_path / "output" / "rehearsal", filmed=range(0))
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.open(rehearsed)
    video = page.view.video
    assert video.place is not None
    assert video.figures == "not recorded"
    x, y = video.place.to_view((0, 10))
    image = video.grab().toImage()
    assert close_to(image.pixelColor(int(x), int(y)), bodypart_colour(0).name())
    page.view.go_to(1.2)
    x, y = video.place.to_view((12, 10))
    image = video.grab().toImage()
    assert close_to(image.pixelColor(int(x), int(y)), bodypart_colour(0).name())
