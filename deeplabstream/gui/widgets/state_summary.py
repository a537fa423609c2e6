"""State summary: lamps for stream, experiment and outputs, beside every page."""

from collections.abc import Mapping

from PyQt5.QtWidgets import QFrame, QGridLayout

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.theme import AMBER, GREEN, RED
from deeplabstream.gui.widgets.buttons import Lamp
from deeplabstream.gui.widgets.elided_text import Elided

_ROWS = ("Stream", "Experiment", "Outputs")


class StateSummary(QFrame):
    """A lamp and a text for the stream, the experiment and the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.lamps = {name: Lamp() for name in _ROWS}
        """Lamps by row."""
        self.texts = {name: Elided(name) for name in _ROWS}
        """Texts that name what runs or is on, by row."""
        grid = QGridLayout(self)
        grid.setContentsMargins(10, 0, 6, 8)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for row, name in enumerate(_ROWS):
            self.texts[name].setObjectName("caption")
            grid.addWidget(self.lamps[name], row, 0)
            grid.addWidget(self.texts[name], row, 1)
        self.show_state(SessionState(), {})

    def show_state(self, state: SessionState, levels: Mapping[str, float]) -> None:
        """Show the state; an output that is missing in `levels` is off."""
        changing = state.phase in (Phase.STARTING, Phase.STOPPING)
        streaming = state.phase is Phase.STREAMING
        self._show("Stream", AMBER if changing else GREEN if streaming else "")
        if state.experimenting:
            self._show("Experiment", GREEN)
        elif state.experiment_starting or state.armed:
            text = "Armed" if state.armed else "Experiment"
            self._show("Experiment", AMBER, text)
        else:
            self._show("Experiment", "")

        on = [name for name, level in levels.items() if level > 0]
        if on:
            # names of several would be elided to a part of one
            names = f"On: {', '.join(on)}"
            text = names if len(on) == 1 else f"{len(on)} outputs on"
            self._show("Outputs", AMBER, text, names)
        elif failed := list(state.failed_outputs):
            self._show("Outputs", RED, f"Failed: {', '.join(failed)}")
        else:
            self._show("Outputs", "", "Outputs off" if streaming else "Outputs")

    def _show(self, row: str, colour: str, text: str = "", whole: str = "") -> None:
        """Show a lamp and a text; `whole` is its tooltip, by default the text."""
        self.lamps[row].show_colour(colour)
        shown = self.texts[row]
        if shown.text() != (text or row):
            shown.setText(text or row)
        shown.setToolTip(whole or text)
