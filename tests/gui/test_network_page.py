"""From a video to a network that the rig uses, by mouse and keys."""

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtGui import QFontMetricsF, QShowEvent
from PyQt5.QtWidgets import QApplication, QComboBox, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.doctor.collection import TrainingGpus
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.dialogs import file_dialogs, pick_frames
from deeplabstream.gui.dialogs.pick_frames import PickDialog
from deeplabstream.gui.file_opening import kind_of
from deeplabstream.gui.pages import network_page
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.using_tab import use_live
from deeplabstream.gui.programs import BENCHMARK, DISTIL, PREDICT, QUANTISE, RENDER
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import AMBER, animal_colour, bodypart_colour
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.training.data import label_book
from deeplabstream.training.data.label_files import write_labels
from deeplabstream.training.data.label_folder import write_uncertain
from deeplabstream.training.data.labels import read_labels
from deeplabstream.training.lightning_pose.result_tables import (
    read_predictions,
    write_predictions,
)
from tests.gui.fake_session import close_to
from tests.offline.scenes import analysed, film
from tests.training.foreign_projects import sleap
from tests.training.walking_labels import PARTS, walked

SOON = 300_000  # ms
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> NetworkPage:
    for number in range(3):
        file = tmp_path / "labels/labeled-data/film" / f"img{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.full((48, 64), 60 + 20 * number, np.uint8))
    made = NetworkPage(Document(tmp_path / "rig.ini", ""), Recent())
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    made.parts_line.setText("nose, tail")
    made.open(tmp_path / "labels")
    return made


def at(page: NetworkPage, x: float, y: float) -> QPoint:
    place = page.labelling.canvas.place
    assert place is not None
    left, top = place.to_view((x, y))
    return QPoint(round(left), round(top))


def points(page: NetworkPage) -> list[list[float]]:
    assert page.book is not None
    found: list[list[float]] = page.book.points[page.labelling.frame].tolist()
    return found


def test_clicks_place_one_body_part_after_the_other(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    canvas = page.labelling.canvas
    qtbot.mouseClick(canvas, LEFT, pos=at(page, 10, 20))
    assert canvas.part == 1
    qtbot.mouseClick(canvas, LEFT, pos=at(page, 40, 30))
    assert np.allclose(points(page), [[10, 20], [40, 30]], atol=0.1)
    qtbot.keyClick(page.labelling, Qt.Key.Key_Space)
    assert page.labelling.frame == 1
    qtbot.keyClick(page.labelling, Qt.Key.Key_Space)
    labels = read_labels(tmp_path / "labels")
    assert labels.names == ("labeled-data/film/img0.png", "labeled-data/film/img1.png")
    assert np.allclose(labels.points[0], [[10, 20], [40, 30]], atol=0.1)
    assert np.isnan(labels.points[1]).all(), "nothing of it is to be seen"
    assert page.labelling.message.text() == "1 of 3 frames not labelled yet"


def test_space_accepts_a_frame_as_soon_as_frames_are_shown(
    page: NetworkPage, qtbot: QtBot
) -> None:
    """Not the button that had the focus before: a click on a tab leaves it there."""
    page.tabs["Train"].setFocus()
    page.show_step("Train")
    page.show_step("Label")
    qtbot.keyClick(page.focusWidget(), Qt.Key.Key_Space)
    assert page.tabs["Label"].isChecked()
    assert page.labelling.frame == 1


def test_points_are_dragged_nudged_removed_undone_and_redone(
    page: NetworkPage, qtbot: QtBot
) -> None:
    tab = page.labelling
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 10, 20))
    qtbot.mousePress(tab.canvas, LEFT, pos=at(page, 10, 20))
    qtbot.mouseRelease(tab.canvas, LEFT, pos=at(page, 20, 25))
    assert np.allclose(points(page)[0], [20, 25], atol=0.1)
    before = points(page)[0]
    qtbot.keyClick(tab, Qt.Key.Key_1)
    qtbot.keyClick(tab, Qt.Key.Key_Right)
    moved = [before[0] + 0.5, before[1]]
    assert points(page)[0] == moved
    qtbot.mouseClick(tab.canvas, RIGHT, pos=at(page, 20.5, 25))
    assert np.isnan(points(page)[0]).all()
    qtbot.keyClick(tab, Qt.Key.Key_U)
    assert points(page)[0] == moved
    qtbot.mouseClick(tab.tools.undo, LEFT)
    assert points(page)[0] == before
    qtbot.mouseClick(tab.tools.redo, LEFT)
    assert points(page)[0] == moved
    qtbot.keyClick(tab, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    assert np.isnan(points(page)[0]).all()
    assert not tab.tools.redo.isEnabled()


def test_a_point_is_seen_where_it_was_placed_however_it_is_zoomed(
    page: NetworkPage, qtbot: QtBot
) -> None:
    tab = page.labelling
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 32, 24))
    qtbot.keyClick(tab, Qt.Key.Key_1)
    whole = tab.canvas.place
    for _ in range(6):
        qtbot.mouseClick(tab.tools.closer, LEFT)
    zoomed = tab.canvas.place
    assert whole is not None
    assert zoomed is not None
    assert zoomed.scale == pytest.approx(whole.scale * 1.25**6)
    # a click has whole pixels: the point is not exactly at 32, 24
    centre = at(page, *points(page)[0])
    image = tab.canvas.grab().toImage()
    ring = [image.pixelColor(centre + QPoint(right, 0)) for right in (0, 5, 6)]
    assert any(close_to(colour, AMBER) for colour in ring)
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 28, 20))
    assert np.allclose(points(page)[0], [28, 20], atol=0.1)
    qtbot.keyClick(tab, Qt.Key.Key_0)
    assert tab.canvas.place == whole


