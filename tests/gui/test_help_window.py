"""Help inside the window: every page of docs/, its links, and About."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import QUrl
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.gui.dialogs.help_window import DOCS, HelpWindow, about, contents


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[HelpWindow]:
    above = QWidget()
    qtbot.addWidget(above)
    made = HelpWindow(above)
    made.show()
    yield made
    above.close()


def shown(window: HelpWindow) -> str:
    """Return the first line of the page."""
    return window.page.toPlainText().partition("\n")[0]


def test_all_pages_are_listed_and_shown_by_their_titles(window: HelpWindow) -> None:
    listed = contents(DOCS)
    files = {file.name for file in DOCS.glob("*.md")}
    assert {name for _, name in listed} == files
    for row, (title, _) in enumerate(listed):
        window.list.setCurrentRow(row)
        assert title in ("Contents", shown(window))


def test_links_lead_to_pages_headings_and_the_desktop(
    window: HelpWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: outside.append(url.toString())
    )
    window.open_page("app.md")
    window.page.anchorClicked.emit(QUrl("triggers.md#several-animals"))
    assert shown(window) == "Triggers"
    assert window.page.textCursor().block().text() == "Several animals"
    item = window.list.currentItem()
    assert item is not None
    assert item.toolTip() == "triggers.md"
    window.back.click()
    assert shown(window) == "The application"
    window.forth.click()
    assert shown(window) == "Triggers"
    window.page.anchorClicked.emit(QUrl("https://www.python.org"))
    assert outside == ["https://www.python.org"]
    window.page.anchorClicked.emit(QUrl("../no_such_file.py"))
    assert "not part of this installation" in window.words.text()


def test_words_are_found_and_start_again_at_the_top(
    window: HelpWindow, qtbot: QtBot
) -> None:
    window.open_page("app.md")
    window.search.setText("polygon")
    places = []
    for _ in range(4):
        window.search.returnPressed.emit()
        places.append(window.page.textCursor().position())
    assert places[0] < places[1]
    assert len(set(places)) < len(places), "after the last comes the first"
    window.search.setText("no such words anywhere")
    window.search.returnPressed.emit()
    assert window.words.text() == "not found"


def test_a_page_that_is_missing_is_a_sentence(
    window: HelpWindow, tmp_path: Path
) -> None:
    window.docs = tmp_path
    window.open_page("app.md")
    assert "Can't read" in window.page.toPlainText()


def test_about_names_version_and_place(window: HelpWindow) -> None:
    text = about(window).text()
    assert "DeepLabStream 2" in text
    assert "GPL-3.0-or-later" in text
    assert str(DOCS.parent) in text
