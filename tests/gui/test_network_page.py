"""From a video to labels that training reads, by mouse and keys."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from gui.document import Document
from gui.network_page import NetworkPage
from gui.theme import AMBER
from tests.gui.fake_session import close_to
from tests.offline.test_picking import film
from training.labels import read_labels

SOON = 60_000  # ms
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> NetworkPage:
    for number in range(3):
        file = tmp_path / "labels/labeled-data/film" / f"img{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.full((48, 64), 60 + 20 * number, np.uint8))
    made = NetworkPage(Document(tmp_path / "rig.ini", ""))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    made.parts_line.setText("nose, tail")
    made.open(tmp_path / "labels")
    return made


def at(page: NetworkPage, x: float, y: float) -> QPoint:
    place = page.canvas.place
    assert place is not None
    left, top = place.to_view((x, y))
    return QPoint(round(left), round(top))


def points(page: NetworkPage) -> list[list[float]]:
    assert page.book is not None
    return page.book.points[page.picture].tolist()


def test_clicks_place_one_body_part_after_the_other(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    qtbot.mouseClick(page.canvas, LEFT, pos=at(page, 10, 20))
    assert page.canvas.part == 1
    qtbot.mouseClick(page.canvas, LEFT, pos=at(page, 40, 30))
    assert np.allclose(points(page), [[10, 20], [40, 30]], atol=0.1)
    qtbot.keyClick(page, Qt.Key.Key_Space)
    assert page.picture == 1
    qtbot.keyClick(page, Qt.Key.Key_Space)
    labels = read_labels(tmp_path / "labels")
    assert labels.names == ("labeled-data/film/img0.png", "labeled-data/film/img1.png")
    assert np.allclose(labels.points[0], [[10, 20], [40, 30]], atol=0.1)
    assert np.isnan(labels.points[1]).all(), "nothing of it is to be seen"
    assert page.words.text() == "1 of 3 still to be labelled"


def test_points_are_dragged_nudged_removed_and_undone(
    page: NetworkPage, qtbot: QtBot
) -> None:
    qtbot.mouseClick(page.canvas, LEFT, pos=at(page, 10, 20))
    qtbot.mousePress(page.canvas, LEFT, pos=at(page, 10, 20))
    qtbot.mouseRelease(page.canvas, LEFT, pos=at(page, 20, 25))
    assert np.allclose(points(page)[0], [20, 25], atol=0.1)
    before = points(page)[0]
    qtbot.keyClick(page, Qt.Key.Key_1)
    qtbot.keyClick(page, Qt.Key.Key_Right)
    assert points(page)[0] == [before[0] + 0.5, before[1]]
    qtbot.mouseClick(page.canvas, RIGHT, pos=at(page, 20.5, 25))
    assert np.isnan(points(page)[0]).all()
    qtbot.keyClick(page, Qt.Key.Key_U)
    assert points(page)[0] == [before[0] + 0.5, before[1]]


def test_a_point_is_seen_where_it_was_placed_however_it_is_zoomed(
    page: NetworkPage, qtbot: QtBot
) -> None:
    qtbot.mouseClick(page.canvas, LEFT, pos=at(page, 32, 24))
    page.canvas._zoom, page.canvas._centre = 4.0, (0.5, 0.5)
    page.canvas.part = 0
    page.canvas.update()
    centre = at(page, 32, 24)
    image = page.canvas.grab().toImage()
    ring = [image.pixelColor(centre + QPoint(6, 0)), image.pixelColor(centre)]
    assert any(close_to(colour, AMBER) for colour in ring)
    qtbot.mouseClick(page.canvas, LEFT, pos=at(page, 28, 20))
    assert np.allclose(points(page)[0], [28, 20], atol=0.1)


def test_contrast_changes_what_is_seen_and_no_file(page: NetworkPage) -> None:
    def grey() -> int:
        image = page.canvas.grab().toImage()
        return image.pixelColor(at(page, 50, 40)).red()

    before = grey()
    page.contrast.setValue(200)
    assert grey() < before - 30


def test_frames_are_picked_from_a_video(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    video = film(tmp_path / "scenes.mkv")
    window = page.pick_frames(video)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0], window.page.toPlainText()
    assert page.list.count() == 3 + 20
    window.close()


def test_training_waits_for_labels_and_its_network_is_used(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    assert not page.training.train.isEnabled()
    qtbot.keyClick(page, Qt.Key.Key_Space)
    qtbot.keyClick(page, Qt.Key.Key_Space)
    assert page.training.train.isEnabled()
    assert page.training.labels == tmp_path / "labels"
    assert not page.training.use.isEnabled()
    page.training.model.mkdir(parents=True)
    (page.training.model / "model.json").write_text("{}", encoding="utf-8")
    page.training.name.setText("mine ")
    assert page.training.use.isEnabled()
    page.training.use.click()
    assert page.document.words["Pose Estimation"]["MODEL"] == "mine"


def test_a_new_folder_without_body_parts_says_what_is_missing(
    page: NetworkPage, tmp_path: Path
) -> None:
    page.parts_line.setText("")
    (tmp_path / "new").mkdir()
    page.open(tmp_path / "new")
    assert "name its body parts" in page.problem.text()
    assert not page.pick.isEnabled()
