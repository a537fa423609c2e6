"""The search for settings on the audit page: its progress, its end, and what it stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.audit.audit import open_audit
from deeplabstream.gui.pages.audit_page import AuditPage
from deeplabstream.gui.widgets.setting_search import SettingSearch
from deeplabstream.recording.audit_results import read_results
from tests.audit.scripted_run import Scene, judge, record

SOON = 300_000  # ms
LONG = Scene(2, frames=4000)
"""Its search takes longer than the test."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return judged(tmp_path / "output" / "monday", Scene(1, frames=240))


@pytest.fixture
def page(run: Path, qtbot: QtBot) -> Iterator[AuditPage]:
    made = AuditPage()
    qtbot.addWidget(made)
    made.show()
    show_figures(qtbot, made, run)
    yield made
    made.finish()


def judged(path: Path, scene: Scene) -> Path:
    """Write a run whose clips anna has judged."""
    run = record(path, scene)
    judge(open_audit(run, count=40, seed=1), scene)
    return run


def show_figures(qtbot: QtBot, page: AuditPage, run: Path) -> None:
    with qtbot.waitSignal(page.clips.opened, timeout=SOON):
        page.open(run)
    with qtbot.waitSignal(page.clips.computed, timeout=SOON):
        page.use_rater("anna")


def search_of(page: AuditPage) -> SettingSearch:
    return page.figures.search


def settings_of(run: Path) -> tuple[str, ...]:
    results = read_results(run)
    assert results is not None
    return results.settings


def test_settings_that_were_found_are_shown_and_stored(
    page: AuditPage, run: Path, qtbot: QtBot
) -> None:
    search = search_of(page)
    search.wish.setValue(2.0)
    with qtbot.waitSignal(search.found, timeout=SOON):
        search.search.click()
        assert not search.search.isEnabled()
        assert search.view.stop.isVisible()
    (sentence,) = settings_of(run)
    assert sentence.startswith("[Trigger in] ")
    assert "2 % wrong" in sentence
    assert sentence in page.figures.notes.text()
    assert search.search.isEnabled()
    assert not search.view.stop.isVisible()


def test_a_cancelled_search_stores_nothing(
    page: AuditPage, tmp_path: Path, qtbot: QtBot
) -> None:
    long = judged(tmp_path / "output" / "tuesday", LONG)
    show_figures(qtbot, page, long)
    search = search_of(page)
    search.search.click()
    qtbot.waitUntil(
        lambda: "[Trigger in], frames replayed: " in search.view.state.text(),
        timeout=SOON,
    )
    assert search.view.bar.maximum() == 7 * LONG.frames, "seven confidences"
    search.view.stop.click()
    assert not search.view.running
    assert search.view.state.text() == "Cancelled; nothing was stored."
    assert settings_of(long) == ()
    assert search.search.isEnabled()


def test_a_search_goes_on_while_another_run_is_shown(
    page: AuditPage, run: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    other = judged(tmp_path / "output" / "tuesday", Scene(2, frames=240))
    search = search_of(page)
    with qtbot.waitSignal(search.found, timeout=SOON):
        search.search.click()
        page.leave()
        show_figures(qtbot, page, other)
        assert not search.search.isEnabled(), "one at a time"
        assert search.view.state.toolTip() == "The search for settings of monday"
    assert settings_of(run) != ()
    assert "% wrong" not in page.figures.notes.text(), "they are of the other run"
    assert settings_of(other) == ()
    assert search.search.isEnabled()


def test_keys_of_the_wish_judge_nothing(page: AuditPage, run: Path) -> None:
    wish: QWidget = search_of(page).wish
    wish.setFocus()
    QTest.keyClick(wish, Qt.Key.Key_Backspace)
    audit = open_audit(run)
    assert audit.judged("anna") == len(audit.sample.clips)