def test_contrast_changes_what_is_seen_and_no_file(page: NetworkPage) -> None:
    def grey() -> int:
        image = page.labelling.canvas.grab().toImage()
        return image.pixelColor(at(page, 50, 40)).red()

    before = grey()
    page.labelling.tools.contrast.setValue(200)
    assert grey() < before - 30


def test_bones_are_drawn_and_kept(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    tab = page.labelling
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 10, 20))
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 50, 20))

    def middle() -> int:
        image = tab.canvas.grab().toImage()
        return image.pixelColor(at(page, 30, 20)).red()

    before = middle()
    tab.tools.edges.setText("nose - tail")
    tab.tools.edges.editingFinished.emit()
    assert middle() > before + 40
    tab.tools.edges.setText("nose-paw")
    tab.tools.edges.editingFinished.emit()
    assert (
        tab.message.text() == "Write edges as nose-tail, with body parts of: nose, tail"
    )
    page.open(tmp_path / "labels")
    assert tab.tools.edges.text() == "nose-tail"


def test_proposals_are_corrected_and_accepted_with_a_key(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    names = [f"labeled-data/film/img{number}.png" for number in (0, 1)]
    found = np.array([[[10, 20], [40, 30]]] * 2, np.float32)
    file = tmp_path / "labels/proposals.csv"
    write_labels(file, "net", ["nose", "tail"], names, found)
    page.open(tmp_path / "labels")
    tab = page.labelling
    assert (
        tab.message.text()
        == "3 of 3 frames not labelled yet, 2 of them pre-labelled (◐)"
    )
    item = tab.list.item(0)
    assert item is not None
    assert item.text() == "◐ film/img0.png"
    assert points(page) == [[10, 20], [40, 30]]
    qtbot.mousePress(tab.canvas, LEFT, pos=at(page, 40, 30))
    qtbot.mouseRelease(tab.canvas, LEFT, pos=at(page, 44, 33))
    assert not (tmp_path / "labels/CollectedData.csv").exists(), "nobody said yes yet"
    qtbot.keyClick(tab, Qt.Key.Key_Space)
    qtbot.keyClick(tab, Qt.Key.Key_Space)
    labels = read_labels(tmp_path / "labels")
    assert labels.names == tuple(names)
    assert np.allclose(labels.points[0], [[10, 20], [44, 33]], atol=0.1)
    assert np.allclose(labels.points[1], found[1])
    assert not file.exists()


@pytest.fixture
def two(page: NetworkPage, tmp_path: Path) -> NetworkPage:
    """The page with a folder of two animals."""
    (tmp_path / "labels").rename(tmp_path / "pairs")
    page.book = None
    page.parts_line.setText("nose, tail")
    page.animals_line.setText("2")
    page.open(tmp_path / "pairs")
    return page


def test_several_animals_are_labelled_one_after_the_other(
    two: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    tab, canvas = two.labelling, two.labelling.canvas
    assert two.animals_line.text() == "animal1, animal2"
    for x, y in ((10, 20), (20, 25), (40, 30)):
        qtbot.mouseClick(canvas, LEFT, pos=at(two, x, y))
    assert canvas.part == 3, "the tail of the second one"
    qtbot.keyClick(tab, Qt.Key.Key_A)
    assert tab.tools.animals.currentRow() == 0
    qtbot.keyClick(tab, Qt.Key.Key_A, Qt.KeyboardModifier.ShiftModifier)
    assert (tab.tools.animals.currentRow(), tab.tools.parts.currentRow()) == (1, 1)
    qtbot.keyClick(tab, Qt.Key.Key_P)
    assert canvas.part == 0
    qtbot.keyClick(tab, Qt.Key.Key_Space)
    labels = read_labels(tmp_path / "pairs", several=True)
    assert labels.individuals == ("animal1", "animal2")
    wanted = [[10, 20], [20, 25], [40, 30], [np.nan, np.nan]]
    assert np.allclose(labels.points[0], wanted, atol=0.1, equal_nan=True)


def test_animals_are_swapped_copied_renamed_added_and_removed(
    two: NetworkPage, qtbot: QtBot
) -> None:
    tab, tools = two.labelling, two.labelling.tools
    for x, y in ((10, 20), (20, 25), (40, 30), (50, 40)):
        qtbot.mouseClick(tab.canvas, LEFT, pos=at(two, x, y))
    first = points(two)
    qtbot.keyClick(tab, Qt.Key.Key_S)
    assert points(two) == [*first[2:], *first[:2]]
    qtbot.keyClick(tab, Qt.Key.Key_U)
    assert points(two) == first
    assert not tools.copy.isEnabled(), "there is no frame before"
    tab.show_frame(1)
    qtbot.keyClick(tab, Qt.Key.Key_C)
    assert points(two) == first
    assert tab.canvas.pending.startswith("Copied")
    assert two.book is not None
    assert not two.book.done[1]
    qtbot.keyClick(tab, Qt.Key.Key_U)
    assert np.isnan(points(two)).all()
    assert not tab.canvas.pending
    qtbot.keyClick(tab, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    assert tab.canvas.pending
    item = tools.animals.item(1)
    assert item is not None
    item.setText("bob")
    qtbot.mouseClick(tools.add, LEFT)
    assert two.animals_line.text() == "animal1, bob, animal3"
    assert len(points(two)) == 6
    qtbot.keyClick(tab, Qt.Key.Key_U)
    assert np.isnan(points(two)).all(), "also what was before"
    qtbot.mouseClick(tools.remove, LEFT)
    assert two.book.individuals == ("animal1", "bob")
    qtbot.mouseClick(tools.remove, LEFT)
    assert "bob has points in 1 frame:" in tab.message.text()


def test_each_animal_has_its_colour_and_its_name(
    two: NetworkPage, qtbot: QtBot
) -> None:
    tab = two.labelling
    tab.tools.edges.setText("nose-tail")
    tab.tools.edges.editingFinished.emit()
    for x, y in ((10, 10), (30, 10), (10, 40), (30, 40)):
        qtbot.mouseClick(tab.canvas, LEFT, pos=at(two, x, y))
    image = tab.canvas.grab().toImage()
    for animal, y in enumerate((10, 40)):
        middle = image.pixelColor(at(two, 20, y))
        assert close_to(middle, animal_colour(animal))


def test_a_point_that_can_not_be_saved_stays_and_the_reason_is_shown(
    page: NetworkPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*given: object, **named: object) -> None:
        raise PermissionError(13, "it can't be replaced", "unfinished.csv")

    tab = page.labelling
    with monkeypatch.context() as patched:
        patched.setattr(label_book, "write_labels", refused)
        qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 10, 10))
    assert tab.message.text().startswith(
        "Not saved in unfinished.csv: it can't be replaced"
    )
    assert tab.book is not None
    assert np.isfinite(tab.book.points[tab.frame, 0]).all()
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 30, 10))
    assert "frames not labelled yet" in tab.message.text()


