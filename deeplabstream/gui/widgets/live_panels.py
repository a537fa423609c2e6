"""Panels of the live page: session, outputs, measures and animals."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import combinations
from types import MappingProxyType

from PyQt5.QtCore import QPoint, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.analysis.measures import MEASURES
from deeplabstream.core.journal_entries import Acknowledged, Edge, Measured
from deeplabstream.core.pose import Thresholds
from deeplabstream.engine.identity_reporting import IdentityState
from deeplabstream.gui.settings_document import SESSION, Document
from deeplabstream.gui.theme import GREY, animal_colour, repolish
from deeplabstream.gui.widgets.buttons import Lamp
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.field_editors import TextField
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.settings.fields import keys_of, label_of
from deeplabstream.settings.subject import Subject

_SUBJECT_KEYS = ("ANIMAL", "GROUP", "EXPERIMENTER")
_FIXED = "Stop the stream to change"
_ACKNOWLEDGEMENT_WIDTH = 92  # px
SHOWN_MEASURES = (
    "distance",
    "mean_speed",
    "immobile_time",
    "region_time",
    "region_entries",
    "region_latency",
    "animal_mean_distance",
    "contact_time",
    "contacts",
    "stimuli",
    "on_time",
)
"""Measures that are shown."""
_MEASURES = {measure.name: measure for measure in MEASURES}
_VALUE_WIDTH = 62  # px
_MOST_COLUMNS = 4
"""Largest number of animals beside each other; the panel has no room for more."""


class SubjectPanel(Panel):
    """Edits values of `[Session]` for the next run, until its experiment starts.

    The values are saved in run.json, not in the settings file.
    """

    def __init__(self, document: Document) -> None:
        super().__init__(SESSION)
        self.document = document
        self.lines: dict[str, TextField] = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        for column, key in enumerate(_SUBJECT_KEYS):
            info = keys_of(Subject)[key][1]
            caption, line = QLabel(label_of(key, info)), TextField()
            caption.setObjectName("caption")
            line.setToolTip(_help(key))
            line.editingFinished.connect(partial(self._take, key))
            grid.addWidget(caption, 0, column)
            grid.addWidget(line, 1, column)
            self.lines[key] = line
        self.fixed = QLabel(_FIXED)
        """Shown while some fields can't be changed."""
        self.fixed.setObjectName("caption")
        self.fixed.hide()
        self.column.addLayout(grid)
        self.column.addWidget(self.fixed)
        document.changed.connect(self._refresh)
        self._refresh()

    def show_fixed(self, fixed: Collection[str]) -> None:
        """Enable the fields, except those that can't be changed during this stream."""
        any_fixed = False
        for key, line in self.lines.items():
            is_fixed = keys_of(Subject)[key][0] in fixed
            any_fixed |= is_fixed
            line.setReadOnly(is_fixed)
            reason = f"{_FIXED}. " if is_fixed else ""
            line.setToolTip(f"{reason}{_help(key)}")
        self.fixed.setVisible(any_fixed)

    def _refresh(self) -> None:
        for key, line in self.lines.items():
            if line.text() != (value := self.document.subject_value(key)):
                line.setText(value)

    def _take(self, key: str) -> None:
        value = " ".join(self.lines[key].text().split())
        if value != self.document.subject_value(key):
            self.document.set_subject(key, value)


def _help(key: str) -> str:
    return f"{keys_of(Subject)[key][1].description}; saved with the run"


class OutputsPanel(Panel):
    """State, last acknowledgement and test button of each output."""

    tested = pyqtSignal(str)
    """Name of an output to test."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("Outputs")
        grid = QGridLayout()
        grid.setSpacing(6)
        grid.setColumnStretch(0, 1)
        self.plates = {name: Elided(name) for name in names}
        self.acknowledgements = {name: QLabel() for name in names}
        """Labels with the last acknowledgement or write, by output."""
        self.tests = {name: QPushButton("Test") for name in names}
        for row, (name, plate) in enumerate(self.plates.items()):
            plate.setObjectName("plate")
            plate.setAlignment(Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(plate, row, 0)
            self.acknowledgements[name].setObjectName("caption")
            self.acknowledgements[name].setFixedWidth(_ACKNOWLEDGEMENT_WIDTH)
            grid.addWidget(self.acknowledgements[name], row, 1)
            self.tests[name].setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.tests[name].setToolTip("one short pulse; not while an experiment runs")
            self.tests[name].clicked.connect(partial(self._emit_test, name))
            grid.addWidget(self.tests[name], row, 2)
        self.column.addLayout(grid)
        if not names:  # without a parent it would open as a window and take the focus
            self.hide()
        self._shown: dict[str, float] = {}
        self.show_levels({})
        self.show_answers({}, {}, 0)

    def allow_tests(self, allowed: bool) -> None:
        """Enable or disable the test buttons."""
        for button in self.tests.values():
            button.setEnabled(allowed)

    def _emit_test(self, name: str, _checked: bool = False) -> None:
        self.tested.emit(name)

    def show_levels(self, levels: Mapping[str, float]) -> None:
        """Show the level of each output; a missing one is off."""
        for name, plate in self.plates.items():
            level = levels.get(name, 0.0)
            if self._shown.get(name) != level:
                self._shown[name] = level
                plate.setText(f"{name}  {level:.0%}" if 0 < level < 1 else name)
                plate.setProperty("on", level > 0)
                repolish(plate)

    def show_answers(
        self,
        edges: Mapping[str, Edge],
        acknowledged: Mapping[str, Acknowledged],
        now_ns: int,
        failed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Show the last edge, acknowledgement or failure of each output.

        `failed`: why an output can't be used, by output.
        """
        for name, label in self.acknowledgements.items():
            text, tip = _acknowledgement_text(
                edges.get(name), acknowledged.get(name), now_ns
            )
            if name in failed:
                text, tip = "failed", failed[name]
            kind = "problem" if name in failed else "caption"
            if label.objectName() != kind:
                label.setObjectName(kind)
                repolish(label)
            if label.text() != text:
                label.setText(text)
                label.setToolTip(tip)


