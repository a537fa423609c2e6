"""Results of recorded runs in the window: searched, measured, drawn, saved."""

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PyQt5.QtCore import QDate, Qt
from PyQt5.QtWidgets import QFileDialog, QInputDialog
from pytestqt.qtbot import QtBot

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.results_page import ResultsPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.results_process import Analyse, Draw, Written
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.plot_view import PlotView
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_list import RunNotes, read_notes, write_notes
from tests.gui.fake_session import FakeSession
from tests.recording.recorded import SETTINGS, record

pytestmark = pytest.mark.usefixtures("fork_server")

SOON = 90_000  # ms


def make_runs(folder: Path) -> None:
    """Write three runs of two animals."""
    for name, animal, group, day in (
        ("a", "m1", "control", 20),
        ("b", "m2", "treated", 21),
        ("c", "m1", "control", 22),
    ):
        RunFolder(record(folder / name)).update(
            session={"animal": animal, "group": group},
            experiment={"NAME": "avoid"},
            started=f"2026-11-{day}T12:00:00+00:00",
            ended=f"2026-11-{day}T12:10:00+00:00",
        )
    write_notes(folder / "b", RunNotes(None, ("pilot",)))


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> Iterator[ResultsPage]:
    make_runs(tmp_path / "output")
    made = ResultsPage(Document(tmp_path / "rig.ini", SETTINGS))
    qtbot.addWidget(made)
    made.resize(1240, 700)
    made.show()
    qtbot.waitUntil(lambda: len(made.table.runs.all) == 3, timeout=SOON)
    yield made
    made.finish()


def listed(page: ResultsPage) -> str:
    return "".join(run.path.name for run in page.table.runs.runs)


def await_measures(qtbot: QtBot, page: ResultsPage) -> dict[str, str]:
    """Wait until the measures of the chosen run are shown; return the first column."""
    qtbot.waitUntil(
        lambda: page.measured is not None and not page.client.waits(Analyse),
        timeout=SOON,
    )
    rows = range(len(page.measures.values.rows))
    return {page.measures.text(row, 0): page.measures.text(row, 2) for row in rows}


def await_plot(qtbot: QtBot, page: ResultsPage) -> None:
    view = page.plots.view
    qtbot.waitUntil(
        lambda: not page.client.waits(Draw) and bool(view.plot or view.text),
        timeout=SOON,
    )


def fills(view: PlotView) -> bool:
    """Return whether the plot is drawn for the size of its view."""
    assert view.plot is not None
    sides = zip(
        (view.plot.width(), view.plot.height()), view.size_in_pixels, strict=True
    )
    return any(there in (room - 1, room) for there, room in sides)


