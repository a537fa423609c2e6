from dataclasses import replace

from pytestqt.qtbot import QtBot

from deeplabstream.core.journal_entries import Edge, Note, Step
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.engine.session.session_state import Action, Failed, SessionState
from deeplabstream.gui.bridge import Bridge
from outputs.remotes.controls import TcpStart
from tests.gui.fake_session import FakeSession, make_step


def test_everything_is_told_once_and_in_its_order(
    qtbot: QtBot, rig: FakeSession
) -> None:
    bridge = Bridge(rig)
    told: list[object] = []
    for signal in (bridge.stepped, bridge.noted, bridge.edged, bridge.failed):
        signal.connect(told.append)
    one, two, three = make_step(0), make_step(1), make_step(2)
    edge, note = Edge("stimulus", 1.0, "plan", 1, 2), Note("run", "began", 3)
    rig.news = [one, two, edge, three, note, Failed("no more pictures")]
    bridge.tick()
    assert told == [(one, two), edge, (three,), note, "no more pictures"]
    bridge.tick()
    assert len(told) == 5


def test_a_step_is_shown_over_the_picture_that_it_names(
    qtbot: QtBot, rig: FakeSession
) -> None:
    bridge = Bridge(rig)
    shown: list[tuple[int, Step | None]] = []
    bridge.imaged.connect(lambda frame, step: shown.append((frame.index, step)))
    rig.do(Action.START_STREAM)
    bridge.tick()
    assert shown.pop() == (0, None), "the newest picture while nothing is analysed"
    rig.do(Action.START_ANALYSIS)
    last = make_step(8)
    bridge.tick()
    rig.news = [make_step(7), last]
    bridge.tick()
    assert shown == [(8, last)]
    for _ in range(20):
        bridge.tick()
    assert shown[-1] == (0, None), "the analysis hangs; the animal is still seen"


def test_what_is_on_the_agenda_is_asked_as_soon_as_it_may_be(
    qtbot: QtBot, rig: FakeSession
) -> None:
    bridge = Bridge(rig, RequestQueue(AGENDAS["experiment"]))
    for _ in range(5):
        bridge.tick()
    assert rig.asked == list(AGENDAS["experiment"])


def test_a_failure_or_a_person_ends_the_agenda(qtbot: QtBot, rig: FakeSession) -> None:
    bridge = Bridge(rig, RequestQueue(AGENDAS["experiment"]))
    bridge.tick()
    rig.news.append(Failed("no network"))
    bridge.tick()
    bridge.tick()
    assert rig.asked == [Action.START_STREAM]
    other = Bridge(rig, RequestQueue(AGENDAS["experiment"]))
    other.do(Action.STOP_STREAM)
    other.tick()
    assert rig.asked[-1] is Action.STOP_STREAM


def test_a_rig_that_remotes_start_is_armed_by_start_and_disarmed_by_stop(
    qtbot: QtBot, rig: FakeSession
) -> None:
    remotes = {"lab": TcpStart(port=5005)}
    rig.settings = replace(
        rig.settings,
        remotes=remotes,
        experiment=replace(rig.settings.experiment, exp_name="light"),
    )
    rig.update(used_settings=rig.settings)
    bridge = Bridge(rig)
    actions = [*AGENDAS["analysis"], Action.ARM]
    assert bridge.left_to_start() == actions
    bridge.begin()
    for _ in range(5):
        bridge.tick()
    assert rig.asked == actions
    assert rig.state.armed
    assert bridge.left_to_start() == []
    bridge.stop_outputs()
    assert rig.asked[-1] is Action.DISARM
    assert not rig.state.armed


def test_it_polls_by_itself(qtbot: QtBot, rig: FakeSession) -> None:
    bridge = Bridge(rig)
    rig.put(SessionState())
    with qtbot.waitSignal(bridge.status_changed, timeout=300_000) as changed:
        bridge.start()
    bridge.stop()
    assert changed.args == [rig.state]
