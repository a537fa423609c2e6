"""An experiment chosen, set up, rehearsed and watched."""

from pathlib import Path

import pytest
from PyQt5.QtWidgets import QAction, QPushButton
from pytestqt.qtbot import QtBot

from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs import program_window
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.pages import experiment_page
from deeplabstream.gui.pages.experiment_page import ExperimentPage
from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.described_menu import name_of
from deeplabstream.gui.widgets.timeline_view import MEMORY_S, LiveLanes
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import kinds_of, load, parse
from deeplabstream.settings.ready_made import CONFIGS, with_experiment
from tests.gui.fake_session import FakeSession, make_step

ROOT = Path(__file__).resolve().parents[2]
SOON = 300_000  # ms


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> ExperimentPage:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    rig = FakeSession()
    rig.settings = load(file)
    made = ExperimentPage(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    return made


def actions(page: ExperimentPage, button: QPushButton) -> dict[str, object]:
    menu = button.menu()
    assert menu is not None
    return {name_of(action): action for action in menu.actions()}


# wells need a rig with arenas, rearing needs calibrated cameras
OTHER_RIGS = "wells", "rearing"
FILES = sorted(file for file in CONFIGS.glob("*.ini") if file.stem not in OTHER_RIGS)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_ready_made_experiment_comes_with_all_it_needs(
    page: ExperimentPage, file: Path
) -> None:
    name = file.stem.replace("_", " ")
    next(a for t, a in actions(page, page.ready).items() if t == name).trigger()  # type: ignore[attr-defined]
    assert not page.document.problems
    assert page.chosen == page.used
    assert page.document.settings is not None
    page.document.settings.new_experiment()
    page.document.undo()
    assert page.used == "ExampleExperiment", "one step back"


def test_an_own_file_that_is_faulty_is_a_sentence_once_it_is_chosen(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        experiment_page, "show_message", lambda _, text: said.append(text)
    )
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    configs = tmp_path / "experiments" / "configs"
    configs.mkdir(parents=True)
    (configs / "own_empty.ini").touch()
    ansi = configs / "own_ansi.ini"
    ansi.write_bytes("# Für Mäuse.\n[Experiment]\nEXP_NAME = own\n".encode("cp1252"))
    rig = FakeSession()
    rig.settings = load(file)
    page = ExperimentPage(Bridge(rig), Document(file))
    qtbot.addWidget(page)
    before, reason = page.document.text, f"{ansi} is not UTF-8 text (line 1)"
    chosen = {text: a for text, a in actions(page, page.ready).items() if "own" in text}
    assert chosen["own ansi"].toolTip().startswith(reason)  # type: ignore[attr-defined]
    for action in chosen.values():
        action.trigger()  # type: ignore[attr-defined]
    assert [each.startswith(reason) for each in said] == [True]
    assert read_sections(page.document.text).texts == read_sections(before).texts


@pytest.mark.parametrize("button", ["ready", "new"])
def test_each_entry_says_what_it_does_and_needs_beside_its_name(
    page: ExperimentPage, button: str
) -> None:
    offered: QPushButton = getattr(page, button)
    texts = {name: a.text() for name, a in actions(page, offered).items()}  # type: ignore[attr-defined]
    assert len(texts) > 10
    assert all(len(text.partition("\t")[2]) > 20 for text in texts.values())
    if button == "ready":
        assert texts["social"].endswith("(1 output, 2 animals)")
        assert texts["supply"].endswith("(2 outputs)")
    else:
        assert texts["Conditional"].endswith(
            "with limits of duration and number  (1 trigger, 1 output)"
        )
    menu = offered.menu()
    assert menu is not None
    assert menu.sizeHint().width() < 1280 - 130, "it fits beside the navigation bar"


@pytest.mark.parametrize("kind", kinds_of("Experiment"))
def test_every_kind_can_be_added(page: ExperimentPage, kind: str) -> None:
    page.add(kind)
    assert page.form is not None
    assert page.form.kind is kinds_of("Experiment")[kind]


def test_another_experiment_is_used_from_the_next_start(page: ExperimentPage) -> None:
    page.add("Conditional")
    assert page.use.isEnabled()
    page.use.click()
    assert page.used == "conditional"
    assert not page.use.isEnabled()


def test_a_rehearsal_ends_in_a_run_to_look_at(
    page: ExperimentPage, qtbot: QtBot, tmp_path: Path
) -> None:
    page.rehearsal.minutes.setValue(0.2)
    page.rehearsal.simulate.click()
    window = page.findChild(ProgramWindow)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0], window.page.toPlainText()
    assert "[Trigger left] was true" in window.page.toPlainText()
    look = next(b for b in window.findChildren(QPushButton) if b.text() == "Open run")
    with qtbot.waitSignal(page.bridge.run_requested, timeout=SOON) as looked:
        look.click()
    assert (looked.args[0] / "run.json").exists()
    assert tmp_path in looked.args[0].parents


