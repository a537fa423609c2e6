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
"""Time after which a driver that does not answer is no longer waited for."""

_left: list[QThread] = []
"""Threads blocked by a driver: Qt aborts the program when a running thread is deleted."""


def leave(thread: QThread) -> None:
    """Wait for the end of a thread; keep a reference to one that a driver blocks."""
    thread.wait(PATIENCE_MS)
    _left[:] = [other for other in (*_left, thread) if not other.isFinished()]


class CameraFinder(QThread):
    """Lists the connected devices of each kind of camera."""

    found = pyqtSignal(object)
    """tuple[Device, ...]: the devices of one kind."""

    def run(self) -> None:
        """List the devices of all kinds; a kind whose package is missing or fails has none."""
        for kind in camera_kinds().values():
            try:
                devices: tuple[Device, ...] = kind.connected_devices()
            except Exception:  # a vendor package can raise any exception
                continue
            self.found.emit(devices)


class CameraPreview(QThread):
    """Opens a camera and emits some of its frames until `finish`."""

    imaged = pyqtSignal(object, int)
    """Image and its number."""
    opened = pyqtSignal(str)
    """Description of the format that the camera delivers."""
    failed = pyqtSignal(str)
    """Why it can't be opened or read."""

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self._camera = camera
        self._over = Event()

    def finish(self) -> None:
        """Close the camera and wait for it; no further signal is emitted."""
        self._over.set()
        self.disconnect()
        leave(self)

    def run(self) -> None:
        """Read frames until `finish`."""
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


def section_of(device: Device) -> dict[str, str]:
    """Return the keys of a camera's section that select a device."""
    key, _, value = device.choose.partition("=")
    return {"KIND": device.kind, key.strip(): value.strip()}


def camera_of(section: Mapping[str, str]) -> Camera:
    """Return the camera that a section with these keys describes, or raise SettingsError."""
    return parse(RigChoices(camera=section).text(), Path.cwd()).cameras[CAMERA]


def camera_kinds() -> Mapping[str, type[Camera]]:
    """Return the kinds of cameras by their KIND."""
    package = plugin_package("cameras")
    return discover(package, Camera).classes  # type: ignore[type-abstract]
