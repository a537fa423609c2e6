"""Camera preview: threads that find the connected cameras and show one of them."""

from collections.abc import Mapping
from pathlib import Path
from threading import Event

import numpy as np
from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.plugins.camera import Camera, Device
from deeplabstream.plugins.discovery import discover, plugin_package
from deeplabstream.settings.loading import parse
from deeplabstream.settings.new_rig import CAMERA, RigChoices

_EVERY_NS = 100_000_000
"""Frames are shown ten times a second."""
PATIENCE_MS = 5000
"""A driver that does not answer is left to itself after so long."""

_left: list[QThread] = []
"""Threads that a driver held up. Qt aborts the program when a running one is deleted."""


def leave(thread: QThread) -> None:
    """Wait for the end of a thread; keep it if a driver holds it up for longer."""
    thread.wait(PATIENCE_MS)
    _left[:] = [each for each in (*_left, thread) if not each.isFinished()]


class CameraFinder(QThread):
    """Asks each kind of camera for the devices that are connected."""

    found = pyqtSignal(object)
    """tuple[Device, ...]: of one kind."""

    def run(self) -> None:
        """Ask all kinds; one whose package is missing or fails has no devices."""
        for kind in camera_kinds().values():
            try:
                devices: tuple[Device, ...] = kind.connected_devices()
            except Exception:  # a vendor's package may fail in any way
                continue
            self.found.emit(devices)


class CameraPreview(QThread):
    """Opens a camera and emits some of its frames until `finish`."""

    imaged = pyqtSignal(object, int)
    """Image and its number."""
    opened = pyqtSignal(str)
    """Format that the camera delivers, in words."""
    failed = pyqtSignal(str)
    """Why it can't be opened or read."""

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self._camera = camera
        self._over = Event()

    def finish(self) -> None:
        """Close the camera, and wait until it is closed; nothing is emitted any more."""
        self._over.set()
        self.disconnect()
        leave(self)

    def run(self) -> None:
        """Read until the end."""
        try:
            self._read()
        except (DeepLabStreamError, OSError, ValueError, RuntimeError) as error:
            if not self._over.is_set():
                self.failed.emit(str(error))

    def _read(self) -> None:
        clock, shown_ns = SystemClock(), 0
        with self._camera.opened() as stream:
            self.opened.emit(str(stream.format))
            image = np.empty(stream.format.shape, stream.format.dtype)
            while not self._over.is_set():
                frame = stream.read(image)
                if frame is None:
                    return
                now_ns = clock.now_ns()
                if frame.index >= 0 and now_ns - shown_ns >= _EVERY_NS:
                    shown_ns = now_ns
                    self.imaged.emit(image.copy(), frame.index)


def words_of(device: Device) -> dict[str, str]:
    """Return the keys of a camera's section that select a device."""
    key, _, word = device.choose.partition("=")
    return {"KIND": device.kind, key.strip(): word.strip()}


def camera_of(words: Mapping[str, str]) -> Camera:
    """Return the camera that a section with these keys describes; SettingsError: why not."""
    return parse(RigChoices(camera=words).text(), Path.cwd()).cameras[CAMERA]


def camera_kinds() -> Mapping[str, type[Camera]]:
    """Return the kinds of cameras by their KIND."""
    package = plugin_package("cameras")
    return discover(package, Camera).classes  # type: ignore[type-abstract]
