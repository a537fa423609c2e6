"""Programs that the window starts: their forms, command lines, results and questions."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PyQt5.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt5.QtGui import QDesktopServices, QDropEvent
from PyQt5.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Image
from deeplabstream.files.paths import ROOT
from deeplabstream.gui import file_opening, main_window, program_process
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.program_process import ProgramProcess, command_line
from deeplabstream.gui.programs import (
    ALIGN,
    BOARD,
    CALIBRATE,
    DISTIL,
    FASTER,
    IMPORT,
    PREDICT,
    PREDICTING,
    QUANTISE,
    RENDER,
    REPORT,
    SMOOTH,
    TRAIN,
    ProgramForm,
)
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets import program_view
from deeplabstream.gui.widgets.program_fields import (
    ChoiceField,
    FieldEditor,
    ModelField,
    NumberField,
)
from deeplabstream.gui.widgets.program_form import ProgramPanel
from deeplabstream.pose.runtimes.quantised_network import INT8
from deeplabstream.programs.program import Program
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option_fields, option_name
from deeplabstream.simulation.arena import Arena
from tests.gui.endless_program import START_ENDLESS, has_ended
from tests.gui.fake_session import FakeSession
from tests.offline.films import write_film
from tests.pose.importers.described_networks import HEATMAPS, described, network

SOON = 300_000  # ms
LEFT = Qt.MouseButton.LeftButton
ALL = (IMPORT, TRAIN, *PREDICTING, *FASTER, REPORT, ALIGN, BOARD, CALIBRATE)
ARENA = str(ROOT / "models/arena")


def program_of(form: ProgramForm) -> Program[Any]:
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", Path(form.file).stem).lower()
    program = import_module(f"deeplabstream.programs.{snake}").PROGRAM
    assert isinstance(program, Program)
    return program


def filled(program: ProgramForm) -> dict[str, list[str]]:
    """Return words that differ from the default, for every field of a program."""
    words = {
        "several": "nwb",
        "path": "some.csv",
        "paths": "one two",
        "texts": "_top _bot",
        "flag": "yes",
    }
    made = {
        field.key: [list(field.choices.values())[-1]]
        if field.kind == "choice"
        else words.get(field.kind, f"{min(2, field.highest):g}").split()
        if field.kind in words or field.kind == "number"
        else ["word"]
        for field in program.fields
    }
    if "--device" in made and program is not REPORT:
        made["--device"] = ["cuda"]
    return made


@pytest.mark.parametrize("program", ALL, ids=lambda program: program.file)
def test_each_form_makes_a_command_line_that_its_program_reads(
    program: ProgramForm,
) -> None:
    values = filled(program)
    if program.title == "Smooth an ensemble":
        del values["--views"], values["--pupil"]  # exclude each other and --mirrored
        values["--s"] = ["1.5"]
    if program is IMPORT:
        values["--size"] = ["64x48"]
    if program is DISTIL:
        values["--students"] = ["64x48", "unet:96x64"]
    if program is ALIGN:
        values["--threshold"] = ["1.5"]
    if program is BOARD:
        values["--square-mm"] = ["1.5"]
        values["--marker-share"] = ["0.5"]
    if program is CALIBRATE:
        values |= {"--marker-share": ["0.5"], "--width-mm": ["9"], "--limit-mm": ["2"]}
        values["--moments"] = ["40"]
    rest = ["--data", "labels", "--output", "out"] if program is TRAIN else []
    options = program_of(program).read([*program.arguments(values), *rest])

    infos = option_fields(program_of(program).options)
    names = {option_name(name, info): name for name, info in infos.items()}
    for field in program.fields:
        if field.option and field.key in values:
            name = names[field.option]
            assert getattr(options, name) != infos[name].default, field.option


def test_what_is_left_at_its_default_is_not_on_the_command_line() -> None:
    values = {"Videos": ["a.mp4", "b.mp4"], "--model": ["m"], "--to": ["csv"]}
    assert PREDICT.arguments(values) == ["a.mp4", "b.mp4", "--model", "m"]


@pytest.mark.parametrize("program", ALL, ids=lambda program: program.file)
def test_a_choice_that_is_optional_can_be_left_out(
    qtbot: QtBot, program: ProgramForm
) -> None:
    for field in program.fields:
        if field.kind == "choice" and not field.required and not field.default:
            editor = ChoiceField(field)
            qtbot.addWidget(editor)
            assert editor.values() == [], field.key


@pytest.mark.parametrize("rate", ["24414.0625", "1000000000", "30"])
def test_a_number_reaches_the_program_with_all_its_digits(
    qtbot: QtBot, rate: str
) -> None:
    editor = NumberField(next(f for f in ALIGN.fields if f.option == "--rate"))
    qtbot.addWidget(editor)
    editor.show_values([rate])
    assert editor.values() == [rate]


def test_the_command_line_runs_from_the_folder_of_the_program() -> None:
    words = command_line("PredictVideos.py", ["a mouse.mp4"]).split(" ", 2)
    assert words[1] == str(Path("utils/PredictVideos.py"))
    assert words[2] in ("'a mouse.mp4'", '"a mouse.mp4"')


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def panel_of(program: ProgramForm, models: Path, qtbot: QtBot) -> ProgramPanel:
    panel = ProgramPanel(program, models)
    qtbot.addWidget(panel)
    panel.resize(1000, 600)
    panel.show()
    return panel


def drop(editor: FieldEditor, *files: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    action = Qt.DropAction.CopyAction
    editor.dropEvent(
        QDropEvent(QPointF(5, 5), action, data, LEFT, Qt.KeyboardModifier.NoModifier)
    )


def test_dropped_videos_are_predicted_into_their_folder_and_rendered(
    models: Path, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of(PREDICT, models, qtbot)
    assert not panel.begin.isEnabled()
    assert panel.missing.text() == "Videos: nothing chosen yet"
    video = write_film(tmp_path / "film.mkv")
    drop(panel.form.editors["Videos"], video)
    panel.form.show_values({"--model": [ARENA]})
    assert panel.begin.isEnabled()
    shown = panel.command.line.toPlainText()
    assert shown == command_line("PredictVideos.py", panel.arguments)
    qtbot.mouseClick(panel.command.copy, LEFT)
    assert (board := QApplication.clipboard()) is not None
    assert board.text() == shown
    with qtbot.waitSignal(panel.ended, timeout=SOON) as ended:
        qtbot.mouseClick(panel.begin, LEFT)
        assert not panel.begin.isEnabled()
        assert panel.view.stop.isVisible()
    assert ended.args == [0], panel.view.page.toPlainText()
    assert panel.view.state.text() == "done"
    assert (tmp_path / "film.csv").is_file()
    opened: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile())
    )
    qtbot.mouseClick(panel.view.show_folder, LEFT)
    assert opened == [str(tmp_path)]
    _check_rendering(models, qtbot, video, monkeypatch)


def _check_rendering(
    models: Path, qtbot: QtBot, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poses beside a video are proposed; a file is replaced after a question only."""
    panel = panel_of(RENDER, models, qtbot)
    kept = video.with_name("film.labelled.mp4")
    kept.write_bytes(b"of the user")
    drop(panel.form.editors["Video"], video)
    assert panel.form.values()["--poses"] == [str(video.with_suffix(".csv"))]
    with qtbot.waitSignal(panel.ended, timeout=SOON):
        qtbot.mouseClick(panel.begin, LEFT)
    assert panel.view.state.text().startswith(f"{kept} already exists")
    assert panel.view.replace.isVisible()
    replies = ["Cancel", "Replace it"]
    monkeypatch.setattr(program_view, "show_question", lambda *_: replies.pop(0))
    qtbot.mouseClick(panel.view.replace, LEFT)
    assert kept.read_bytes() == b"of the user"
    with qtbot.waitSignal(panel.ended, timeout=SOON) as ended:
        qtbot.mouseClick(panel.view.replace, LEFT)
    assert ended.args == [0]
    assert kept.stat().st_size > 100
    assert not panel.view.replace.isVisible()


