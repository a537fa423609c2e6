"""Theme: a dark and a light palette, and the style sheet of all windows."""

from dataclasses import dataclass
from pathlib import Path

from PyQt5.QtGui import QColor
from PyQt5.QtWidgets import QWidget

BACKGROUND = "#15181d"
TEXT = "#e6e9ee"
BLUE = "#5aa2f0"
GREEN = "#43d17c"
AMBER = "#ffc043"
RED = "#ff6b63"
GREY = "#9aa3b2"
"""Colours painted over images on a dark background, in both styles."""

TEXT_PX = 13
"""Size of text."""
HINT_PX = 12
"""Size of titles, captions, hints and problems: the smallest text of the windows."""


@dataclass(frozen=True)
class Palette:
    """Colours of windows, in a dark or light style."""

    name: str
    background: str
    panel: str
    field: str
    """Background of text fields and lists."""
    raised: str
    hover: str
    line: str
    text: str
    faint: str
    disabled: str
    primary: str
    """Background of buttons that start something."""
    primary_hover: str
    primary_text: str
    blue: str
    green: str
    amber: str
    amber_text: str
    red: str
    grey: str


DARK = Palette(
    name="dark",
    background=BACKGROUND,
    panel="#1e2229",
    field=BACKGROUND,
    raised="#2a2f38",
    hover="#343b47",
    line="#353b46",
    text=TEXT,
    faint="#a6aebc",
    disabled="#7a8392",
    primary="#1f4a7a",
    primary_hover="#275c97",
    primary_text="#ffffff",
    blue=BLUE,
    green=GREEN,
    amber=AMBER,
    amber_text="#1a1406",
    red=RED,
    grey=GREY,
)
LIGHT = Palette(
    name="light",
    background="#eef1f5",
    panel="#ffffff",
    field="#ffffff",
    raised="#f3f5f8",
    hover="#e4e9f0",
    line="#cdd4de",
    text="#1c2430",
    faint="#5b6675",
    disabled="#808a98",
    primary="#1f66b5",
    primary_hover="#2a76cb",
    primary_text="#ffffff",
    blue="#1f66b5",
    green="#127036",
    amber="#a34a08",
    amber_text="#ffffff",
    red="#c2261d",
    grey="#5d6877",
)
PALETTES = {palette.name: palette for palette in (DARK, LIGHT)}

_IMAGES = (Path(__file__).parent / "images").as_posix()
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


class _Current:
    """The current palette; `deeplabstream.gui.application.use_palette` changes it."""

    palette = DARK


def palette() -> Palette:
    """Return the palette in use."""
    return _Current.palette


def choose(name: str) -> Palette:
    """Use the palette of this name from now on; an unknown name is the dark one."""
    _Current.palette = PALETTES.get(name, DARK)
    return _Current.palette


