"""The look: colours, and the style sheet that all windows share."""

from PyQt5.QtGui import QColor

BACKGROUND = "#15181d"
PANEL = "#1e2229"
RAISED = "#2a2f38"
LINE = "#353b46"
TEXT = "#e6e9ee"
FAINT = "#8d96a5"
BLUE = "#5aa2f0"
GREEN = "#43d17c"
AMBER = "#ffc043"
RED = "#ff6b63"
GREY = "#9aa3b2"

_BODYPARTS = (
    "#ff5c8a",
    "#4cc9f0",
    "#f9c74f",
    "#80ed99",
    "#c77dff",
    "#ff9e4f",
    "#3ddbd9",
    "#e0e1dd",
)

STYLE = f"""
QWidget {{ background: {BACKGROUND}; color: {TEXT}; font-size: 13px; }}
QFrame#panel {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: 8px; }}
QWidget#clear, QScrollArea {{ background: transparent; border: none; }}
QFrame#panel QLabel {{ background: transparent; }}
QLabel#title {{ color: {FAINT}; font-size: 11px; font-weight: 600; }}
QLabel#caption {{ color: {FAINT}; font-size: 11px; background: transparent; }}
QLabel#value {{ font-size: 14px; font-weight: 600; background: transparent; }}
QPushButton {{
    background: {RAISED}; border: 1px solid {LINE}; border-radius: 6px;
    padding: 7px 6px; min-height: 18px;
}}
QPushButton:hover:enabled {{ background: #343b47; border-color: {BLUE}; }}
QPushButton:focus {{ border-color: {BLUE}; }}
QPushButton:pressed {{ background: #232831; }}
QPushButton[starts="true"]:enabled {{ background: #1f4a7a; border-color: #2f6cad; }}
QPushButton[starts="true"]:hover:enabled {{ background: #275c97; }}
QPushButton:disabled {{ color: #626b79; background: #20242b; border-color: #292e37; }}
QPushButton#link {{
    background: transparent; border: none; color: {BLUE}; text-align: left; padding: 0;
    font-size: 13px;
}}
QPushButton#link:disabled {{ color: {FAINT}; }}
QLabel#plate {{
    background: {RAISED}; color: {FAINT}; border: 1px solid {LINE}; border-radius: 6px;
    padding: 7px 4px; font-weight: 600;
}}
QFrame#panel QLabel#plate {{ background: {RAISED}; }}
QFrame#panel QLabel#plate[on="true"] {{
    background: {AMBER}; color: #1a1406; border-color: {AMBER};
}}
QPlainTextEdit {{ background: transparent; border: none; font-size: 12px; }}
QScrollBar:vertical {{ background: transparent; width: 8px; }}
QScrollBar::handle:vertical {{
    background: {LINE}; border-radius: 4px; min-height: 24px;
}}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; }}
QLabel#qt_msgbox_label, QLabel#qt_msgbox_informativelabel {{ min-width: 440px; }}
"""


def bodypart_colour(place: int) -> QColor:
    """Return the colour of a skeleton's body part number `place`."""
    if place < len(_BODYPARTS):
        return QColor(_BODYPARTS[place])
    return QColor.fromHsv(place * 137 % 360, 150, 255)
