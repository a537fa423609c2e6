"""Live display: images, figures and run folder of a session, for window and previews."""

import re
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from time import perf_counter_ns

from PyQt5.QtCore import Qt, QUrl, pyqtSignal
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.engine.session.session_state import Counts, Phase, SessionState
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.live_figures import Figures, Reading, TileFigures
from deeplabstream.gui.space_scene import (
    RecentMoments,
    SpaceMoment,
    SpaceTrail,
    outlines_in,
    scene_of,
)
from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.elided_text import ElidedButton
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.frame_overlay import Painted, Trail
from deeplabstream.gui.widgets.space_view import SpaceView
from deeplabstream.gui.widgets.video_view import VideoGrid, VideoView
from deeplabstream.settings.sections import Settings

_FIGURES = (
    "Time",
    "Light",
    "Frame",
    "Camera",
    "Analysed",
    "To decision",
    "To output",
    "Lost",
    "Skipped",
    "Network on",
)
_HIDDEN = ("Light", "Lost", "Skipped")
"""Figures that are hidden while they are unknown, or 0."""
_LEAST = {
    "Time": 46,
    "Light": 86,
    "To decision": 70,
    "To output": 70,
    "Lost": 48,
    "Skipped": 50,
    "Network on": 86,
}  # px
_FOLDER_WIDTH = 164  # px
_SOME_SKIPPED, _MANY_SKIPPED = 0.01, 0.2
"""Shares of skipped frames above which the figure is amber, and red."""
_HELP = {
    "Time": "since Start Stream; also in the log and the run",
    "Light": "phase of the room, and zeitgeber time: hours since lights-on",
    "Frame": (
        "number of the camera's newest frame, from 0; lost frames count, as in the"
        " tables of the run"
    ),
    "Camera": "frames from the camera",
    "Analysed": "frames with a pose",
    "To decision": "from exposure to decision, median of the last second",
    "To output": (
        "from exposure to the last byte written to an output, median of the last second"
        " in which outputs were written"
    ),
    "Lost": (
        "frames lost at the camera (?: the camera can't count them)"
        " / frames missing in the recording"
    ),
    "Skipped": "frames skipped by the analysis because newer ones had arrived",
}
_TICKS_PER_READING = 8


