"""Settings page: the sections of the settings file, with a form for each."""

from collections.abc import Iterator, Mapping
from functools import partial

from PyQt5.QtCore import QEvent, QPoint, Qt, QTimer
from PyQt5.QtGui import QColor, QFont
from PyQt5.QtWidgets import (
    QAction,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.engine.session.session_state import Phase
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.questions import input_text, show_message
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import HINT_PX, palette
from deeplabstream.gui.widgets.connected_cameras import ConnectedCameras
from deeplabstream.gui.widgets.described_menu import add_described
from deeplabstream.gui.widgets.settings_form import (
    FileProblems,
    SettingsForm,
    free_name,
    problems_of,
    show_in,
    unplaced_problems,
    usual_name,
    why_no_name,
)
from deeplabstream.settings import ini_editing
from deeplabstream.settings.fields import about_kind
from deeplabstream.settings.loading import FAMILIES, FIXED, NAMED, kinds_of
from deeplabstream.settings.text_rewriting import with_camera_kind, with_name

_LIST_WIDTH = 270
_TITLE = Qt.ItemDataRole.UserRole
_FILE = "File"
"""Entry of the list for problems that belong to no section."""


class SettingsPage(QWidget):
    """A list of sections, and the form of the selected one."""

    def __init__(self, document: Document, bridge: Bridge | None = None) -> None:
        super().__init__()
        self.document = document
        self._bridge = bridge
        self.list = QListWidget()
        self.form: SettingsForm | None = None
        self.cameras: ConnectedCameras | None = None
        """Connected cameras, in the form of a [Camera NAME]."""
        self.add = QPushButton("Add …")
        self.add.setToolTip("adds a camera, trigger, output or experiment")
        self.add.setMenu(self._kinds_menu())
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(self._remove)
        self.summary = QLabel()
        self.summary.setObjectName("caption")
        self.summary.setWordWrap(True)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._arrange()
        self.list.currentItemChanged.connect(self._choose)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._show_menu)
        document.changed.connect(self._refresh)
        document.checked.connect(self._show_findings)
        if bridge is not None:
            bridge.status_changed.connect(self._close_cameras)
        self._refresh()

    def show_section(self, title: str) -> None:
        """Select a section."""
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(_TITLE) == title:
                self.list.setCurrentRow(row)

    def add_section(self, family: str, kind: str, name: str) -> None:
        """Add a section with only KIND set, and show it."""
        title = f"{family} {name}"
        text = ini_editing.add_section(self.document.text, title, {"KIND": kind})
        self.document.edit(text)
        self.show_section(title)

    def _arrange(self) -> None:
        left = QFrame()
        left.setObjectName("panel")
        left.setFixedWidth(_LIST_WIDTH)
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(left)
        column.setContentsMargins(10, 10, 10, 10)
        column.addWidget(self.list, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.add)
        buttons.addWidget(self.remove)
        column.addLayout(buttons)
        column.addWidget(self.summary)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(self._area, 1)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Mark problems in the colours of another style."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self._refresh()

    def _refresh(self) -> None:
        self._show_list()
        self._choose()

    def _show_findings(self) -> None:
        """Mark sections with problems; text being typed in the form stays."""
        before = self.chosen
        self._show_list()
        if self.form is None or self.chosen != before:
            self._choose()

    def _show_list(self) -> None:
        before = self.chosen
        self.list.blockSignals(True)
        self.list.clear()
        for group, titles in self._groups():
            self._head(group)
            for title in titles:
                self._list(title)
        self.list.setCurrentRow(1)
        self.show_section(before)
        self.list.blockSignals(False)
        count = len(self._problems)
        word = "1 problem" if count == 1 else f"{count} problems"
        self.summary.setText(word if count else "No problems")

    @property
    def _problems(self) -> tuple[str, ...]:
        return (*self.document.problems, *self.document.findings)

    def _groups(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the names of groups with the titles of their sections."""
        if unplaced_problems(self.document):
            yield "Problems", [_FILE]
        yield "General", [*FIXED]
        titles = [title for title in self.document.values if title not in FIXED]
        families = [*FAMILIES, *NAMED]
        for family in families:
            if group := [title for title in titles if _family(title) == family]:
                yield f"{family}s", group
        if unknown := [title for title in titles if _family(title) not in families]:
            yield "Unknown", unknown

    def _head(self, group: str) -> None:
        item = QListWidgetItem(group.upper())
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        font = QFont(self.list.font())
        font.setPixelSize(HINT_PX)
        font.setBold(True)
        item.setFont(font)
        item.setForeground(QColor(palette().faint))
        self.list.addItem(item)

    def _list(self, title: str) -> None:
        wrong = problems_of(self._problems, title)
        problems = [*wrong.values()]
        if title == _FILE:
            problems = unplaced_problems(self.document)
        named = title not in FIXED and _family(title) in (*FAMILIES, *NAMED)
        shown = title.partition(" ")[2] if named else title
        item = QListWidgetItem(f"{shown}  ●" if problems else shown)
        item.setData(_TITLE, title)
        item.setToolTip("; ".join(problems) or f"[{title}]")
        if problems:
            item.setForeground(QColor(palette().red))
        self.list.addItem(item)

    def _choose(self) -> None:
        chosen = self.list.currentItem()
        if chosen is None:
            return
        title = chosen.data(_TITLE)
        self.remove.setEnabled(title not in FIXED and title != _FILE)
        if title == _FILE:
            self._end_cameras()
            self.form = None
            show_in(self._area, FileProblems(self.document))
        elif self.form is None or self.form.title != title or self.form.outdated:
            self._end_cameras()
            self.form = SettingsForm(self.document, title)
            if _family(title) == "Camera":
                self.cameras = ConnectedCameras(self._why_no_camera)
                self.cameras.chosen.connect(self._use_camera)
                self.form.add_panel(self.cameras)
            show_in(self._area, self.form)
        else:
            self.form.refresh()

    def _end_cameras(self) -> None:
        """Close the connected cameras of the form that is replaced."""
        if self.cameras is not None:
            self.cameras.stop()
            self.cameras = None

    def _why_no_camera(self) -> str:
        running = self._bridge is not None and (
            self._bridge.starting or self._bridge.session.state.phase is not Phase.IDLE
        )
        return "The rig uses its cameras: stop the stream first." if running else ""

    def _close_cameras(self) -> None:
        """Close the connected cameras when the rig starts, which opens them."""
        if self.cameras is not None and self.cameras.tiles and self._why_no_camera():
            self.cameras.stop()

    def _use_camera(self, section: Mapping[str, str]) -> None:
        """Write a connected camera to the selected section; its form is then replaced."""
        name = self.chosen.partition(" ")[2]
        text = with_camera_kind(self.document.text, name, dict(section))
        QTimer.singleShot(0, lambda: self.document.edit(text))

    def _show_menu(self, at: QPoint) -> None:
        """Show the menu of a section."""
        item = self.list.itemAt(at)
        title = item.data(_TITLE) if item else None
        if not title or title in FIXED or title == _FILE:
            return
        self.list.setCurrentItem(item)
        menu = QMenu(self)
        for text, do in (
            ("Rename …", self._rename),
            ("Duplicate", self._duplicate),
            ("Remove", self._remove),
        ):
            action = QAction(text, menu)
            action.triggered.connect(lambda _checked, do=do: do())
            menu.addAction(action)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.list.mapToGlobal(at))

    @property
    def chosen(self) -> str:
        """The title of the selected section."""
        item = self.list.currentItem()
        return "" if item is None else str(item.data(_TITLE))

    def _rename(self) -> None:
        old = self.chosen.partition(" ")[2]
        name = input_text(self, f"New name of {old}:", old)
        if name is not None:
            self.rename_section(" ".join(name.split()))

    def rename_section(self, name: str) -> None:
        """Change the NAME of the selected section, also where other sections refer to it."""
        title = self.chosen
        family, _, old = title.partition(" ")
        if name != old and self._accepts(family, name, old):
            text = with_name(self.document.text, title, name)
            if family == "Experiment" and "KIND" not in self.document.values[title]:
                kind = title.partition(" ")[2]  # the former name was the class
                text = ini_editing.set_value(text, f"{family} {name}", "KIND", kind)
            self.document.edit(text)
            self.show_section(f"{family} {name}")

    def _duplicate(self) -> None:
        title = self.chosen
        family, _, old = title.partition(" ")
        name = free_name(self.document, family, old)
        values = dict(self.document.values[title])
        if family == "Experiment":
            values = {"KIND": values.get("KIND", old), **values}
        text = ini_editing.add_section(self.document.text, f"{family} {name}", values)
        self.document.edit(text)
        self.show_section(f"{family} {name}")

    def _kinds_menu(self) -> QMenu:
        menu = QMenu(self)
        for family in FAMILIES:
            kinds = QMenu(family, menu)
            for kind, what in kinds_of(family).items():
                add = partial(self._name_new_section, family, kind)
                add_described(kinds, kind, about_kind(what), "", add)
            menu.addMenu(kinds)
        return menu

    def _name_new_section(self, family: str, kind: str) -> None:
        free = usual_name(self.document, family, kind)
        typed = input_text(self, f"Name of the new {family.lower()}:", free)
        name = " ".join((typed or "").split())
        if typed is not None and self._accepts(family, name):
            self.add_section(family, kind, name)

    def _accepts(self, family: str, name: str, old: str = "") -> bool:
        """Return whether a section can have a NAME; show why not."""
        if why := why_no_name(self.document, family, name, old):
            show_message(self, why)
        return not why

    def _remove(self) -> None:
        title = self.chosen
        family, _, name = title.partition(" ")
        if not title or title in FIXED or title == _FILE:
            return
        text = ini_editing.remove_section(self.document.text, title)
        used = self.document.values.get("Experiment", {}).get("EXP_NAME", "")
        if family == "Experiment" and used == name:
            text = ini_editing.set_value(text, "Experiment", "EXP_NAME", "")
        self.document.edit(text)


def _family(title: str) -> str:
    family, _, name = title.partition(" ")
    return family if name else ""
