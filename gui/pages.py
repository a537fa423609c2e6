"""The pages of the window, made when they are first looked at."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from PyQt5.QtWidgets import QWidget

from gui.bridge import Bridge
from gui.document import Document

Maker: TypeAlias = Callable[[Bridge, Document], QWidget]


def _regions(bridge: Bridge, document: Document) -> QWidget:
    from gui.regions_page import RegionsPage

    return RegionsPage(bridge, document)


def _settings(bridge: Bridge, document: Document) -> QWidget:
    from gui.settings_page import SettingsPage

    return SettingsPage(document)


PAGES: Mapping[str, Maker] = {
    "Regions": _regions,
    "Settings": _settings,
}
"""By the name on their button, in their order; `Live` is the window's own."""
