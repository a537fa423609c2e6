"""Questions to the user; the default answer never discards data."""

from pathlib import Path

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QWidget,
)

from deeplabstream.files.overwriting import free_path, would_overwrite

REPLACE = "Replace it"
CANCEL = "Cancel"
_CREATE = "Create it"
_RUN = "Run them"
_WIDTH = 520


def show_question(
    window: QWidget | None, question: str, *answers: str, default: str = ""
) -> str:
    """Show a question and return the chosen answer; Esc chooses the last one.

    Enter chooses `default`; without it, the last answer.
    """
    box = QMessageBox(window)
    box.setWindowTitle("DeepLabStream")
    box.setTextFormat(Qt.TextFormat.PlainText)  # the text may contain file names
    box.setText(question)
    _show_whole(box)
    buttons = {
        text: box.addButton(text, QMessageBox.ButtonRole.ActionRole) for text in answers
    }
    box.setEscapeButton(buttons[answers[-1]])
    box.setDefaultButton(buttons[default or answers[-1]])
    box.exec_()
    clicked = box.clickedButton()
    return answers[-1] if clicked is None else clicked.text()


def confirm_plugins(question: str) -> bool:
    """Ask whether the plug-ins of a rig folder may be run."""
    window = QApplication.activeWindow()
    return show_question(window, question, _RUN, CANCEL) == _RUN


def _show_whole(box: QMessageBox) -> None:
    """Make the label high enough: with a style sheet, Qt underestimates its height."""
    for label in box.findChildren(QLabel, "qt_msgbox_label"):
        label.ensurePolished()
        label.setWordWrap(True)
        width = min(_WIDTH, label.fontMetrics().horizontalAdvance(label.text()) + 2)
        label.setMinimumSize(width, label.heightForWidth(width))


class FolderDialog(QFileDialog):
    """Chooses a folder, or creates the one whose name is typed."""

    def __init__(self, window: QWidget, title: str, start: Path) -> None:
        super().__init__(window, title, str(start))
        # The dialogs of some desktops refuse a folder that does not exist yet.
        self.setOption(QFileDialog.Option.DontUseNativeDialog)
        self.setOption(QFileDialog.Option.ShowDirsOnly)
        self.setFileMode(QFileDialog.FileMode.Directory)

    def accept(self) -> None:
        """Confirm the creation of a new folder; report a folder that can't be created."""
        line = self.findChild(QLineEdit, "fileNameEdit")
        typed = line.text().strip() if line is not None else ""
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
                show_question(self, f"Can't create {folder}: {reason}", "Close")
                return
        super().accept()


def choose_folder(window: QWidget, title: str, start: Path) -> Path | None:
    """Return a folder chosen by the user, new or existing; None: cancelled."""
    dialog = FolderDialog(window, title, start)
    chosen = dialog.selectedFiles() if dialog.exec_() else []
    return Path(chosen[0]) if chosen else None


def place_to_write(
    window: QWidget, path: Path, what: str = "", replaceable: bool = True
) -> Path | None:
    """Return the path to write to; if `path` exists, the user chooses.

    `what` describes the existing file. The default is a free name beside it; with
    `replaceable` the user can replace the file. None: cancelled.
    """
    if not would_overwrite(path):
        return path
    free = free_path(path)
    other = f"Write {free.name}"
    answers = [other, *([REPLACE] if replaceable else []), CANCEL]
    question = what or f"{path} already exists."
    answer = show_question(window, question, *answers, default=other)
    return {other: free, REPLACE: path}.get(answer)