def _acknowledgement_text(
    edge: Edge | None, answer: Acknowledged | None, now_ns: int
) -> tuple[str, str]:
    if answer is not None:
        after_ms = (answer.acted_ns - answer.sent_ns) / 1e6
        tip = f"the device reports {answer.level:.0%}"
        if answer.cause:
            first, tip = answer.cause, f"{tip} on its own: {answer.cause}"
        elif after_ms:
            first = f"ack {after_ms:.2f} ms"
            tip += f", {after_ms:.2f} ms after the command, by the device's clock"
        else:
            first, tip = "ack", f"{tip} at the end of the commanded duration"
        return f"{first}\n{_ago(now_ns - answer.received_ns)}", tip
    if edge is not None:
        tip = f"set to {edge.level:.0%} ({edge.cause}); this kind does not acknowledge"
        return f"written\n{_ago(now_ns - edge.written_ns)}", tip
    return "not open", "opens with the stream"


def _ago(time_ns: int) -> str:
    seconds = max(0, time_ns) / 1e9
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    minutes = seconds / 60
    return f"{minutes:.0f} min ago" if minutes < 60 else f"{minutes / 60:.0f} h ago"


class MeasuresPanel(Panel):
    """A row for each measure, a column for each animal, during and after an experiment."""

    def __init__(self) -> None:
        super().__init__("Measures")
        self._content = QWidget()
        self.column.addWidget(self._content)
        self.values: dict[tuple[str, str, str], QLabel] = {}
        """Labels by animal (empty: of an output), measure, and region or output."""
        self._shown: Measured | None = None
        self.hide()

    def show_measures(self, measured: Measured | None) -> None:
        """Show the values of an experiment; None: nothing is measured."""
        if measured is self._shown:
            return
        self._shown = measured
        self.setVisible(measured is not None and bool(measured.experiment))
        if measured is None or not measured.experiment:
            return
        shown = [value for value in measured.values if value[1] in SHOWN_MEASURES]
        if [value[:3] for value in shown] != [*self.values]:
            self._arrange([value[:3] for value in shown])
        for animal, measure, of, value in shown:
            text = _measure_text(measure, value, measured.unit)
            self.values[animal, measure, of].setText(text)

    def _arrange(self, keys: Sequence[tuple[str, str, str]]) -> None:
        animals = [*dict.fromkeys(animal for animal, _, _ in keys if animal)]
        content, grid = QWidget(), QGridLayout()
        content.setObjectName("clear")
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        content.setLayout(grid)
        self.values = {key: QLabel("–") for key in keys}
        for first in range(0, max(1, len(animals)), _MOST_COLUMNS):
            self._add_block(grid, animals[first : first + _MOST_COLUMNS], len(animals))
        self._content = _replace(self.column, self._content, content)

    def _add_block(
        self, grid: QGridLayout, animals: Sequence[str], animals_in_all: int
    ) -> None:
        """Add the rows of some animals; of more than two, the values are below the measure."""
        above = animals_in_all > 2
        if animals_in_all > 1:
            row = grid.rowCount()
            for column, animal in enumerate(animals, 1):
                name = Elided(animal)
                name.setFixedWidth(_VALUE_WIDTH)
                name.setAlignment(Qt.AlignmentFlag.AlignRight)
                grid.addWidget(name, row, column)
        of_outputs = animals[:1] == [next(it for it, _, _ in self.values)]
        owners = {*animals, ""} if of_outputs or not animals else {*animals}
        rows: dict[tuple[str, str], int] = {}
        for (animal, measure, of), value in self.values.items():
            if animal not in owners:
                continue
            if (measure, of) not in rows:
                row = grid.rowCount()
                label = Elided(_MEASURES[measure].label_of(of))
                label.setToolTip(f"{measure}: {_MEASURES[measure].definition}")
                grid.addWidget(label, row, 0, 1, 1 + len(animals) * above)
                rows[measure, of] = row + above
            value.setMinimumWidth(_VALUE_WIDTH)
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            column = animals.index(animal) + 1 if animal else 1
            grid.addWidget(value, rows[measure, of], column)


