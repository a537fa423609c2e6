"""The whole rig of settings.ini, its real processes, in the real window."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.dialog_input import dialog_in_front
from deeplabstream.gui.dialogs.pick_frames import PickDialog
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import AMBER, DARK, GREEN, bodypart_colour
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.settings.loading import parse
from deeplabstream.training.data.labels import read_labels
from tests.engine.tolerant import Failures, shipped_settings
from tests.gui.fake_session import close_to

pytestmark = pytest.mark.usefixtures("fork_server")

ROOT = Path(__file__).resolve().parents[2]
SOON = 300_000  # ms


class Person:
    """Sits before the window: presses buttons, waits for something, looks at pixels."""

    def __init__(self, qtbot: QtBot, session: RigSession) -> None:
        self.qtbot, self.session = qtbot, session
        self.bridge = Bridge(session)
        self.window = MainWindow(
            self.bridge, Document(ROOT / "settings.ini", session.settings.text)
        )
        self.window.show()
        self.failures = Failures()
        self.bridge.failed.connect(self.failures.take)
        self.bridge.start()

    def press(self, action: Action) -> None:
        button = self.window.live.controls.buttons[action]
        self.qtbot.waitUntil(
            lambda: button.isEnabled() or bool(self.failures), timeout=SOON
        )
        assert button.isEnabled(), f"{action.value}; {self.failures}"
        button.click()

    def await_status(self, wanted: Callable[[SessionState], bool]) -> None:
        if not wanted(self.session.state):
            with self.qtbot.waitSignal(
                self.bridge.status_changed, timeout=SOON, check_params_cb=wanted
            ):
                pass

    def await_picture(
        self, wanted: Callable[[Frame, Step | None], bool]
    ) -> Step | None:
        """Wait for such a picture; let nothing newer come before it is looked at."""
        with self.qtbot.waitSignal(
            self.bridge.imaged, timeout=SOON, check_params_cb=wanted
        ) as seen:
            pass
        self.bridge.stop()
        step = seen.args[1]
        assert step is None or isinstance(step, Step)
        return step

    @property
    def view(self) -> VideoView:
        return self.window.live.display.grid.views["arena"]

    def look(self) -> QImage:
        """Return what the screen shows of the picture, and let the rig be polled again."""
        image = self.view.grab().toImage()
        self.bridge.start()
        return image

    def colour(self, image: QImage, x: float, y: float) -> QColor:
        """Return the colour at a place of the camera's picture."""
        place = self.view.place
        assert place is not None
        left, top = place.to_view((x, y))
        return image.pixelColor(int(left), int(top))


@pytest.fixture
def person(qtbot: QtBot, tmp_path: Path) -> Iterator[Person]:
    text = shipped_settings(
        OUTPUT_DIRECTORY=str(tmp_path), RUNTIME="cpu", FRAMERATE="10"
    )  # nothing is measured
    with RigSession(parse(text, ROOT)) as session:
        person = Person(qtbot, session)
        yield person
        person.window.close()