def style_sheet(of: Palette) -> str:
    """Return the style sheet of an application."""
    return f"""
QWidget {{ background: {of.background}; color: {of.text}; font-size: {TEXT_PX}px; }}
QFrame#panel {{ background: {of.panel}; border: 1px solid {of.line}; border-radius: 8px; }}
QFrame#navigation {{ background: {of.panel}; border-right: 1px solid {of.line}; }}
QWidget#clear, QScrollArea {{ background: transparent; border: none; }}
QFrame#panel QLabel, QFrame#panel QCheckBox, QFrame#panel QRadioButton {{
    background: transparent;
}}
QLabel#title {{ color: {of.faint}; font-size: {HINT_PX}px; font-weight: 600; }}
QLabel#heading {{ font-size: 17px; font-weight: 600; background: transparent; }}
QLabel#caption {{ color: {of.faint}; font-size: {HINT_PX}px; background: transparent; }}
QLabel#problem {{ color: {of.red}; font-size: {HINT_PX}px; background: transparent; }}
QLabel#newest {{ font-size: {HINT_PX}px; }}
QLabel#newest[tone="red"] {{ color: {of.red}; }}
QLabel#newest[tone="amber"] {{ color: {of.amber}; }}
QLabel#newest[tone="green"] {{ color: {of.green}; }}
QLabel#newest[tone="blue"] {{ color: {of.blue}; }}
QLabel#value {{ font-size: 14px; font-weight: 600; background: transparent; }}
QLabel#value[tone="amber"] {{ color: {of.amber}; }}
QLabel#value[tone="red"] {{ color: {of.red}; }}
QFrame#tour {{
    background: {of.raised}; border: 2px solid {of.amber}; border-radius: 10px;
}}
QFrame#tour QLabel {{ background: transparent; }}
QFrame#stopWindow {{ background: {of.raised}; border: 2px solid {of.amber}; }}
QFrame#stopWindow QLabel {{ background: transparent; }}
QLabel#banner, QLabel#notice {{
    background: {of.raised}; border: 1px solid {of.amber}; border-radius: 6px;
    padding: 5px 10px;
}}
QLabel#notice {{ padding: 1px 10px; }}
QLabel#busy {{
    background: {of.raised}; border: 1px solid {of.blue}; border-radius: 8px;
    padding: 14px 26px; font-size: 14px;
}}
QLabel#alarm {{
    background: #c2261d; color: white; border: none; border-radius: 6px;
    padding: 1px 10px; font-weight: 600;
}}
QPushButton {{
    background: {of.raised}; border: 1px solid {of.line}; border-radius: 6px;
    padding: 7px 6px; min-height: 18px;
}}
QPushButton:hover:enabled {{ background: {of.hover}; border-color: {of.blue}; }}
QPushButton:focus {{ border-color: {of.blue}; }}
QPushButton:pressed, QPushButton:checked {{
    background: {of.hover}; border-color: {of.blue};
}}
QPushButton[starts="true"]:enabled {{
    background: {of.primary}; border-color: {of.primary_hover}; color: {of.primary_text};
}}
QPushButton[starts="true"]:hover:enabled {{ background: {of.primary_hover}; }}
QPushButton:disabled {{
    color: {of.disabled}; background: {of.panel}; border-color: {of.line};
}}
QPushButton#step:checked {{
    background: {of.primary}; border-color: {of.primary_hover}; color: {of.primary_text};
}}
QPushButton#link {{
    background: transparent; border: none; color: {of.blue}; text-align: left; padding: 0;
    font-size: {TEXT_PX}px;
}}
QPushButton#link:disabled {{ color: {of.faint}; }}
QPushButton#all {{ font-size: 15px; font-weight: 600; min-height: 26px; }}
QPushButton#choose::menu-indicator {{ image: none; width: 0; }}
QPushButton#tile {{ padding: 3px 9px; min-height: 14px; font-size: {HINT_PX}px; }}
QPushButton#page {{
    background: transparent; border: none; border-left: 3px solid transparent;
    border-radius: 0; padding: 11px 6px 11px 9px; text-align: left; color: {of.faint};
}}
QPushButton#page:hover {{ color: {of.text}; background: {of.hover}; }}
QPushButton#page:checked {{
    color: {of.text}; border-left-color: {of.blue}; font-weight: 600;
}}
QPushButton#stop {{
    background: #c2261d; color: white; border: none; border-radius: 8px;
    font-size: 15px; font-weight: 700; min-height: 56px;
}}
QPushButton#stopOne {{
    background: #c2261d; color: white; border: none; border-radius: 6px;
    font-size: 14px; font-weight: 700; min-height: 20px;
}}
QPushButton#stop:hover, QPushButton#stopOne:hover:enabled {{ background: #dd372d; }}
QPushButton#stop:pressed, QPushButton#stopOne:pressed {{ background: #96190f; }}
QLabel#plate {{
    background: {of.raised}; color: {of.faint}; border: 1px solid {of.line};
    border-radius: 6px; padding: 7px 4px; font-weight: 600;
}}
QFrame#panel QLabel#plate {{ background: {of.raised}; }}
QFrame#panel QLabel#plate[on="true"] {{
    background: {of.amber}; color: {of.amber_text}; border-color: {of.amber};
}}
QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox, QDateEdit, QTextEdit, QListView, QTableView,
QTreeView {{
    background: {of.field}; border: 1px solid {of.line}; border-radius: 5px;
    padding: 4px 6px; selection-background-color: {of.primary};
    selection-color: {of.primary_text};
}}
QLineEdit:focus, QComboBox:focus, QSpinBox:focus, QDoubleSpinBox:focus {{
    border-color: {of.blue};
}}
QLineEdit:read-only {{ color: {of.faint}; background: transparent; }}
QLineEdit[wrong="true"], QComboBox[wrong="true"] {{ border: 1px solid {of.red}; }}
QCheckBox::indicator, QRadioButton::indicator {{
    width: 12px; height: 12px; border: 1px solid {of.grey}; background: {of.background};
}}
QCheckBox::indicator {{ border-radius: 3px; }}
QRadioButton::indicator {{ border-radius: 7px; }}
QCheckBox::indicator:checked, QRadioButton::indicator:checked {{
    background: {of.blue}; border-color: {of.blue};
}}
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled {{
    border-color: {of.line};
}}
QComboBox::drop-down, QDateEdit::drop-down {{ border: none; width: 22px; }}
QComboBox::down-arrow, QDateEdit::down-arrow {{ image: url({_IMAGES}/down.svg); }}
QListWidget#clear {{ background: transparent; border: none; padding: 0; }}
QListWidget#clear::item {{ padding: 6px 6px; border-radius: 5px; }}
QListWidget#clear::item:hover {{ background: {of.hover}; }}
QListWidget#clear::item:selected {{
    background: {of.primary}; color: {of.primary_text};
}}
QComboBox QAbstractItemView {{ background: {of.panel}; border: 1px solid {of.line}; }}
QHeaderView::section {{
    background: {of.panel}; color: {of.faint}; border: none; padding: 5px 6px;
    border-bottom: 1px solid {of.line};
}}
QHeaderView {{ background: {of.field}; }}
QTableCornerButton::section {{
    background: {of.panel}; border: none; border-bottom: 1px solid {of.line};
}}
QTableView {{ gridline-color: {of.line}; }}
QMenuBar, QMenu {{ background: {of.panel}; }}
QMenuBar::item {{ background: transparent; padding: 5px 10px; }}
QMenuBar::item:selected, QMenu::item:selected {{ background: {of.hover}; }}
QMenu {{ border: 1px solid {of.line}; }}
QMenu::item {{ padding: 6px 26px 6px 16px; }}
QMenu::item:disabled {{ color: {of.disabled}; }}
QMenu::separator {{ height: 1px; background: {of.line}; margin: 4px 8px; }}
QPlainTextEdit {{ background: transparent; border: none; font-size: {HINT_PX}px; }}
QScrollBar:vertical {{ background: transparent; width: 8px; }}
QScrollBar:horizontal {{ background: transparent; height: 8px; }}
QScrollBar::handle {{ background: {of.line}; border-radius: 4px; }}
QScrollBar::handle:vertical {{ min-height: 24px; }}
QScrollBar::handle:horizontal {{ min-width: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QSlider::groove:horizontal {{ background: {of.line}; height: 4px; border-radius: 2px; }}
QSlider::handle:horizontal {{
    background: {of.blue}; width: 14px; margin: -5px 0; border-radius: 7px;
}}
QProgressBar {{
    background: {of.background}; border: 1px solid {of.line}; border-radius: 5px;
    text-align: center;
}}
QProgressBar::chunk {{ background: {of.primary}; border-radius: 4px; }}
QSplitter::handle {{ background: {of.line}; }}
QToolTip {{ background: {of.raised}; color: {of.text}; border: 1px solid {of.line}; }}
QLabel#qt_msgbox_label, QLabel#qt_msgbox_informativelabel {{ min-width: 440px; }}
"""


_ANIMALS = (
    *("#ffd54a", "#4dd0ff", "#ff8ad8", "#9cff7a"),
    *("#ffa05a", "#b39dff", "#ff6b6b", "#5affd6"),
)


def repolish(widget: QWidget) -> None:
    """Apply the style sheet again: Qt does not when a name or a property changes."""
    if style := widget.style():
        style.unpolish(widget)
        style.polish(widget)


def animal_colour(animal: int) -> QColor:
    """Return the colour of an animal's edges and name, the same in every image."""
    return QColor(_ANIMALS[animal % len(_ANIMALS)])


def bodypart_colour(place: int) -> QColor:
    """Return the colour of a skeleton's body part number `place`."""
    if place < len(_BODYPARTS):
        return QColor(_BODYPARTS[place])
    return QColor.fromHsv(place * 137 % 360, 150, 255)
