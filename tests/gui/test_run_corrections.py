"""Poses of a run corrected in the window: a span, what to do, before and after, undo."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PyQt5.QtCore import QEvent, QPoint, Qt
from PyQt5.QtGui import QMouseEvent
from PyQt5.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.gui.pages.results_page import ResultsPage
from deeplabstream.gui.results_process import AnalyseRun
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.run_corrections import RunCorrections
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.recording.pose_corrections import (
    Correction,
    append_correction,
    corrections_of,
)
from tests.recording.recorded import SETTINGS, UNFILMED, record
from tests.recording.small_run import exposed, made, point, write_flags

pytestmark = pytest.mark.usefixtures("fork_server")

SOON = 300_000  # ms


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path, animals=2)


@pytest.fixture
def view(run: Path, qtbot: QtBot) -> Iterator[RunCorrections]:
    shown = RunCorrections()
    qtbot.addWidget(shown)
    shown.resize(900, 600)
    shown.show()
    shown.show_run(run, "top")
    qtbot.waitUntil(lambda: shown.review is not None, timeout=SOON)
    yield shown
    shown.finish()


def points(view: VideoView) -> NDArray[np.float32]:
    """Return the points that are shown."""
    assert view._step is not None
    return view._step.pose.points


def go_to(qtbot: QtBot, view: RunCorrections, frame: int) -> None:
    assert view.review is not None
    view.go_to((exposed(frame) - exposed(0)) / 1e9)
    qtbot.waitUntil(
        lambda: view.after._index == frame and view.after._step is not None,
        timeout=SOON,
    )


def mark(qtbot: QtBot, view: RunCorrections, first: int, last: int) -> None:
    go_to(qtbot, view, first)
    view.first.click()
    go_to(qtbot, view, last)
    view.last.click()
    assert view.span_text.text().startswith(f"frames {first} to {last}.")


def correct(qtbot: QtBot, view: RunCorrections) -> None:
    qtbot.waitUntil(view.apply.isEnabled, timeout=SOON)
    view.apply.click()


def listed(view: RunCorrections) -> list[str]:
    items = [view.list.item(row) for row in range(view.list.count())]
    return [item.text() for item in items if item is not None]


def test_swapped_names_are_seen_before_they_are_written_and_can_be_undone(
    view: RunCorrections, run: Path, qtbot: QtBot
) -> None:
    files = {file.name: file.read_bytes() for file in run.iterdir()}
    mark(qtbot, view, 3, 4)
    anna, bob = np.array(point(4, 0, 0)), np.array(point(4, 1, 0))
    qtbot.waitUntil(
        lambda: np.allclose(points(view.after)[0, 0], bob), timeout=SOON
    )  # the view shows what would be
    np.testing.assert_allclose(points(view.before)[0, 0], anna)
    assert not (run / "corrections.json").exists()
    view.why.setText("they crossed")
    correct(qtbot, view)
    assert listed(view) == ["1: swap anna, bob, frames 3 to 4 of top (they crossed)"]
    (kept,) = json.loads((run / "corrections.json").read_text("utf-8"))["corrections"]
    assert kept["why"] == "they crossed"
    assert kept["when"]
    assert view.timeline.marked is None
    now = {file.name: file.read_bytes() for file in run.iterdir()}
    assert {name: now[name] for name in files} == files, "what was recorded stays"
    view.list.setCurrentRow(0)
    view.undo_it.click()
    assert listed(view) == []
    qtbot.waitUntil(lambda: np.allclose(points(view.after)[0, 0], anna), timeout=SOON)
    view.redo()
    assert len(listed(view)) == 1, "the undo is undone"
    view.undo()
    assert corrections_of(run, "top") == {}


def test_a_point_is_set_by_a_click_into_the_corrected_frame(
    view: RunCorrections, run: Path, qtbot: QtBot
) -> None:
    go_to(qtbot, view, 6)
    view.kind.setCurrentText("Set a point")
    view.kind.activated.emit(view.kind.currentIndex())
    view.animals.tick(("bob",))
    view.parts.tick(("tail",))
    view.first.click()
    assert "Click into the corrected frame" in view.span_text.text()
    place = view.after.place
    assert place is not None
    x, y = place.to_view((30, 20))
    at = QPoint(round(x), round(y))
    qtbot.mouseClick(view.after, Qt.MouseButton.LeftButton, pos=at)
    correct(qtbot, view)
    qtbot.waitUntil(
        lambda: np.allclose(points(view.after)[1, 1], (30, 20), atol=0.2), timeout=SOON
    )
    assert "set tail of bob at" in listed(view)[0]


def test_what_does_not_fit_is_a_sentence_and_can_not_be_applied(
    view: RunCorrections, run: Path, qtbot: QtBot
) -> None:
    mark(qtbot, view, 2, 8)
    view.kind.setCurrentText("Interpolate")
    view.kind.activated.emit(view.kind.currentIndex())
    qtbot.waitUntil(
        lambda: "both before and after" in view.problem.text(), timeout=SOON
    )
    assert "correction 1" not in view.problem.text(), "it is not in the list"
    assert not view.apply.isEnabled()
    view.kind.setCurrentText("Swap names")
    view.kind.activated.emit(view.kind.currentIndex())
    view.animals.tick(("anna",))
    assert view.span_text.text().endswith("Choose two animals.")
    assert not view.problem.text(), "it is said once"
    assert not view.apply.isEnabled()
    view.animals.tick(("anna", "bob"))
    assert "Switch names keeps them" in view.span_text.text()


def test_a_frame_without_an_image_is_said_to_be_not_recorded(
    tmp_path: Path, qtbot: QtBot
) -> None:
    shown = RunCorrections()
    qtbot.addWidget(shown)
    shown.show()
    shown.show_run(record(tmp_path / "monday"), "top")
    qtbot.waitUntil(lambda: shown.review is not None, timeout=SOON)
    assert shown.review is not None
    for row, text in ((UNFILMED + 2, "not recorded"), (UNFILMED - 2, "")):
        shown.go_to(shown.review.time_of("top", row))
        qtbot.waitUntil(lambda row=row: shown.after._index == row, timeout=SOON)
        assert shown.before.figures == shown.after.figures == text
    shown.finish()


def test_a_span_is_marked_by_a_drag_with_shift(
    view: RunCorrections, qtbot: QtBot
) -> None:
    line = view.timeline
    for kind, x in (
        (QEvent.Type.MouseButtonPress, 0.3),
        (QEvent.Type.MouseMove, 0.9),
        (QEvent.Type.MouseButtonRelease, 0.9),
    ):
        event = QMouseEvent(
            kind,
            QPoint(int(x * line.width()), 30),
            Qt.MouseButton.LeftButton,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.ShiftModifier,
        )
        QApplication.sendEvent(line, event)
    assert line.marked is not None
    start, end = line.marked
    assert start < end
    assert view.span_text.text().startswith("frames ")


def test_a_damaged_file_of_corrections_is_a_sentence_and_stays(
    view: RunCorrections, run: Path, qtbot: QtBot
) -> None:
    (run / "corrections.json").write_text("{", "utf-8")
    mark(qtbot, view, 3, 4)
    correct(qtbot, view)
    assert "corrections.json" in view.problem.text()
    assert (run / "corrections.json").read_text("utf-8") == "{"


def test_redo_takes_back_what_was_undone_here_and_nothing_else(
    view: RunCorrections, run: Path
) -> None:
    for first in (2, 6):
        frames = first, first + 1
        append_correction(run, Correction(kind="remove", camera="top", frames=frames))
    append_correction(run, Correction(kind="undo", undoes=2))  # another person's
    view.show_run(run, "top")
    view.redo()
    assert list(corrections_of(run, "top")) == [1]
    append_correction(run, Correction(kind="undo", undoes=3))
    view.show_run(run, "top")
    view.undo()
    view.undo()
    assert corrections_of(run, "top") == {}
    view.redo()
    assert list(corrections_of(run, "top")) == [1]
    view.redo()
    assert list(corrections_of(run, "top")) == [1, 2]
    view.redo()
    assert list(corrections_of(run, "top")) == [1, 2]


def test_a_correction_that_is_prepared_for_a_run_is_dropped_with_it(
    view: RunCorrections, run: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    other = made(tmp_path / "other", animals=2)
    mark(qtbot, view, 3, 4)
    qtbot.waitUntil(view.apply.isEnabled, timeout=SOON)
    view.why.setText("they crossed")
    view.position = (1.0, 2.0)
    view.show_run(other, "top")
    assert not view.apply.isEnabled()
    assert (view.why.text(), view.position) == ("", None)
    view._apply()
    qtbot.waitUntil(lambda: view.review is not None, timeout=SOON)
    assert view.timeline.marked is None
    assert view.span_text.text().startswith("Mark a span")
    assert not (run / "corrections.json").exists()
    assert not (other / "corrections.json").exists()
    mark(qtbot, view, 3, 4)
    view.show_run(other, "side")
    assert view.review is None, "frames and pixels of the other camera"
    assert not view.apply.isEnabled()


def page_that_corrects(tmp_path: Path, qtbot: QtBot) -> ResultsPage:
    """Return a page whose tab *Correct* shows the only run."""
    page = ResultsPage(Document(tmp_path / "rig.ini", SETTINGS))
    qtbot.addWidget(page)
    page.resize(1240, 700)
    page.show()
    qtbot.waitUntil(lambda: len(page.table.runs.all) == 1, timeout=SOON)
    page.table.choose(0)
    page.show_tab("Correct")
    qtbot.waitUntil(lambda: page.corrections.review is not None, timeout=SOON)
    return page


def test_results_of_the_page_follow_a_correction(tmp_path: Path, qtbot: QtBot) -> None:
    made(tmp_path / "output", animals=2)
    page = page_that_corrects(tmp_path, qtbot)
    view = page.corrections
    assert page.measured is not None
    assert not any("corrected poses" in note for note in page.measured.notes)
    mark(qtbot, view, 3, 4)
    correct(qtbot, view)
    qtbot.waitUntil(lambda: not page.client.waits(AnalyseRun), timeout=SOON)
    assert any("with 1 correction" in note for note in page.measured.notes)
    page.undo()
    qtbot.waitUntil(lambda: not page.client.waits(AnalyseRun), timeout=SOON)
    assert not any("with 1 correction" in note for note in page.measured.notes)
    page.finish()


def test_a_run_that_is_opened_takes_the_place_of_the_one_that_is_corrected(
    tmp_path: Path, qtbot: QtBot
) -> None:
    made(tmp_path / "output", animals=2)
    other = made(tmp_path / "elsewhere", animals=2)
    page = page_that_corrects(tmp_path, qtbot)
    view = page.corrections
    mark(qtbot, view, 3, 4)
    qtbot.waitUntil(view.apply.isEnabled, timeout=SOON)
    page.open(other)
    assert not view.apply.isEnabled()
    qtbot.waitUntil(
        lambda: view.review is not None and view.review.folder.path == other,
        timeout=SOON,
    )
    assert view.timeline.marked is None
    page.finish()


AMBIGUOUS = "anna doubt1; bob doubt1"


def opened(run: Path, qtbot: QtBot) -> RunCorrections:
    """Return the widget with the uncertain places of a run."""
    view = RunCorrections()
    qtbot.addWidget(view)
    view.resize(900, 600)
    view.show()
    view.show_run(run, "top")
    qtbot.waitUntil(view.places.isVisible, timeout=SOON)
    return view


def places(view: RunCorrections) -> list[str]:
    items = [view.places.list.item(row) for row in range(view.places.list.count())]
    return [item.text() for item in items if item is not None]


def focus(qtbot: QtBot, view: RunCorrections, widget: QWidget) -> None:
    with qtbot.waitActive(view):
        view.activateWindow()
    widget.setFocus()


def press(qtbot: QtBot, view: RunCorrections, key: Qt.Key) -> None:
    """Press a key while a button of the widget has the focus."""
    focus(qtbot, view, view.back)
    qtbot.keyClick(view.back, key)


def test_keys_go_through_the_places_that_are_not_checked(
    run: Path, qtbot: QtBot
) -> None:
    write_flags(run, {"3": "anna stray", "4": "bob stray", "8": AMBIGUOUS})
    view = opened(run, qtbot)
    assert view.places.remaining.text() == "3 of 3 uncertain places to check"
    shown = []
    for _ in range(4):
        press(qtbot, view, Qt.Key.Key_N)
        shown.append(view.span_text.text().split(".")[0])
    assert shown == ["frame 3", "frame 4", "frame 8", "frame 3"]

    press(qtbot, view, Qt.Key.Key_N)
    press(qtbot, view, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: "2 of 3" in view.places.remaining.text(), timeout=SOON)
    assert places(view)[-1].startswith("✓ ")
    assert view.places.current is not None
    assert view.places.current.animals == ("bob",), "it stays chosen"
    assert not view.places.check.isEnabled()
    assert listed(view) == ["1: check bob (stray), frame 4 of top"]
    assert [lane.name for lane in view.timeline.lanes][:2] == ["to check", "checked"]

    view.go_to(0.0)
    for frame in (3, 8):
        press(qtbot, view, Qt.Key.Key_N)
        assert view.span_text.text().startswith(f"frame {frame}.")
        press(qtbot, view, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: "0 of 3" in view.places.remaining.text(), timeout=SOON)
    assert not view.places.next.isEnabled()

    view.undo()
    qtbot.waitUntil(lambda: "1 of 3" in view.places.remaining.text(), timeout=SOON)
    view.redo()
    qtbot.waitUntil(lambda: "0 of 3" in view.places.remaining.text(), timeout=SOON)
    view.finish()


def test_keys_work_wherever_the_focus_is_while_the_tab_is_shown(
    tmp_path: Path, qtbot: QtBot
) -> None:
    write_flags(made(tmp_path / "output", animals=2), {"4": "bob stray"})
    page = page_that_corrects(tmp_path, qtbot)
    view, button = page.corrections, page.report
    qtbot.waitUntil(view.places.isVisible, timeout=SOON)
    with qtbot.waitActive(page):
        page.activateWindow()
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_N)
    assert view.span_text.text().startswith("frame 4.")
    first_s = view.time_s
    qtbot.keyClick(button, Qt.Key.Key_Right)
    assert view.time_s > first_s
    qtbot.keyClick(button, Qt.Key.Key_Left)
    assert view.time_s == first_s

    page.show_tab("Measures")
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Right)
    assert view.time_s == first_s
    page.finish()


def test_the_tab_takes_the_focus_from_the_search_for_runs(
    tmp_path: Path, qtbot: QtBot
) -> None:
    write_flags(made(tmp_path / "output", animals=2), {"4": "bob stray"})
    page = page_that_corrects(tmp_path, qtbot)
    page.show_tab("Measures")
    lines = page.findChildren(QLineEdit)
    (search,) = [it for it in lines if it.placeholderText().startswith("Words")]
    with qtbot.waitActive(page):
        page.activateWindow()
    search.setFocus()
    page.show_tab("Correct")
    assert not search.hasFocus()
    qtbot.keyClick(page.corrections, Qt.Key.Key_N)
    assert search.text() == ""
    page.finish()


def test_a_letter_in_the_reason_is_no_key(run: Path, qtbot: QtBot) -> None:
    write_flags(run, {"8": AMBIGUOUS})
    view = opened(run, qtbot)
    focus(qtbot, view, view.why)
    qtbot.keyClicks(view.why, "nc")
    assert view.why.text() == "nc"
    assert view.places.current is None
    view.finish()


def test_a_span_goes_to_the_frame_before_the_next_place_to_check(
    run: Path, qtbot: QtBot
) -> None:
    write_flags(run, {"4": "bob stray", "8": AMBIGUOUS})
    view = opened(run, qtbot)
    go_to(qtbot, view, 2)
    view.to_place.click()
    assert view.span_text.text().startswith("frames 2 to 3.")
    press(qtbot, view, Qt.Key.Key_N)
    press(qtbot, view, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: "1 of 2" in view.places.remaining.text(), timeout=SOON)
    go_to(qtbot, view, 2)
    view.to_place.click()
    assert view.span_text.text().startswith("frames 2 to 7.")
    view.finish()


def test_a_click_on_an_uncertain_place_shows_it_and_marks_its_span_and_animals(
    run: Path, qtbot: QtBot
) -> None:
    write_flags(run, {"6": AMBIGUOUS, "7": AMBIGUOUS})
    view = opened(run, qtbot)
    item = view.places.list.item(0)
    assert item is not None
    assert item.text().endswith("anna, bob: identities are ambiguous")
    view.places.list.setCurrentRow(0)
    view.places.list.itemClicked.emit(item)
    assert view.span_text.text().startswith("frames 6 to 7.")
    assert view.animals.ticked == ("anna", "bob")
    qtbot.waitUntil(lambda: view.after._index == 6, timeout=SOON)
    view.kind.setCurrentText("Confirm names")
    view.kind.activated.emit(view.kind.currentIndex())
    correct(qtbot, view)
    qtbot.waitUntil(lambda: not view.places.isVisible(), timeout=SOON)
    view.undo()
    qtbot.waitUntil(view.places.isVisible, timeout=SOON)
    view.finish()


def choose(view: RunCorrections, kind: str) -> None:
    view.kind.setCurrentText(kind)
    view.kind.activated.emit(view.kind.currentIndex())


def test_the_user_says_which_name_and_which_points_of_merged_animals_stay(
    view: RunCorrections, run: Path, qtbot: QtBot
) -> None:
    mark(qtbot, view, 7, 8)
    assert not view.way.isVisible()
    choose(view, "Merge animals")
    view.animals.tick(("anna",))
    assert not view.way.isVisible()
    assert view.span_text.text().endswith("Choose two animals.")
    view.animals.tick(("anna", "bob"))
    assert view.way.isVisible()
    ways = [view.way.itemText(at) for at in range(view.way.count())]
    assert ways == [
        "both are anna; if both are found: anna",
        "both are anna; if both are found: bob",
        "both are bob; if both are found: bob",
        "both are bob; if both are found: anna",
    ]
    view.way.setCurrentIndex(3)
    view.way.activated.emit(3)
    anna = np.array(point(8, 0, 0))
    qtbot.waitUntil(lambda: np.allclose(points(view.after)[1, 0], anna), timeout=SOON)
    assert np.isnan(points(view.after)[0]).all()
    correct(qtbot, view)
    assert listed(view) == ["1: merge anna into bob, keep anna, frames 7 to 8 of top"]
    view.undo()
    assert listed(view) == []


def test_a_split_offers_what_becomes_of_the_old_animal(
    view: RunCorrections, qtbot: QtBot
) -> None:
    go_to(qtbot, view, 6)
    view.to_end.click()
    choose(view, "Split animals")
    view.animals.tick(("anna", "bob"))
    for at, said in enumerate(
        ("bob from anna, keep bob", "bob from anna", "anna from bob")
    ):
        view.way.setCurrentIndex(at)
        view.way.activated.emit(at)
        correct(qtbot, view)
        assert listed(view) == [f"{2 * at + 1}: split {said}, frames 6 to 9 of top"]
        view.undo()
        view.to_end.click()
    choose(view, "Swap names")
    assert not view.way.isVisible()


def test_names_are_switched_from_a_frame_to_the_end(
    view: RunCorrections, run: Path, qtbot: QtBot
) -> None:
    go_to(qtbot, view, 6)
    view.to_end.click()
    view.kind.setCurrentText("Switch names")
    view.kind.activated.emit(view.kind.currentIndex())
    view.animals.tick(("anna", "bob"))
    correct(qtbot, view)
    assert listed(view) == ["1: switch anna, bob, frames 6 to 9 of top"]
