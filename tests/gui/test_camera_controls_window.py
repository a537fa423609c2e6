from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.messages import ControlChanged
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.camera_controls_window import CameraWindow
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.plugins.camera import CameraControl
from deeplabstream.settings.loading import parse
from tests.gui.fake_session import FakeSession
from tests.gui.uncut import cut_texts

pytestmark = pytest.mark.usefixtures("fork_server")

SOON = 300_000  # ms
INI = """# this rig's
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0
[Camera arena]
# its own comment
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 60
"""


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    path = tmp_path / "rig.ini"
    path.write_text(INI, encoding="utf-8")
    with RigSession(parse(INI, tmp_path)) as session:
        made = MainWindow(Bridge(session), Document(path))
        made.show()
        made.bridge.start()
        yield made
        made.close()


def enter(qtbot: QtBot, adjusting: CameraWindow, key: str, word: str) -> ControlChanged:
    """Type a value, press Enter, and wait for what the camera says."""
    line = adjusting.lines[key]
    line.setFocus()
    line.selectAll()
    with qtbot.waitSignal(adjusting.bridge.control_changed, timeout=SOON) as said:
        qtbot.keyClicks(line, word)
        qtbot.keyClick(line, Qt.Key.Key_Return)
    told = said.args[0]
    assert isinstance(told, ControlChanged)
    return told


def test_from_the_tile_through_the_camera_to_the_file(
    qtbot: QtBot, window: MainWindow
) -> None:
    button = window.live.adjusting["arena"]
    assert not button.isVisible(), "nothing films"
    window.live.controls.buttons[Action.START_STREAM].click()
    rig = window.bridge.session
    qtbot.waitUntil(lambda: rig.state.phase is Phase.STREAMING, timeout=SOON)
    assert button.isVisible()
    button.click()
    (adjusting,) = window.findChildren(CameraWindow)
    assert adjusting.now["rate"].text() == "now 60"
    assert list(cut_texts(adjusting)) == []
    assert not adjusting.keep.isEnabled()

    assert enter(qtbot, adjusting, "exposure_us", "50000").done
    assert adjusting.message.text() == "EXPOSURE_US is 50000 now, as requested"
    assert adjusting.now["rate"].text() == "now 20", "so long an exposure is slower"
    assert "EXPOSURE_US is 50000" in window.log.page.toPlainText()

    bright: list[float] = []
    window.bridge.imaged.connect(lambda frame, _: bright.append(frame.image.mean()))
    enter(qtbot, adjusting, "gain", "-20")
    qtbot.waitUntil(lambda: len(bright) > 5 and bright[-1] < 100, timeout=SOON)

    assert enter(qtbot, adjusting, "crop", "0, 0, 80, 60").done
    view = window.live.display.grid.views["arena"]
    qtbot.waitUntil(
        lambda: view.place is not None and rig.state.formats["arena"].width == 80,
        timeout=SOON,
    )
    told = enter(qtbot, adjusting, "crop", "100, 0, 80, 60")
    assert not told.done
    assert "does not lie in the frame of 160×120 pixels" in adjusting.message.text()
    assert adjusting.lines["crop"].text() == "0, 0, 80, 60", "as it still is"

    adjusting.keep.click()
    window.document.save()
    kept = window.document.path.read_text(encoding="utf-8")
    assert kept.startswith("# this rig's\n")
    assert "# its own comment\nKIND = SimulatedCamera\n" in kept
    for line in ("EXPOSURE_US = 50000", "GAIN = -20", "CROP = 0, 0, 80, 60"):
        assert line in kept
    settings = window.document.settings
    assert settings is not None
    assert settings.cameras["arena"].crop == (0, 0, 80, 60)


def test_a_camera_that_can_not_says_so(qtbot: QtBot, rig: FakeSession) -> None:
    window = MainWindow(Bridge(rig), Document(Path("rig.ini"), ""))
    qtbot.addWidget(window)
    whole = CameraControl("crop", (0, 0, 160, 100), None, (0, 0, 160, 100))
    rig.update(controls={"arena": (whole,)})
    window.live.controls.buttons[Action.START_STREAM].click()
    window.bridge.tick()
    adjusting = CameraWindow(window.bridge, "arena", window.live)
    shown = {label.text() for label in adjusting.findChildren(type(adjusting.message))}
    sentence = (
        "StillCamera can't change its exposure, gain and rate while the camera runs."
    )
    assert sentence in shown
    adjusting.lines["crop"].setText("0, 0, 2")
    adjusting.lines["crop"].returnPressed.emit()
    adjusting.lines["crop"].editingFinished.emit()
    assert rig.adjusted == [("arena", "CROP", "0, 0, 2")], "asked once"
    rig.news = [Failed("[Camera arena] CROP = 0, 0, 2: expected 4 numbers")]
    window.bridge.tick()
    assert "expected 4 numbers" in adjusting.message.text()
    assert not adjusting.keep.isEnabled()
    adjusting.close()
