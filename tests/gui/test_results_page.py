"""Results of recorded runs in the window: searched, measured, drawn, saved."""

import csv
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from PyQt5.QtCore import QDate, Qt
from PyQt5.QtGui import QDesktopServices, QImage
from PyQt5.QtWidgets import QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import (
    RegionOfInterest,
    change_places,
    read_places,
)
from deeplabstream.analysis.report import ENDINGS
from deeplabstream.analysis.study import read_table
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.regions import parse_region
from deeplabstream.gui import results_client
from deeplabstream.gui.application import use_palette
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.analysis_options import OptionsDialog
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages import results_page
from deeplabstream.gui.pages.results_page import ResultsPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.results_client import ResultsClient
from deeplabstream.gui.results_process import AnalyseRun, AnalyseStudy, Draw, Written
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape
from deeplabstream.gui.theme import PALETTES
from deeplabstream.gui.widgets import run_regions
from deeplabstream.gui.widgets.plot_view import PlotView
from deeplabstream.ipc.pipe import Connection
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_summary import change_notes, read_notes
from tests.gui.fake_session import FakeSession
from tests.recording.recorded import SETTINGS, record

pytestmark = pytest.mark.usefixtures("fork_server")

SOON = 300_000  # ms


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
    change_notes(folder / "b", tags=("pilot",))


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
        lambda: page.measured is not None and not page.client.waits(AnalyseRun),
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
    monkeypatch.setattr(file_dialogs, "save_file", lambda *_: str(file))


def await_written(qtbot: QtBot, page: ResultsPage, button: QPushButton) -> None:
    with qtbot.waitSignal(
        page.client.replied,
        timeout=SOON,
        check_params_cb=lambda _, reply: isinstance(reply, Written),
    ):
        button.click()


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
    search.text.setText("control")
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


def test_all_options_are_in_a_dialog_and_wrong_ones_are_a_sentence(
    page: ResultsPage, qtbot: QtBot
) -> None:
    page.bar.parts.tick(("nose",))
    page.table.choose(0)
    assert "immobile time" not in await_measures(qtbot, page), "in px without limits"
    dialog = OptionsDialog(page.bar.others, ("position",), page)
    qtbot.addWidget(dialog)
    assert "position" not in dialog.fields
    assert dialog.fields["start_speed"].toolTip().startswith("Speed from which on")
    for name, text in (("start_speed", "20"), ("stop_speed", "fast")):
        field = dialog.fields[name]
        assert isinstance(field, QLineEdit)
        field.setText(text)
    dialog.use.click()
    assert dialog.problem.text() == "stop_speed = fast: expected a number"
    field.setText("30")
    dialog.use.click()
    assert "must be start_speed = 20 or less" in dialog.problem.text()
    field.setText("17,5")
    dialog.use.click()
    assert dialog.chosen == {"start_speed": 20.0, "stop_speed": 17.5}
    page.bar.use(dialog.chosen)
    assert page.bar.more.text() == "More: 2 …"
    assert (await_measures(qtbot, page))["immobile time"] == "3.9", "10 px/s"
    dialog.usual.click()
    dialog.use.click()
    assert dialog.chosen == {}


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
        await_written(qtbot, page, page.save_plots)
        assert file.read_bytes().startswith(start)
        assert str(file) in page.state.text()