def test_from_start_stream_to_stop(person: Person, tmp_path: Path) -> None:
    button = person.window.live.controls.buttons
    assert person.view.place is None
    person.press(Action.START_STREAM)
    person.await_status(lambda status: status.phase is Phase.STREAMING)
    person.await_picture(lambda frame, step: step is None)
    floor = person.colour(person.look(), 30, 450)
    assert 60 < floor.red() < 230, "the arena's floor, not the window's own colour"

    person.await_status(lambda status: status.network_ready)
    person.press(Action.START_ANALYSIS)
    threshold = person.session.state.thresholds.usual

    def all_seen(_frame: Frame, step: Step | None) -> bool:
        return step is not None and bool((step.pose.confidence >= threshold).all())

    step = person.await_picture(all_seen)
    assert step is not None
    image = person.look()
    last = len(step.pose.skeleton.bodyparts) - 1  # painted last, above the others
    x, y = (float(value) for value in step.pose.points[0, last])
    assert close_to(person.colour(image, x, y), bodypart_colour(last).name())

    person.press(Action.START_EXPERIMENT)

    def visits(_frame: Frame, step: Step | None) -> bool:
        on = any(person.session.state.levels.values())
        return step is not None and on and any(step.triggers.values())

    step = person.await_picture(visits)
    assert step is not None
    entered = next(name for name, answer in step.triggers.items() if answer)
    zone = next(zone for zone in person.view.zones if zone.trigger == entered)
    image = person.look()
    border = [person.colour(image, x, y) for x, y in zone.outline]
    green = sum(close_to(colour, GREEN) for colour in border)
    assert green > len(border) / 2, "the animal may lie over a part of it"
    place = person.view.place
    assert place is not None
    edge = image.pixelColor(int(place.left) + 2, image.height() // 2)
    assert close_to(edge, AMBER), "a stimulus is on"
    assert person.window.live.marks.counts

    assert button[Action.STOP_RECORDING].isEnabled(), "RECORD_EXP = yes"
    person.qtbot.waitUntil(
        lambda: person.session.state.counts["arena"].recorded > 5, timeout=SOON
    )
    person.press(Action.STOP_STREAM)
    person.await_status(lambda status: status.activity == SessionState().activity)
    assert person.view.place is None
    image = person.view.grab().toImage()
    corner = image.pixelColor(image.width() - 30, image.height() - 30)
    assert corner.name() == DARK.panel, "neither picture nor label"
    enabled = {action for action in Action if button[action].isEnabled()}
    assert enabled == {Action.START_STREAM}
    assert not any(person.session.state.levels.values())
    assert not person.failures
    folders = [folder for folder in tmp_path.iterdir() if folder.is_dir()]
    assert len(folders) == 1
    assert (folders[0] / "arena.mkv").stat().st_size > 10_000
    assert (folders[0] / "arena.csv").stat().st_size > 100


def test_closing_the_window_in_the_middle_ends_everything(person: Person) -> None:
    person.press(Action.START_STREAM)
    person.await_status(lambda status: status.phase is Phase.STREAMING)
    person.window.close()
    assert person.session.state.activity == SessionState().activity


def test_from_a_recording_to_labels_that_a_network_proposes(
    person: Person, tmp_path: Path
) -> None:
    person.press(Action.START_STREAM)
    person.await_status(lambda status: status.network_ready)
    person.press(Action.START_ANALYSIS)
    person.press(Action.START_RECORDING)
    person.qtbot.waitUntil(
        lambda: person.session.state.counts["arena"].recorded > 20, timeout=SOON
    )
    person.press(Action.STOP_STREAM)
    person.await_status(lambda status: status.activity == SessionState().activity)

    person.window.show_page("Network")
    page = person.window.page("Network")
    assert isinstance(page, NetworkPage)
    (tmp_path / "labels").mkdir()
    page.open(tmp_path / "labels")
    assert page.parts_line.text() == "snout, leftear, rightear, tailbase"

    def pick() -> None:
        dialog = dialog_in_front()
        assert isinstance(dialog, PickDialog)
        assert dialog.source.currentText().startswith("run "), "the newest"
        dialog.count.setValue(4)
        dialog.unsure.click()
        assert dialog.propose.isChecked()
        dialog.accept()

    QTimer.singleShot(0, pick)
    page.pick.click()
    (program,) = page.findChildren(ProgramWindow)
    with person.qtbot.waitSignal(program.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0], program.page.toPlainText()
    program.close()
    assert page.labelling.list.count() == 4
    assert page.book is not None
    shown = int(page.book.proposed.argmax())
    assert page.book.proposed[shown], "the network finds the mouse"
    page.labelling.show_frame(shown)
    found = page.book.points[shown].copy()
    person.qtbot.keyClick(page.labelling, Qt.Key.Key_Space)
    labels = read_labels(tmp_path / "labels")
    assert np.allclose(labels.points[0], found, atol=0.01, equal_nan=True)
    assert not person.failures
