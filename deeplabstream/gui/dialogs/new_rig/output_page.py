"""Output page of the wizard: every kind of output, each with the fields that it needs."""

from dataclasses import replace

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.gui.dialogs.new_rig.rig_page import RigDraft, RigPage
from deeplabstream.gui.suggestions import Suggested, serial_ports, usb_ports
from deeplabstream.gui.widgets.field_editors import Editor, editor_for
from deeplabstream.settings.fields import (
    about_kind,
    is_basic,
    is_shared,
    keys_of,
    label_of,
)
from deeplabstream.settings.loading import kinds_of

_SERIAL, _SIMULATED = "SerialLine", "SimulatedOutput"
_PORT = "PORT"
_LABEL_WIDTH = 150  # px


class PortEditor(Editor):
    """The serial ports that are found, or a name that is typed."""

    def __init__(self) -> None:
        super().__init__()
        self.box, self.again = QComboBox(), QPushButton("Search again")
        self.box.setEditable(True)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.box, 1)
        row.addWidget(self.again)
        self.search()
        self.again.clicked.connect(self.search)
        self.box.currentTextChanged.connect(self._change)

    def search(self) -> None:
        """List the serial ports that exist now."""
        self.offer(serial_ports())

    def offer(self, found: Suggested) -> None:
        """List other ports; the current text stays."""
        shown = self.box.currentText()
        self.box.blockSignals(True)
        self.box.clear()
        for place, (port, about) in enumerate(found.items()):
            self.box.addItem(port)
            self.box.setItemData(place, f"{port}: {about}", Qt.ItemDataRole.ToolTipRole)
        self.box.setCurrentText(shown)
        self.box.blockSignals(False)

    def show_value(self, value: str | None) -> None:
        """Show a port."""
        self.box.setCurrentText(value or "")

    def _change(self, text: str) -> None:
        self.edited.emit(text.strip() or None)


