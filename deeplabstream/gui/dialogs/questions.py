"""Questions to the user; the default answer never discards data."""

from collections.abc import Sequence
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtBoundSignal
from PyQt5.QtWidgets import (
    QApplication,
    QInputDialog,
    QLabel,
    QMessageBox,
    QWidget,
)

from deeplabstream.files.overwriting import free_path, would_overwrite
from deeplabstream.gui.dialogs.dialog_input import run_dialog

REPLACE = "Replace it"
CANCEL = "Cancel"
_RUN = "Run them"
_WIDTH = 520


def show_question(
    window: QWidget | None,
    question: str,
    *answers: str,
    default: str = "",
    until: pyqtBoundSignal | None = None,
) -> str:
    """Show a question and return the chosen answer; Esc chooses the last one.

    Enter chooses `default`; without it, the last answer. The signal `until` closes the
    question, as Esc does.
    """
    return _run_box(window, question, answers, default or answers[-1], until=until)


def _run_box(
    window: QWidget | None,
    text: str,
    answers: Sequence[str],
    default: str,
    title: str = "DeepLabStream",
    until: pyqtBoundSignal | None = None,
) -> str:
    box = QMessageBox(window.window() if window is not None else None)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)  # the text may contain file names
    box.setText(text)
    _show_whole(box)
    buttons = {
        name: box.addButton(name, QMessageBox.ButtonRole.ActionRole) for name in answers
    }
    box.setEscapeButton(buttons[answers[-1]])
    box.setDefaultButton(buttons[default])
    if len(answers) == 1:  # a message may be copied
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if until is not None:
        until.connect(box.reject)
    run_dialog(box)
    clicked = box.clickedButton()
    answer = answers[-1] if clicked is None else clicked.text()
    box.deleteLater()
    return answer


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


def show_message(window: QWidget, text: str, title: str = "DeepLabStream") -> None:
    """Show a message until the user closes it."""
    _run_box(window, text, ("OK",), "OK", title)


def input_text(window: QWidget, question: str, text: str = "") -> str | None:
    """Return a text that the user types; None: cancelled."""
    dialog = _input(window, question)
    dialog.setTextValue(text)
    return dialog.textValue() if run_dialog(dialog) else None


def input_number(
    window: QWidget, question: str, value: float, least: float, most: float
) -> float | None:
    """Return a number that the user enters, with two decimals; None: cancelled."""
    dialog = _input(window, question)
    dialog.setInputMode(QInputDialog.InputMode.DoubleInput)
    dialog.setDoubleDecimals(2)
    dialog.setDoubleRange(least, most)
    dialog.setDoubleValue(value)
    return dialog.doubleValue() if run_dialog(dialog) else None


def _input(window: QWidget, question: str) -> QInputDialog:
    dialog = QInputDialog(window.window())
    dialog.setWindowTitle("DeepLabStream")
    dialog.setLabelText(question)
    return dialog


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
