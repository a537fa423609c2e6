"""Outputs panel: state, last acknowledgement and test of each output."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QGridLayout, QLabel, QPushButton

from deeplabstream.core.journal_entries import Acknowledged, Edge
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.panels import Panel

_ACKNOWLEDGEMENT_WIDTH = 92  # px


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
        self.hold(grid)
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
                if (
                    style := plate.style()
                ):  # a style sheet is not evaluated again by itself
                    style.unpolish(plate)
                    style.polish(plate)

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
                if (
                    style := label.style()
                ):  # a style sheet is not evaluated again by itself
                    style.polish(label)
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