def test_a_plot_has_the_colours_of_the_window_and_is_saved_on_white(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def background() -> str:
        plot = page.plots.view.plot
        assert plot is not None
        return plot.toImage().pixelColor(2, 2).name()

    page.table.choose(0)
    page.show_tab("Plots")
    await_measures(qtbot, page)
    await_plot(qtbot, page)
    try:
        for style in PALETTES.values():
            use_palette(style.name)
            qtbot.waitUntil(lambda of=style: background() == of.panel, timeout=SOON)
    finally:
        use_palette("dark")
    file = tmp_path / "plot.png"
    save_as(monkeypatch, file)
    await_written(qtbot, page, page.save_plots)
    assert QImage(str(file)).pixelColor(2, 2).name() == "#ffffff"


def test_the_folder_of_the_run_is_offered_then_the_last_used_one(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[Path] = []
    chosen = tmp_path / "reports/first.csv"

    def save_file(_page: object, _title: str, start: str, _kinds: str) -> str:
        offered.append(Path(start))
        return str(chosen) if len(offered) == 3 else ""

    monkeypatch.setattr(file_dialogs, "save_file", save_file)
    page.table.choose(0)
    await_measures(qtbot, page)
    page.save_table.click()
    page.table.selectAll()
    page.report.click()
    chosen.parent.mkdir()
    page.table.choose(1)
    await_measures(qtbot, page)
    page.save_table.click()
    page.report.click()
    output = tmp_path / "output"
    assert offered == [
        output / "c/c.csv",
        output / "study.html",
        output / "b/b.csv",
        chosen.parent / "b.html",
    ]


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
    await_written(qtbot, page, page.save_table)
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["animal"], row["span"]) for row in rows] == [
        ("a", "m1", "whole")
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_report_of_a_run_is_written_with_the_options_of_the_page(
    page: ResultsPage,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    page.bar.parts.tick(("nose",))
    page.table.choose(0)
    await_measures(qtbot, page)
    file = tmp_path / f"report{ending}"
    save_as(monkeypatch, file)
    assert not page.open_written.isVisible()
    await_written(qtbot, page, page.report)
    assert page.state.text() == f"Written: {file}"
    content = file.read_bytes()
    assert content.startswith({".html": b"<!DOCTYPE html>", ".pdf": b"%PDF"}[ending])
    if ending == ".html":
        assert "nose" in content.decode("utf-8")
    opened: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile())
    )
    page.open_written.click()
    assert opened == [str(file)]


def test_runs_are_excluded_with_a_reason_and_included_again(
    page: ResultsPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_page, "input_text", lambda *_: "fell asleep")
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


