"""Input of a user on an X screen: clicks and keys that the X server itself makes (XTEST)."""

import ctypes
import os
from collections.abc import Callable, Iterator
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

    @contextmanager
    def clicking(self, place: tuple[int, int]) -> Iterator[None]:
        """Hold the left button at a place of the screen."""
        self._test.XTestFakeMotionEvent(self._display, -1, *place, 0)
        with self._holding(self._test.XTestFakeButtonEvent, 1):
            yield

    @contextmanager
    def pressing_escape(self) -> Iterator[None]:
        """Hold Esc, in the window that has the keyboard."""
        code = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(_ESCAPE))
        with self._holding(self._test.XTestFakeKeyEvent, code):
            yield

    @contextmanager
    def _holding(self, fake: Callable[..., object], code: int) -> Iterator[None]:
        fake(self._display, code, 1, 0)
        self._x11.XFlush(self._display)
        try:
            yield
        finally:
            fake(self._display, code, 0, 0)
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
