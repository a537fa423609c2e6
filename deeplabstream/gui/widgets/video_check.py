"""Video check: a video with predicted poses, to play and scrub."""

from pathlib import Path

import numpy as np
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.gui.run_frames import RunFrames
from deeplabstream.gui.widgets.buttons import PlayButton
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.recording.pose_table import PoseTable


class VideoCheck(QDialog):
    """Plays a video with its poses; `poses` has a row for each frame."""

    def __init__(
        self, video: Path, poses: PoseTable, threshold: float, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"{video.name} – DeepLabStream")
        self.video, self.poses = video, poses
        self.view = VideoView(video.stem)
        self.view.threshold = threshold
        self.view.clear("reading …")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, max(0, len(poses) - 1))
        self.slider.setToolTip("frame number, from 0")
        self.play = PlayButton()
        self.least = QPushButton("Next uncertain")
        self.least.setToolTip("goes to the next frame with a point below the threshold")
        self.message = QLabel()
        self.message.setObjectName("caption")
        self.images = RunFrames()
        self._waiting = False
        self._arrange()
        self.images.start()
        self.go_to(0)

    def go_to(self, row: int) -> None:
        """Show a frame."""
        self.slider.setValue(row)
        self._request(row)

    def _arrange(self) -> None:
        foot = QHBoxLayout()
        for widget in (self.play, self.least):
            foot.addWidget(widget)
        foot.addWidget(self.slider, 1)
        foot.addWidget(self.message)
        column = QVBoxLayout(self)
        column.addWidget(self.view, 1)
        column.addLayout(foot)
        self.resize(860, 700)
        self.slider.valueChanged.connect(self._request)
        self.play.due.connect(self._tick)
        self.least.clicked.connect(self._go_to_least)
        self.images.decoded.connect(self._show)
        self.images.failed.connect(self.view.clear)

    def _request(self, row: int) -> None:
        self._waiting = True
        self.message.setText(f"frame {row} of {len(self.poses)}")
        self.images.request(row, self.video, row)

    def _show(self, row: int, image: Image | None) -> None:
        self._waiting = False
        if image is None:
            self.view.clear("Can't decode this frame")
            return
        pose = self.poses.pose(row)
        step = Step(self.view.camera, row, 0, 0, 0, 0, 0, pose, {}, ())
        self.view.show_image(image, row, step)

    def _tick(self) -> None:
        if self.slider.value() >= self.slider.maximum():
            self.play.stop()
        elif not self._waiting:
            self.slider.setValue(self.slider.value() + 1)

    def _go_to_least(self) -> None:
        unsure = (self.poses.confidence < self.view.threshold).any(axis=(1, 2))
        after = np.flatnonzero(unsure)
        after = after[after > self.slider.value()]
        if len(after):
            self.go_to(int(after[0]))
        else:
            self.message.setText("no later frame has a point below the threshold")

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """End the thread that decodes."""
        self.play.stop()
        self.images.finish()
        super().closeEvent(event)