def test_a_network_is_proposed_a_free_name_and_what_fails_is_one_sentence(
    models: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    (models / "mouse").mkdir(parents=True)
    (models / "mouse/model.json").write_text("{}")
    source = tmp_path / "mouse.onnx"
    source.write_bytes(b"not a network")
    panel = panel_of(IMPORT, models, qtbot)
    drop(panel.form.editors["Network"], source)
    assert panel.form.values()["--output"] == [str(models / "mouse_2")]
    panel.form.show_values({"--output": [str(models / "mine")]})
    drop(panel.form.editors["Network"], tmp_path / "other.onnx")
    assert panel.form.values()["--output"] == [str(models / "mine")], "the user's"
    drop(panel.form.editors["Network"], source)
    with qtbot.waitSignal(panel.ended, timeout=SOON):
        qtbot.mouseClick(panel.begin, LEFT)
    assert "--description is needed" in panel.view.state.text()
    assert "Traceback" not in panel.view.page.toPlainText()
    assert not (models / "mine").exists()


@pytest.mark.parametrize("word", ["/", ".", "..", "x" * 300])
@pytest.mark.parametrize("program", ALL, ids=lambda program: program.file)
def test_a_path_that_names_no_file_is_typed_without_an_error(
    program: ProgramForm, word: str, models: Path, qtbot: QtBot
) -> None:
    panel = panel_of(program, models, qtbot)
    for of in program.fields:
        if of.kind in ("path", "paths", "folder", "save", "name", "model", "ensemble"):
            panel.form.show_values({of.key: [word]})


def test_networks_and_ensembles_are_listed_as_they_come(
    models: Path, qtbot: QtBot
) -> None:
    panel = panel_of(PREDICT, models, qtbot)
    box = panel.form.editors["--model"]
    panel.form.show_values({"--model": [ARENA]})
    for seed in ("seed0", "seed1"):
        (models / "many" / seed).mkdir(parents=True)
        (models / "many" / seed / "model.json").write_text("{}")
    panel.form.refresh()
    labels = [box.box.itemText(row) for row in range(box.box.count())]  # type: ignore[attr-defined]
    assert "many (2 networks)" in labels
    assert box.values() == [ARENA], "the choice stays"
    only_single = panel_of(RENDER, models, qtbot).form.editors["--model"]
    single = [only_single.box.itemText(row) for row in range(only_single.box.count())]  # type: ignore[attr-defined]
    assert "many (2 networks)" not in single


@pytest.fixture
def parent(qtbot: QtBot) -> Iterator[QWidget]:
    made = QWidget()
    qtbot.addWidget(made)
    yield made
    made.close()


@pytest.mark.skipif(sys.platform == "win32", reason="starts a shell")
def test_stop_ends_the_processes_that_a_program_started(
    parent: QWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell that ignores being asked to end, and its child."""
    monkeypatch.setattr(program_process, "_KILLED_MS", SOON)
    process = ProgramProcess(parent)
    process.process.start("sh", ["-c", "trap '' TERM; sleep 600 & wait; wait"])
    assert process.process.waitForStarted()
    pid = process.process.processId()
    qtbot.waitUntil(lambda: bool(psutil.Process(pid).children()), timeout=SOON)
    (child,) = psutil.Process(pid).children()
    process.stop()
    assert not process.running
    assert has_ended(child)
    assert not psutil.pid_exists(pid)


def test_stop_ends_processes_whose_own_parent_has_ended(
    parent: QWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_process, "_KILLED_MS", SOON)
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        f"{START_ENDLESS!r}], stdin=subprocess.DEVNULL); print('ended'); input()"
    )
    process, said = ProgramProcess(parent), list[str]()
    process.output_received.connect(said.append)
    process.process.start(sys.executable, ["-c", program])
    qtbot.waitUntil(lambda: "ended" in "".join(said), timeout=SOON)
    orphan = psutil.Process(int("".join(said).split()[0]))
    process.stop()
    assert has_ended(orphan)


def test_processes_that_hold_outputs_may_switch_them_off_once_the_program_is_gone(
    parent: QWidget, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a process says all at once: its output is closed with the program."""
    monkeypatch.setattr(program_process, "_PATIENCE_MS", SOON)
    off = tmp_path / "off"
    child = (
        "import os, pathlib, sys, time; os.write(1, b'begun'); sys.stdin.read(); "
        f"time.sleep(0.2); pathlib.Path({str(off)!r}).touch()"
    )
    program = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', "
        f"{child!r}], stdin=subprocess.PIPE); input()"
    )
    process = ProgramProcess(parent)
    with qtbot.waitSignal(process.output_received, timeout=SOON):
        process.process.start(sys.executable, ["-c", program])
    process.stop()
    assert off.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no program is asked to end there")
def test_stop_waits_for_a_process_that_a_program_starts_when_it_is_asked_to_end(
    parent: QWidget, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process switches off when `stop` has found it, and not before."""
    monkeypatch.setattr(program_process, "_PATIENCE_MS", SOON)
    found, off = tmp_path / "found", tmp_path / "off"
    monkeypatch.setattr(program_process, "rest", lambda _: found.touch())
    child = (
        "import pathlib, time\n"
        f"while not pathlib.Path({str(found)!r}).exists(): time.sleep(0.01)\n"
        f"pathlib.Path({str(off)!r}).touch()\n"
    )
    program = (
        "import os, signal, subprocess, sys\n"
        "def end(*_):\n"
        f"    subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('begun', flush=True)\n"
        "while True: signal.pause()\n"
    )
    process = ProgramProcess(parent)
    with qtbot.waitSignal(process.output_received, timeout=SOON):
        process.process.start(sys.executable, ["-c", program])
    process.stop()
    there = off.exists()
    found.touch()  # ends it in any case
    assert there


@pytest.fixture
def window(qtbot: QtBot, rig: FakeSession, tmp_path: Path) -> MainWindow:
    file = tmp_path / "rig.ini"
    file.write_text("[Camera arena]\nKIND = SimulatedCamera\n", "utf-8")
    rig.settings = load(file)
    made = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.show()
    return made


def test_a_dropped_network_is_imported_offered_to_the_next_steps_and_used(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    described(tmp_path / "mouse.json", heatmaps=HEATMAPS)
    source = network(tmp_path / "mouse.onnx", {"maps": 2})
    window.opener.take([source])
    page = window.network_page
    assert page.tabs["Import"].isChecked()
    (panel,) = page.importing.panels
    assert panel.form.values()["--description"] == [str(tmp_path / "mouse.json")]
    with qtbot.waitSignal(panel.ended, timeout=SOON) as ended:
        qtbot.mouseClick(panel.begin, LEFT)
    assert ended.args == [0], panel.view.page.toPlainText()
    made = str(tmp_path / "models/mouse")
    assert page.predicting.panel(PREDICT).form.values()["--model"] == [made]
    assert page.faster.panel(DISTIL).form.values()["--teacher"] == [made]
    start = page.training.options.editors["--start-from"]
    assert isinstance(start, ModelField)
    assert start.box.findData(made) > 0
    qtbot.mouseClick(page.tabs["Use live"], LEFT)
    using = page.using
    row = using.table.currentRow()
    cells = [using.table.item(row, column) for column in range(5)]
    texts = [cell.text() for cell in cells if cell is not None]
    assert texts == ["mouse", "64 × 32", "snout, tailbase", "–", "CC0-1.0"]
    qtbot.mouseClick(using.use, LEFT)
    assert "MODEL = mouse\n" in window.document.text
    assert using.message.text() == "Now using mouse. Save to keep it."
    window.document.save()
    assert using.message.text() == "The settings use mouse."


def hold(panel: ProgramPanel, folder: Path) -> Path:
    """Keep the program from writing `film.csv`, its result, while a file exists."""
    held, site = folder / "held", folder / "site"
    held.touch()
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "def wait(event, words):\n"
        "    if event == 'os.rename' and str(words[1]).endswith('film.csv'):\n"
        f"        while os.path.exists({str(held)!r}): time.sleep(0.05)\n"
        "sys.addaudithook(wait)\n",
        "utf-8",
    )
    process = panel.view.program.process
    environment = process.processEnvironment()
    environment.insert("PYTHONPATH", str(site))
    process.setProcessEnvironment(environment)
    return held


def test_a_stopped_prediction_continues_and_closing_the_window_asks(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_film(tmp_path / "film.mkv", frames=400)
    monkeypatch.setattr(file_opening, "show_question", lambda *_: "Predict poses")
    window.opener.take([video])
    page = window.network_page
    panel = page.predicting.panel(PREDICT)
    assert panel.form.values()["Videos"] == [str(video)]
    panel.form.show_values({"--model": [ARENA]})
    held = hold(panel, tmp_path)
    qtbot.mouseClick(panel.begin, LEFT)
    asked: list[str] = []

    def ask(_window: QWidget, question: str, *_answers: str) -> str:
        asked.append(question)
        return "Stay"

    monkeypatch.setattr(main_window, "show_question", ask)
    assert not window.close()
    assert asked == ["Still running: Predict poses. Closing ends it."]
    qtbot.waitUntil((tmp_path / "film.partial").exists, timeout=SOON)
    qtbot.mouseClick(panel.view.stop, LEFT)
    assert panel.view.state.text() == "Stopped. Predict continues where it was."
    assert not panel.view.program.running
    held.unlink()
    with qtbot.waitSignal(panel.ended, timeout=SOON) as ended:
        qtbot.mouseClick(panel.begin, LEFT)
    assert ended.args == [0]
    assert len((tmp_path / "film.csv").read_text().splitlines()) == 3 + 400
    qtbot.mouseClick(panel.begin, LEFT)
    window.end()
    assert not panel.view.program.running, "nothing is left behind"


def test_a_stopped_distillation_is_resumed_with_its_option(
    models: Path, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of(DISTIL, models, qtbot)
    given: list[list[str]] = []
    monkeypatch.setattr(
        panel.view.program, "start", lambda _, words: given.append([*words])
    )
    panel.form.show_values({"--teacher": [ARENA], "--videos": [str(tmp_path)]})
    output = models / "arena_fast"
    assert panel.form.values()["--output"] == [str(output)]
    assert not panel.resume.isEnabled()
    output.mkdir(parents=True)
    panel.form.refresh()
    panel._show_state()
    assert panel.form.values()["--output"] == [str(output)]
    qtbot.mouseClick(panel.resume, LEFT)
    assert given[0][-1] == "--resume"
    assert given[0][given[0].index("--within") + 1] == "2"
    (output / "model.json").touch()
    panel._show_state()
    assert not panel.resume.isEnabled(), "it is finished"


def distilling(models: Path, qtbot: QtBot, film: Path, steps: int) -> ProgramPanel:
    """Fill in a distillation of a network into itself, with one student."""
    panel = panel_of(DISTIL, models, qtbot)
    panel.form.refresh()
    drop(panel.form.editors["--videos"], film)
    values = {
        "--teacher": [ARENA], "--start-from": [ARENA], "--students": ["128x96"],
        "--count": ["12"], "--batch": ["2"], "--agree": ["50"], "--within": ["50"],
        "--at-most-ms": ["5000"], "--steps": [str(steps)],
    }  # fmt: skip
    panel.form.show_values(values)
    assert panel.form.values()["--output"] == [str(models / "arena_fast")]
    return panel


def steps_done(panel: ProgramPanel) -> int:
    """Return the step of the training that is shown with its remaining time, or 0."""
    state = panel.view.state.text()
    there = state.startswith("training: ") and state.endswith(" left")
    return int(state.removeprefix("training: ").split()[0]) if there else 0


def test_a_distillation_shows_its_remaining_time_is_stopped_and_goes_on(
    models: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    film = mouse_film(tmp_path / "film.mkv", frames=60)
    panel = distilling(models, qtbot, film, steps=90_000)
    shown = panel.command.line.toPlainText()
    assert shown == command_line("DistillNetwork.py", panel.arguments)
    labels = models / "arena_fast/distillation/labels/origins.csv"
    seen: list[str] = []
    usual = panel.view.show_progress

    def listen(done: int, total: int, what: str) -> None:
        usual(done, total, what)
        seen.append(what)

    panel.view.show_progress = listen  # type: ignore[method-assign]
    qtbot.mouseClick(panel.begin, LEFT)
    last = "arena_fast/distillation/students/*/checkpoints/last.ckpt"
    qtbot.waitUntil(
        lambda: steps_done(panel) > 0 and any(models.glob(last)), timeout=SOON
    )
    qtbot.mouseClick(panel.view.stop, LEFT)
    assert not panel.view.program.running
    assert panel.view.state.text() == "Stopped. Resume continues where it was."
    assert seen[0] != "training", "labelling has its progress, too"
    labelled = labels.read_bytes()
    assert panel.resume.isEnabled()
    qtbot.mouseClick(panel.resume, LEFT)
    qtbot.waitUntil(lambda: steps_done(panel) > 0, timeout=SOON)
    assert steps_done(panel) >= 10, "from the checkpoint on"
    assert "is already labelled" in panel.view.page.toPlainText()
    assert labels.read_bytes() == labelled
    qtbot.mouseClick(panel.view.stop, LEFT)
    assert not (models / "arena_fast/model.json").exists()


def mouse_film(path: Path, frames: int = 40) -> Path:
    """Write a film of the simulated mouse."""
    arena = Arena((240, 320, 3), 1)

    def draw(row: int) -> Image:
        image = np.empty((240, 320, 3), np.uint8)
        arena.draw(image, row, 3 * row)
        return image

    path.parent.mkdir(exist_ok=True)
    return write_film(path, draw, frames=frames)


def run_to_end(panel: ProgramPanel, qtbot: QtBot) -> str:
    """Press the program's button and return its output; progress was shown meanwhile."""
    states: list[str] = []
    usual = panel.view.show_progress

    def listen(done: int, total: int, what: str) -> None:
        usual(done, total, what)
        states.append(panel.view.state.text())

    panel.view.show_progress = listen  # type: ignore[method-assign]
    with qtbot.waitSignal(panel.ended, timeout=SOON) as ended:
        qtbot.mouseClick(panel.begin, LEFT)
    text = panel.view.page.toPlainText()
    assert ended.args == [0], text
    assert panel.view.state.text() == "done"
    assert states, "no progress was shown"
    return text


def test_an_ensemble_is_smoothed_with_the_progress_of_all_videos(
    models: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    for seed in ("seed0", "seed1"):
        shutil.copytree(ARENA, models / "many" / seed)
    for name in ("one", "two"):
        mouse_film(tmp_path / "films" / f"{name}.mkv")
    panel = panel_of(SMOOTH, models, qtbot)
    panel.form.refresh()
    drop(panel.form.editors["Videos"], tmp_path / "films")
    panel.form.show_values({"--model": [str(models / "many")]})
    shares: list[float | None] = []
    panel.view.program.output_received.connect(
        lambda _: shares.append(panel.view._share)
    )
    text = run_to_end(panel, qtbot)
    made = [tmp_path / "films" / f"{name}_eks.csv" for name in ("one", "two")]
    assert all(file.is_file() and str(file) in text for file in made)
    known = [share for share in shares if share is not None]
    assert known == sorted(known)
    assert known[-1] > 0.5, "of both videos and both networks"


def test_a_network_is_quantised_from_click_to_file(
    models: Path, qtbot: QtBot, tmp_path: Path
) -> None:
    shutil.copytree(ARENA, models / "mine")
    about = models / "mine/model.json"
    words = json.loads(about.read_text("utf-8"))
    words["threshold"] = (
        0.2  # no confidence in these frames is near it, on any processor
    )
    about.write_text(json.dumps(words), "utf-8")
    video = mouse_film(tmp_path / "film.mkv")
    panel = panel_of(QUANTISE, models, qtbot)
    panel.form.refresh()
    drop(panel.form.editors["--video"], video)
    panel.form.show_values(
        {"--model": [str(models / "mine")], "--count": ["8"], "--tolerance": ["100"]}
    )
    assert "this is used" in run_to_end(panel, qtbot)
    assert (models / "mine" / INT8).is_file()
    assert not panel.resume.isVisible(), "it takes seconds"
