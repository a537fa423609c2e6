"""Part choice: a button that lists the body parts of the network for a text field."""

from functools import partial

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QLineEdit, QMenu, QPushButton

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.settings_document import Document
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model


class PartsButton(QPushButton):
    """Adds body parts to a text field, and removes them."""

    changed = pyqtSignal()
    """The text was changed."""

    def __init__(self, bridge: Bridge, document: Document, line: QLineEdit) -> None:
        super().__init__("Parts")
        self.bridge, self.document, self.line = bridge, document, line
        self.setToolTip("choose from the body parts of the network")
        menu = QMenu(self)
        menu.aboutToShow.connect(partial(self._list_parts, menu))
        self.setMenu(menu)

    def known_parts(self) -> tuple[str, ...]:
        """Return the body parts of the network; empty: they are not known."""
        skeleton = self.bridge.session.state.skeleton
        settings = self.document.settings
        if skeleton is None and settings is not None:
            try:
                skeleton = load_model_folder(find_model(settings.model)).skeleton
            except DeepLabStreamError:
                return ()
        return () if skeleton is None else skeleton.bodyparts

    def usual_part(self) -> str:
        """Return the first body part, or those of another trigger."""
        if known := self.known_parts():
            return known[0]
        values = self.document.values
        triggers = [title for title in values if title.startswith("Trigger ")]
        used = (values[title].get("BODYPARTS") for title in triggers)
        return next((parts for parts in used if parts), "")

    def _list_parts(self, menu: QMenu) -> None:
        """List the body parts of the network; those of the trigger are ticked."""
        menu.clear()
        has = [part.strip() for part in self.line.text().split(",") if part.strip()]
        for part in self.known_parts():
            if (action := menu.addAction(part)) is not None:
                action.setCheckable(True)
                action.setChecked(part in has)
                action.triggered.connect(partial(self._toggle_part, part))
        if menu.isEmpty() and (action := menu.addAction("no network")) is not None:
            action.setEnabled(False)

    def _toggle_part(self, part: str, chosen: bool) -> None:
        texts = (text.strip() for text in self.line.text().split(","))
        others = [text for text in texts if text and text != part]
        self.line.setText(", ".join([*others, part] if chosen else others))
        self.changed.emit()