def save_as(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Answer the next question for a file."""
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_args, **_options: (str(file), "")
    )


def test_runs_are_searched_by_each_field(page: ResultsPage) -> None:
    search = page.search
    assert listed(page) == "cba", "newest first"
    for name, word, found in (
        ("animal", "m1", "ca"),
        ("group", "treated", "b"),
        ("experiment", "avoid", "cba"),
        ("tag", "pilot", "b"),
        ("outcome", "stopped", "cba"),
    ):
        box = search.boxes[name]
        box.setCurrentText(word)
        box.activated.emit(box.currentIndex())
        assert listed(page) == found, name
        box.setCurrentIndex(0)
        box.activated.emit(0)
    search.first.setDate(QDate(2026, 11, 21))
    assert listed(page) == "cb"
    search.last.setDate(QDate(2026, 11, 21))
    assert listed(page) == "b"
    assert page.count.text() == "1 of 3 runs"
    search.words.setText("control")
    assert listed(page) == ""


def test_measures_of_the_chosen_run_follow_the_options(
    page: ResultsPage, qtbot: QtBot
) -> None:
    page.bar.parts.tick(("nose",))
    page.table.choose(0)
    shown = await_measures(qtbot, page)
    assert (shown["tracked"], shown["distance"]) == ("3.9", "39"), "1 px a frame"
    page.bar.bins.setValue(2.0)
    await_measures(qtbot, page)
    assert list(page.measures.values.header)[2:] == ["whole", "0–2 s", "2–3.9 s"]
    page.bar.parts.tick(("tail",))
    shown = await_measures(qtbot, page)
    assert shown["tracked"] == "0", "the tail is always below the threshold"
    assert "poor tracking" in page.notes.text()


@pytest.mark.parametrize("name", ["track", "peri-stimulus"])
def test_a_plot_is_shown_and_saved(
    page: ResultsPage,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    page.table.choose(0)
    page.show_tab("Plots")
    row = {"track": 0, "peri-stimulus": 3}[name]
    page.plots.list.setCurrentRow(row)
    await_measures(qtbot, page)
    await_plot(qtbot, page)
    assert page.plots.view.plot is not None, page.plots.view.text
    qtbot.waitUntil(lambda: fills(page.plots.view), timeout=SOON)
    for ending, start in ((".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")):
        file = tmp_path / f"plot{ending}"
        save_as(monkeypatch, file)
        with qtbot.waitSignal(
            page.client.replied,
            timeout=SOON,
            check_params_cb=lambda _, reply: isinstance(reply, Written),
        ):
            page.save_plots.click()
        assert file.read_bytes().startswith(start)
        assert str(file) in page.state.text()


def test_a_plot_that_has_no_data_is_a_sentence(page: ResultsPage, qtbot: QtBot) -> None:
    page.table.choose(0)
    page.show_tab("Plots")
    page.plots.list.setCurrentRow(5)
    await_measures(qtbot, page)
    await_plot(qtbot, page)
    assert page.plots.view.plot is None
    assert "no head direction" in page.plots.view.text


def test_the_table_is_saved(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.table.choose(2)
    await_measures(qtbot, page)
    save_as(monkeypatch, tmp_path / "a")
    with qtbot.waitSignal(
        page.client.replied,
        timeout=SOON,
        check_params_cb=lambda _, reply: isinstance(reply, Written),
    ):
        page.save_table.click()
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["animal"], row["span"]) for row in rows] == [
        ("a", "m1", "whole")
    ]


def test_runs_are_excluded_with_a_reason_and_included_again(
    page: ResultsPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("fell asleep", True))
    page.table.selectAll()
    page.exclude.click()
    assert [read_notes(tmp_path / "output" / run).excluded for run in "abc"] == [
        "fell asleep"
    ] * 3
    assert read_notes(tmp_path / "output/b").tags == ("pilot",), "kept"
    assert page.exclude.text() == "Include"
    page.exclude.click()
    assert not read_notes(tmp_path / "output/a").excluded
    assert page.exclude.text() == "Exclude …"


def test_a_run_that_cant_be_analysed_is_a_sentence(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "output/c/top.csv").unlink()
    page.table.choose(0)
    qtbot.waitUntil(lambda: "no poses" in page.state.text(), timeout=SOON)
    assert not page.save_table.isEnabled()


def test_work_is_cancelled_and_goes_on_with_the_next_run(
    page: ResultsPage, qtbot: QtBot
) -> None:
    page.table.choose(0)
    assert page.client.current is not None
    assert page.cancel()
    assert page.client.current is None
    assert page.state.text() == "Cancelled."
    page.table.choose(1)
    assert await_measures(qtbot, page)["duration"] == "3.9"


def test_a_double_click_in_the_run_table_shows_results_and_frames_go_back(
    tmp_path: Path, qtbot: QtBot, rig: FakeSession
) -> None:
    make_runs(tmp_path / "output")
    window = MainWindow(Bridge(rig), Document(tmp_path / "rig.ini", SETTINGS))
    qtbot.addWidget(window)
    window.show()
    window.show_page("Runs")
    runs = window.page("Runs")
    assert isinstance(runs, RunsPage)
    qtbot.waitUntil(lambda: len(runs.table.runs.all) == 3, timeout=SOON)
    at = runs.table.visualRect(runs.table.runs.index(1, 1)).center()
    port = runs.table.viewport()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseDClick(port, Qt.MouseButton.LeftButton, pos=at)
    assert window.rail.page == "Results"
    page = window.page("Results")
    assert isinstance(page, ResultsPage)
    assert await_measures(qtbot, page)["duration"] == "3.9"
    assert page.title.text().startswith("b   m2   treated")
    page.replay.click()
    assert window.rail.page == "Runs"
    assert runs.chosen == tmp_path / "output/b"


def test_a_double_click_on_notes_edits_them(page: ResultsPage, qtbot: QtBot) -> None:
    asked = SimpleNamespace(runs=[])
    page.replay_asked.connect(asked.runs.append)
    at = page.table.visualRect(page.table.runs.index(0, 8)).center()
    port = page.table.viewport()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseDClick(port, Qt.MouseButton.LeftButton, pos=at)
    assert page.table.state() == page.table.State.EditingState
    assert asked.runs == []
