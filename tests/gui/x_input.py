"""Input of a user on an X screen: clicks and keys that the X server itself makes (XTEST)."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_ESCAPE = 0xFF1B  # XK_Escape


def why_not() -> str:
    """Return why there is no such input here; empty: there is."""
    if not os.environ.get("DISPLAY"):
        return "needs an X screen"
    try:
        for name in ("libX11.so.6", "libXtst.so.6"):
            ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return ""


class XInput:
    """Mouse and keyboard of an X screen."""

    def __init__(self, display: int, x11: ctypes.CDLL, test: ctypes.CDLL) -> None:
        self._display = ctypes.c_void_p(display)
        self._x11, self._test = x11, test

    def click(self, place: tuple[int, int]) -> None:
        """Click at a place of the screen."""
        self._test.XTestFakeMotionEvent(self._display, -1, *place, 0)
        for pressed in (1, 0):
            self._test.XTestFakeButtonEvent(self._display, 1, pressed, 0)
        self._x11.XFlush(self._display)

    def press_escape(self) -> None:
        """Press Esc in the window that has the keyboard."""
        code = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(_ESCAPE))
        for pressed in (1, 0):
            self._test.XTestFakeKeyEvent(self._display, code, pressed, 0)
        self._x11.XFlush(self._display)


@contextmanager
def x_input() -> Iterator[XInput]:
    """Open the X screen of this process."""
    x11, test = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    try:
        yield XInput(display, x11, test)
    finally:
        x11.XCloseDisplay(ctypes.c_void_p(display))
