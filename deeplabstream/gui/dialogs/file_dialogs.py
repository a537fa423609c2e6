"""File dialogs: Qt's own, beside which STOP and Esc act; those of a desktop block them."""

from pathlib import Path

from PyQt5.QtGui import QShowEvent
from PyQt5.QtWidgets import (
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QSplitter,
    QWidget,
)

from deeplabstream.gui.dialogs.dialog_input import run_dialog
from deeplabstream.gui.dialogs.questions import CANCEL, show_message, show_question

_CREATE = "Create it"
_SIZE = (920, 540)  # px
_PLACES = 140
"""Width of the list of places, px; Qt's own cuts their names."""


def open_file(window: QWidget, title: str, start: str = "", kinds: str = "") -> str:
    """Return a file that the user chooses; empty: cancelled."""
    dialog = _dialog(window, title, start, kinds, QFileDialog.FileMode.ExistingFile)
    return (*_chosen(dialog), "")[0]


def open_files(
    window: QWidget, title: str, start: str = "", kinds: str = ""
) -> list[str]:
    """Return the files that the user chooses; empty: cancelled."""
    mode = QFileDialog.FileMode.ExistingFiles
    return _chosen(_dialog(window, title, start, kinds, mode))


def open_folder(window: QWidget, title: str, start: str = "") -> str:
    """Return an existing folder that the user chooses; empty: cancelled."""
    dialog = _dialog(window, title, start, "", QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return (*_chosen(dialog), "")[0]


def save_file(window: QWidget, title: str, start: str = "", kinds: str = "") -> str:
    """Return a file to write; the caller confirms to overwrite it. Empty: cancelled."""
    dialog = _dialog(window, title, start, kinds, QFileDialog.FileMode.AnyFile)
    dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    return (*_chosen(dialog), "")[0]


def new_folder(window: QWidget, title: str, start: Path) -> Path | None:
    """Return a folder chosen by the user, new or existing; None: cancelled."""
    chosen = _chosen(FolderDialog(window, title, start))
    return Path(chosen[0]) if chosen else None


def _dialog(
    window: QWidget, title: str, start: str, kinds: str, mode: QFileDialog.FileMode
) -> QFileDialog:
    dialog = QFileDialog(window.window(), title)
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.setFileMode(mode)
    if kinds:
        dialog.setNameFilters(kinds.split(";;"))
    path = Path(start)
    if start and path.is_dir():
        dialog.setDirectory(start)
    elif start:
        dialog.setDirectory(str(path.parent))
        dialog.selectFile(path.name)
    return dialog


def _chosen(dialog: QFileDialog) -> list[str]:
    dialog.resize(*_SIZE)
    splitter = dialog.findChild(QSplitter, "splitter")
    if splitter is not None:
        splitter.setSizes([_PLACES, _SIZE[0] - _PLACES])
    chosen = dialog.selectedFiles() if run_dialog(dialog) else []
    dialog.deleteLater()
    return chosen


class FolderDialog(QFileDialog):
    """Chooses a folder, or creates the one whose name is typed."""

    def __init__(self, window: QWidget, title: str, start: Path) -> None:
        super().__init__(window.window(), title, str(start))
        # The dialogs of some desktops refuse a folder that does not exist yet.
        self.setOption(QFileDialog.Option.DontUseNativeDialog)
        self.setOption(QFileDialog.Option.ShowDirsOnly)
        self.setFileMode(QFileDialog.FileMode.Directory)
        self._name = self.findChild(QLineEdit, "fileNameEdit")
        buttons = self.findChild(QDialogButtonBox, "buttonBox")
        self._choose = buttons.button(QDialogButtonBox.Open) if buttons else None
        if self._name is not None:
            # after Qt's own slot, which disables the button for a folder that is not there
            self._name.textChanged.connect(self._allow_new)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Enable the button for the suggested name, which does not exist either."""
        super().showEvent(event)
        self._allow_new()

    def _allow_new(self) -> None:
        if self._choose is not None:
            self._choose.setEnabled(True)

    def accept(self) -> None:
        """Confirm the creation of a new folder; report a folder that can't be created."""
        typed = self._name.text().strip() if self._name is not None else ""
        folder = Path(self.directory().absoluteFilePath(typed))
        if typed and not folder.exists():
            if (
                show_question(self, f"Create the folder {folder}?", _CREATE, CANCEL)
                != _CREATE
            ):
                return
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                reason = error.strerror or error
                show_message(self, f"Can't create {folder}: {reason}")
                return
        super().accept()
