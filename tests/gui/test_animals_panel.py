"""Several animals in the window: names, doubts, and a person's word."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.identity_reporting import IdentityState
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.health_page import HealthPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.live_panels import AnimalsPanel
from deeplabstream.pose.tracking.distinctness import Distinctness
from tests.gui.fake_session import SKELETON, FakeSession

TOTALS = {"ambiguities": 3, "ambiguous_frames": 20, "exchanged": 0, "swapped": 2}


def who(*words: str) -> IdentityState:
    names = ("anna", "bob", "carl")[: len(words)]
    skeleton = replace(SKELETON, animals=names)
    points = np.ones((len(words), 3, 2), np.float32)
    return IdentityState(Pose(skeleton, points, points[..., 0], words), TOTALS)


def session_of(*words: str) -> FakeSession:
    session = FakeSession("arena")
    known = who(*words)
    session.update(skeleton=known.pose.skeleton, identity={"arena": known})
    return session


@pytest.fixture
def window(qtbot: QtBot) -> MainWindow:
    session = session_of("doubt1", "doubt1")
    window = MainWindow(Bridge(session), Document(Path("rig.ini"), ""))
    qtbot.addWidget(window)
    window.show()
    for action in (Action.START_STREAM, Action.START_ANALYSIS):
        session.do(action)
    for _ in range(9):
        window.bridge.tick()
    return window


def test_the_panel_says_who_is_in_doubt_and_asks(window: MainWindow) -> None:
    panel, session = window.live.animals, window.bridge.session
    assert isinstance(session, FakeSession)
    assert panel.isVisible()
    assert {name: label.text() for name, label in panel.states.items()} == {
        "anna": "or bob?",
        "bob": "or anna?",
    }
    panel.swap.click()
    panel.confirm_button.click()
    window.menu.actions["Swap names of animals"].trigger()
    window.menu.actions["Confirm names of animals"].trigger()
    both = [("arena", ("anna", "bob")), ("arena", ())]
    assert session.identities_set == both * 2
    session.update(identity={"arena": who("", "")})
    for _ in range(9):
        window.bridge.tick()
    assert not panel.confirm_button.isEnabled()
    window.menu.actions["Confirm names of animals"].trigger()
    session.do(Action.STOP_ANALYSIS)
    window.bridge.tick()
    panel.swap.click()
    assert session.identities_set == both * 2


def test_of_three_a_menu_asks_which_two(qtbot: QtBot) -> None:
    panel = AnimalsPanel(["top", "side"])
    qtbot.addWidget(panel)
    told: list[tuple[str, object]] = []
    panel.identity_corrected.connect(lambda camera, pair: told.append((camera, pair)))
    panel.show_names(("anna", "bob", "carl"))
    panel.show()
    panel.camera.setCurrentText("side")
    panel.show_identity({"side": who("", "doubt1", "doubt1")}, Thresholds(0.5))
    assert [label.text() for label in panel.states.values()] == [
        "known",
        "or carl?",
        "or bob?",
    ]
    panel.swap.click()
    actions = {action.text(): action for action in panel._menu.actions()}
    assert list(actions) == ["anna and bob", "anna and carl", "bob and carl"]
    actions["anna and carl"].trigger()
    assert told == [("side", ("anna", "carl"))]
    panel._menu.close()
    panel.show_names(("anna",))
    assert not panel.isVisible()


def test_one_animal_has_no_line_in_health(qtbot: QtBot) -> None:
    session = FakeSession("arena")
    assert isinstance(session.state.skeleton, Skeleton)
    page = HealthPage(Bridge(session), Document(Path("rig.ini"), ""))
    qtbot.addWidget(page)
    page.show()
    page.refresh()
    assert not page.animals.isVisible()


def test_health_says_who_is_in_doubt_and_what_happened(qtbot: QtBot) -> None:
    session = session_of("doubt1", "doubt1", "")
    session.update(phase=Phase.STREAMING)
    page = HealthPage(Bridge(session), Document(Path("rig.ini"), ""))
    qtbot.addWidget(page)
    page.show()
    page.refresh()
    assert page.animals.isVisible()
    assert page.animals.text() == (
        "Identities in [Camera arena]: anna, bob and carl; now anna and bob ambiguous. So far "
        "ambiguous 3 times, 20 frames; names corrected: 0, swapped by the user: 2; "
        "the appearance of anna, bob and carl is not learned yet"
    )


def test_the_panel_says_which_animals_look_alike_until_all_differ(qtbot: QtBot) -> None:
    panel = AnimalsPanel(["arena"])
    qtbot.addWidget(panel)
    panel.show_names(("anna", "bob", "carl"))
    panel.show()

    def shown(known: IdentityState) -> str:
        panel.show_identity({"arena": known}, Thresholds(0.5))
        return panel.appearance.text() if panel.appearance.isVisible() else ""

    known = who("", "", "")
    assert shown(known) == "the appearance of anna, bob and carl is not learned yet"
    alike = replace(known, distinctness=Distinctness(((0, 2),), ()))
    assert shown(alike) == "anna and carl look alike"
    assert shown(replace(known, distinctness=Distinctness((), ()))) == ""
