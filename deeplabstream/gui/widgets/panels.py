"""Panels: titled boxes; triggers, marks of the experiment, and log."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from html import escape
from textwrap import shorten

from PyQt5.QtCore import QEvent, Qt
from PyQt5.QtGui import QTextCursor
from PyQt5.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
)

from deeplabstream.core.command import Mark
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.run_summary import without_count
from deeplabstream.gui.theme import BLUE, GREEN, GREY, palette
from deeplabstream.gui.widgets.buttons import Lamp
from deeplabstream.gui.widgets.elided_text import Elided

_MOST_LINES = 500
_MOST_MARKS = 5
_MOST_LETTERS = 36
_LEAST = 42  # px


class Panel(QFrame):
    """A titled box."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(12, 8, 12, 10)
        self.column.setSpacing(4)
        self.title = QLabel(title.upper())
        self.title.setObjectName("title")
        self.column.addWidget(self.title)


def grid_panel(title: str) -> tuple[QFrame, QGridLayout]:
    """Return a titled box of three columns, whose first row is the title, and its layout."""
    panel = QFrame()
    panel.setObjectName("panel")
    grid = QGridLayout(panel)
    grid.setContentsMargins(12, 8, 12, 10)
    grid.setSpacing(6)
    label = QLabel(title.upper())
    label.setObjectName("title")
    grid.addWidget(label, 0, 0, 1, 3, Qt.AlignmentFlag.AlignTop)
    grid.setColumnStretch(1, 1)
    return panel, grid


class Triggers(Panel):
    """Last state of each trigger."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("Triggers")
        grid = QGridLayout()
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        grid.setColumnMinimumWidth(2, 76)
        self.lamps = {name: Lamp() for name in names}
        self.states = {name: QLabel("–") for name in names}
        for row, name in enumerate(names):
            grid.addWidget(self.lamps[name], row, 0)
            grid.addWidget(Elided(name), row, 1)
            grid.addWidget(self.states[name], row, 2, Qt.AlignmentFlag.AlignRight)
        self.column.addLayout(grid)
        if not names:  # without a parent it would open as a window and take the focus
            self.hide()

    def show_answers(self, answers: Mapping[str, bool | None]) -> None:
        """Show the states; a trigger without one was not evaluated."""
        for name, lamp in self.lamps.items():
            text, colour = _ANSWERS[answers[name]] if name in answers else ("–", "")
            lamp.show_colour(colour, hollow=answers.get(name) is False)
            self.states[name].setText(text)


_ANSWERS = {True: ("true", GREEN), False: ("false", BLUE), None: ("unknown", GREY)}


class Marks(Panel):
    """Marks of the experiment, with their counts since its start; hidden before the first."""

    def __init__(self) -> None:
        super().__init__("Experiment")
        self.counts: Counter[str] = Counter()
        self._over = True
        """Whether the shown marks belong to an experiment that has ended."""
        self._text = QLabel("not running")
        self._text.setWordWrap(True)
        self.column.addWidget(self._text)
        self.hide()

    def add(self, steps: Sequence[Step]) -> None:
        """Count the marks of these steps; marks that differ in a count only are the same."""
        texts = [
            without_count(command.text, step.answers)
            for step in steps
            for command in step.commands
            if isinstance(command, Mark)
        ]
        if texts:
            self._begin()
            self.counts.update(texts)
            self._show("running")

    def restart(self, *, running: bool) -> None:
        """Show whether an experiment runs; reset the counts at its start.

        Marks of its first frame may arrive before its start is reported.
        """
        if running:
            self._begin()
        self._over = not running
        self._show("running" if running else "not running")

    def _begin(self) -> None:
        """Show the panel; delete the marks of an experiment that has ended."""
        self.show()
        if self._over:
            self.counts.clear()
            self._over = False

    def _show(self, word: str) -> None:
        lines = [
            f"<b>{number}</b> × {escape(shorten(text, _MOST_LETTERS, placeholder=' …'))}"
            for text, number in list(self.counts.items())[:_MOST_MARKS]
        ]
        if more := len(self.counts) - len(lines):
            lines.append(f"and {more} more")
        self._text.setText("<br>".join(lines) or word)


class Log(Panel):
    """Log messages, newest last."""

    def __init__(self, title: str = "Log") -> None:
        super().__init__(title)
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.page.setMinimumHeight(_LEAST)
        self.page.setMaximumBlockCount(_MOST_LINES)
        self.page.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.page.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.column.addWidget(self.page)
        self._lines: deque[tuple[str, str]] = deque(maxlen=_MOST_LINES)
        """Text and colour of the lines."""

    def add_line(
        self, text: str, seconds: float | None = None, tone: str = "text"
    ) -> None:
        """Add a line; `seconds`: time of the event in the run.

        `tone` is the name of a colour of the palette.
        """
        time = "" if seconds is None else f"{seconds:.2f} s\u2002"
        self._lines.append((f"{time}{text}", tone))
        self._write(*self._lines[-1])

    def clear(self) -> None:
        """Remove all lines."""
        self._lines.clear()
        self.page.clear()

    def complain(self, text: str) -> None:
        """Add an error message."""
        self.add_line(text, tone="red")

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Rewrite all lines in the colours of another style."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self.page.clear()
            for text, tone in self._lines:
                self._write(text, tone)

    def _write(self, text: str, tone: str) -> None:
        colour = getattr(palette(), tone)
        self.page.appendHtml(f'<span style="color:{colour}">{escape(text)}</span>')
        self.page.moveCursor(QTextCursor.MoveOperation.End)
