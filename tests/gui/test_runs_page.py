"""A recorded run looked at again: list, picture, timeline, events, decided again."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from deeplabstream.core.pose import Thresholds
from deeplabstream.files import exclusive_writing
from deeplabstream.gui.dialogs.program_window import FormWindow, ProgramWindow
from deeplabstream.gui.pages import runs_page
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.run_events import listed_events
from deeplabstream.gui.run_listing import COLUMNS, RunListModel
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import bodypart_colour
from deeplabstream.gui.widgets.event_list import EventList
from deeplabstream.recording import run_opening, run_summary
from deeplabstream.recording.alignment.sync_signals import random_pulses
from deeplabstream.recording.frame_queue import QueueWriter
from deeplabstream.recording.run_catalogue import RunCatalogue
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import review
from deeplabstream.recording.run_summary import (
    RunNotes,
    RunSummary,
    change_notes,
    read_notes,
    summarise,
)
from deeplabstream.startup.progress import MARK
from tests.gui.fake_session import close_to
from tests.recording.alignment.recorder import Recorder
from tests.recording.alignment.synced_run import made
from tests.recording.recorded import SETTINGS, START_NS, brightness, record

SOON = 300_000  # ms
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> Iterator[RunsPage]:
    record(tmp_path / "output" / "monday")
    made = RunsPage(Document(tmp_path / "rig.ini", SETTINGS))
    qtbot.addWidget(made)
    made.resize(1200, 700)
    made.show()
    qtbot.waitUntil(lambda: len(made.table.runs.all) == 1, timeout=SOON)
    with qtbot.waitSignal(made.view.images.decoded, timeout=SOON):
        made.table.choose(0)
    yield made
    made.finish()


def refresh(qtbot: QtBot, page: RunsPage) -> None:
    """List the runs anew, and wait until they are listed."""
    with qtbot.waitSignal(page.table.listed, timeout=SOON):
        page.refresh()


def shown(qtbot: QtBot, page: RunsPage, time_s: float) -> int:
    """Go to a moment and return the grey of the picture's upper right corner."""
    run, camera = page.view.review, page.view.camera.currentText()
    assert run is not None
    wanted = camera, run.row_at(camera, time_s)
    with qtbot.waitSignal(
        page.view.images.decoded,
        timeout=SOON,
        check_params_cb=lambda key, _: key == wanted,
    ):
        page.view.go_to(time_s)
    image, place = page.view.video.grab().toImage(), page.view.video.place
    assert place is not None
    x, y = place.to_view((60, 45))
    return image.pixelColor(int(x), int(y)).red()


def row_of(page: RunsPage, name: str) -> list[str]:
    """Return the cells of the run of this name."""
    table = page.table
    rows = [
        [table.cell(row, column) for column in range(len(COLUMNS))]
        for row in range(len(table.runs.runs))
    ]
    return next(cells for cells in rows if cells[-1] == name)


def names(page: RunsPage) -> list[str]:
    """Return the runs that are listed, in their order."""
    last, table = len(COLUMNS) - 1, page.table
    return [table.cell(row, last) for row in range(len(table.runs.runs))]


def about_animals(folder: Path) -> None:
    """Write three runs of two animals, the names not in the order of their times."""
    for name, animal, hour in (("c", "m1", 9), ("a", "m2", 11), ("b", "m1", 10)):
        run = RunFolder(record(folder / name))
        run.update(
            session={"animal": animal, "group": "control", "notes": "as planned"},
            experiment={"NAME": "avoid"},
            started=f"2026-11-20T{hour:02}:00:00+00:00",
            ended=f"2026-11-20T{hour:02}:10:05+00:00",
        )


