"""Button of the latency test: its form, with the output and the board of the settings."""

from dataclasses import replace

from PyQt5.QtWidgets import QPushButton

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.program_window import FormWindow
from deeplabstream.gui.programs import MEASURE_LATENCY
from deeplabstream.gui.settings_document import Document
from deeplabstream.latency_test.led_rig import wiring_of


class LatencyTestButton(QPushButton):
    """Opens the form of `utils/MeasureLatency.py`; disabled while the rig runs."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__("Measure latency …")
        self.setToolTip(
            "From the camera's exposure to the output, with an LED at a board or a patch on a "
            "screen. Stop the stream first."
        )
        self._bridge, self._document = bridge, document
        self.clicked.connect(self._show_form)
        bridge.status_changed.connect(self._take_status)
        self._take_status(bridge.session.state)

    def _take_status(self, state: SessionState) -> None:
        idle = state.phase is Phase.IDLE
        self.setEnabled(idle)
        for window in self.findChildren(FormWindow):
            window.panel.refuse("" if idle else "The rig is running: stop the stream")

    def _show_form(self) -> None:
        settings = self._bridge.session.settings
        values = {"--settings": [str(self._document.path)]}
        try:
            wiring = wiring_of(settings)
            output = [wiring.output]
            values |= {"--port": [wiring.port]}
        except DeviceError:  # the user fills in what the settings lack
            output = []
        program = replace(
            MEASURE_LATENCY,
            # with a screen, only an output that the user has chosen is switched
            propose=lambda arguments, _: {
                "--output": [] if arguments.get("--screen") else output
            },
        )
        window = FormWindow(program, values, settings.folder / "models", self)
        view = window.view
        for signal in (view.started, view.ended, view.stopped, window.destroyed):
            signal.connect(lambda *_: self._bridge.blockers_changed.emit())
        window.show()
