"""Field editing: what is typed counts before a command runs, and undo follows the focus."""

from PyQt5.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QWidget


def commit_field(window: QWidget) -> None:
    """Take over what is typed in the focused field of `window`, as leaving it would.

    Shortcuts do not move the focus, so a field does not know that it was left.
    """
    field = QApplication.focusWidget()
    if field is None or field.window() is not window.window():
        return
    if isinstance(field, QAbstractSpinBox):
        field.interpretText()
    if isinstance(field, QAbstractSpinBox) or (
        isinstance(field, QLineEdit)
        and not field.isReadOnly()
        and field.hasAcceptableInput()
    ):
        field.editingFinished.emit()


def field_with_undo() -> QLineEdit | None:
    """Return the focused line of text if it has something to undo or redo of its own."""
    field = QApplication.focusWidget()
    if isinstance(field, QLineEdit) and (
        field.isUndoAvailable() or field.isRedoAvailable()
    ):
        return field
    return None
