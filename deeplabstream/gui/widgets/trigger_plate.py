"""Trigger plate: states of triggers and rejected points, painted into the corner of the image."""

from collections.abc import Collection, Sequence

from PyQt5.QtCore import QPointF, QRectF
from PyQt5.QtGui import QColor, QPainter

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import is_rejected
from deeplabstream.gui.theme import AMBER, BLUE, GREEN, GREY, RED
from deeplabstream.gui.widgets.frame_overlay import draw_tag

_MOST = 7
_LINE = 24.0
_STATES = {True: ("true", GREEN), False: ("false", BLUE), None: ("unknown", GREY)}
_PREFIX = "[Trigger "
Line = tuple[str, str]
"""Text and colour of a line."""


def lines_of(step: Step, drawn: Collection[str] = ()) -> list[Line]:
    """Return states of triggers and rejected points of a frame.

    Triggers in `drawn` are left out, as the colour of their zone shows the state, unless
    the state is held.
    """
    found: list[Line] = []
    for name, answer in step.triggers.items():
        held = f"{_PREFIX}{name}]" in step.flags
        if name in drawn and not held:
            continue
        text, colour = _STATES[answer]
        found.append((f"{name}: {text}{', held' if held else ''}", colour))
    found += _tracking_lines(step)
    if (more := len(found) - _MOST) > 0:
        found = [*found[: _MOST - 1], (f"and {more + 1} more", GREY)]
    return found


def _tracking_lines(step: Step) -> list[Line]:
    """Return lines on points that [Tracking] has rejected, held or predicted."""
    points = {
        name: flag for name, flag in step.flags.items() if not name.startswith("[")
    }
    rejected = {
        name: "jump" if "jump" in flag else "bone"
        for name, flag in points.items()
        if is_rejected(flag)
    }
    held = [name for name, flag in points.items() if "held" in flag]
    found: list[Line] = []
    if rejected:
        text = _names_text([f"{name} ({why})" for name, why in rejected.items()])
        found.append((f"rejected: {text}", RED))
    if held:
        found.append((f"held: {_names_text(held)}", AMBER))
    if any("predicted" in flag for flag in points.values()):
        found.append(("points are predicted", GREY))
    return found


def _names_text(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def draw_lines(painter: QPainter, image: QRectF, lines: Sequence[Line]) -> None:
    """Write lines into the lower left corner of the image, the last one lowest."""
    for place, (text, colour) in enumerate(reversed(lines)):
        bottom = image.bottom() - 10 - place * _LINE
        draw_tag(painter, QPointF(image.left() + 10, bottom), text, QColor(colour))
