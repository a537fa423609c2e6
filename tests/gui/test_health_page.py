from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.core.command import on
from deeplabstream.core.journal_entries import ANALYSIS_STARTED, Note
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.engine.checks.system_monitor import SystemStatus
from deeplabstream.engine.session.session_state import (
    Action,
    Counts,
    Phase,
    SessionState,
)
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.live_figures import SPAN_S, StageTimes
from deeplabstream.gui.pages.health_page import HealthPage
from deeplabstream.gui.settings_document import Document
from tests.gui.fake_session import FakeSession, make_step


@pytest.fixture
def page(qtbot: QtBot, rig: FakeSession) -> HealthPage:
    made = HealthPage(Bridge(rig), Document(Path("rig.ini"), ""))
    qtbot.addWidget(made)
    made.show()
    return made


def cell(page: HealthPage, table: str, row: int, column: int) -> str:
    item = getattr(page, table).item(row, column)
    return "" if item is None else str(item.text())


def test_every_stage_has_its_own_time(page: HealthPage) -> None:
    steps = tuple(make_step(n, commands=(on("stimulus"),)) for n in range(100))
    page.bridge.stepped.emit(steps)
    page.refresh()
    medians = [cell(page, "stages", row, 0) for row in range(5)]
    assert medians == ["0.00", "4.00", "1.00", "1.00", "6.00"]
    heights = page._bars.opts["height"]
    assert sum(heights) == 100


def test_nothing_is_made_up_before_a_frame_came(page: HealthPage) -> None:
    assert {cell(page, "stages", row, 0) for row in range(5)} == {"–"}
    assert "while a stream runs" in page.computer.text()


def test_without_a_stream_no_empty_panels_are_shown(page: HealthPage) -> None:
    assert not page.plot.isVisible()
    assert not page.cameras.isVisible()
    assert page.alarms.page.placeholderText() == "No alarms"
    page.bridge.do(Action.START_STREAM)
    page.bridge.tick()
    assert page.plot.isVisible()
    assert page.cameras.isVisible()
    page.bridge.do(Action.STOP_STREAM)
    page.bridge.tick()
    assert page.plot.isVisible(), "the last figures stay"


def test_the_counts_of_a_stream_that_has_ended_stay_until_the_next(
    page: HealthPage, rig: FakeSession
) -> None:
    page.bridge.do(Action.START_STREAM)
    rig.update(counts={"arena": Counts(100, 2, 90, 8, 92, 5, 3)})
    page.bridge.tick()
    page.bridge.do(Action.STOP_STREAM)
    rig.update(counts={})
    page.bridge.tick()
    page.refresh()
    assert cell(page, "cameras", 0, 0) == "100"
    assert page.computer.text().startswith("The stream has ended")
    page.bridge.status_changed.emit(SessionState(Phase.STARTING))
    page.refresh()
    assert cell(page, "cameras", 0, 0) == "0"


def test_findings_of_the_pre_flight_check_are_listed(
    page: HealthPage, rig: FakeSession
) -> None:
    rig.news += [Note("preflight", "a", 0), Note("preflight", "warning: b", 0)]
    page.bridge.tick()
    assert page.checks.page.toPlainText() == "a\nwarning: b"
    assert not page.alarms.page.toPlainText()


def test_losses_are_seen(page: HealthPage, rig: FakeSession) -> None:
    rig.update(counts={"arena": Counts(100, 2, 90, 8, 92, 5, 3)})
    page.refresh()
    row = [cell(page, "cameras", 0, column) for column in range(7)]
    assert row == ["100", "2", "90", "8", "92", "3", "5"]
    rig.update(counts={"arena": Counts(100, None, 90, 8, 95, 5)})
    page.refresh()
    assert cell(page, "cameras", 0, 1) == "?"


def test_the_computer_and_alarms_are_told(page: HealthPage, rig: FakeSession) -> None:
    rig.do(Action.START_STREAM)
    rig.update(system=SystemStatus({"engine": 0.25}, 300.4, 12.34, 55.0, None))
    page.bridge.tick()
    page.refresh()
    assert page.computer.text().splitlines() == [
        "cores: engine 25%",
        "memory 300 MB",
        "disk 12.3 GB free",
        "55 °C",
        "0 entries wait to be recorded",
    ]
    page.bridge.noted.emit(Note("camera", "[Camera arena] is silent", 0))
    page.bridge.noted.emit(Note("experiment", "started", 0))
    page.bridge.noted.emit(Note(*ANALYSIS_STARTED, 0))
    page.bridge.noted.emit(Note("analysis", "no frame was analysed for 3 s", 0))
    page.bridge.failed.emit("The engine ended unexpectedly")
    told = page.alarms.page.toPlainText()
    assert "[Camera arena] is silent" in told
    assert "no frame was analysed for 3 s" in told
    assert "ended unexpectedly" in told
    assert "started" not in told


def test_only_the_last_seconds_count() -> None:
    stages = StageTimes("arena")
    stages.add([make_step(n) for n in range(5000)])  # 100 a second
    assert len(stages.times_ms("posed")) == SPAN_S * 100 + 1
    assert stages.times_ms("written") == []
    assert stages.spreads()["written"] is None


def test_a_long_name_leaves_the_figures_their_room(qtbot: QtBot) -> None:
    long = "the camera above the arena in room B 204, second floor"
    page = HealthPage(Bridge(FakeSession(long, "side")), Document(Path("rig.ini"), ""))
    qtbot.addWidget(page)
    page.resize(1150, 690)  # of a screen of 1280 × 720
    page.show()
    page.refresh()
    metrics, table = page.fontMetrics(), page.cameras
    for column in range(table.columnCount()):
        head = table.horizontalHeaderItem(column)
        assert head is not None
        assert table.columnWidth(column) >= metrics.horizontalAdvance(head.text())
    name = table.verticalHeaderItem(0)
    assert name is not None
    assert name.toolTip() == long


def test_the_error_by_leaving_each_camera_out_is_shown(page: HealthPage) -> None:
    page.refresh()
    assert not page.left_out.isVisibleTo(page)
    one = np.ones(1, np.float32)
    pixels = np.array([[1.25], [np.nan]], np.float32)
    pose = SpacePose(
        Skeleton(("nose",)), ("left", "right"), 0, np.ones((1, 3), np.float32), one, one,
        one, np.ones((2, 1), bool), pixels,
    )  # fmt: skip
    page.bridge.stepped.emit((replace(make_step(0), space=pose),))
    page.refresh()
    assert page.left_out.text().endswith(": left 1.2 px, right ?")
