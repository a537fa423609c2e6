"""What can be changed of a camera while it films."""

from dataclasses import dataclass
from typing import TypeAlias

Area: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height, px."""
Value: TypeAlias = float | Area | None
"""Of a control; None, where an area is asked for: all of the picture."""
SIZING = frozenset({"crop", "region", "resolution"})
"""Settings that may change the size of the pictures."""


@dataclass(frozen=True, slots=True)
class CameraControl:
    """A setting of an open camera that can be changed from one picture to the next."""

    key: str
    """The field of the camera's class."""
    now: Value
    """What the device says it is; None: it does not say."""
    low: Value = None
    """What can be set, at the least and at the most; None: nobody knows. Of an area, `high`
    is the whole picture."""
    high: Value = None


def fixed_control(_key: str, _value: Value) -> bool:
    """Change nothing: what a camera does that has no controls."""
    return False


def no_controls() -> tuple[CameraControl, ...]:
    """Return none."""
    return ()


def written(value: Value) -> str:
    """Return a value as settings.ini has it.

    >>> written((0, 8, 640, 480)), written(33.333), written(None)
    ('0, 8, 640, 480', '33.333', '')
    """
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:.6g}" if value % 1 else f"{value:.0f}"


def same(now: Value, asked: Value) -> bool:
    """Return whether a device took what it was asked for, but for its rounding."""
    if now is None or asked is None:
        return asked is None
    if isinstance(now, tuple) or isinstance(asked, tuple):
        return now == asked
    return abs(now - asked) <= max(0.005 * abs(asked), 1e-3)
