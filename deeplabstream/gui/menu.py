"""Menu bar: actions of the settings file, the pages and the style."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PyQt5.QtGui import QKeySequence
from PyQt5.QtWidgets import (
    QAction,
    QMainWindow,
    QMenu,
    QWidget,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.engine.session.session_state import Action, SessionState
from deeplabstream.files import rig_folder
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import free_path
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.help_window import (
    CONTENTS,
    HelpWindow,
    KeysWindow,
    show_about,
)
from deeplabstream.gui.dialogs.questions import (
    place_to_write,
    show_message,
    show_question,
)
from deeplabstream.gui.pages.page_stack import Undoing
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.field_editors import commit_field, field_with_undo
from deeplabstream.gui.widgets.frame_overlay import CHOICES, Painted
from deeplabstream.settings.example_rig import example_text

_FILES = "Settings (*.ini);;All files (*)"
_OWN = "my_rig.ini"
"""Name proposed for a copy of the shipped example."""
_OTHER, _HERE = "Save as …", "Save here anyway"
_OVER, _RESTORE = "Overwrite", "Restore"


@dataclass(frozen=True)
class Menu:
    """The actions of a window's menu bar; `actions` by their text."""

    window: QMainWindow
    document: Document
    actions: dict[str, QAction]
    page: Callable[[], QWidget | None]
    """Returns the current page."""
    kept: Callable[[], str]
    """Returns why no other file can be opened now; empty: one can."""
    opened: Callable[[], object]
    """Called after another file was opened."""

    def show_help(self, page: str) -> None:
        """Show a page of the documentation, in a window that is reused."""
        shown = self.window.findChild(HelpWindow) or HelpWindow(self.window)
        shown.show()  # first: the position of a heading depends on the page's width
        shown.open_page(page)
        shown.raise_()
        shown.activateWindow()

    def show_state(self) -> None:
        """Enable Undo and Redo when they have an effect.

        Save is always enabled: the field that is being edited may differ from the file.
        """
        history, own = self.document.history, isinstance(self.page(), Undoing)
        self.actions["Undo"].setEnabled(own or history.can_undo)
        self.actions["Redo"].setEnabled(own or history.can_redo)

    def undo(self) -> None:
        """Undo the last change: of the focused field, the page, or the settings."""
        if (field := field_with_undo()) is not None:
            field.undo()
        elif (page := self._page_with_undo()) is not None:
            page.undo()
        else:
            self.document.undo()

    def redo(self) -> None:
        """Redo the last change that was undone: of the field, the page, or the settings."""
        if (field := field_with_undo()) is not None:
            field.redo()
        elif (page := self._page_with_undo()) is not None:
            page.redo()
        else:
            self.document.redo()

    def _page_with_undo(self) -> Undoing | None:
        page = self.page()
        return page if isinstance(page, Undoing) and page.undoes else None

    def save(self) -> bool:
        """Save the settings; return whether the file contains them now."""
        commit_field(self.window)
        if not self.document.unsaved and not self.document.changed_on_disk():
            return True
        if self.document.is_example:
            question = (
                f"{self.document.path.name} is the example that comes with "
                "DeepLabStream. Save your rig under another name?"
            )
            answer = show_question(
                self.window, question, _OTHER, _HERE, "Cancel", default=_OTHER
            )
            if answer != _HERE:
                return answer == _OTHER and self.save_as()
        return self._save(self.document.path)

    def save_as(self) -> bool:
        """Save to a file that the user chooses, and continue with that file."""
        commit_field(self.window)
        proposed = free_path(self.document.path.with_name(_OWN))
        start = proposed if self.document.is_example else self.document.path
        name = file_dialogs.save_file(
            self.window, "Save settings as", str(start), _FILES
        )
        if not name:
            return False
        path = Path(name)
        path = path if path.suffix else path.with_name(f"{path.name}.ini")
        if path.resolve() == self.document.path and not self.document.is_example:
            return self._save(path.resolve())
        place = place_to_write(self.window, path)
        return place is not None and self._save(place)

    def restore_example(self) -> None:
        """Write the shipped settings.ini to the rig folder; keep the current file as a copy."""
        if why := self.kept():
            self._complain(why)
            return
        if not self.may_leave():
            return
        folder = self.document.path.parent
        target = rig_folder.settings_file() or folder / rig_folder.SETTINGS
        backup = free_path(target.with_name("settings.before_example.ini"))
        exists = target.is_file()
        kept = f" The current file is kept as {backup.name}." if exists else ""
        question = f"Write the example that comes with DeepLabStream to {target}?{kept}"
        if show_question(self.window, question, _RESTORE, "Cancel") != _RESTORE:
            return
        try:
            if exists:
                shutil.copy2(target, backup)
            with atomic_file(target) as draft:
                text = example_text(target.parent)
                draft.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            self._complain(f"Can't write {target}: {error.strerror or error}")
            return
        self._open(target)

    def open(self) -> None:
        """Open a settings file that the user chooses."""
        if why := self.kept():
            self._complain(why)
            return
        if not self.may_leave():
            return
        folder = str(self.document.path.parent)
        name = file_dialogs.open_file(self.window, "Open settings", folder, _FILES)
        if name:
            self._open(Path(name))

    def open_file(self, path: Path) -> None:
        """Open a settings file."""
        if why := self.kept():
            self._complain(why)
        elif self.may_leave():
            self._open(path)

    def may_leave(self) -> bool:
        """Save or discard unsaved changes, as the user chooses; False: cancelled."""
        commit_field(self.window)
        if not self.document.unsaved:
            return True
        question = f"Save the changes of {self.document.path.name}?"
        answer = show_question(
            self.window, question, "Save", "Discard", "Cancel", default="Save"
        )
        if answer == "Save":
            return self.save()
        return answer == "Discard"

    def _open(self, path: Path) -> None:
        try:
            with busy(self.window, f"Opening {path.name} …"):
                self.document.open(path)
        except SettingsError as error:
            self._complain("\n".join(error.problems))
        else:
            self.opened()

    def _save(self, path: Path) -> bool:
        if path == self.document.path and self.document.changed_on_disk():
            question = f"{path} was changed by another program. Overwrite it?"
            if show_question(self.window, question, _OVER, "Cancel") != _OVER:
                return False
        elif path.exists() and not os.access(path, os.W_OK):
            question = f"{path} is write-protected. Overwrite it?"
            if show_question(self.window, question, _OVER, "Cancel") != _OVER:
                return False
        try:
            self.document.save(path)
        except OSError as error:
            self._complain(
                f"Can't write {path}: {error.strerror or error}. Save as another "
                "file, or free disk space"
            )
            return False
        return True

    def _complain(self, text: str) -> None:
        show_message(self.window, text)