def test_labels_that_a_full_disk_refused_are_saved_before_others_are_opened(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device", "CollectedData.csv")

    answers, asked = ["Cancel", "Cancel", "Continue without saving"], list[str]()

    def answer(window: QWidget, question: str, *words: str) -> str:
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr(network_page, "show_question", answer)
    labels, book, tab = tmp_path / "labels", page.book, page.training
    assert book is not None
    book.accept(1)
    begun: list[object] = []
    monkeypatch.setattr(tab.program, "start", lambda *given: begun.append(given))
    with monkeypatch.context() as patched:
        patched.setattr(label_book, "write_labels", full)
        book.accept(0)
        page.open(tmp_path / "other")
        assert page.book is book
        assert page.pick_frames("x", "--into", str(labels)) is None
        tab.show_book(book)
        tab.begin()
        assert "No space left on device. Training reads that file" in tab.state.text()
        assert not begun
    assert "CollectedData.csv: No space left on device. These labels are" in asked[0]
    page._reopen(labels, 0)
    assert page.book is not None and page.book is not book
    assert page.book.done.tolist() == [True, True, False]
    monkeypatch.setattr(label_book, "write_labels", full)
    page.book.accept(2)
    page.open(labels)
    assert page.book.done.tolist() == [True, True, False], "as the user chose"


def test_a_window_that_is_restored_leaves_the_focus_where_it_was(
    page: NetworkPage,
) -> None:
    """A window manager's show is spontaneous; the tab's own show is not."""
    event = QShowEvent()
    page.parts_line.setFocus()
    assert not event.spontaneous()
    page.labelling.showEvent(event)
    assert page.focusWidget() is page.labelling
    page.parts_line.setFocus()
    QApplication.setActiveWindow(page)
    page.labelling.showEvent(_Restored())
    assert page.focusWidget() is page.parts_line


class _Restored(QShowEvent):
    def spontaneous(self) -> bool:
        return True


def test_training_starts_from_the_present_network_after_a_restart_too(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    settings = tmp_path / "present.ini"
    text = (ROOT / "settings.ini").read_text("utf-8")
    settings.write_text(text, "utf-8")
    labels = tmp_path / "labels"
    for reasons, wanted in (({}, False), ({"labeled-data/film/img1.png": "x"}, True)):
        write_uncertain(labels, reasons)
        again = NetworkPage(Document(settings), Recent())
        qtbot.addWidget(again)
        again.parts_line.setText("nose, snout")
        again.open(labels)
        present = again.using.in_use
        assert present is not None
        start = again.training.options.values()["--start-from"]
        assert start == ([str(present)] if wanted else [])


def test_a_click_on_a_suspicious_label_shows_its_frame(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "sys.stderr.write('a warning')\n"
        "atexit.register(os.write, 2, b'a last warning')\n",
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    labelled = walked(30)
    labelled[7, [1, 2]] = labelled[7, [2, 1]]
    folder = tmp_path / "many"
    names = [f"labeled-data/film/img{row:02}.png" for row in range(30)]
    (folder / "labeled-data/film").mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.full((480, 640), 60, np.uint8))
    write_labels(folder / "CollectedData.csv", "me", PARTS, names, labelled)
    page.open(folder)
    tab = page.labelling
    assert tab.suspicious.isHidden()
    with qtbot.waitSignal(tab.checking.ended, timeout=SOON):
        qtbot.mouseClick(tab.check, LEFT)
    assert tab.message.text() == "1 suspicious label"
    item = tab.suspicious.item(0)
    assert item is not None
    assert item.text() == "img07: leftear and rightear left and right swapped"
    place = tab.suspicious.visualItemRect(item).center()
    qtbot.mouseClick(tab.suspicious.viewport(), LEFT, pos=place)
    assert (tab.frame, tab.canvas.part) == (7, 1)
    page.open(tmp_path / "labels")
    assert tab.suspicious.isHidden()
    assert not tab.check.isEnabled(), "nothing is labelled"


def test_sleaps_labels_are_converted_and_shown(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    package, folder = tmp_path / "two.pkg.slp", tmp_path / "converted"
    sleap(package, animals=2)
    assert kind_of(package) == "sleap"
    window = page.convert_labels(package, folder)
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0], window.page.toPlainText()
    assert page.book is not None
    assert page.book.folder == folder
    assert page.animals_line.text() == "animal1, animal2"
    page.open(tmp_path)
    assert "two.pkg.slp --output NEW_FOLDER" in page.problem.text()
    window.close()


def test_frames_are_picked_from_a_video(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    video = film(tmp_path / "scenes.mkv")
    words = (str(video), "--into", str(tmp_path / "labels"), "--count", "5")
    window = page.pick_frames(*words)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0], window.page.toPlainText()
    assert page.labelling.list.count() == 3 + 5
    window.close()


def test_body_parts_may_be_changed_until_something_is_labelled(
    page: NetworkPage, qtbot: QtBot
) -> None:
    for line, text in ((page.parts_line, "nose, ear, nose,"), (page.animals_line, "2")):
        line.setText(text)
        qtbot.keyClick(line, Qt.Key.Key_Return)
    assert page.book is not None
    assert page.book.bodyparts == ("nose", "ear")
    assert page.book.individuals == ("animal1", "animal2")
    page.parts_line.setText(" , ")
    qtbot.keyClick(page.parts_line, Qt.Key.Key_Return)
    assert page.parts_line.text() == "nose, ear"
    assert not page.parts_line.isReadOnly()
    qtbot.mouseClick(page.labelling.canvas, LEFT, pos=at(page, 10, 20))
    assert page.parts_line.isReadOnly()
    assert page.animals_line.isReadOnly()
    page._take_names()
    assert np.isfinite(page.book.points).any(), "what is labelled stays"


def test_a_new_folder_without_body_parts_says_what_is_missing(
    page: NetworkPage, tmp_path: Path
) -> None:
    page.parts_line.setText("")
    (tmp_path / "new").mkdir()
    page.open(tmp_path / "new")
    assert "name its body parts" in page.problem.text()
    assert page.problem.isVisible()
    assert not page.pick.isEnabled()


def test_what_is_labelled_is_deeplabcuts_table(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    tab = page.labelling
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 10, 20))
    assert (item := tab.list.item(0)) is not None
    assert item.text().startswith("◔"), "one point is no label"
    assert "1 of them begun" in tab.message.text()
    qtbot.mouseClick(tab.canvas, LEFT, pos=at(page, 30, 20))
    assert item.text().startswith("●")
    with (tmp_path / "labels/CollectedData.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[:3]] == ["scorer", "bodyparts", "coords"]
    assert rows[1][1:] == ["nose", "nose", "tail", "tail"]


def test_a_new_folder_is_made_by_typing_its_name(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["Cancel", "Create it"]
    monkeypatch.setattr(file_dialogs, "show_question", lambda *_: answers.pop(0))
    above = QWidget()
    qtbot.addWidget(above)
    dialog = file_dialogs.FolderDialog(above, "Folder", tmp_path)
    line = dialog.findChild(QLineEdit, "fileNameEdit")
    assert line is not None
    line.setText("mouse/labels")
    dialog.accept()
    assert not (tmp_path / "mouse").exists()
    assert dialog.result() != dialog.Accepted
    dialog.accept()
    assert dialog.result() == dialog.Accepted
    assert Path(dialog.selectedFiles()[0]) == tmp_path / "mouse/labels"


def test_space_accepts_a_frame_after_frames_were_picked(
    page: NetworkPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(network_page, "run_dialog", lambda dialog: shown.append(dialog))
    qtbot.mouseClick(page.pick, LEFT)
    assert page.focusWidget() is page.labelling
    qtbot.keyClick(page.labelling, Qt.Key.Key_Space)
    assert len(shown) == 1
    assert page.labelling.frame == 1


def test_the_network_trained_last_picks_frames_and_another_can_be_chosen(
    page: NetworkPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shutil.copytree(ROOT / "models/arena", tmp_path / "models/made")
    shown: list[PickDialog] = []
    monkeypatch.setattr(network_page, "run_dialog", lambda dialog: shown.append(dialog))
    page._offer(made)  # as after a training
    page.choose_frames(tmp_path / "mouse.mp4")
    (dialog,) = shown
    dialog.unsure.setChecked(True)
    assert dialog.arguments[-3:] == ["--unsure", "--model", str(made)]
    dialog.network.box.setCurrentIndex(0)
    assert not dialog.unsure.isEnabled()
    assert not dialog.propose.isEnabled()
    assert dialog.arguments[-2:] == ["--count", "20"]
    dialog.network.show_values([str(ROOT / "models/openfield")])
    dialog.propose.setChecked(True)
    assert dialog.arguments[-2:] == ["--model", str(ROOT / "models/openfield")]
    dialog.close()


def test_a_distilled_network_does_not_become_its_own_teacher(
    page: NetworkPage, tmp_path: Path
) -> None:
    made = shutil.copytree(ROOT / "models/arena", tmp_path / "models/made")
    teacher = [str(ROOT / "models/openfield")]
    distil, quantise = (page.faster.panel(each) for each in (DISTIL, QUANTISE))
    distil.form.show_values({"--teacher": teacher, "--output": [str(made)]})
    page.faster.ended.emit(distil, 0)
    assert distil.form.values()["--teacher"] == teacher
    assert quantise.form.values()["--model"] == [str(made)]
    # measured: some fixed fonts, as Noto Sans Mono, are not marked as such
    metrics = QFontMetricsF(distil.view.page.font())
    widths = {metrics.horizontalAdvance(word) for word in ("iiii", "WWWW", "0.5 ")}
    assert len(widths) == 1, "tables are aligned"


def test_gpus_that_were_found_before_are_offered_once(page: NetworkPage) -> None:
    found = page.training.gpus
    found.gpus = TrainingGpus(("NVIDIA RTX A4000",))
    box = page.faster.panel(DISTIL).form.editors["--device"].findChild(QComboBox)
    assert box is not None
    names = [box.itemText(place) for place in range(box.count())]
    assert names.count("GPU: NVIDIA RTX A4000") == 1


def test_a_trained_ensemble_is_offered_to_programs_that_take_one(
    page: NetworkPage, tmp_path: Path
) -> None:
    made = tmp_path / "models/made"
    for seed in ("seed0", "seed1"):
        shutil.copytree(ROOT / "models/arena", made / seed)
    page._offer(made)
    for tab, program, key in (
        (page.predicting, PREDICT, "--model"), (page.faster, DISTIL, "--teacher"),
    ):  # fmt: skip
        assert tab.panel(program).form.values()[key] == [str(made)]
    for tab, program in (
        (page.predicting, RENDER), (page.faster, QUANTISE), (page.faster, BENCHMARK),
    ):  # fmt: skip
        assert str(made) not in tab.panel(program).form.values()["--model"]


def test_the_worst_frames_of_several_animals_are_listed(
    two: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    tab, book = two.checking, two.book
    assert book is not None
    for place in range(3):
        book.points[place] = [[10, 10], [20, 10], [40, 30], [50, 30]]
        book.accept(place)
    found = book.points.copy()
    found[0] = found[0][[2, 3, 0, 1]] + 1  # the other one first
    found[1, 2:] = np.nan
    found[2, 3] += 4
    file = tmp_path / "predictions.csv"
    sure, sets = np.ones((3, 4), np.float32), ["validation"] * 3
    write_predictions(file, "net", book.bodyparts, book.names, found, sure, sets, 2)
    tab.book, tab.predictions = book, read_predictions(file)
    tab._rank()
    tab._list_worst()
    items = [tab.list.item(row) for row in range(3)]
    assert [item.text() for item in items if item] == [
        "animal missed   img1",
        "5.7 px   img2",
        "1.4 px   img0",
    ]
    tab.show_frame(2)
    assert np.allclose(tab.view.found - tab.view.labels, 1)


def test_tracks_of_a_video_can_pre_label_its_frames(
    page: NetworkPage, tmp_path: Path
) -> None:
    dialog = PickDialog(page.document, tmp_path, page)
    video = film(tmp_path / "scenes.mkv")
    dialog.use(video)
    dialog.use_tracks(tmp_path / "scenes.csv")
    assert dialog.arguments[-2:] == ["--tracks", str(tmp_path / "scenes.csv")]
    assert dialog.from_tracks.text() == "scenes.csv"
    dialog.close()


def test_videos_with_drawn_poses_are_neither_picked_from_nor_checked(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = analysed(tmp_path).path
    checked: list[Path] = []
    monkeypatch.setattr(page.checking, "check_video", checked.append)
    monkeypatch.setattr(file_dialogs, "open_folder", lambda *_: str(tmp_path / "run"))
    page.checking._choose_run()
    assert checked == [tmp_path / "scenes.mkv"]
    monkeypatch.setattr(pick_frames, "runs_of", lambda *_: [run])
    (tmp_path / "scenes.mkv").unlink()
    dialog = PickDialog(page.document, tmp_path / "labels", page)
    qtbot.addWidget(dialog)
    assert dialog.source.count() == 0, "only a drawing is left"


def test_the_queue_of_a_run_is_picked_whole(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = PickDialog(page.document, tmp_path / "labels", page)
    qtbot.addWidget(dialog)
    run, video = tmp_path / "run", tmp_path / "mouse.mp4"
    run.mkdir()
    dialog.use(run)
    dialog.queue.setChecked(True)
    assert not dialog.count.isEnabled()
    assert dialog.arguments[:4] == [
        *(str(run), "--into", str(tmp_path / "labels"), "--queue")
    ]
    dialog.use(video)
    assert not dialog.queue.isEnabled(), "a video has no recorded poses"
    assert dialog.arguments[3:] == ["--count", "20"]


def test_frames_have_thumbnails_and_body_parts_their_colours(
    page: NetworkPage, qtbot: QtBot
) -> None:
    def grey(row: int) -> int:
        item = page.labelling.list.item(row)
        assert item is not None
        return item.icon().pixmap(56, 42).toImage().pixelColor(28, 21).red()

    qtbot.waitUntil(lambda: abs(grey(2) - 100) < 3, timeout=SOON)
    assert abs(grey(0) - 60) < 3
    part = page.labelling.tools.parts.item(1)
    assert part is not None
    chip = part.icon().pixmap(12, 12).toImage().pixelColor(6, 6)
    assert close_to(chip, bodypart_colour(1).name())


def test_the_name_of_a_point_hides_no_other_point(
    page: NetworkPage, qtbot: QtBot
) -> None:
    canvas = page.labelling.canvas
    qtbot.mouseClick(canvas, LEFT, pos=at(page, 30, 24))
    other = at(page, 30, 24) + QPoint(25, -12)  # where the name stands otherwise
    qtbot.mouseClick(canvas, LEFT, pos=other)
    qtbot.keyClick(page.labelling, Qt.Key.Key_1)
    assert canvas.part == 0
    image = canvas.grab().toImage()
    around = [other + QPoint(dx, 0) for dx in (-11, 11)]
    assert min(image.pixelColor(at).value() for at in around) > 50, "no dark plate"


def test_a_compared_frame_is_zoomed_until_another_is_shown(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    view = page.checking.view
    page.show_step("Check")
    file = tmp_path / "labels/labeled-data/film/img0.png"
    view.compare(file, 1, [[10, 10]], [[12, 10]])
    whole = view.place
    assert whole is not None
    view.zoom(True)
    assert view.place is not None
    assert view.place.scale == pytest.approx(1.25 * whole.scale)
    view.compare(file, 2, [[10, 10]], [[12, 10]])
    assert view.place == whole


def test_labels_are_imported_with_a_button(
    page: NetworkPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [str(tmp_path / "project/config.yaml"), str(tmp_path / "two.pkg.slp")]
    opened, converted = list[Path](), list[tuple[Path, Path]]()
    monkeypatch.setattr(file_dialogs, "open_file", lambda *_: chosen.pop(0))
    monkeypatch.setattr(file_dialogs, "new_folder", lambda *_: tmp_path / "new")
    monkeypatch.setattr(page, "open", opened.append)
    monkeypatch.setattr(page, "convert_labels", lambda *paths: converted.append(paths))
    page.labelling.load.click()
    page.labelling.load.click()
    assert opened == [tmp_path / "project"]
    assert converted == [(tmp_path / "two.pkg.slp", tmp_path / "new")]


def test_the_network_in_use_is_not_written_again(file: Path) -> None:
    document = Document(file)
    text = document.text
    assert document.settings is not None
    folder = find_model(document.settings.model)
    assert use_live(document, folder) == [f"The settings use {folder.name} already."]
    assert document.text == text
