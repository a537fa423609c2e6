"""Pose preview: a thread that finds the body parts of a network in the newest frame."""

from dataclasses import dataclass
from pathlib import Path
from threading import Condition

from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.gui.camera_preview import leave
from deeplabstream.pose.model.model_opening import open_estimator

_RUNTIME = "cpu"
"""Opened without comparing runtimes, which takes a minute."""
_THREADS = 1
"""Leaves the other cores to the window and the camera."""


@dataclass(frozen=True, eq=False)
class PreviewedPose:
    """A frame and the pose that a network found in it."""

    image: Image
    number: int
    """Number of the frame."""
    pose: Pose
    threshold: float
    """Confidence below which a point counts as not visible."""


class PosePreview(QThread):
    """Opens a network and estimates the pose in the newest frame until `finish`."""

    estimated = pyqtSignal(object)
    """PreviewedPose: the frame and its pose."""
    failed = pyqtSignal(str)
    """Why the network can't be used."""

    def __init__(self, network: Path) -> None:
        super().__init__()
        self._network = network
        self._newest: tuple[Image, int] | None = None
        self._over = False
        self._changed = Condition()

    def put(self, image: Image, number: int) -> None:
        """Estimate the pose in this frame next, in place of an older one."""
        with self._changed:
            self._newest = image, number
            self._changed.notify()

    def finish(self) -> None:
        """End the thread and wait for it; no further signal is emitted."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self.disconnect()
        leave(self)

    def run(self) -> None:
        """Estimate poses until `finish`."""
        try:
            estimator = open_estimator(self._network, _RUNTIME, _THREADS)
            while (frame := self._wait()) is not None:
                image, number = frame
                pose = estimator.estimate([image])[0]
                found = PreviewedPose(image, number, pose, estimator.threshold)
                self.estimated.emit(found)
        except (DeepLabStreamError, OSError, ValueError, RuntimeError) as error:
            self.failed.emit(str(error))

    def _wait(self) -> tuple[Image, int] | None:
        """Return the newest frame; None: the preview is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._newest is not None)
            frame, self._newest = self._newest, None
            return None if self._over else frame