def build_menu(
    window: QMainWindow,
    document: Document,
    show_page: Callable[[str], object],
    pages: tuple[str, ...],
    use_style: Callable[[str], object],
    painted: Painted,
    tour: Callable[[], object],
    recent: Recent,
    look_back: Callable[[Path], object],
    animals: Callable[[bool], object],
    page: Callable[[], QWidget | None],
    kept: Callable[[], str],
    run: QMenu,
    opened: Callable[[], object],
    more: Sequence[QAction] = (),
    files: Mapping[str, Callable[[], object]] | None = None,
    page_help: Callable[[], str] = lambda: CONTENTS,
) -> Menu:
    """Fill the menu bar of `window`.

    `animals` swaps (True) or confirms (False) the names of animals. `files` and `more`:
    further entries of the File and the View menu. `page_help` returns the documentation
    of the current page.
    """
    menu = Menu(window, document, {}, page, kept, opened)

    def add(
        to: QMenu, text: str, do: Callable[[], object], key: QKeySequence | str = ""
    ) -> None:
        action = QAction(text, window)
        action.triggered.connect(partial(_do, do))
        action.setShortcut(QKeySequence(key))
        to.addAction(action)
        menu.actions[text.rstrip("… ")] = action

    keys = QKeySequence.StandardKey
    file = _add_menu(window, "&File")
    add(file, "Open settings …", menu.open, QKeySequence(keys.Open))
    for title, do in (files or {}).items():
        add(file, title, do)
    file.addMenu(recent.menu("Recent settings", "settings", file, menu.open_file))
    file.addMenu(recent.menu("Recent runs", "runs", file, look_back))
    file.addSeparator()
    add(file, "Save", menu.save, QKeySequence(keys.Save))
    add(file, "Save as …", menu.save_as, "Ctrl+Shift+S")
    add(file, "Restore example …", menu.restore_example)
    file.addSeparator()
    add(file, "Quit", window.close, "Ctrl+Q")
    edit = _add_menu(window, "&Edit")
    add(edit, "Undo", menu.undo, QKeySequence(keys.Undo))
    add(edit, "Redo", menu.redo, "Ctrl+Shift+Z")
    edit.addSeparator()
    add(edit, "Swap names of animals …", partial(animals, True), "Ctrl+E")
    add(edit, "Confirm names of animals", partial(animals, False), "Ctrl+R")
    if (bar := window.menuBar()) is not None:
        bar.addMenu(run)
    view = _add_menu(window, "&View")
    for number, name in enumerate(pages, start=1):
        add(view, name, partial(show_page, name), f"Ctrl+{number}")
    view.addSeparator()
    for name, text in CHOICES.items():
        add(view, text, partial(_switch, painted, name))
        action = menu.actions[text]
        action.setCheckable(True)
        action.setChecked(painted.shows(name))
    for action in more:
        view.addAction(action)
        menu.actions[action.text()] = action
    view.addSeparator()
    add(view, "Dark style", lambda: use_style("dark"))
    add(view, "Light style", lambda: use_style("light"))
    help_ = _add_menu(window, "&Help")
    add(help_, "Help for this page", lambda: menu.show_help(page_help()), "F1")
    add(help_, "Documentation", lambda: menu.show_help(CONTENTS))
    add(help_, "Tutorial", lambda: menu.show_help("tutorial.md"))
    add(help_, "Tour", tour)
    add(
        help_,
        "Keyboard shortcuts",
        lambda: KeysWindow(menu.actions.values(), window).show(),
        "F2",
    )
    add(help_, "Settings reference", lambda: menu.show_help("settings.md"))
    help_.addSeparator()
    add(help_, "About", lambda: show_about(window))
    menu.show_state()
    return menu


