"""Rack menu: sets up a rack, and opens its window as a program of its own."""

import sys
from collections.abc import Callable
from pathlib import Path

from PyQt5.QtCore import QProcess
from PyQt5.QtWidgets import QMenu, QWidget

from deeplabstream.core.errors import SettingsError
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.dialog_input import run_dialog
from deeplabstream.gui.dialogs.questions import show_message
from deeplabstream.gui.dialogs.rack_form import RackForm
from deeplabstream.settings.rack_draft import RackDraft
from deeplabstream.settings.rack_file import is_rack_file

_KINDS = "Rack files (*.ini);;All files (*)"


def open_rack(path: Path) -> None:
    """Open the window of a rack: a program of its own, which outlives this one."""
    program = ROOT / "utils" / "RunRack.py"
    QProcess.startDetached(sys.executable, [str(program), str(path)])


class RackMenu(QMenu):
    """New, open and edit; `folder` returns where file dialogs start.

    `open_rig` opens the settings of a box in the main window.
    """

    def __init__(
        self,
        window: QWidget,
        folder: Callable[[], Path],
        open_rig: Callable[[Path], object],
        open_it: Callable[[Path], object] = open_rack,
    ) -> None:
        super().__init__("Rac&k", window)
        self._window, self._folder, self._open_it = window, folder, open_it
        self._open_rig = open_rig
        for title, do in {
            "New rack …": self.make,
            "Open rack …": self.open,
            "Edit rack …": self.edit,
        }.items():
            entry = self.addAction(title)
            if entry is not None:
                entry.triggered.connect(do)

    def make(self, _checked: bool = False) -> None:
        """Set up a rack in a new file."""
        start = str(self._folder() / "rack.ini")
        name = file_dialogs.save_file(self._window, "New rack", start, _KINDS)
        if not name:
            return
        path = Path(name)
        path = path if path.suffix else path.with_name(f"{path.name}.ini")
        if path.exists():
            show_message(
                self._window, f"{path} exists already: choose Rack → Edit rack …"
            )
            return
        self._show_form(path)

    def open(self, _checked: bool = False) -> None:
        """Open the window of a rack that the user chooses."""
        if (path := self._chosen("Open rack")) is not None:
            self._open_it(path)

    def edit(self, _checked: bool = False) -> None:
        """Edit the boxes of a rack that the user chooses."""
        if (path := self._chosen("Edit rack")) is not None:
            self._show_form(path)

    def _chosen(self, title: str) -> Path | None:
        """Return a rack file that the user chooses; None: cancelled, or another file."""
        name = file_dialogs.open_file(self._window, title, str(self._folder()), _KINDS)
        if not name:
            return None
        if not is_rack_file(Path(name)):
            show_message(
                self._window, f"{name} is not a rack file: it needs [Box NAME]"
            )
            return None
        return Path(name)

    def _show_form(self, path: Path) -> None:
        try:
            draft = RackDraft(path)
        except SettingsError as error:
            show_message(self._window, "\n".join(error.problems))
            return
        form = RackForm(draft, self._open_it, self._open_rig, self._window)
        run_dialog(form)
        form.deleteLater()
