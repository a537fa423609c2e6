import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from PyQt5.QtGui import QPaintEvent
from PyQt5.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import Mark, on
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.core.pose import Thresholds
from deeplabstream.engine.session.session_state import Action, Alarm, Counts, Failed
from deeplabstream.gui import main_window
from deeplabstream.gui.application import run_until_closed, use_palette
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.live_figures import Reading
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.health_page import HealthPage
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import BLUE, GREEN, PALETTES, palette
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.recording.frame_queue import QueueWriter
from deeplabstream.recording.run_folder import RunFolder
from tests.gui.fake_session import IDLE, FakeSession, make_step
from tests.recording.recorded import START_NS, record

SOON = 300_000  # ms


@pytest.fixture
def window(qtbot: QtBot, rig: FakeSession) -> MainWindow:
    document = Document(Path("rig.ini"), "")
    document.problems = ()  # the rig is the test's, not this empty file's
    made = MainWindow(Bridge(rig), document)
    qtbot.addWidget(made)
    return made


def lines(window: MainWindow) -> list[str]:
    return window.log.page.toPlainText().replace("\u2002", " ").splitlines()


def press(window: MainWindow, *actions: Action) -> None:
    for action in actions:
        window.live.controls.buttons[action].click()
        window.bridge.tick()


def test_pressing_buttons_leads_from_stream_to_experiment(
    window: MainWindow, rig: FakeSession
) -> None:
    steps = (Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
    press(window, *steps, Action.STOP_STREAM)
    assert rig.asked == [*steps, Action.STOP_STREAM]
    assert window.live.controls.buttons[Action.START_STREAM].isEnabled()


@pytest.mark.parametrize("kind", ["error", "alarm"])
def test_an_error_that_is_reported_too_has_one_line(
    window: MainWindow, rig: FakeSession, kind: str
) -> None:
    press(window, Action.START_STREAM)
    rig.update(start_ns=1)
    gone = "[Output stimulus] COM3 is gone"
    rig.news = [Note(kind, gone, 2 * 10**9), Failed(gone)]
    window.bridge.tick()
    assert [line for line in lines(window) if gone in line] == [f"2.00 s {gone}"]
    rig.news = [Failed(gone)]
    window.bridge.tick()
    assert [line for line in lines(window) if gone in line][1:] == [gone]


def test_stop_is_logged_with_its_time_while_a_stream_runs(
    window: MainWindow, rig: FakeSession
) -> None:
    stop = "STOP: all outputs are being switched off"
    window.navigation.stop.click()
    assert lines(window)[-1] == stop
    press(window, Action.START_STREAM)
    rig.update(start_ns=SystemClock().now_ns())
    window.navigation.stop.click()
    assert re.fullmatch(rf"\d+\.\d\d s {stop}", lines(window)[-1])
    rig.update(failed_outputs={"stimulus": "COM3 is gone"})
    window.navigation.stop.click()
    assert lines(window)[-1].endswith(f"{stop} except [Output stimulus], which failed")


def test_an_output_that_failed_is_shown_as_the_session_has_it(
    window: MainWindow, rig: FakeSession
) -> None:
    press(window, Action.START_STREAM, Action.START_ANALYSIS)
    rig.update(failed_outputs={"stimulus": "COM3 can't be opened"})
    for _ in range(10):
        window.bridge.tick()
    said = window.live.outputs.acknowledgements["stimulus"]
    assert (said.text(), said.toolTip()) == ("failed", "COM3 can't be opened")
    rig.update(failed_outputs={}, edges={"stimulus": Edge("stimulus", 0, "open", 1, 2)})
    for _ in range(10):
        window.bridge.tick()
    assert said.text() != "failed"


def test_answers_marks_and_outputs_are_seen(
    window: MainWindow, rig: FakeSession
) -> None:
    press(window, Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
    rig.update(start_ns=1)
    mark = Mark("entry 1 into here")
    rig.news = [
        make_step(99, {"here": True, "there": False}, (mark, on("stimulus"))),
        Edge("stimulus", 1.0, "plan", 10**9, 1_010_000_000),
        Note("experiment", "finished", 2 * 10**9),
    ]
    rig.update(levels={"stimulus": 1.0})
    window.bridge.tick()
    assert window.live.triggers.lamps["here"].colour == GREEN
    there = window.live.triggers.lamps["there"]
    assert there.colour == BLUE
    assert there.hollow, "a full one would look as if it were on"
    assert not window.live.triggers.lamps["here"].hollow
    assert window.live.outputs.plates["stimulus"].property("on") is True
    assert window.live.marks.counts == {"entry into here": 1}
    assert lines(window) == [
        "1.00 s entry 1 into here",
        "1.01 s stimulus on (plan)",
        "2.00 s experiment: finished",
    ]
    press(window, Action.STOP_STREAM)
    assert window.live.triggers.lamps["here"].colour == ""
    assert window.live.outputs.plates["stimulus"].property("on") is False


def test_figures_are_those_of_the_rig(window: MainWindow, rig: FakeSession) -> None:
    press(window, Action.START_STREAM, Action.START_ANALYSIS)
    rig.update(run_folder=Path("runs/monday"))
    for tick in range(46):
        rig.news = [make_step(tick, commands=(on("stimulus"),))]
        counts = Counts(tick + 3, 2, tick, 1, tick, 4, newest=tick + 4)
        rig.update(counts={"arena": counts})
        window.bridge.tick()
    texts = {
        name: label.text() for name, label in window.live.display.line.values.items()
    }
    assert texts["Frame"] == "49"
    assert texts["To decision"] == "5.0 ms"
    assert texts["To output"] == "6.0 ms"
    assert texts["Lost"] == "2 / 4"
    assert texts["Skipped"] == "1"
    assert texts["Network on"] == "CPU"
    assert window.live.display.line.folder.text() == "monday"


def test_the_light_is_shown_only_if_it_is_known(window: MainWindow) -> None:
    line = window.live.display.line
    window.show()
    line.show_light(LightMoment("dark", 14.25))
    assert line.values["Light"].text() == "dark, ZT 14.2"
    assert line.values["Light"].isVisibleTo(line)
    line.show_light(None)
    assert not line.values["Light"].isVisibleTo(line)


def test_losses_are_shown_only_if_they_are_not_0(
    window: MainWindow, rig: FakeSession
) -> None:
    line = window.live.display.line

    def shown(counts: Counts) -> list[str]:
        line.show_losses(counts)
        return [n for n in ("Lost", "Skipped") if line.values[n].isVisibleTo(line)]

    window.show()
    assert shown(Counts(100, 0, 100)) == []
    assert shown(Counts(100, 0, 90, 10)) == ["Skipped"]
    assert shown(Counts(100, 2, 100)) == ["Lost"]
    assert shown(Counts(100, None, 100)) == ["Lost"], "the camera can't count them"
    assert shown(Counts(100, 0, 100, 0, 90, 10)) == ["Lost"], "missing in the video"
    line.clear()
    assert not line.values["Lost"].isVisibleTo(line)


def test_single_steps_are_folded_and_stay_unfolded_with_other_settings(
    window: MainWindow, rig: FakeSession
) -> None:
    window.show()
    start = window.live.controls.buttons[Action.START_STREAM]
    assert not start.isVisible()
    assert window.live.controls.start.isVisible()
    window.live.controls.unfold.click()
    assert start.isVisible()
    old = window.live
    window.bridge.use(replace(rig.settings, text="[Streaming]\nMINUTES = 3\n"))
    assert window.live is not old
    assert window.live.controls.buttons[Action.START_STREAM].isVisible()


def test_the_log_is_folded_to_its_newest_line(window: MainWindow) -> None:
    window.show()
    window.log.add_line("first")
    window.log.add_line("[Camera arena] is lost", tone="red")
    assert not window.log.page.isVisible()
    assert window.log.newest.isVisible()
    assert window.log.newest.text() == "[Camera arena] is lost"
    window.log.opener.click()
    assert window.log.page.isVisible()
    assert lines(window) == ["first", "[Camera arena] is lost"]
    window.log.clear()
    assert window.log.newest.text() == ""


def test_the_last_time_to_an_output_stays_until_the_stream_ends(
    window: MainWindow, rig: FakeSession
) -> None:
    press(window, Action.START_STREAM, Action.START_ANALYSIS)
    shown = window.live.display.line.values["To output"]
    for tick in range(200):  # 10 ms each; the figures are those of the last second
        rig.news = [make_step(tick, commands=(on("stimulus"),) if tick < 5 else ())]
        rig.update(counts={"arena": Counts(tick + 1, 0, tick)})
        window.bridge.tick()
    assert window.live.display.line.values["To decision"].text() == "5.0 ms"
    assert shown.text() == "6.0 ms"
    press(window, Action.STOP_STREAM)
    assert shown.text() == "–"


@pytest.mark.parametrize(
    ("provider", "short"),
    [
        ("OpenVINO CPU f32", "OpenVINO"),
        ("CPUExecutionProvider, live crop", "CPU"),
        ("CPUExecutionProvider; side: abcdef01 by OpenVINO CPU f32", "CPU"),
        ("TensorrtExecutionProvider, live crop", "Tensorrt"),
    ],
)
def test_the_runtime_fits_and_is_told_in_full_when_pointed_at(
    window: MainWindow, provider: str, short: str
) -> None:
    line = window.live.display.line
    line.show_reading(Reading(1, 30.0, 30.0, 5.0, 6.0), provider)
    label = line.values["Network on"]
    assert label.text() == short
    assert label.toolTip() == f"runtime of the network: {provider}"
    assert label.fontMetrics().horizontalAdvance(label.text()) <= label.minimumWidth()


def test_an_error_is_a_sentence_in_the_log(
    window: MainWindow, rig: FakeSession
) -> None:
    rig.news = [Failed("[Camera top] gives no frames")]
    window.bridge.tick()
    assert lines(window) == ["[Camera top] gives no frames"]


def test_pages_first_shown_during_a_run_have_what_happened_before(
    window: MainWindow, rig: FakeSession
) -> None:
    press(window, Action.START_STREAM)
    window.bridge.tick()
    news = (("preflight", "warning: slow"), ("camera", "[Camera top] is lost"))
    rig.news += [Note(kind, text, 0) for kind, text in news]
    window.bridge.tick()
    window.show_page("Health")
    page = window.page("Health")
    assert isinstance(page, HealthPage)
    assert page.checks.page.toPlainText() == "warning: slow"
    assert "[Camera top] is lost" in page.alarms.page.toPlainText()


def test_our_own_mistakes_are_told_once_and_end_nothing(
    window: MainWindow, rig: FakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks: list[int] = []

    def stumble() -> None:
        ticks.append(len(ticks))
        if len(ticks) == 4:
            window.close()
        raise KeyError("tail")

    window.bridge.ticked.connect(stumble)
    window.bridge.start()
    run_until_closed(window, window.log.complain)
    assert len(ticks) == 4
    assert lines(window) == [
        "Internal error (details in the console and the log): KeyError('tail')"
    ]
    assert capsys.readouterr().err.count("Traceback") == 1


def test_the_log_forgets_its_oldest_lines(window: MainWindow) -> None:
    for number in range(510):
        window.log.add_line(str(number))
    assert len(lines(window)) == 500
    assert lines(window)[-1] == "509"


def test_lines_of_the_log_follow_the_style(window: MainWindow) -> None:
    window.show()  # only what is shown has a style
    window.log.add_line("a < b", 1.5)
    window.log.complain("gone")
    try:
        for style in ("light", "dark"):
            use_palette(style)
            page = window.log.page.document()
            assert page is not None
            assert page.toPlainText().splitlines()[-2:] == ["1.50 s a < b", "gone"]
            for colour in (PALETTES[style].text, PALETTES[style].red):
                assert colour in page.toHtml()
            others = PALETTES["dark" if style == "light" else "light"]
            assert others.red not in page.toHtml()
    finally:
        use_palette("dark")


def test_a_change_of_style_repaints_without_a_list_of_windows(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While PyQt converts the list, the garbage collector may delete a window of it."""

    def refuse() -> None:
        raise AssertionError

    class Painted(QWidget):
        colours: ClassVar[list[str]] = []

        def paintEvent(self, _: QPaintEvent | None) -> None:
            self.colours.append(palette().name)

    painted = Painted(window)
    window.show()
    qtbot.waitUntil(lambda: Painted.colours[-1:] == ["dark"], timeout=SOON)
    with monkeypatch.context() as patch:
        patch.setattr(QApplication, "topLevelWidgets", refuse)
        use_palette("light")
    try:
        qtbot.waitUntil(lambda: Painted.colours[-1] == "light", timeout=SOON)
    finally:
        use_palette("dark")
    assert painted.isVisible()


def test_the_view_menu_switches_the_pose_from_space_in_images_of_every_page(
    window: MainWindow,
) -> None:
    def shown() -> set[bool]:
        return {view.reprojects for view in window.findChildren(VideoView)}

    window.painted.choose("reprojected", on=False)
    window.show_page("Runs")
    assert shown() == {False}
    window.painted.choose("reprojected", on=True)
    assert shown() == {True}


def test_closing_ends_the_rig(window: MainWindow, rig: FakeSession) -> None:
    window.bridge.start()
    window.show()
    window.close()
    assert rig.closed
    assert not window.bridge.polling


@pytest.mark.parametrize("many", [1, 40])
def test_it_fits_a_small_screen(qtbot: QtBot, rig: FakeSession, many: int) -> None:
    one = rig.settings
    rig.settings = replace(
        one,
        triggers={f"trigger {i}": one.triggers["here"] for i in range(many)},
        outputs={f"output {i}": one.outputs["stimulus"] for i in range(many)},
    )
    window = MainWindow(Bridge(rig), Document(Path("rig.ini"), ""))
    qtbot.addWidget(window)
    marks = tuple(Mark("word " * i) for i in range(1, many))
    window.live.marks.add([make_step(0, {}, marks)])
    least = window.minimumSizeHint()
    assert least.width() <= 1280
    assert least.height() <= 700


def test_marks_of_the_first_frame_are_counted_and_those_before_are_not(
    window: MainWindow, rig: FakeSession
) -> None:
    press(window, Action.START_STREAM, Action.START_ANALYSIS)
    for seconds in (1, 2):  # two experiments, one after the other
        first = make_step(100 * seconds, {}, (Mark("entry 1 into here"),))
        rig.news = [first]  # the journal is read before the word that it runs
        rig.put(replace(rig.state, experimenting=True))
        window.bridge.tick()
        rig.news = [make_step(100 * seconds + 1, {}, (Mark("entry 2 into here"),))]
        window.bridge.tick()
        assert window.live.marks.counts == {"entry into here": 2}
        rig.put(replace(rig.state, experimenting=False))
        window.bridge.tick()
        assert window.live.marks.counts == {"entry into here": 2}, "still to be read"


def test_the_question_before_closing_names_all_that_it_ends(
    window: MainWindow, rig: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def stay(_window: object, question: str, _end: str, answer: str) -> str:
        told.append(question)
        return answer

    monkeypatch.setattr(main_window, "show_question", stay)
    window.show()
    rig.put(replace(rig.state, experimenting=True))
    assert not window.close()
    rig.put(replace(rig.state, recording=True))
    assert not window.close()
    assert told == [
        "Still running: an experiment. Closing ends it.",
        "Still running: an experiment, a recording. Closing ends them.",
    ]
    window.end()


def test_why_an_action_was_refused_is_shown_below_the_buttons_until_the_next_one(
    window: MainWindow, rig: FakeSession
) -> None:
    """On a small screen the log has to be scrolled to."""
    words = window.live.controls.message
    press(window, Action.START_STREAM, Action.START_ANALYSIS)
    why = "Cannot start because the disk has 0 MB free"
    rig.news = [Failed(why)]
    window.bridge.tick()
    assert words.text() == why
    assert words.objectName() == "problem"
    assert why in lines(window)[-1]
    press(window, Action.START_RECORDING)
    assert why not in words.text()
    assert words.objectName() == "caption"
    alarm = Alarm("Recording has ended", 1)
    rig.update(alarms=(alarm,))
    rig.news = [Failed(alarm.text)]
    window.bridge.tick()
    assert alarm.text not in words.text(), "the alarm's banner is above every page"


def test_uncertain_frames_of_the_ended_run_are_offered_for_labelling(
    window: MainWindow,
    rig: FakeSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = RunFolder(record(tmp_path / "monday"))
    writer = QueueWriter(run, START_NS, 1, Thresholds(0.5))
    for step in run.steps("top"):
        writer.step(step)
    assert writer.table is not None
    writer.table.close()
    press(window, Action.START_STREAM, Action.START_ANALYSIS)
    rig.update(run_folder=run.path)
    label = window.live.display.line.label
    assert label.isHidden()
    rig.put(replace(IDLE, run_folder=run.path))
    window.bridge.tick()
    assert not label.isHidden()
    assert label.text() == "Label 1 uncertain frame …"
    window.live.display.line.show_queued(1234)
    assert window.minimumSizeHint().width() <= 1280, "on a small screen, too"
    assert "labels: 1 uncertain frame of the run can be labelled" in "".join(
        lines(window)
    )
    asked: list[Path] = []
    monkeypatch.setattr(
        NetworkPage, "label_queue", lambda page, folder: asked.append(folder)
    )
    label.click()
    assert asked == [run.path]
    assert window.navigation.page == "Network"
    press(window, Action.START_STREAM)
    assert label.isHidden()
