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
_WORDS = {True: ("true", GREEN), False: ("false", BLUE), None: ("unknown", GREY)}
_PREFIX = "[Trigger "
Line = tuple[str, str]
"""A sentence and its colour."""


def lines_of(step: Step, drawn: Collection[str] = ()) -> list[Line]:
    """Return what there is to say of a frame, the gate's part last.

    Triggers that are `drawn`, their zone tells by its colour, are left out unless their
    answer is held.
    """
    found: list[Line] = []
    for name, answer in step.triggers.items():
        held = f"{_PREFIX}{name}]" in step.flags
        if name in drawn and not held:
            continue
        word, colour = _WORDS[answer]
        found.append((f"{name}: {word}{', held' if held else ''}", colour))
    found += _gate(step)
    if (more := len(found) - _MOST) > 0:
        found = [*found[: _MOST - 1], (f"and {more + 1} more", GREY)]
    return found


def _gate(step: Step) -> list[Line]:
    """Return what [Tracking] did to points."""
    points = {
        name: flag for name, flag in step.flags.items() if not name.startswith("[")
    }
    refused = {
        name: "jump" if "jump" in flag else "bone"
        for name, flag in points.items()
        if is_rejected(flag)
    }
    held = [name for name, flag in points.items() if "held" in flag]
    found: list[Line] = []
    if refused:
        words = _names_text([f"{name} ({why})" for name, why in refused.items()])
        found.append((f"refused: {words}", RED))
    if held:
        found.append((f"held: {_names_text(held)}", AMBER))
    if any("predicted" in flag for flag in points.values()):
        found.append(("points are predicted", GREY))
    return found


def _names_text(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def draw_lines(painter: QPainter, image: QRectF, lines: Sequence[Line]) -> None:
    """Write the lines into the lower left corner, the last one lowest."""
    for place, (text, colour) in enumerate(reversed(lines)):
        bottom = image.bottom() - 10 - place * _LINE
        draw_tag(painter, QPointF(image.left() + 10, bottom), text, QColor(colour))
