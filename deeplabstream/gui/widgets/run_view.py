"""Run view: image, poses, timeline and events of one recorded run."""

from datetime import timedelta
from pathlib import Path

import numpy as np
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.engine.trigger_shapes import TriggerShape, trigger_shapes_of
from deeplabstream.gui.run_events import listed_events
from deeplabstream.gui.run_frames import RunFrames
from deeplabstream.gui.run_space import RunSpace, UnreadableSpace
from deeplabstream.gui.space_scene import outlines_in
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.buttons import TICK_MS, PlayButton
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.event_list import EventList
from deeplabstream.gui.widgets.frame_overlay import SpaceOutline
from deeplabstream.gui.widgets.space_view import SpaceView
from deeplabstream.gui.widgets.timeline_view import TimelineView
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.recording.run_review import Review
from deeplabstream.settings.loading import parse

_SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_STREAM, _EXPERIMENT, _LOCAL = "since stream start", "since experiment", "local time"


class RunView(QWidget):
    """Shows a recorded run at the selected time."""

    opened = pyqtSignal(object)
    """Review of the run that is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.review: Review | None = None
        self._requested: Path | None = None
        """The last requested run; results of earlier requests are ignored."""
        self.time_s = 0.0
        self._unrecorded = False
        """Whether the shown time has no image; late images are ignored."""
        self.images = RunFrames()
        self.video = VideoView("")
        self.video.clear("Choose a run")
        self.space: SpaceView | None = None
        """View of the points in space; None: the run has none."""
        self._run_space: RunSpace | None = None
        self.space_problem = QLabel()
        """Why the points in space of the run can't be shown."""
        self.space_problem.setObjectName("problem")
        self.space_problem.setWordWrap(True)
        self.space_problem.hide()
        self.timeline = TimelineView()
        self.clock = QComboBox()
        self.events = EventList(self.clock)
        self.play = PlayButton()
        self.back, self.forth = QPushButton("−1 frame"), QPushButton("+1 frame")
        self.speed, self.camera = QComboBox(), QComboBox()
        self.time_label = Elided()
        self.time_label.setObjectName("caption")
        self._arrange()
        self._connect()

    def clear(self, text: str) -> None:
        """Show a message instead of a run."""
        self.play.stop()
        self.review = self._requested = None
        self.timeline.show_run((), (), 0.0)
        self.events.show_events((), self._time_text)
        self.time_label.setText("")
        self.video.clear(text)
        self._show_space(None)

    def release(self) -> None:
        """Close the files of the run, so that they can be moved."""
        self.play.stop()
        self.images.release()

    def open(self, path: Path) -> None:
        """Read a run and show its first frame."""
        self.clear("Reading …")
        self._requested = path
        if not self.images.isRunning():
            self.images.start()
        self.images.open(path)

    def go_to(self, time_s: float) -> None:
        """Show the frame at a time."""
        run = self.review
        if run is None:
            return
        self.time_s = min(max(0.0, time_s), run.end_s)
        self.timeline.go_to(self.time_s)
        camera = self.camera.currentText()
        if camera in run.cameras:
            row = run.row_at(camera, self.time_s)
            place = run.video_frame_of(camera, row)
            self._unrecorded = place is None
            if place is None:
                self._show_unrecorded(run, camera, row)
            else:
                self.video.figures = ""
                self.images.request((camera, row), *place)
        self.events.go_to(self.time_s)
        shown = self._time_text(self.time_s)
        unit = "" if self.clock.currentText() == _LOCAL else " s"
        self.time_label.setText(f"{shown}{unit}   ({run.end_s:.1f} s in total)")

    def _time_text(self, time_s: float) -> str:
        """Return a time relative to the selected zero."""
        run, zero = self.review, self.clock.currentText()
        if run is None:
            return ""
        if zero == _LOCAL and run.stream_start is not None:
            local = run.stream_start + timedelta(seconds=time_s)
            return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"
        start_s = run.experiment_start_s if zero == _EXPERIMENT else None
        return f"{time_s - (start_s or 0.0):.3f}"

    def _offer_clocks(self, run: Review) -> None:
        """Offer the time zeros that the run has, and keep the selection if possible."""
        shown = self.clock.currentText()
        available = {
            _STREAM: True,
            _EXPERIMENT: run.experiment_start_s is not None,
            _LOCAL: run.stream_start is not None,
        }
        self.clock.blockSignals(True)
        self.clock.clear()
        self.clock.addItems([name for name, known in available.items() if known])
        self.clock.setCurrentText(shown if available.get(shown) else _STREAM)
        self.clock.blockSignals(False)

    def _use_clock(self) -> None:
        self.events.show_times(self._time_text)
        self.go_to(self.time_s)

    def finish(self) -> None:
        """End the thread that reads frames."""
        self.play.stop()
        self.images.finish()

    def _arrange(self) -> None:
        self.speed.addItems([f"{speed:g} ×" for speed in _SPEEDS])
        self.speed.setCurrentIndex(_SPEEDS.index(1.0))
        self.speed.setToolTip("playback speed, relative to real time")
        self.camera.setToolTip("camera that is shown")
        for box in (self.camera, self.clock):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.clock.addItem(_STREAM)
        self.clock.setToolTip(
            "zero of the times: Start Stream, Start Experiment, or a day"
        )
        controls = QHBoxLayout()
        for widget in (self.back, self.play, self.forth, self.speed, self.camera):
            controls.addWidget(widget)
        controls.addWidget(self.time_label, 1)
        left = QVBoxLayout()
        left.setSpacing(8)
        self._images = QHBoxLayout()
        self._images.setSpacing(8)
        self._images.addWidget(self.video, 3)
        left.addLayout(self._images, 1)
        left.addWidget(self.space_problem)
        left.addLayout(controls)
        left.addWidget(self.timeline)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addLayout(left, 5)
        row.addWidget(self.events, 2)

    def _connect(self) -> None:
        self.images.opened.connect(self._show)
        self.images.failed.connect(self.video.clear)
        self.images.decoded.connect(self._take_image)
        self.timeline.sought.connect(self.go_to)
        self.events.sought.connect(self.go_to)
        self.clock.activated.connect(self._use_clock)
        self.camera.currentTextChanged.connect(self._choose_camera)
        self.play.due.connect(self._tick)
        self.back.clicked.connect(lambda: self._step(-1))
        self.forth.clicked.connect(lambda: self._step(1))

    def _show(self, run: Review) -> None:
        if run.folder.path != self._requested:
            return
        with busy(self, "Showing the run …"):
            self._show_review(run)

    def _show_review(self, run: Review) -> None:
        self.review = run
        found = self.images.space
        self._show_space(
            found if found is not None and found.path == run.folder.path else None
        )
        self.timeline.show_run(run.lanes, run.marks, run.end_s)
        self.camera.blockSignals(True)
        self.camera.clear()
        self.camera.addItems(list(run.cameras))
        self.camera.blockSignals(False)
        self._offer_clocks(run)
        self.events.show_events(listed_events(run.events), self._time_text)
        self._choose_camera(self.camera.currentText())
        self.opened.emit(run)

    def _choose_camera(self, camera: str) -> None:
        run = self.review
        if run is None:
            return
        self.video.camera = camera
        if camera not in run.cameras:
            self.video.clear("No poses in this run")
            return
        self.video.space_outlines = self._outlines(camera)
        self.video.threshold = run.folder.thresholds.of(camera)
        self.video.zones = _zones(run, camera)
        self.go_to(run.time_of(camera, run.first_row(camera)))

    def _show_unrecorded(self, run: Review, camera: str, row: int) -> None:
        """Show the pose of a frame that was not recorded, on a black image."""
        step, shape = run.step_of(camera, row), run.shape_of(camera)
        if step is None or shape is None:
            self.video.clear("Not recorded at this time")
            return
        self.video.figures = "not recorded"
        self._show_image((camera, row), np.zeros(shape, np.uint8))

    def _take_image(self, key: tuple[str, int], image: Image | None) -> None:
        if not self._unrecorded:
            self._show_image(key, image)

    def _show_image(self, key: tuple[str, int], image: Image | None) -> None:
        run, (camera, row) = self.review, key
        if run is None or camera not in run.cameras:
            return
        if image is None:
            self.video.clear("Can't decode this frame")
            return
        self.video.levels = run.levels_at(run.time_of(camera, row))
        step = run.step_of(camera, row)
        frame = int(run.cameras[camera].rows["frame"].iat[row])
        self.video.show_image(image, frame, step)
        self._show_moment(run, camera, row)

    def _show_space(self, found: RunSpace | UnreadableSpace | None) -> None:
        """Show the view of the points in space of a run, why there is none, or none."""
        self.space_problem.setVisible(isinstance(found, UnreadableSpace))
        if isinstance(found, UnreadableSpace):
            reason = found.reason
            self.space_problem.setText(f"The points in space can't be shown: {reason}")
            found = None
        self._run_space = found
        if self.space is not None:
            self._images.removeWidget(self.space)
            self.space.deleteLater()
            self.space = None
        if found is not None:
            self.space = SpaceView(found.scene)
            self._images.addWidget(self.space, 2)

    def _outlines(self, camera: str) -> tuple[SpaceOutline, ...]:
        """Return what a camera sees of the triggers in space."""
        found = self._run_space
        if found is None or camera not in found.scene.cameras.names:
            return ()
        return outlines_in(found.scene.shapes, found.scene.cameras.camera(camera))

    def _show_moment(self, run: Review, camera: str, row: int) -> None:
        """Show the points in space at the time of a frame, also in its image."""
        found, view = self._run_space, self.space
        if found is None or view is None:
            return
        time_s = run.time_of(camera, row)
        states = {
            lane.name: lane.at(time_s) for lane in run.lanes if lane.kind == "trigger"
        }
        moment = found.moment_at(
            time_s,
            {
                name: None if state is None else state > 0
                for name, state in states.items()
            },
        )
        self.video.space_answers = None if moment is None else moment.answers
        if moment is None:
            view.clear("no moment at this time")
            return
        view.show_moment(moment)
        self.video.show_reprojection(view.reprojection(moment, camera))

    def _step(self, rows: int) -> None:
        run, camera = self.review, self.camera.currentText()
        if run is None or camera not in run.cameras:
            return
        row = run.row_at(camera, self.time_s) + rows
        row = min(max(0, row), len(run.cameras[camera].rows) - 1)
        self.go_to(run.time_of(camera, row))

    def _tick(self) -> None:
        speed = _SPEEDS[self.speed.currentIndex()]
        self.go_to(self.time_s + speed * TICK_MS / 1000)
        if self.review is None or self.time_s >= self.review.end_s:
            self.play.stop()


def _zones(run: Review, camera: str) -> tuple[TriggerShape, ...]:
    """Return the regions of the run's settings; empty if they are invalid now."""
    try:
        return trigger_shapes_of(
            parse(run.folder.settings_text, run.folder.path), camera
        )
    except (DeepLabStreamError, OSError):
        return ()
