"""Dialog of all analysis options: limits, thresholds, gaps, regions, head."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic.fields import FieldInfo
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

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.settings.option_fields import option_fields

_DRAWN = {"regions", "points"}
"""Options that are edited elsewhere on the page."""
_SIZE = (520, 560)
_OPTIONS = option_fields(AnalysisOptions)


class OptionsDialog(QDialog):
    """Edits options; `chosen` has the values that differ from the defaults."""

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

        content = QWidget()
        form = QFormLayout(content)
        for name, option in _OPTIONS.items():
            if name in _DRAWN or name in left_out:
                continue
            self.fields[name] = field = _field(option, chosen.get(name, option.default))
            text = option.description or ""
            field.setToolTip(f"{text[:1].upper()}{text[1:]}.")
            label = QLabel(option.title or name)
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
        for name, field in self.fields.items():
            _show(field, _OPTIONS[name].default)

    def _use(self) -> None:
        """Accept the options; an invalid value is reported and the dialog stays open."""
        chosen: dict[str, Any] = {}
        try:
            for name, field in self.fields.items():
                value = _value(name, _OPTIONS[name], field)
                if value != _OPTIONS[name].default:
                    chosen[name] = value
            AnalysisOptions(**chosen)
        except DeepLabStreamError as error:
            self.problem.setText(str(error))
            self.problem.show()
            return
        self.chosen = chosen
        self.accept()


def _field(option: FieldInfo, value: Any) -> QLineEdit | QCheckBox:
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


def _value(name: str, option: FieldInfo, field: QLineEdit | QCheckBox) -> Any:
    """Return the value of a field, or raise DeepLabStreamError if it is not a number."""
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
        raise DeepLabStreamError(f"{name} = {text}: expected a number") from None