def test_several_runs_are_one_table_without_excluded_ones_and_are_compared(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_notes(tmp_path / "output/c", excluded="fell asleep")
    page.refresh()
    qtbot.waitUntil(lambda: page.table.runs.runs[0].excluded != "", timeout=SOON)
    page.bar.parts.tick(("nose",))
    page.table.selectAll()
    assert page.title.text() == "3 runs"
    assert "c is left out: fell asleep" in page.study.about.text()
    assert page.analyse.text() == "Analyse 2 runs"
    page.analyse.click()
    qtbot.waitUntil(lambda: page.studied is not None, timeout=SOON)
    table = page.study.table
    assert [table.text(row, 0) for row in range(2)] == ["b", "a"]
    for file in (tmp_path / "all.csv", tmp_path / "all.parquet", tmp_path / "all.xlsx"):
        save_as(monkeypatch, file)
        await_written(qtbot, page, page.save_table)
        assert list(read_table(file)["distance_px"].round(6)) == [39.0, 39.0]
    page.show_tab("Groups")
    assert page.groups.measure.currentText() == "distance (px)"
    qtbot.waitUntil(lambda: page.groups.plot.plot is not None, timeout=SOON)
    assert "not tested" in page.groups.text.toPlainText(), "one animal in each group"
    assert "n = " in page.groups.text.toPlainText()
    save_as(monkeypatch, tmp_path / "groups.pdf")
    await_written(qtbot, page, page.save_plots)
    assert (tmp_path / "groups.pdf").read_bytes().startswith(b"%PDF")
    save_as(monkeypatch, tmp_path / "study.pdf")
    await_written(qtbot, page, page.report)
    assert (tmp_path / "study.pdf").read_bytes().startswith(b"%PDF")
    save_as(monkeypatch, tmp_path / "study.html")
    await_written(qtbot, page, page.report)
    words = (tmp_path / "study.html").read_text("utf-8")
    assert "Excluded runs: 1" in words and "fell asleep" in words
    page.bar.smoothing.setValue(0.5)
    assert page.studied is None, "other options: analyse again"


def test_the_selection_and_its_results_stay_while_another_page_is_shown(
    page: ResultsPage, qtbot: QtBot
) -> None:
    page.table.selectAll()
    page.analyse.click()
    qtbot.waitUntil(lambda: page.studied is not None, timeout=SOON)
    selected, studied = page.table.selected, page.studied
    page.hide()
    with qtbot.waitSignal(page.table.listed, timeout=SOON):
        page.show()
    assert page.table.selected == selected and len(selected) == 3
    assert page.studied is studied
    assert page.title.text() == "3 runs"


def test_runs_are_analysed_one_after_the_other_while_the_rig_runs(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runs(tmp_path / "output")
    page = ResultsPage(Document(tmp_path / "rig.ini", SETTINGS), lambda: True)
    qtbot.addWidget(page)
    page.show()
    qtbot.waitUntil(lambda: len(page.table.runs.all) == 3, timeout=SOON)
    asked: list[object] = []
    monkeypatch.setattr(page.client, "send", asked.append)
    page.table.selectAll()
    page.analyse.click()
    request = asked[-1]
    assert isinstance(request, AnalyseStudy)
    assert request.processes == 1
    page.finish()


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' priorities")
def test_work_has_the_lowest_priority_while_the_rig_runs(
    tmp_path: Path, qtbot: QtBot
) -> None:
    make_runs(tmp_path / "output")
    is_running = False
    client = ResultsClient(None, lambda: is_running)
    request = AnalyseRun(tmp_path / "output/a", AnalysisOptions())

    def answered_by() -> psutil.Process:
        with qtbot.waitSignal(client.replied, timeout=SOON):
            client.send(request)
        assert client._process is not None
        return psutil.Process(client._process.pid)

    first = answered_by()
    assert first.nice() == psutil.Process().nice(), "the user waits for it"
    assert first.ionice().ioclass != psutil.IOPRIO_CLASS_IDLE
    is_running = True
    client.give_way()
    assert (first.ionice().ioclass, first.nice()) == (psutil.IOPRIO_CLASS_IDLE, 19)
    assert answered_by() == first
    is_running = False
    second = answered_by()
    assert second != first and second.ionice().ioclass != psutil.IOPRIO_CLASS_IDLE
    is_running = True
    client.cancel()
    client.finish()
    assert answered_by().ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    client.finish()


def test_the_table_of_several_runs_outlives_the_process_that_made_it(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.bar.parts.tick(("nose",))
    page.table.selectAll()
    page.analyse.click()
    qtbot.waitUntil(lambda: page.studied is not None, timeout=SOON)
    process = page.client._process
    page.client._gives_way = True  # the rig ran meanwhile, and was stopped
    save_as(monkeypatch, tmp_path / "first.csv")
    await_written(qtbot, page, page.save_table)
    assert page.client._process is process, "it has the table"
    page.client.send(AnalyseRun(page._counted[0], AnalysisOptions()))
    assert page.cancel()
    save_as(monkeypatch, tmp_path / "second.csv")
    await_written(qtbot, page, page.save_table)
    second = (tmp_path / "second.csv").read_bytes()
    assert second == (tmp_path / "first.csv").read_bytes()
    page.client.send(AnalyseRun(page._counted[0], AnalysisOptions()))
    assert page.cancel()
    page.show_tab("Groups")
    qtbot.waitUntil(lambda: page.groups.plot.plot is not None, timeout=SOON)
    assert "not tested" in page.groups.text.toPlainText()
    page.client.cancel()
    save_as(monkeypatch, tmp_path / "groups.pdf")
    await_written(qtbot, page, page.save_plots)
    assert (tmp_path / "groups.pdf").read_bytes().startswith(b"%PDF")


def test_regions_are_drawn_on_the_run_kept_with_it_and_counted(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    run = tmp_path / "output/c"
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    page.bar.parts.tick(("nose",))
    page.table.choose(0)
    page.show_tab("Regions")
    await_measures(qtbot, page)
    regions = page.regions
    assert [regions.list.item(0).text()] == ["in (trigger)"]
    regions._choose("in")
    assert not regions.delete.isEnabled()
    regions.canvas.changed.emit("in", Shape("circle", (5.0, 5.0, 4.0)))
    assert "in is the region of a trigger" in page.state.text()
    regions.tools["rectangle"].click()
    regions.canvas.made.emit(Shape("rectangle", (9.5, 0.0, 10.0, 40.0)))
    shown = await_measures(qtbot, page)
    assert float(shown["time in rectangle"]) == pytest.approx(1.0)
    regions.name.setText("left side")
    regions.name.editingFinished.emit()
    assert "time in left side" in await_measures(qtbot, page)
    (kept,) = read_places(run).regions
    assert (kept.name, str(kept.region)) == ("left side", "rectangle 9.5 0 10 40")
    after = {file.name: file.read_bytes() for file in run.iterdir()}
    assert {name: after[name] for name in before} == before, "what was recorded stays"
    page.undo()
    page.undo()
    assert read_places(run).regions == ()
    page.redo()
    assert [each.name for each in read_places(run).regions] == ["rectangle"]
    await_measures(qtbot, page)
    regions._choose("rectangle")
    regions.delete.click()
    assert read_places(run).regions == ()
    assert "time in rectangle" not in await_measures(qtbot, page)


def test_an_undo_that_could_not_be_written_can_be_done_again(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "output/c"
    page.table.choose(0)
    page.show_tab("Regions")
    await_measures(qtbot, page)
    page.regions.canvas.made.emit(Shape("rectangle", (9.5, 0.0, 10.0, 40.0)))

    def full(*given: object) -> None:
        raise DeepLabStreamError("regions.json: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(run_regions, "change_places", full)
        page.undo()
        assert "No space left on device" in page.state.text()
    assert [each.name for each in read_places(run).regions] == ["rectangle"]
    page.undo()
    assert read_places(run).regions == ()
    await_measures(qtbot, page)


def test_regions_that_another_program_adds_meanwhile_are_kept(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    run = tmp_path / "output/c"
    page.table.choose(0)
    page.show_tab("Regions")
    await_measures(qtbot, page)
    page.regions.canvas.made.emit(Shape("rectangle", (9.5, 0.0, 10.0, 40.0)))
    for name in ("ring", "far"):
        other = RegionOfInterest(name, parse_region("circle 50 50 5"))
        change_places(run, lambda there, new=other: there.with_added([new], ()))
    page.undo()
    assert [each.name for each in read_places(run).regions] == ["ring", "far"]
    page.redo()
    there = read_places(run)
    assert {each.name for each in there.regions} == {"rectangle", "ring", "far"}
    page.regions.canvas.made.emit(Shape("ring", (20.0, 20.0, 4.0, 9.0)))
    assert "another program has added" in page.state.text()
    assert read_places(run) == there


def test_a_damaged_file_of_regions_is_never_overwritten(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path
) -> None:
    page.table.choose(0)
    await_measures(qtbot, page)
    file = tmp_path / "output/c/regions.json"
    file.write_text("{", "utf-8")
    page.regions.canvas.made.emit(Shape("circle", (20.0, 20.0, 9.0)))
    assert "regions.json can't be read" in page.state.text()
    assert file.read_text("utf-8") == "{"


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


def test_nothing_is_emitted_once_the_process_has_been_ended(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window may be deleted then. The thread that reads goes on when it is waited for."""
    awaited, ended = threading.Event(), threading.Event()
    receive, join = results_client.receive, threading.Thread.join

    def late(pipe: Connection) -> object:
        message = receive(pipe)
        if message is None:
            awaited.wait()
            ended.set()
        return message

    def noted(thread: threading.Thread, timeout: float | None = None) -> None:
        awaited.set()
        join(thread, timeout)

    monkeypatch.setattr(results_client, "receive", late)
    monkeypatch.setattr(results_client, "_PATIENCE_S", SOON / 1000)
    client = ResultsClient()
    client.send(AnalyseRun(tmp_path, AnalysisOptions()))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", noted)
        client.finish()
    there = ended.is_set()
    awaited.set()  # the thread ends in any case
    assert there


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
    assert window.navigation.page == "Results"
    page = window.page("Results")
    assert isinstance(page, ResultsPage)
    assert await_measures(qtbot, page)["duration"] == "3.9"
    assert page.title.text().startswith("b   m2   treated")
    page.replay.click()
    assert window.navigation.page == "Runs"
    assert runs.chosen == tmp_path / "output/b"


def test_a_double_click_on_notes_edits_them(page: ResultsPage, qtbot: QtBot) -> None:
    asked = SimpleNamespace(runs=[])
    page.replay_requested.connect(asked.runs.append)
    at = page.table.visualRect(page.table.runs.index(0, 8)).center()
    port = page.table.viewport()
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseDClick(port, Qt.MouseButton.LeftButton, pos=at)
    assert page.table.state() == page.table.State.EditingState
    assert asked.runs == []


def test_other_folder_takes_a_folder_of_runs(
    page: ResultsPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        results_page, "show_message", lambda _, text: shown.append(text)
    )
    make_runs(tmp_path / "more")
    monkeypatch.setattr(file_dialogs, "open_folder", lambda *_: str(tmp_path / "more"))
    page.other.click()
    qtbot.waitUntil(lambda: len(page.table.runs.all) == 6, timeout=SOON)
    assert {run.outcome for run in page.table.runs.all} != {"unknown"}
    (tmp_path / "empty").mkdir()
    page.open_folder(tmp_path / "empty")
    assert shown == [f"{tmp_path / 'empty'} is not a run folder and contains no run."]
