"""System input: Esc and mouse button as the window system has them, read without events.

While a menu of a blocked program is open, X11 sends keys and clicks to that program only; a
key that is pressed in a blocked program waits there, on every system. The state of keys and
buttons can be read all the same on X11 and, for keys, on Windows; on Wayland it cannot.
"""

import ctypes
import os
import sys
from typing import Any, Protocol

_ESCAPE_KEYSYM, _ESCAPE_WINDOWS = 0xFF1B, 0x1B
_BUTTON_1 = 1 << 8
_CARDINAL = 6
_DOWN = 0x8000


class SystemInput(Protocol):
    """State of keyboard and mouse."""

    def escape_is_down(self, programs: tuple[int, ...]) -> bool:
        """Return whether Esc is pressed in a window of one of these processes."""

    def pressed_at(self, window: int) -> tuple[int, int] | None:
        """Return where in a window the left button is pressed, in its pixels.

        None: it is not pressed, or over another window.
        """


class NoSystemInput:
    """State that cannot be read."""

    def escape_is_down(self, programs: tuple[int, ...]) -> bool:
        """Return False: unknown."""
        return False

    def pressed_at(self, window: int) -> tuple[int, int] | None:
        """Return None: unknown."""
        return None


class X11Input:
    """State of an X server's keyboard and mouse, through a connection of its own."""

    def __init__(self, x11: Any, display: int) -> None:
        self._x11, self._display = x11, ctypes.c_void_p(display)
        self._escape = x11.XKeysymToKeycode(
            self._display, ctypes.c_ulong(_ESCAPE_KEYSYM)
        )
        self._pid = x11.XInternAtom(self._display, b"_NET_WM_PID", 0)

    def escape_is_down(self, programs: tuple[int, ...]) -> bool:
        """Return whether Esc is pressed in a window of one of these processes."""
        keys = ctypes.create_string_buffer(32)
        self._x11.XQueryKeymap(self._display, keys)
        if not keys.raw[self._escape // 8] & (1 << self._escape % 8):
            return False
        focus, revert = ctypes.c_ulong(), ctypes.c_int()
        self._x11.XGetInputFocus(
            self._display, ctypes.byref(focus), ctypes.byref(revert)
        )
        return self._process_of(focus.value) in programs

    def pressed_at(self, window: int) -> tuple[int, int] | None:
        """Return where in a window the left button is pressed, in its pixels."""
        root = self._x11.XDefaultRootWindow(self._display)
        at, buttons, _ = self._pointer_in(root)
        if not buttons & _BUTTON_1:
            return None

        # down to the window under the pointer: another one may cover ours
        inside = root
        while inside and inside != window:
            at, _, inside = self._pointer_in(inside)
        if not inside:
            return None
        at, _, _ = self._pointer_in(window)
        return at

    def _pointer_in(self, window: int) -> tuple[tuple[int, int], int, int]:
        """Return the pointer's place in a window, the buttons, and the child under it."""
        root, child = ctypes.c_ulong(), ctypes.c_ulong()
        root_x, root_y, x, y = (ctypes.c_int() for _ in range(4))
        buttons = ctypes.c_uint()
        self._x11.XQueryPointer(
            self._display,
            ctypes.c_ulong(window),
            *map(ctypes.byref, (root, child, root_x, root_y, x, y, buttons)),
        )
        return (x.value, y.value), buttons.value, child.value

    def _process_of(self, window: int) -> int:
        """Return the process of a window; 0: unknown."""
        kind, count, left = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_ulong()
        bits, data = ctypes.c_int(), ctypes.POINTER(ctypes.c_ulong)()
        self._x11.XGetWindowProperty(
            self._display,
            ctypes.c_ulong(window),
            ctypes.c_ulong(self._pid),
            *(ctypes.c_long(0), ctypes.c_long(1), 0, ctypes.c_ulong(_CARDINAL)),
            *map(ctypes.byref, (kind, bits, count, left, data)),
        )
        found = int(data[0]) if data and count.value else 0
        if data:
            self._x11.XFree(data)
        return found


class WindowsInput:
    """State of the keyboard of Windows; open menus of others do not keep clicks there."""

    def __init__(self, user32: Any) -> None:
        self._user32 = user32

    def escape_is_down(self, programs: tuple[int, ...]) -> bool:
        """Return whether Esc is pressed in a window of one of these processes."""
        if not self._user32.GetAsyncKeyState(_ESCAPE_WINDOWS) & _DOWN:
            return False
        pid = ctypes.c_ulong()
        front = ctypes.c_void_p(self._user32.GetForegroundWindow())
        self._user32.GetWindowThreadProcessId(front, ctypes.byref(pid))
        return pid.value in programs

    def pressed_at(self, window: int) -> tuple[int, int] | None:
        """Return None: clicks arrive as events."""
        return None


def open_system_input(platform: str) -> SystemInput:
    """Return the input of this computer; `platform`: the name of Qt's platform plug-in."""
    if sys.platform == "win32":
        from ctypes import WinDLL

        user32 = WinDLL("user32")
        user32.GetForegroundWindow.restype = ctypes.c_void_p
        return WindowsInput(user32)
    if platform != "xcb":
        return NoSystemInput()

    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return NoSystemInput()
    x11.XOpenDisplay.restype = ctypes.c_void_p
    for name in ("XDefaultRootWindow", "XInternAtom"):
        getattr(x11, name).restype = ctypes.c_ulong
    # Xlib ends the process at an error, such as that of a window that is just closed
    x11.XSetErrorHandler(_IGNORE)
    display = x11.XOpenDisplay(os.environ.get("DISPLAY", "").encode() or None)
    return X11Input(x11, display) if display else NoSystemInput()


_IGNORE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
    lambda _display, _error: 0
)
"""Kept: Xlib calls it as long as the process runs."""