class OutputPage(RigPage):
    """Kind of the output, its fields, and how long it is on."""

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(
            rig,
            "Output",
            "What switches the laser, valve or lamp? SimulatedOutput needs no device.",
        )
        self.kind = QComboBox()
        self.editors: dict[str, Editor] = {}
        """Editors of the shown kind, by key."""
        self.values: dict[str, dict[str, str]] = {}
        """Values that differ from the defaults, by kind and key."""
        self.longest, self.pause = QDoubleSpinBox(), QDoubleSpinBox()
        self.message = QLabel()
        self.more = QPushButton("More settings")
        self._fields, self._folded = QFormLayout(), QFormLayout()
        self._advanced = QWidget()
        self._kinds = kinds_of("Output")
        for name, kind in self._kinds.items():
            self.kind.addItem(f"{name}: {about_kind(kind).rstrip('.')}", name)
        self.choose(_SIMULATED)
        self._arrange()
        self._last_longest_s = self.longest.value()
        self.kind.currentIndexChanged.connect(lambda _: self._show_kind())
        self.more.toggled.connect(self._unfold)
        self.longest.valueChanged.connect(self._change_longest)
        self.pause.valueChanged.connect(self._show_limits)
        self._searched = False
        self._show_kind()
        self._show_limits()

    def _arrange(self) -> None:
        self.message.setWordWrap(True)
        self.kind.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.more.setObjectName("link")
        self.more.setCheckable(True)
        for box, least_s in ((self.longest, 0.1), (self.pause, 0.0)):
            box.setRange(least_s, 3600)
            box.setValue(5)
            box.setSuffix(" s")
            box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.longest.setToolTip(
            "MAX_ON_S: after this time it is switched off in any case"
        )
        self.pause.setToolTip("REST_S: time off after each time on")
        self._advanced.setObjectName("clear")
        self._advanced.setLayout(self._folded)
        self._folded.setContentsMargins(0, 0, 0, 0)
        form = QFormLayout()
        form.addRow(_label("Kind of output"), self.kind)
        times = QFormLayout()
        times.addRow(_label("Longest time on"), self.longest)
        times.addRow(_label("Pause after it"), self.pause)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addLayout(self._fields)
        column.addWidget(self.more)
        column.addWidget(self._advanced)
        column.addLayout(times)
        column.addWidget(self.message)
        column.addWidget(self.problem)
        column.addStretch(1)

    def initializePage(self) -> None:  # noqa: N802
        """Search when the page is shown for the first time; propose the port of a board."""
        if not self._searched:
            self._searched = True
            self.propose(usb_ports())

    def propose(self, ports: list[str]) -> None:
        """Propose a serial line on the first of the ports, if there is one."""
        if ports:
            self.values.setdefault(_SERIAL, {})[_PORT] = ports[0]
            self.choose(_SERIAL)
            self._show_kind()

    @property
    def chosen(self) -> str:
        """The chosen KIND."""
        return str(self.kind.currentData())

    def choose(self, kind: str) -> None:
        """Choose a KIND."""
        self.kind.setCurrentIndex(self.kind.findData(kind))

    @property
    def port(self) -> PortEditor:
        """The editor of the serial port; KeyError: the chosen kind has none."""
        editor = self.editors[_PORT]
        assert isinstance(editor, PortEditor)  # noqa: S101
        return editor

    def is_folded(self, key: str) -> bool:
        """Return whether a key is shown by *More settings* only."""
        return self.editors[key].parentWidget() is self._advanced

    def take(self) -> str:
        """Take the output; return the problems of its settings."""
        kind = self.chosen
        self.rig.choices = replace(
            self.rig.choices,
            output={"KIND": kind, **self.values.get(kind, {})},
            max_on_s=self.longest.value(),
            rest_s=self.pause.value(),
        )
        try:
            self.rig.settings()
        except SettingsError as error:
            return "\n".join(error.problems)
        return ""

    def _show_kind(self) -> None:
        """Show the fields of the chosen kind: what it needs, the others folded."""
        name = self.chosen
        kind = self._kinds[name]
        self.kind.setToolTip(
            f"KIND: how the output is switched\n{self.kind.currentText()}"
        )
        for form in (self._fields, self._folded):
            while form.rowCount():
                form.removeRow(0)
        self.editors.clear()
        for key, (field, info) in keys_of(kind).items():
            if is_shared(kind, field):  # of all outputs: on the page Settings
                continue
            serial = key == _PORT and info.annotation is str
            editor = PortEditor() if serial else editor_for(info, None)
            tip = f"{key}\n{info.description or ''}".strip()
            for widget in (editor, *editor.findChildren(QComboBox)):
                widget.setToolTip(tip)
            editor.show_value(self.values.get(name, {}).get(key))
            editor.edited.connect(lambda value, key=key: self._take_value(key, value))
            self.editors[key] = editor
            form = self._fields if is_basic(kind, field, info) else self._folded
            label = _label(label_of(key, info))
            label.setToolTip(editor.toolTip())
            form.addRow(label, editor)
        self.more.setVisible(self._folded.rowCount() > 0)
        self._unfold(self.more.isChecked())

    def _take_value(self, key: str, value: str | None) -> None:
        values = self.values.setdefault(self.chosen, {})
        values.pop(key, None)
        if value is not None:
            values[key] = value

    def _unfold(self, shown: bool) -> None:
        self._advanced.setVisible(shown and self._folded.rowCount() > 0)
        self.more.setText("Fewer settings" if shown else "More settings")

    def _change_longest(self, longest_s: float) -> None:
        """Keep the pause equal to the longest time on until it is set to another value."""
        if self.pause.value() == self._last_longest_s:
            self.pause.setValue(longest_s)
        self._last_longest_s = longest_s
        self._show_limits()

    def _show_limits(self) -> None:
        longest, pause = f"{self.longest.value():g} s", f"{self.pause.value():g} s"
        self.message.setText(
            f"On at most {longest}, then at least {pause} off, also while the trigger is true."
            if self.pause.value()
            else f"No pause: after {longest} it is switched on again at once while the "
            "trigger is true, so it is on almost without a break."
        )


def _label(text: str) -> QLabel:
    """Return a label; all have one width, as the fields are in several layouts."""
    label = QLabel(text)
    label.setFixedWidth(_LABEL_WIDTH)
    label.setWordWrap(True)
    return label
