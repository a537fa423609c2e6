"""Dialog of all options of results: limits, thresholds, gaps, regions, head."""

from collections.abc import Collection, Mapping
from dataclasses import Field, fields
from typing import Any

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QCheckBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.analysis.options import AnalysisOptions, descriptions
from deeplabstream.core.errors import DeepLabStreamError

_DRAWN = {"regions", "points"}
"""Options that the page has in another form."""
_SIZE = (520, 560)


class OptionsDialog(QDialog):
    """Edits options as words; `chosen` has those that differ from the defaults."""

    def __init__(
        self, chosen: Mapping[str, Any], left_out: Collection[str], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Options of results – DeepLabStream")
        self.chosen = dict(chosen)
        self.fields: dict[str, QLineEdit | QCheckBox] = {}
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        self.problem.hide()
        content, told = QWidget(), descriptions()
        form = QFormLayout(content)
        for each in fields(AnalysisOptions):
            if each.name in _DRAWN or each.name in left_out:
                continue
            value = chosen.get(each.name, each.default)
            self.fields[each.name] = field = _field(each, value)
            field.setToolTip(told.get(each.name, each.name))
            label = QLabel(each.name.replace("_", " "))
            label.setToolTip(field.toolTip())
            form.addRow(label, field)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.usual, self.use = QPushButton("Defaults"), QPushButton("Use")
        self.use.setProperty("starts", True)
        self.use.setDefault(True)
        cancel = QPushButton("Cancel")
        buttons = QHBoxLayout()
        buttons.addWidget(self.usual)
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.use)
        column = QVBoxLayout(self)
        column.addWidget(area, 1)
        column.addWidget(self.problem)
        column.addLayout(buttons)
        self.resize(*_SIZE)
        self.usual.clicked.connect(self._restore)
        self.use.clicked.connect(self._use)
        cancel.clicked.connect(self.reject)

    def _restore(self) -> None:
        for each in fields(AnalysisOptions):
            if each.name in self.fields:
                _show(self.fields[each.name], each.default)

    def _use(self) -> None:
        """Take the options; one that can't be is told, and the dialog stays."""
        found: dict[str, Any] = {}
        try:
            for each in fields(AnalysisOptions):
                if each.name in self.fields:
                    value = _value(each, self.fields[each.name])
                    if value != each.default:
                        found[each.name] = value
            AnalysisOptions(**found)
        except DeepLabStreamError as error:
            self.problem.setText(str(error))
            self.problem.show()
            return
        self.chosen = found
        self.accept()


def _field(option: "Field[Any]", value: Any) -> QLineEdit | QCheckBox:
    field = QCheckBox() if isinstance(option.default, bool) else QLineEdit()
    if isinstance(field, QLineEdit) and option.default is None:
        field.setPlaceholderText("usual")
    _show(field, value)
    return field


def _show(field: QLineEdit | QCheckBox, value: Any) -> None:
    if isinstance(field, QCheckBox):
        field.setChecked(bool(value))
    elif isinstance(value, tuple):
        field.setText(", ".join(value))
    else:
        field.setText(f"{value:g}" if isinstance(value, float) else str(value or ""))


def _value(option: "Field[Any]", field: QLineEdit | QCheckBox) -> Any:
    """Return the value of a field; DeepLabStreamError: it is no number."""
    if isinstance(field, QCheckBox):
        return field.isChecked()
    text = field.text().strip()
    if isinstance(option.default, tuple):
        return tuple(word.strip() for word in text.split(",") if word.strip())
    if isinstance(option.default, str):
        return text
    if not text:
        return option.default
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise DeepLabStreamError(f"{option.name} = {text}: expected a number") from None
