from dataclasses import replace
from pathlib import Path

import numpy as np
from PyQt5.QtCore import QSettings
from pytestqt.qtbot import QtBot

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import AMBER, BLUE, GREEN, GREY, RED
from deeplabstream.gui.widgets.video_view import lines_of
from tests.gui.fake_session import FakeSession, close_to, make_step


def test_answers_without_a_zone_and_what_the_gate_did_are_said() -> None:
    flags = {
        "nose": "jump+held",
        "tail": "bone",
        "every point": "predicted",
        "[Trigger here]": "held",
    }
    answers = {"here": True, "there": False, "freezing": False, "running": None}
    step = replace(make_step(0, answers), flags=flags)
    assert lines_of(step, {"here", "there"}) == [
        ("here: true, held", GREEN),
        ("freezing: false", BLUE),
        ("running: unknown", GREY),
        ("rejected: nose (jump), tail (bone)", RED),
        ("held: nose", AMBER),
        ("points are predicted", GREY),
    ]
    assert lines_of(make_step(0, {"here": True}), {"here"}) == []
    many = lines_of(make_step(0, dict.fromkeys(map(str, range(20)), True)))
    assert len(many) == 7
    assert many[-1] == ("and 14 more", GREY)


def test_a_person_switches_them_and_that_is_remembered(
    qtbot: QtBot, rig: FakeSession, tmp_path: Path
) -> None:
    memory = QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)
    step = replace(make_step(0, {"running": False}), flags={"nose": "jump"})

    def red(window: MainWindow) -> bool:
        view = window.live.display.grid.views["arena"]
        view.resize(800, 500)
        view.threshold = 0.5
        view.show_image(np.zeros((100, 160), np.uint8), 0, step)
        image = view.grab().toImage()
        place = view.place
        assert place is not None
        left, bottom = (int(value) for value in place.to_view((-0.5, 99.5)))
        there = [(left + x, bottom - y) for x in range(10, 120) for y in range(8, 32)]
        corner = [image.pixelColor(x, y) for x, y in there]
        return any(close_to(colour, RED) for colour in corner)

    def made() -> MainWindow:
        window = MainWindow(Bridge(rig), Document(Path("rig.ini"), ""), memory)
        qtbot.addWidget(window)
        return window

    window = made()
    action = window.menu.actions["Trigger states and output in the image"]
    assert action.isChecked()
    assert red(window)
    action.trigger()
    assert not red(window)
    window.menu.actions["Trails"].trigger()
    assert window.live.display.grid.views["arena"].trail is None
    again = made()
    assert not red(again)
    assert not again.menu.actions["Trails"].isChecked()
    again.menu.actions["Trails"].trigger()
    assert again.live.display.grid.views["arena"].trail is not None
