"""Live display: images and rates of a rig, for the application and the previews."""

from time import perf_counter_ns

from PyQt5.QtWidgets import QVBoxLayout, QWidget

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.session_state import Counts, Phase, SessionState
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.live_figures import Figures, TileFigures
from deeplabstream.gui.trails import Trail
from deeplabstream.gui.widgets.frame_overlay import Painted
from deeplabstream.gui.widgets.status_bar import StatusLine
from deeplabstream.gui.widgets.video_view import VideoGrid

_TICKS_PER_READING = 8


class Display(QWidget):
    """Shows images and figures of a session."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self.grid = VideoGrid(
            bridge.session.cameras, trigger_shapes_of(bridge.session.settings)
        )
        self.line = StatusLine()
        self._figures = Figures(bridge.session.cameras[0])
        self._tiles = {camera: TileFigures() for camera in bridge.session.cameras}
        self._ticks = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.grid, 1)
        column.addWidget(self.line)
        bridge.stepped.connect(self._take_steps)
        bridge.imaged.connect(self._show_image)
        bridge.status_changed.connect(self._show_status)
        bridge.ticked.connect(self._tick)
        self._show_status(bridge.session.state)

    def paint_as(self, painted: Painted) -> None:
        """Use the optional overlays that are switched on."""
        for view in self.grid.views.values():
            view.trail = (view.trail or Trail()) if painted.shows("trails") else None
            view.states = painted.shows("states")
            view.update()

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        self._figures.add(steps)
        for step in steps:
            trail = self.grid.views[step.camera].trail
            if trail is not None:
                trail.add(step, self._bridge.session.state.thresholds.of(step.camera))

    def _show_image(self, frame: Frame, step: Step | None) -> None:
        window = self.window()
        if window is not None and window.isMinimized():
            return
        view = self.grid.views[frame.camera]
        view.threshold = self._bridge.session.state.thresholds.of(frame.camera)
        view.levels = self._bridge.session.state.levels
        view.show_image(frame.image, frame.index, step)

    def _show_status(self, status: SessionState) -> None:
        if status.phase is Phase.IDLE:
            self.grid.clear("No stream")
            self.line.clear()
            self._figures.clear()
        elif status.phase is Phase.STARTING:
            self._figures.clear()
            self.grid.clear("Opening the camera …")

    def _tick(self) -> None:
        self._ticks += 1
        rig = self._bridge.session
        if self._ticks % _TICKS_PER_READING or rig.state.phase is not Phase.STREAMING:
            return
        known, now_ns = rig.state.counts, perf_counter_ns()
        for camera, tile in self._tiles.items():
            figures = tile.update(now_ns, known.get(camera, Counts()))
            self.grid.views[camera].figures = figures
        counts = known.get(self._figures.camera, Counts())
        reading = self._figures.update(now_ns, counts)
        if rig.state.start_ns:
            self.line.show_time((now_ns - rig.state.start_ns) / 1e9)
        self.line.show_reading(reading, rig.state.provider)
        self.line.show_losses(counts)
        self.line.show_folder(rig.state.run_folder)
