"""Help inside the window: every page of docs/, its links, and About."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import QUrl
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.gui.dialogs import help_window
from deeplabstream.gui.dialogs.help_window import DOCS, HelpWindow, contents, show_about


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


def end_of_page(window: HelpWindow) -> float:
    """Return how far down the scroll bar leads."""
    bar = window.page.verticalScrollBar()
    assert bar is not None
    return bar.maximum() + bar.pageStep()


def test_all_pages_are_listed_and_shown_by_their_titles(window: HelpWindow) -> None:
    listed = contents(DOCS)
    files = {file.name for file in DOCS.glob("*.md")}
    assert {name for _, name in listed} == files
    for row, (title, _) in enumerate(listed):
        window.list.setCurrentRow(row)
        assert title in ("Contents", shown(window))
        viewport = window.page.viewport()
        assert viewport is not None
        # a page shorter than the window has nothing to scroll
        height = max(window.page.document().size().height(), viewport.height())
        assert end_of_page(window) == height


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
    assert item.toolTip() == "Triggers\ntriggers.md"
    window.back.click()
    assert shown(window) == "The application"
    window.forth.click()
    assert shown(window) == "Triggers"
    window.page.anchorClicked.emit(QUrl("https://www.python.org"))
    assert outside == ["https://www.python.org"]
    window.page.anchorClicked.emit(QUrl("../no_such_file.py"))
    assert "not part of this installation" in window.message.text()


def press_enter(window: HelpWindow) -> tuple[str, int]:
    """Search on; return the page and the place that are shown."""
    window.search.returnPressed.emit()
    return shown(window), window.page.textCursor().position()


def test_words_are_found_in_all_pages_and_start_again_after_the_last(
    window: HelpWindow,
) -> None:
    window.open_page("app.md")
    window.search.setText("polygon")
    places = [press_enter(window) for _ in range(2)]
    assert {title for title, _ in places} == {"The application"}
    assert places[0][1] < places[1][1]
    while (place := press_enter(window)) not in places:
        assert window.page.textCursor().selectedText().lower() == "polygon"
        places.append(place)
    assert place == places[0], "after the last comes the first"
    having = {
        file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for file in DOCS.glob("*.md")
        if "polygon" in file.read_text(encoding="utf-8").lower()
    }
    assert len(having) > 1
    assert {title for title, _ in places} == having


def test_words_of_another_page_lead_there_and_the_list_shows_where_they_are(
    window: HelpWindow,
) -> None:
    window.open_page("app.md")
    assert "MAX_ON_S" not in window.page.toPlainText()
    window.search.setText("max_on_s")
    title, place = press_enter(window)
    assert title != "The application"
    assert place > 0
    assert window.page.textCursor().selectedText() == "MAX_ON_S"
    rows = [window.list.item(row) for row in range(window.list.count())]
    listed = [item.toolTip() for item in rows if item and not item.isHidden()]
    assert window.message.text() == f"in {len(listed)} pages"
    assert 1 < len(listed) < len(rows)
    assert all("MAX_ON_S" in line for line in listed), "the first line with it"
    window.search.clear()
    assert not any(item.isHidden() for item in rows if item)


def test_words_that_are_nowhere_leave_the_page_where_it_is(window: HelpWindow) -> None:
    window.open_page("app.md")
    window.search.setText("polygon")
    before = press_enter(window)
    window.search.setText("no such words anywhere")
    assert press_enter(window) == before
    assert window.message.text() == "not found"


def test_a_page_that_is_missing_is_a_sentence(
    window: HelpWindow, tmp_path: Path
) -> None:
    window.docs = tmp_path
    window.open_page("app.md")
    assert "Can't read" in window.page.toPlainText()


def test_about_names_version_and_place(
    window: HelpWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        help_window, "show_message", lambda _, text, __: shown.append(text)
    )
    show_about(window)
    (text,) = shown
    assert "DeepLabStream 2" in text
    assert "GPL-3.0-or-later" in text
    assert str(DOCS.parent) in text