def test_runs_are_listed_by_time_and_sorted_and_filtered(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    about_animals(tmp_path / "output")
    refresh(qtbot, page)
    assert names(page) == ["monday", "a", "b", "c"], "newest first"
    local = datetime(2026, 11, 20, 11, tzinfo=UTC).astimezone()
    assert row_of(page, "a") == [
        f"{local:%Y-%m-%d %H:%M:%S}",
        "m2",
        "control",
        "avoid",
        "10:05",
        "stopped",
        "as planned",
        "",
        "",
        "a",
    ]
    page.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert names(page)[-1] == "a", "by animal"
    page.search.setText("m1 avoid")
    assert sorted(names(page)) == ["b", "c"]


def test_notes_and_tags_are_kept_beside_the_run(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    run = tmp_path / "output/monday"
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    for column, text in ((6, "  lens was dirty "), (7, "pilot, bad light,, pilot")):
        tip = page.table.runs.headerData(
            column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole
        )
        assert "double-click a cell to edit" in tip
        page.table.runs.setData(page.table.runs.index(0, column), text)
    assert row_of(page, "monday")[6:8] == ["lens was dirty", "pilot, bad light"]
    words = json.loads((run / "notes.json").read_text("utf-8"))
    assert words == {"notes": "lens was dirty", "tags": ["pilot", "bad light"]}
    after = {file.name: file.read_bytes() for file in run.iterdir()}
    assert {name: after[name] for name in before} == before
    refresh(qtbot, page)
    assert row_of(page, "monday")[6:8] == ["lens was dirty", "pilot, bad light"]
    shutil.rmtree(run)
    page.table.runs.setData(page.table.runs.index(0, 6), "too late")
    assert "is not a run folder any more" in page.about.text()


def test_a_list_that_is_older_than_the_notes_overwrites_none_of_them(
    page: RunsPage, tmp_path: Path
) -> None:
    run = tmp_path / "output/monday"
    change_notes(run, notes="lens was dirty", tags=("pilot",))
    page.table.runs.setData(page.table.runs.index(0, 7), "bad light")
    assert read_notes(run) == RunNotes("lens was dirty", ("bad light",))
    change_notes(run, notes="lens was wet")
    page.table.runs.exclude([run], "fell asleep")
    assert read_notes(run) == RunNotes("lens was wet", ("bad light",), "fell asleep")


def test_exclusion_waits_only_once_for_programs_that_hold_the_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [record(tmp_path / f"run{number}") for number in range(3)]
    model, failed, patience = RunListModel(), [], []
    model.show_runs([summarise(run) for run in runs])
    model.failed.connect(failed.append)
    waiting = exclusive_writing.exclusive

    def exclusive(file: Path, patience_s: float) -> AbstractContextManager[None]:
        patience.append(patience_s)
        return waiting(file, 0.0)

    monkeypatch.setattr(run_summary, "exclusive", exclusive)
    with waiting(runs[0] / "notes.json"), waiting(runs[1] / "notes.json"):
        model.exclude(runs, "fell asleep")
    assert [read_notes(run).excluded for run in runs] == ["", "", "fell asleep"]
    assert len(failed) == 2
    assert sorted(patience) == [0.0, 0.0, exclusive_writing.WINDOW_PATIENCE_S]


def edited(page: RunsPage, column: int) -> QLineEdit:
    """Open the editor of a cell of the first run."""
    page.table.edit(page.table.runs.index(0, column))
    (editor,) = page.table.findChildren(QLineEdit)
    return editor


def test_a_list_that_arrives_while_a_cell_is_edited_waits_for_it(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    editor = edited(page, 6)
    qtbot.keyClicks(editor, "lens was ")
    about_animals(tmp_path / "output")
    with qtbot.waitSignal(page.table.lister.listed, timeout=SOON):
        page.refresh()
    assert names(page) == ["monday"], "the edited cell stays where it is"
    qtbot.keyClicks(editor, "dirty")
    with qtbot.waitSignal(page.table.listed, timeout=SOON):
        qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert names(page) == ["monday", "a", "b", "c"]
    assert row_of(page, "monday")[6] == "lens was dirty"
    assert read_notes(tmp_path / "output/monday").notes == "lens was dirty"


def test_a_list_that_was_read_before_a_cell_was_saved_is_read_again(
    page: RunsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, go_on = threading.Event(), threading.Event()
    runs = RunCatalogue.runs

    def slow(catalogue: RunCatalogue) -> list[RunSummary]:
        found = runs(catalogue)
        read.set()
        assert go_on.wait(SOON / 1000)
        return found

    monkeypatch.setattr(RunCatalogue, "runs", slow)
    page.refresh()
    assert read.wait(SOON / 1000)
    page.table.runs.setData(page.table.runs.index(0, 6), "lens was dirty")
    with qtbot.waitSignal(page.table.listed, timeout=SOON):
        go_on.set()
    assert row_of(page, "monday")[6] == "lens was dirty"


def test_runs_go_to_the_trash_after_a_question(
    page: RunsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trash = tmp_path / "trash"
    trash.mkdir()

    def move(folder: Path) -> bool:
        return folder.name != "b" and bool(folder.rename(trash / folder.name))

    monkeypatch.setattr(runs_page, "move_to_trash", move)
    about_animals(tmp_path / "output")
    refresh(qtbot, page)
    asked: list[str] = []
    replies = ["Cancel", "Move to trash"]

    def ask(_page: object, question: str, *_answers: str) -> str:
        asked.append(question)
        return replies.pop(0)

    monkeypatch.setattr(runs_page, "show_question", ask)
    page.table.selectAll()
    page.delete.click()
    assert "Move 4 runs to the trash" in asked[-1]
    assert len(names(page)) == 4
    with qtbot.waitSignal(page.table.listed, timeout=SOON):
        page.delete.click()
    assert names(page) == ["b"]
    assert "b can't be moved to the trash" in page.about.text()
    assert sorted(each.name for each in trash.iterdir()) == ["a", "c", "monday"]
    assert page.chosen is None
    assert page.view.video.empty_text == "Choose a run"


def test_a_run_that_is_written_is_not_deleted(
    page: RunsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page.chosen is not None
    RunFolder(page.chosen).update(ended=None, how=None)
    monkeypatch.setattr(runs_page, "goes_on", lambda run: True)
    page.delete.click()
    assert "still being written" in page.about.text()
    assert page.chosen.is_dir()


def test_a_run_that_was_opened_is_the_selected_one(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    about_animals(tmp_path / "output")
    elsewhere = record(tmp_path / "rehearsal")
    refresh(qtbot, page)
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.open(elsewhere)
    qtbot.waitUntil(lambda: page.table.selected == [elsewhere], timeout=SOON)
    row = names(page).index("monday")
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.table.choose(row)
    assert page.chosen == tmp_path / "output/monday"


def test_a_run_that_was_asked_for_before_is_passed_over(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    other = record(tmp_path / "rehearsal")
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.open(other)
    before = review(tmp_path / "output/monday")
    page.open(other)
    page.view.images.opened.emit(before)  # it was read when this one was asked for
    assert page.view.review is None
    qtbot.waitUntil(lambda: page.view.review is not None, timeout=SOON)
    assert page.view.review is not None
    assert page.view.review.folder.path == other


def test_events_are_filtered_follow_the_time_and_have_three_clocks(
    page: RunsPage,
) -> None:
    view = page.view
    view.go_to(1.5)
    assert [item.text() for item in view.events.table.selectedItems()][
        -1
    ] == "light on (plan)"
    view.go_to(0.2)
    assert [item.text() for item in view.events.table.selectedItems()][
        -1
    ] == "light off (open)"
    view.events.search.setText("output off")
    shown = [
        view.events.table.item(row, 2).text()  # type: ignore[union-attr]
        for row in range(view.events.table.rowCount())
        if not view.events.table.isRowHidden(row)
    ]
    assert shown == ["light off (open)", "light off (lost)"]
    clocks = [view.clock.itemText(row) for row in range(view.clock.count())]
    assert clocks == ["since stream start", "local time"], "no experiment was started"
    view.clock.setCurrentIndex(1)
    view.clock.activated.emit(1)
    assert view.review is not None
    assert view.review.stream_start is not None
    zero = view.review.stream_start
    assert view.events.table.item(2, 0).text() == (  # type: ignore[union-attr]
        f"{zero + timedelta(seconds=1.05):%H:%M:%S}.050"
    )


def shown_events(events: EventList) -> list[str]:
    table = events.table
    return [
        item.text()
        for row in range(table.rowCount())
        if not table.isRowHidden(row) and (item := table.item(row, 2)) is not None
    ]


def note(time_s: float, name: str, text: str) -> dict[str, str]:
    return {"time_s": f"{time_s}", "kind": "note", "name": name, "text": text}


LOAD = f"cores: {', '.join(f'process {number} 3%' for number in range(20))}"
NOTES = (
    note(2.0, "health", LOAD),
    note(1.0, "preflight", "the network finds nose"),
    note(1.0, "preflight", "warning: the disk is nearly full"),
    note(1.1, "preflight", "2 regions lie in the frame"),
    note(3.0, "experiment", "started"),
)


def test_checks_are_one_event_unless_all_are_chosen(qtbot: QtBot) -> None:
    events = EventList()
    qtbot.addWidget(events)
    events.show_events(listed_events(NOTES), str)
    assert shown_events(events) == [
        "preflight: 2 checks passed",
        "preflight: warning: the disk is nearly full",
        "experiment: started",
    ]
    events.shown.setCurrentIndex(1)
    events.shown.activated.emit(1)
    everything = [f"{row['name']}: {row['text']}" for row in (*NOTES[1:4], NOTES[0])]
    assert shown_events(events) == [*everything, "experiment: started"]
    events.shown.setCurrentIndex(0)
    events.search.setText("regions")
    assert shown_events(events) == ["preflight: 2 regions lie in the frame"]


def test_texts_of_events_are_shown_whole(qtbot: QtBot) -> None:
    events = EventList()
    qtbot.addWidget(events)
    events.resize(320, 400)
    events.show()
    events.search.setText("cores")
    events.show_events(listed_events(NOTES), str)
    item = events.table.item(4, 2)
    assert item is not None and item.text() == f"health: {LOAD}"

    def whole() -> bool:
        room = events.table.visualItemRect(item).adjusted(3, 0, -3, 0)
        flags = int(Qt.TextFlag.TextWordWrap)
        needed = events.table.fontMetrics().boundingRect(
            0, 0, room.width(), 9999, flags, item.text()
        )
        return needed.height() <= room.height()

    assert whole()
    events.resize(300, 400)
    qtbot.waitUntil(whole, timeout=SOON)


def test_a_click_on_an_event_moves_no_column(page: RunsPage, qtbot: QtBot) -> None:
    page.resize(700, 600)
    events = page.view.events.table
    item = events.item(2, 2)
    assert item is not None
    at = events.visualItemRect(item).center()
    qtbot.mouseClick(events.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert page.view.time_s == 1.05
    bar = events.horizontalScrollBar()
    assert bar is not None
    assert bar.value() == 0


def test_the_picture_is_that_of_the_moment(page: RunsPage, qtbot: QtBot) -> None:
    assert len(page.table.runs.runs) == 1
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
        (item.text() if (item := page.view.events.table.item(row, 2)) else "")
        for row in range(page.view.events.table.rowCount())
    ]
    assert texts == ["light off (open)", "entry", "light on (plan)", "light off (lost)"]
    page.view.events.table.cellClicked.emit(2, 0)
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


@pytest.fixture
def aligning(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> Iterator[tuple[FormWindow, Path]]:
    """The form of a run with random pulses, and the recorder's table of their edges."""
    line = random_pulses(3, 120.0)
    run = made(tmp_path / "output" / "synced", line, 120.0)
    edges, _ = Recorder(ppm=30.0).record(line)
    recording = tmp_path / "ephys.csv"
    rows = zip(edges.times_s, edges.rising.astype(int), strict=True)
    recording.write_text("".join(f"{at:.6f},{level}\n" for at, level in rows), "utf-8")
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.open(run)
    page.align.click()
    window = page.findChild(FormWindow)
    assert window is not None
    yield window, recording
    window.close()


def test_a_run_is_aligned_with_a_recording_and_its_residuals_are_shown(
    aligning: tuple[FormWindow, Path], qtbot: QtBot
) -> None:
    window, recording = aligning
    panel, view = window.panel, window.panel.view
    assert panel.missing.text() == "Recording: nothing chosen yet"
    panel.form.show_values({"Recording": [str(recording)]})
    said: list[str] = []
    view.program.output_received.connect(said.append)
    with qtbot.waitSignal(panel.ended, timeout=SOON):
        panel.begin.click()
    assert view.state.text() == "done", view.page.toPlainText()
    assert "residuals: 50 % below" in view.page.toPlainText()
    assert MARK in "".join(said) and MARK not in view.page.toPlainText()
    assert panel.plot.isVisible() and panel.plot.plot is not None
    assert panel.plot.plot.width() > 400
    assert view.show_folder.isVisible()
    with qtbot.waitSignal(panel.ended, timeout=SOON):
        panel.begin.click()
    assert "already exists" in view.state.text()
    assert view.replace.isVisible() and not panel.plot.isVisible()


def test_a_recording_that_does_not_fit_is_a_sentence_in_the_form(
    aligning: tuple[FormWindow, Path], qtbot: QtBot
) -> None:
    window, recording = aligning
    panel = window.panel
    edges, _ = Recorder().record(random_pulses(4, 120.0))
    recording.write_text("".join(f"{at}\n" for at in edges.times_s), "utf-8")
    panel.form.show_values({"Recording": [str(recording)]})
    with qtbot.waitSignal(panel.ended, timeout=SOON):
        panel.begin.click()
    assert "are not those of the run" in panel.view.state.text()
    assert panel.plot.isHidden()
    panel.begin.click()
    panel.view.stop.click()
    assert not panel.view.program.running and panel.begin.isEnabled()


def test_a_folder_that_is_no_run_is_a_sentence(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    with qtbot.waitSignal(page.view.images.failed, timeout=SOON):
        page.open(tmp_path)
    assert "is not a run folder" in page.view.video.empty_text


def test_a_killed_run_is_mended_and_a_run_that_goes_on_is_let_alone(
    page: RunsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(record(tmp_path / "output" / "tuesday"))
    folder.update(ended=None, how=None)
    with monkeypatch.context() as patch:
        patch.setattr(run_opening, "goes_on", lambda path: True)
        with qtbot.waitSignal(page.view.images.failed, timeout=SOON):
            page.open(folder.path)
    assert "still being written" in page.view.video.empty_text
    assert folder.facts["ended"] is None
    assert "was killed and will be repaired" in page.about.text()
    qtbot.waitUntil(lambda: "tuesday" in names(page), timeout=SOON)
    assert "not ended" in row_of(page, "tuesday")
    monkeypatch.setattr(run_opening, "OBSERVED_S", 0.0)
    with qtbot.waitSignal(page.view.opened, timeout=SOON):
        page.open(folder.path)
    assert folder.facts["how"] == "killed"
    assert "repaired: run.json: the run was killed" in page.about.text()
    qtbot.waitUntil(lambda: "killed" in row_of(page, "tuesday"), timeout=SOON)


def test_a_run_opens_at_the_first_moment_that_was_recorded(
    page: RunsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    late = record(tmp_path / "output" / "tuesday", filmed=range(12, 30))
    with qtbot.waitSignal(page.view.images.decoded, timeout=SOON):
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


def test_uncertain_frames_of_a_run_are_offered_for_labelling(
    page: RunsPage, tmp_path: Path, qtbot: QtBot
) -> None:
    run = RunFolder(record(tmp_path / "uncertain"))
    page.open(run.path)
    assert not page.label.isEnabled()
    writer = QueueWriter(run, START_NS, 1, Thresholds(0.5))
    for step in run.steps("top"):
        writer.step(step)
    assert writer.table is not None
    writer.table.close()
    page.open(run.path)
    assert "1 frame of the run" in page.label.toolTip()
    with qtbot.waitSignal(page.labelling_requested) as asked:
        qtbot.mouseClick(page.label, LEFT)
    assert asked.args == [run.path]