def test_the_experiment_that_is_shown_is_simulated(
    page: ExperimentPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        program_window, "show_message", lambda _, text: said.append(text)
    )
    monkeypatch.setattr(ProgramProcess, "start", lambda *_: None)
    page.rehearsal.simulate.click()
    page.add("Conditional")
    page.rehearsal.simulate.click()
    assert page.used == "ExampleExperiment"
    used, shown = page.findChildren(ProgramWindow)
    assert used.title == "Simulate ExampleExperiment"
    assert shown.title == "Simulate conditional"
    copy = page.document.path.with_name("rig.as_shown.ini")
    assert f"--settings {copy}" in shown.command.line.toPlainText()
    assert read_sections(copy.read_text("utf-8")).texts["Experiment"]["EXP_NAME"] == (
        "conditional"
    )
    copy.unlink()
    copy.mkdir()
    page.rehearsal.simulate.click()
    assert len(page.findChildren(ProgramWindow)) == 2
    assert said[0].startswith(f"Can't write {copy}: ")


def test_what_happens_is_seen_on_the_timeline(page: ExperimentPage) -> None:
    page.bridge.stepped.emit(
        (
            make_step(99, {"left": False}),
            make_step(199, {"left": True}, (Mark("entry 1"),)),
            make_step(299, {"left": None}),
        )
    )
    page.bridge.edged.emit(Edge("left stimulus", 1.0, "plan", 0, 2_100_000_000))
    page.bridge.ticked.emit()
    lanes = {lane.name: lane for lane in page.timeline.lanes}
    spans = [(s.start_s, s.end_s, s.value) for s in lanes["left"].spans]
    assert spans == [(1, 2, 0), (2, 3, 1), (3, 3, None)]
    assert lanes["left stimulus"].at(2.5) == 1
    assert "entry 1" in page.last_event.text()


def test_the_timeline_forgets_what_is_long_ago() -> None:
    lanes = LiveLanes(["here"], [])
    for second in range(1000):
        answer = bool(second % 2)
        lanes.step(make_step(second * 100, {"here": answer}, (Mark("m"),)), 0)
    (lane,) = lanes.lanes
    assert len(lane.spans) <= MEMORY_S + 2
    assert len(lanes.marks) <= MEMORY_S + 2


def test_what_it_will_do_is_listed_with_the_seed_of_the_run(
    page: ExperimentPage, qtbot: QtBot
) -> None:
    def listed() -> list[str]:
        qtbot.waitUntil(lambda: page.trials.complete, timeout=SOON)
        table = page.trials.table
        items = [table.item(row, 1) for row in range(table.rowCount())]
        return [item.text() for item in items if item is not None]

    page.document.edit(
        with_experiment(page.document.text, "classical_conditioning", ROOT)
    )
    page.show_experiment(page.used)
    first = listed()
    assert len(first) == 41
    assert first[-1] == "it ends"
    assert "SEED = 1." in page.trials.message.text()
    title = f"Experiment {page.used}"
    page.document.set_value(title, "SEED", "8")
    other = listed()
    assert sorted(other) != sorted(first)
    page.document.set_value(title, "SEED", "new")
    assert "each run has another order" in page.trials.message.text()

    rig = page.bridge.session
    assert page.document.settings is not None
    drawn = page.document.text.replace("SEED = new", "SEED = 8")
    rig.update(used_settings=parse(drawn, page.document.path.parent))
    rig.do(Action.START_STREAM)
    page.bridge.tick()
    assert "SEED = 8." in page.trials.message.text(), "what the run has drawn"
    assert listed() == other
    page.document.set_value(title, "BLOCKS", "no number")
    rig.do(Action.STOP_STREAM)
    page.bridge.tick()
    assert "Fix the problems" in page.trials.message.text()


def test_it_is_tried_on_a_run_that_is_over(
    page: ExperimentPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offered() -> list[QAction]:
        menu = page.rehearsal.recorded.menu()
        assert menu is not None
        menu.aboutToShow.emit()
        return list(menu.actions())

    assert [action.text() for action in offered()] == ["no runs yet"]
    assert page.document.settings is not None
    folder = page.document.settings.output_directory
    for name in ("monday", "tuesday"):
        (folder / name).mkdir(parents=True)
        (folder / name / "run.json").write_text("{}", encoding="utf-8")
    asked: list[tuple[str, list[str]]] = []

    def remember(
        _window: object,
        _title: str,
        program: str,
        arguments: list[str],
        _parent: object,
        _outcomes: object,
    ) -> None:
        asked.append((program, arguments))

    monkeypatch.setattr(ProgramWindow, "__init__", remember)
    monkeypatch.setattr(ProgramWindow, "show", lambda _window: None)
    assert [action.text() for action in offered()] == ["tuesday", "monday"]
    page.document.set_value("Camera arena", "SEED", "9")
    offered()[1].trigger()
    ((program, arguments),) = asked
    assert program == "VideoAnalyzer.py"
    assert arguments[:2] == ["--run", str(folder / "monday")]
    assert Path(arguments[3]).read_text(encoding="utf-8") == page.document.text