def _switch(painted: Painted, name: str) -> None:
    painted.choose(name, not painted.shows(name))


def _do(what: Callable[[], object], _checked: bool = False) -> None:
    what()


def _add_menu(window: QMainWindow, title: str) -> QMenu:
    bar = window.menuBar()
    menu = QMenu(title, window)
    if bar is not None:
        bar.addMenu(menu)
    return menu


class RunMenu(QMenu):
    """An entry for each run button, enabled as that button is; Start and Stop first.

    No entry has a shortcut or a mnemonic: Alt+R opens the menu, arrow keys choose, Enter
    confirms, so that no single key starts or stops anything.
    """

    def __init__(
        self, do: Callable[[Action], object], parent: QWidget | None = None
    ) -> None:
        super().__init__("&Run", parent)
        self.entries: dict[Action, QAction] = {}
        self.begin, self.end = QAction("Start", self), QAction("Stop", self)
        self.addActions([self.begin, self.end])
        self.addSeparator()
        for action in Action:
            entry = QAction(action.value, self)
            entry.triggered.connect(partial(self._do, do, action))
            self.addAction(entry)
            self.entries[action] = entry
        self.show_status(SessionState())

    def show_status(
        self, status: SessionState, blocked: str = "", left: Sequence[Action] = ()
    ) -> None:
        """Enable the allowed actions; `blocked`: why no stream can start; empty: it can.

        `left`: actions that Start would request.
        """
        self.begin.setEnabled(bool(left) and not blocked)
        self.end.setEnabled(Action.STOP_STREAM in status.allowed)
        possible = status.allowed
        if blocked:
            possible -= {Action.START_STREAM}
        for action, entry in self.entries.items():
            entry.setEnabled(action in possible)

    @staticmethod
    def _do(
        do: Callable[[Action], object], action: Action, _checked: bool = False
    ) -> None:
        do(action)
