"""Use-live tab: networks of the rig with their errors and times, and MODEL in the settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PyQt5.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.dialogs.network_preview import NetworkPreviewWindow
from deeplabstream.gui.model_list import Found, found_models
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.settings.loading import check_against

_COLUMNS = ("network", "input", "body parts", "held-out error, px", "licence")


class UsingTab(QWidget):
    """Lists the networks; the selected one can be written to the settings."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.found: list[Found] = []
        self.table = QTableWidget(0, len(_COLUMNS))
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.preview = QPushButton("Preview …")
        self.preview.setToolTip(
            "points of each network on the image of the camera. Stop the stream first."
        )
        self.use = QPushButton("Use live")
        self.use.setProperty("starts", True)
        self.use.setToolTip("writes MODEL to the settings; comments stay")
        self._arrange()
        self.table.itemSelectionChanged.connect(self._show_state)
        self.use.clicked.connect(lambda: self.use_selected())
        self.preview.clicked.connect(lambda: self.show_preview())
        document.changed.connect(self._mark)
        document.saved.connect(self._take_saved)

    def refresh(self) -> None:
        """Update the list of networks."""
        row = self.table.currentRow()
        chosen = self.found[row].path if 0 <= row < len(self.found) else self.in_use
        self.found = found_models(models_of(self.document))
        self.table.setRowCount(len(self.found))
        for row, model in enumerate(self.found):
            for column, text in enumerate((model.label, *_facts(model))):
                item = QTableWidgetItem(text)
                item.setToolTip(f"{model.path}\n{text}")
                self.table.setItem(row, column, item)
        self._mark()
        self.choose(chosen)

    def choose(self, folder: Path | None) -> None:
        """Select the network in a folder."""
        for row, model in enumerate(self.found):
            if folder is not None and model.path.resolve() == folder.resolve():
                self.table.selectRow(row)
        self._show_state()

    @property
    def in_use(self) -> Path | None:
        """The network in use; None: it does not exist."""
        settings = self.document.settings
        try:
            return find_model(settings.model) if settings is not None else None
        except DeepLabStreamError:
            return None

    def use_selected(self) -> None:
        """Write the selected network to the settings."""
        row = self.table.currentRow()
        if 0 <= row < len(self.found):
            folder = self.found[row].path
            self.message.setText("\n".join(use_live(self.document, folder)))

    def follow(self, state: SessionState) -> None:
        """Enable the preview while no stream has the camera; close an open one."""
        idle = state.phase is Phase.IDLE
        self.preview.setEnabled(idle)
        for window in self.findChildren(NetworkPreviewWindow):
            if not idle:
                window.close()

    def show_preview(self) -> None:
        """Show the points of the networks on the frames of the deciding camera."""
        settings = self.document.settings
        if settings is None:
            self.message.setText("Fix the settings first: they name the camera.")
            return
        camera = settings.cameras[settings.deciding_camera]
        row = self.table.currentRow()
        first = self.found[row].path if 0 <= row < len(self.found) else self.in_use
        folders = [model.path for model in self.found]
        window = NetworkPreviewWindow(folders, first, camera, self)
        window.used.connect(self._use_previewed)
        window.show()

    def _use_previewed(self, folder: Path) -> None:
        self.choose(folder)
        self.use_selected()

    def _arrange(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(list(_COLUMNS))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        if (header := table.horizontalHeader()) is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        if (side := table.verticalHeader()) is not None:
            side.hide()
        panel = Panel("Networks")
        panel.column.addWidget(table, 1)
        panel.column.addWidget(self.message)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.preview)
        buttons.addWidget(self.use)
        panel.column.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(panel)

    def _mark(self) -> None:
        """Show the network in use in bold."""
        in_use = self.in_use
        for row, model in enumerate(self.found):
            if (item := self.table.item(row, 0)) is not None:
                font = item.font()
                font.setBold(in_use is not None and in_use == model.path)
                item.setFont(font)
        if not self.message.text() and in_use is not None:
            self.message.setText(f"The settings use {in_use.name}.")

    def _take_saved(self) -> None:
        self.message.clear()
        self._mark()

    def _show_state(self) -> None:
        self.use.setEnabled(self.table.currentRow() >= 0)


def models_of(document: Document) -> Path:
    """Return the folder `models/` beside the settings."""
    return document.path.parent / "models"


def use_live(document: Document, folder: Path) -> list[str]:
    """Write a network to the settings; return a confirmation and its problems."""
    settings = document.settings
    if settings is not None and _is_model(settings.model, folder):
        return [f"The settings use {folder.name} already."]
    beside = folder.parent.resolve() == models_of(document).resolve()
    word = folder.name if beside else str(folder)
    document.set_value("Pose Estimation", "MODEL", word)
    skeleton, settings = skeleton_of(folder), document.settings
    problems = check_against(settings, skeleton) if settings and skeleton else ()
    return [f"Now using {word}. Save to keep it.", *problems]


def _is_model(word: str, folder: Path) -> bool:
    """Return whether a value of MODEL is the network in a folder."""
    try:
        return find_model(word).resolve() == folder.resolve()
    except DeepLabStreamError:
        return False


def skeleton_of(folder: Path) -> Skeleton | None:
    """Return the skeleton of a network or an ensemble; None: it can't be read."""
    try:
        return load_model_folder(first_of(folder)).skeleton
    except DeepLabStreamError:
        return None


def first_of(folder: Path) -> Path:
    """Return the first network of an ensemble, or the folder of a single network."""
    return next(iter(members(folder)), folder)


def _facts(found: Found) -> tuple[str, ...]:
    try:
        model = load_model_folder(first_of(found.path))
    except DeepLabStreamError as error:
        return (str(error), "", "", "")
    size = f"{model.fitting.width} × {model.fitting.height}"
    parts = ", ".join(model.skeleton.bodyparts)
    return size, parts, _error_of(model), model.licence or "–"


def _error_of(model: ModelFolder) -> str:
    """Return the mean over the body parts of the median error."""
    rows: Any = model.about.get("held_out_error") or ()
    errors = [row.get("median_px") for row in rows if isinstance(row, Mapping)]
    known = [error for error in errors if error is not None]
    return f"{sum(known) / len(known):.1f}" if known else "–"