def _replace(column: QVBoxLayout, old: QWidget, new: QWidget) -> QWidget:
    """Put a widget in the place of another one, which is deleted; return it."""
    column.replaceWidget(old, new)
    old.hide()
    old.deleteLater()
    return new


def _measure_text(measure: str, value: float, length: str) -> str:
    """Return a value with its unit, rounded for the panel."""
    if value != value:
        return "–"
    unit = _MEASURES[measure].unit_in(length)
    if unit == "count":
        return f"{value:.0f}"
    if unit == "mm" and value >= 10_000:
        value, unit = value / 1000, "m"
    digits = 1 if unit in ("s", "m") else 0
    return f"{value:.{digits}f} {unit}"


class AnimalsPanel(Panel):
    """A row for each animal, and buttons to swap or confirm names."""

    identity_corrected = pyqtSignal(str, object)
    """Camera, and tuple[str, ...]: the two animals to swap; empty: the names are correct."""

    def __init__(self, cameras: Sequence[str]) -> None:
        super().__init__("Animals")
        self.camera = QComboBox()
        self.camera.addItems(list(cameras))
        if len(cameras) < 2:  # without a parent it would open as a window
            self.camera.hide()
        self.camera.setMinimumWidth(100)  # a long name must not make the panel wider
        self.camera.setToolTip("camera with the animals")
        self.swap = QPushButton("Swap")
        self.confirm_button = QPushButton("Confirm names")
        self.lamps: dict[str, Lamp] = {}
        self.states: dict[str, QLabel] = {}
        self.appearance = QLabel()
        """Which animals look alike, and whose appearance is not known yet."""
        self.appearance.setWordWrap(True)
        self.appearance.setObjectName("caption")
        self._menu = QMenu(self)
        self._rows = QWidget()
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.swap, 1)
        buttons.addWidget(self.confirm_button, 1)
        self.column.addWidget(self.camera)
        self.column.addWidget(self._rows)
        self.column.addWidget(self.appearance)
        self.column.addLayout(buttons)
        self.swap.clicked.connect(self.swap_names)
        self.confirm_button.clicked.connect(self.confirm)
        self.confirm_button.setToolTip(
            "confirms the names as they are; ends all ambiguities (Ctrl+R)"
        )
        self.show_names(())

    def show_names(self, names: Sequence[str]) -> None:
        """Show a row for each animal; hide the panel for fewer than two."""
        self.setVisible(len(names) > 1)
        if tuple(self.lamps) == tuple(names):
            return
        self.lamps = {name: Lamp() for name in names}
        self.states = {name: QLabel("–") for name in names}
        rows = QWidget()
        rows.setObjectName("clear")
        grid = QGridLayout(rows)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(names):
            grid.addWidget(self.lamps[name], row, 0)
            grid.addWidget(Elided(name), row, 1)
            grid.addWidget(self.states[name], row, 2)
        self._rows = _replace(self.column, self._rows, rows)
        self._menu.clear()
        for pair in combinations(names, 2):
            if (action := self._menu.addAction(" and ".join(pair))) is not None:
                action.triggered.connect(partial(self._emit_correction, pair))
        several = len(names) > 2
        self.swap.setText("Swap …" if several else "Swap")
        tip = "of two animals" if several else f"of {' and '.join(names)}"
        self.swap.setToolTip(f"swap the names {tip} (Ctrl+E)")

    def show_identity(
        self,
        known: Mapping[str, IdentityState],
        thresholds: Thresholds,
        shelters: Sequence[str] = (),
    ) -> None:
        """Show the identities of the animals in the selected camera, and their shelter."""
        camera = self.camera.currentText()
        identity = known.get(camera)
        states = {}
        if identity is not None:
            states = identity.states(thresholds.of(camera), shelters)
        for number, (name, lamp) in enumerate(self.lamps.items()):
            state = states.get(name, "–")
            colour = animal_colour(number).name() if state == "known" else ""
            lamp.show_colour(GREY if state.endswith("?") else colour)
            self.states[name].setText(state)
        self._show_appearance("" if identity is None else identity.appearance_problem)
        self.swap.setEnabled(identity is not None)
        self.confirm_button.setEnabled(identity is not None and identity.ambiguous)

    def _show_appearance(self, text: str) -> None:
        if self.appearance.text() != text:
            self.appearance.setText(text)
        self.appearance.setVisible(bool(text))

    def swap_names(self) -> None:
        """Swap the names of two animals; with more than two, a menu offers the pairs."""
        if not self.swap.isEnabled() or not self.isVisible():
            return
        if len(self.lamps) == 2:
            self._emit_correction(tuple(self.lamps))
        else:
            below = QPoint(0, self.swap.height())
            self._menu.popup(self.swap.mapToGlobal(below))

    def confirm(self) -> None:
        """Confirm that the names are correct."""
        if self.confirm_button.isEnabled() and self.isVisible():
            self._emit_correction(())

    def _emit_correction(
        self, swapped: tuple[str, ...], _checked: bool = False
    ) -> None:
        self.identity_corrected.emit(self.camera.currentText(), swapped)
