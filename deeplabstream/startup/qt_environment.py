"""Qt environment: variables, system libraries and screen, checked before Qt starts.

Imports only the standard library, so that programs can import it first. Qt itself can't
check the screen: without one it aborts the process instead of raising.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

_OPENCV_SETS = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
_SCREENLESS = ("offscreen", "minimal", "vnc", "linuxfb", "eglfs")

# A library that PyQt5 loads, and the Debian or Ubuntu package that it comes with.
_ALWAYS = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
}
_FOR_X = {
    "libxcb.so.1": "libxcb1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


def free_qt_of_opencv() -> None:
    """Drop the variables that point Qt to OpenCV's own plug-ins, where PyQt5 aborts.

    `import cv2` sets them, so call this after it and before a `QApplication` is made.
    """
    for name in _OPENCV_SETS:
        if "cv2" in os.environ.get(name, ""):
            del os.environ[name]


def has_screen(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a window can be shown, or drawn off-screen if configured so."""
    if not sys.platform.startswith("linux"):
        return True
    platform = environment.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in _SCREENLESS:
        return True
    wayland = environment.get("WAYLAND_DISPLAY", "")
    folder = environment.get("XDG_RUNTIME_DIR", "")
    if wayland and Path(folder, wayland).exists():
        return True
    display = environment.get("DISPLAY", "")
    return bool(display) and _x_answers(display)


def missing_packages(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the missing Debian packages that Qt needs; empty: none."""
    if not sys.platform.startswith("linux"):
        return ()
    needed = dict(_ALWAYS)
    platform = environment.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform not in _SCREENLESS:
        needed.update(_FOR_X)
    missing = (package for name, package in needed.items() if not _loads(name))
    return tuple(dict.fromkeys(missing))


def why_no_window(environment: Mapping[str, str] = os.environ) -> str:
    """Return why no window can be shown; empty: it can."""
    if not has_screen(environment):
        return "No screen found."
    if missing := missing_packages(environment):
        return (
            "System libraries of the window are missing. Install them with: sudo "
            f"apt-get install -y {' '.join(missing)}"
        )
    return ""


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _x_answers(display: str) -> bool:
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # `missing_packages` names it
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(display.encode(), None)
    answers = not xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return answers
