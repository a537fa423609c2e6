"""Settings page: everything in the settings file, section by section."""

from functools import partial

from PyQt5.QtCore import QEvent, Qt
from PyQt5.QtGui import QColor
from PyQt5.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.settings_form import (
    SettingsForm,
    names_in,
    problems_of,
    usual_name,
)
from deeplabstream.settings import ini_editing
from deeplabstream.settings.loading import FAMILIES, FIXED, kinds_of

_LIST_WIDTH = 270
_TITLE = Qt.ItemDataRole.UserRole


class SettingsPage(QWidget):
    """A list of sections, and the form of the one that is chosen."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.list = QListWidget()
        self.form: SettingsForm | None = None
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
        document.changed.connect(self._refresh)
        self._refresh()
        self.list.setCurrentRow(0)

    def show_section(self, title: str) -> None:
        """Choose a section."""
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(_TITLE) == title:
                self.list.setCurrentRow(row)

    def add_section(self, family: str, kind: str, name: str) -> None:
        """Add a section with as little as it needs, and show it."""
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
        """Mark what is wrong in the colours of another style."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self._refresh()

    def _refresh(self) -> None:
        titles = [*FIXED, *(title for title in self.document.words if " " in title)]
        titles = list(dict.fromkeys(t for t in titles if t in FIXED or _family(t)))
        chosen = self.list.currentItem()
        before = chosen.data(_TITLE) if chosen else ""
        self.list.blockSignals(True)
        self.list.clear()
        for title in titles:
            self._list(title)
        self.list.blockSignals(False)
        if before in titles:
            self.list.setCurrentRow(titles.index(before))
        else:
            self.list.setCurrentRow(0)
        count = len(self._problems)
        word = "1 problem" if count == 1 else f"{count} problems"
        self.summary.setText(word if count else "No problems")

    @property
    def _problems(self) -> tuple[str, ...]:
        return (*self.document.problems, *self.document.findings)

    def _list(self, title: str) -> None:
        wrong = problems_of(self._problems, title)
        family, _, name = title.partition(" ")
        shown = title if title in FIXED else f"{family}  {name}"
        item = QListWidgetItem(f"{shown}  ●" if wrong else shown)
        item.setData(_TITLE, title)
        if wrong:
            item.setForeground(QColor(palette().red))
            item.setToolTip("; ".join(wrong.values()))
        self.list.addItem(item)

    def _choose(self) -> None:
        chosen = self.list.currentItem()
        if chosen is None:
            return
        title = chosen.data(_TITLE)
        self.remove.setEnabled(title not in FIXED)
        if self.form is None or self.form.title != title or self.form.outdated:
            self.form = SettingsForm(self.document, title)
            self._area.setWidget(self.form)
        else:
            self.form.refresh()

    def _kinds_menu(self) -> QMenu:
        menu = QMenu(self)
        for family in FAMILIES:
            kinds = QMenu(family, menu)
            for kind, what in kinds_of(family).items():
                action = kinds.addAction(kind)
                if action is not None:
                    about = (what.__doc__ or "").strip().split("\n")[0]
                    action.setToolTip(about)
                    action.triggered.connect(partial(self._ask_name, family, kind))
            kinds.setToolTipsVisible(True)
            menu.addMenu(kinds)
        return menu

    def _ask_name(self, family: str, kind: str) -> None:
        free = usual_name(self.document, family, kind)
        name, good = QInputDialog.getText(
            self, "DeepLabStream", f"Name of the new {family.lower()}:", text=free
        )
        name = " ".join(name.split())
        if good and name and name not in names_in(self.document, family):
            self.add_section(family, kind, name)

    def _remove(self) -> None:
        chosen = self.list.currentItem()
        if chosen is not None:
            text = self.document.text
            self.document.edit(ini_editing.remove_section(text, chosen.data(_TITLE)))


def _family(title: str) -> str:
    family, _, name = title.partition(" ")
    return family if family in FAMILIES and name else ""