class StatusLine(QFrame):
    """Status bar: figures of the stream, and the run folder."""

    labelling_requested = pyqtSignal(object)
    """Path of the run whose uncertain frames are to be labelled."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.values: dict[str, QLabel] = {}
        self._shown: dict[str, bool] = dict.fromkeys(_HIDDEN, False)
        """Whether a figure that may be hidden is shown."""
        self._figures = {name: self._figure(name) for name in _FIGURES}
        self._queued = 0
        self._folder: Path | None = None
        self.folder = ElidedButton(_FOLDER_WIDTH)
        self.folder.setObjectName("link")
        self.folder.setCursor(Qt.CursorShape.PointingHandCursor)
        self.folder.clicked.connect(self._open_folder)
        self.label = QPushButton()
        self.label.setObjectName("tile")
        self.label.setToolTip(
            "labels the frames of the run about which the network was uncertain"
        )
        self.label.clicked.connect(lambda: self.labelling_requested.emit(self._folder))
        flow = FlowLayout()
        flow.setContentsMargins(14, 5, 14, 5)
        for widget in (*self._figures.values(), self.folder, self.label):
            flow.addWidget(widget)
        self.folder.setMinimumHeight(self._figures["Time"].sizeHint().height())
        self.setLayout(flow)
        self.show_folder(None)
        self.show_queued(0)

    def show_reading(self, reading: Reading, provider: str) -> None:
        """Show rates and latencies."""
        self._set("Frame", "–" if reading.frame is None else str(reading.frame))
        self._set("Camera", f"{reading.camera_rate:.1f} /s")
        self._set("Analysed", f"{reading.analysed_rate:.1f} /s")
        self._set("To decision", _ms(reading.decided_ms))
        if not isnan(reading.written_ms) or isnan(reading.decided_ms):
            self._set(
                "To output", _ms(reading.written_ms)
            )  # without outputs the last value stays
        runtime = re.split("[ ,;]", provider)[0].removesuffix("ExecutionProvider")
        self._set("Network on", runtime or "–")
        self.values["Network on"].setToolTip(
            f"runtime of the network: {provider or '–'}"
        )

    def show_time(self, seconds: float) -> None:
        """Show the time since the start of the stream."""
        minutes, rest = divmod(int(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{minutes:02}:{rest:02}"
        self._set("Time", f"{hours}:{clock}" if hours else clock)

    def show_light(self, light: LightMoment | None) -> None:
        """Show the phase of the room; None: it is not known."""
        self._shown["Light"] = light is not None
        self._set("Light", "–" if light is None else str(light))
        self._show_figures()

    def show_losses(self, counts: Counts) -> None:
        """Show lost and skipped frames since the start of the stream."""
        at_camera = "?" if counts.lost is None else str(counts.lost)
        self._set("Lost", f"{at_camera} / {counts.recording_losses}")
        self._set_tone("Lost", "red" if counts.lost or counts.recording_losses else "")
        self._shown["Lost"] = counts.lost != 0 or counts.recording_losses > 0
        self._shown["Skipped"] = counts.skipped > 0
        self._show_figures()
        self._set("Skipped", str(counts.skipped))
        share = counts.skipped / max(counts.skipped + counts.analysed, 1)
        grave, some = share >= _MANY_SKIPPED, share >= _SOME_SKIPPED
        self._set_tone("Skipped", "red" if grave else "amber" if some else "")

    def _show_figures(self) -> None:
        """Show the figures; the light only if it is known, losses if there are or may be some."""
        for name, figure in self._figures.items():
            figure.setVisible(not self._queued and self._shown.get(name, True))

    def show_folder(self, folder: Path | None) -> None:
        """Show the run folder."""
        self._folder = folder
        self.folder.setEnabled(folder is not None)
        self.folder.setText("no run yet" if folder is None else folder.name)
        self.folder.setToolTip("" if folder is None else f"open {folder}")

    def show_queued(self, count: int) -> None:
        """Show a button to label this number of uncertain frames; 0: hide it.

        Without a stream the figures are empty, so they are hidden to make room.
        """
        self._queued = count
        self._show_figures()
        self.label.setText(f"Label {count} uncertain frame{'s' * (count != 1)} …")
        self.label.setVisible(count > 0)

    def clear(self) -> None:
        """Clear the figures; the folder of the last run stays."""
        self._shown = dict.fromkeys(_HIDDEN, False)
        self._show_figures()
        for name, label in self.values.items():
            label.setText("–")
            self._set_tone(name, "")

    def _figure(self, name: str) -> QWidget:
        caption, value = QLabel(name), QLabel("–")
        caption.setObjectName("caption")
        value.setObjectName("value")
        caption.setToolTip(_HELP.get(name, ""))
        value.setToolTip(_HELP.get(name, ""))
        value.setMinimumWidth(_LEAST.get(name, 62))
        self.values[name] = value
        figure = QWidget()
        figure.setObjectName("clear")
        column = QVBoxLayout(figure)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(caption)
        column.addWidget(value)
        return figure

    def _set(self, name: str, text: str) -> None:
        if self.values[name].text() != text:
            self.values[name].setText(text)

    def _set_tone(self, name: str, tone: str) -> None:
        """Set the colour of a figure; empty: the default."""
        value = self.values[name]
        if (value.property("tone") or "") != tone:
            value.setProperty("tone", tone)
            repolish(value)

    def _open_folder(self) -> None:
        if self._folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder)))


def _ms(value: float) -> str:
    if isnan(value):
        return "–"
    return f"{value:.1f} ms" if value < 99.95 else f"{value:.0f} ms"


class Display(QWidget):
    """Shows images and figures of a session."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        scene = scene_of(bridge.session.settings)
        self.space = SpaceView(scene) if scene is not None else None
        """View of the pose in space; None: there is no section [Space]."""
        self._space_trail, self._moments = SpaceTrail(), RecentMoments()
        self.grid = VideoGrid(
            bridge.session.cameras,
            trigger_shapes_of(bridge.session.settings),
            [] if self.space is None else [self.space],
        )
        for name, view in self.grid.views.items():
            if scene is not None and name in scene.cameras.names:
                view.space_outlines = outlines_in(
                    scene.shapes, scene.cameras.camera(name)
                )
        self.line = StatusLine()
        self._figures = Figures(bridge.session.settings.deciding_camera)
        self._tiles = {camera: TileFigures() for camera in bridge.session.cameras}
        self._ticks = 0
        self._used: Settings | None = None
        """Settings of the stream whose zones are shown; None: they are those of the session."""
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.grid, 1)
        column.addWidget(self.line)
        bridge.stepped.connect(self._take_steps)
        bridge.imaged.connect(self._show_image)
        bridge.status_changed.connect(self._show_status)
        bridge.ticked.connect(self._tick)
        self._show_status(bridge.session.state)

    def replace_images(self, notice: QWidget) -> None:
        """Show a notice in place of the images, for a rig without cameras."""
        self.grid.hide()
        self._column.insertWidget(0, notice, 1)

    def paint_as(self, painted: Painted) -> None:
        """Use the optional overlays that are switched on."""
        for view in self.grid.views.values():
            view.trail = (view.trail or Trail()) if painted.shows("trails") else None
            view.states = painted.shows("states")
            view.reprojects = painted.shows("reprojected")
            view.update()
        if self.space is not None:
            self.space.trails = painted.shows("trails")
            self.space.update()

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        self._figures.add(steps)
        for step in steps:
            trail = self.grid.views[step.camera].trail
            if trail is not None:
                trail.add(step, self._bridge.session.state.thresholds.of(step.camera))
            if step.space is not None:
                self._take_moment(step.space, step.space_triggers)

    def _take_moment(self, pose: SpacePose, answers: Mapping[str, bool | None]) -> None:
        if self.space is None:
            return
        trail = self._space_trail.add(pose.time_ns, pose.points)
        moment = SpaceMoment(pose.skeleton, pose.time_ns, pose.points, answers, trail)
        self._moments.add(moment)
        self.space.show_moment(moment)
        # a frame may be shown before the last frame of its moment has arrived
        for view in self.grid.views.values():
            view.space_answers = answers
            if view.reprojection is None:
                self._reproject(view)

    def _reproject(self, view: VideoView) -> None:
        """Show the pose in space at the time of the frame that a view shows."""
        if self.space is None or view.step is None:
            return
        moment = self._moments.at(view.step.exposed_ns)
        if moment is not None:
            view.show_reprojection(self.space.reprojection(moment, view.camera))

    def _clear_space(self, text: str) -> None:
        self._space_trail.clear()
        self._moments.clear()
        for view in self.grid.views.values():
            view.space_answers = None
        if self.space is not None:
            self.space.clear(text)

    def _show_image(self, frame: Frame, step: Step | None) -> None:
        window = self.window()
        if window is not None and window.isMinimized():
            return
        view = self.grid.views[frame.camera]
        view.threshold = self._bridge.session.state.thresholds.of(frame.camera)
        view.levels = self._bridge.session.state.levels
        view.show_image(frame.image, frame.index, step)
        self._reproject(view)

    def _show_status(self, status: SessionState) -> None:
        used = status.used_settings
        if used is not None and used is not self._used and used.plate.markers:
            # the stream has found the plate, or a new one starts
            self._used = used
            zones = trigger_shapes_of(used)
            for view in self.grid.views.values():
                view.show_zones(zones)
        if not status.analysing:
            streams = status.phase is Phase.STREAMING
            self._clear_space("No analysis" if streams else "No stream")
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
        self.line.show_light(rig.state.light_at(now_ns))
        self.line.show_losses(counts)
        self.line.show_folder(rig.state.run_folder)
