"""Board watch: a thread that finds a board in the newest images of the cameras."""

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.frame import Frame, Image, eight_bits
from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.offline.camera_calibration.charuco_board import (
    CharucoBoard,
    fitting_board,
)
from deeplabstream.offline.camera_calibration.live_views import LiveViews

_TOGETHER_NS = 50_000_000
"""Largest difference of times of exposure of images of one moment."""
_PATIENCE_NS = 500_000_000
_REST_S = 0.2
"""Pause after each moment: a few images per second."""
_FOUND, _BARE = (80, 220, 80), (60, 60, 240)  # BGR
_SHADE = 0.3
_NICE = 19
_WAIT_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Views so far, and the images of the newest moment with corners and coverage."""

    views: BoardViews
    images: Mapping[str, Image]
    """By camera: parts without corners are red."""


class BoardWatch(QThread):
    """Finds a board in images that the GUI offers, with the lowest priority."""

    watched = pyqtSignal(object)
    """Watched"""

    def __init__(self, board: CharucoBoard, names: Sequence[str]) -> None:
        super().__init__()
        self._live = LiveViews(board, names)
        self._is_known = False
        self._offered: Queue[dict[str, Frame]] = Queue(1)
        self._collected: dict[str, Frame] = {}
        self._begun_ns = 0
        self._over = threading.Event()

    def offer(self, frame: Frame) -> None:
        """Take a copy of a frame, if none of this moment waits; does not block."""
        if self._offered.full():
            return
        self._collected[frame.camera] = Frame(
            frame.camera,
            frame.index,
            frame.time_ns,
            frame.arrived_ns,
            frame.image.copy(),
        )
        self._begun_ns = self._begun_ns or frame.time_ns
        newest = max(other.time_ns for other in self._collected.values())
        at_once = {
            name: other
            for name, other in self._collected.items()
            if newest - other.time_ns <= _TOGETHER_NS
        }
        # One that gives no images must not hold up the others.
        late = newest - self._begun_ns > _PATIENCE_NS
        if late or len(at_once) == len(self._live.names):
            self._collected, self._begun_ns = {}, 0
            self._offered.put_nowait(at_once)

    def finish(self) -> None:
        """End the thread; no further signal is emitted."""
        self._over.set()
        with suppress(TypeError):  # nothing was connected
            self.watched.disconnect()
        self.wait()

    def run(self) -> None:
        """Find the board until `finish`."""
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._over.is_set():
            try:
                frames = self._offered.get(timeout=_WAIT_S)
            except Empty:
                continue
            self.watched.emit(self.take(frames))
            self._over.wait(_REST_S)

    def take(self, frames: Mapping[str, Frame]) -> Watched:
        """Find the board at one moment."""
        images = {name: eight_bits(frame.image) for name, frame in frames.items()}
        live = self._live
        if not self._is_known:
            live.board = fitting_board(live.board, [*images.values()])
        corners = {name: live.board.find(image) for name, image in images.items()}
        self._is_known |= any(np.isfinite(own).any() for own in corners.values())
        sizes = {
            name: (image.shape[0], image.shape[1]) for name, image in images.items()
        }
        live.add(corners, sizes)
        views = live.views
        covered = dict(zip(views.names, views.covered, strict=True))
        return Watched(
            views,
            {
                name: _drawn(image, covered[name], corners[name])
                for name, image in images.items()
            },
        )


def _drawn(
    image: Image, covered: NDArray[np.bool_], corners: NDArray[np.float64]
) -> Image:
    """Return an image with the corners of the board; parts without any corner are red."""
    height, width = image.shape[:2]
    drawn = np.zeros((height, width, 3), np.uint8)
    drawn[:] = image if image.ndim == 3 else image[..., None]
    bare = cv2.resize(
        np.asarray(~covered, np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
    )
    shaded = drawn * (1 - _SHADE) + np.array(_BARE) * _SHADE
    drawn = np.where(bare[..., None] > 0, shaded, drawn).astype(np.uint8)
    radius = max(2, width // 160)
    for x, y in corners[np.isfinite(corners[:, 0])].tolist():
        cv2.circle(drawn, (round(x), round(y)), radius, _FOUND, -1)
    return drawn
