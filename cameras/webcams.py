"""Which webcams there are."""

import sys
from pathlib import Path

from cameras.camera import Device

_LISTED = Path("/sys/class/video4linux")
_LINKS = Path("/dev/v4l/by-id")
_MOST = 10


def webcams() -> tuple[Device, ...]:
    """Return what Linux lists; elsewhere, what opens of the numbers 0 to 9, in silence."""
    return _listed(_LISTED, _LINKS) if sys.platform == "linux" else _opened()


def _listed(folder: Path, links: Path) -> tuple[Device, ...]:
    """Return the cameras that the kernel knows; none is opened, so none is disturbed.

    A camera is chosen by its own link, where there is one: the numbers change.
    """
    own = {link.resolve().name: link for link in links.glob("*")}
    devices = []
    for node in sorted(folder.glob("video*"), key=lambda node: int(node.name[5:])):
        if (node / "index").read_text().strip() != "0":
            continue  # the same camera again, with metadata in place of pictures
        link = own.get(node.name)
        devices.append(
            Device(
                "Webcam",
                link.name if link else node.name,
                f"SOURCE = {link or node.name.removeprefix('video')}",
                (node / "name").read_text().strip(),
            )
        )
    return tuple(devices)


def _opened() -> tuple[Device, ...]:
    """Return the cameras that give their size; OpenCV says no more of them."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    backend = cv2.CAP_DSHOW if sys.platform == "win32" else cv2.CAP_ANY
    devices = []
    try:
        for number in range(_MOST):
            capture = cv2.VideoCapture(number, backend)
            if capture.isOpened():
                width, height = (
                    int(capture.get(what))
                    for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
                )
                size = (f"{width}×{height}",)
                devices.append(
                    Device("Webcam", str(number), f"SOURCE = {number}", "", size)
                )
            capture.release()
    finally:
        cv2.utils.logging.setLogLevel(level)
    return tuple(devices)
