"""Questions to the user; the default answer never loses anything."""

from pathlib import Path

from PyQt5.QtWidgets import QFileDialog, QLabel, QLineEdit, QMessageBox, QWidget

from deeplabstream.files.overwriting import free_path, would_overwrite

REPLACE = "Replace it"
CANCEL = "Cancel"
_CREATE = "Create it"
_WIDTH = 520


def ask(window: QWidget, question: str, *answers: str, default: str = "") -> str:
    """Show a question and return the chosen answer; Esc chooses the last one.

    Enter chooses `default`, where none is given the last one too.
    """
    box = QMessageBox(window)
    box.setWindowTitle("DeepLabStream")
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


def _show_whole(box: QMessageBox) -> None:
    """Give the question room for all its lines: a style sheet makes Qt count too few."""
    for label in box.findChildren(QLabel, "qt_msgbox_label"):
        label.ensurePolished()
        label.setWordWrap(True)
        width = min(_WIDTH, label.fontMetrics().horizontalAdvance(label.text()) + 2)
        label.setMinimumSize(width, label.heightForWidth(width))


class FolderDialog(QFileDialog):
    """Chooses a folder, or makes the one whose name is typed."""

    def __init__(self, window: QWidget, title: str, start: Path) -> None:
        super().__init__(window, title, str(start))
        # The dialogs of some desktops refuse a name that is not there.
        self.setOption(QFileDialog.Option.DontUseNativeDialog)
        self.setOption(QFileDialog.Option.ShowDirsOnly)
        self.setFileMode(QFileDialog.FileMode.Directory)

    def accept(self) -> None:
        """Ask before a folder is made; one that can't be made is told."""
        line = self.findChild(QLineEdit, "fileNameEdit")
        typed = line.text().strip() if line is not None else ""
        folder = Path(self.directory().absoluteFilePath(typed))
        if typed and not folder.exists():
            if ask(self, f"Create the folder {folder}?", _CREATE, CANCEL) != _CREATE:
                return
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                reason = error.strerror or error
                ask(self, f"Can't create {folder}: {reason}", "Close")
                return
        super().accept()


def ask_folder(window: QWidget, title: str, start: Path) -> Path | None:
    """Ask for a folder, new or existing; None: the user cancelled."""
    dialog = FolderDialog(window, title, start)
    chosen = dialog.selectedFiles() if dialog.exec_() else []
    return Path(chosen[0]) if chosen else None


def place_to_write(
    window: QWidget, path: Path, what: str = "", replaceable: bool = True
) -> Path | None:
    """Return where to write instead of over something: asks if `path` is taken.

    `what` says what is there. The default is a free name beside it; with `replaceable`
    the user may replace what is there. None: the user cancelled.
    """
    if not would_overwrite(path):
        return path
    free = free_path(path)
    other = f"Write {free.name}"
    answers = [other, *([REPLACE] if replaceable else []), CANCEL]
    question = what or f"{path} already exists."
    answer = ask(window, question, *answers, default=other)
    return {other: free, REPLACE: path}.get(answer)
