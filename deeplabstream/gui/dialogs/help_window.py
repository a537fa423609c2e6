"""Help windows: documentation with contents and search, keyboard shortcuts, About."""

import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PyQt5.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, Qt, QUrl
from PyQt5.QtGui import (
    QColor,
    QDesktopServices,
    QImage,
    QPalette,
    QTextBlock,
    QTextCursor,
    QTextDocument,
)
from PyQt5.QtWidgets import (
    QAction,
    QApplication,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.files.paths import ROOT
from deeplabstream.gui.dialogs.questions import show_message
from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.audit_panel import KEYS as AUDIT
from deeplabstream.gui.widgets.label_tools import KEYS as LABELLING
from deeplabstream.gui.widgets.region_canvas import KEYS as REGIONS
from deeplabstream.gui.widgets.run_corrections import KEYS as CORRECTING
from deeplabstream.gui.widgets.space_canvas import KEYS as VOLUMES
from deeplabstream.recording.run_folder import application_version

DOCS = ROOT / "docs"
CONTENTS = "README.md"
_LINK = re.compile(r"\[([^\]]+)\]\(([\w/-]+\.md)\)")
_HEADING = re.compile(r"[^\w\- ]")
_FILE = Qt.ItemDataRole.UserRole
ANYWHERE = (
    ("Esc", "STOP: switches all outputs off and ends the experiment"),
    ("Esc, outputs off", "closes a dialog, cancels a drawing"),
)


class HelpWindow(QDialog):
    """Shows the pages of `docs/`; links to other pages open in the window."""

    def __init__(self, parent: QWidget, docs: Path = DOCS) -> None:
        super().__init__(parent)
        self.setWindowTitle("Documentation – DeepLabStream")
        self.docs = docs
        self.list, self.page = QListWidget(), _Page()
        self.search, self.message = QLineEdit(), QLabel()
        self.back, self.forth = QPushButton("Back"), QPushButton("Forward")
        self._past: list[str] = []
        self._future: list[str] = []
        self._shown = ""
        self._texts: dict[str, str] = {}
        """Plain text of each page, filled by the first search."""
        self._arrange()
        for title, name in contents(docs):
            item = QListWidgetItem(title)
            item.setData(_FILE, name)
            item.setToolTip(f"{title}\n{name}")
            self.list.addItem(item)
        self.list.currentItemChanged.connect(self._choose)
        self.page.anchorClicked.connect(self._follow)
        self.search.returnPressed.connect(self._find)
        self.search.textChanged.connect(lambda: self._list_only(None))
        self.back.clicked.connect(lambda: self._step(self._past, self._future))
        self.forth.clicked.connect(lambda: self._step(self._future, self._past))

    def open_page(self, name: str) -> None:
        """Show a page, such as `app.md` or `triggers.md#several-animals`."""
        if self._shown and self._shown != name:
            self._past.append(self._shown)
            self._future.clear()
        self._load(name)

    def _load(self, name: str) -> None:
        file, _, anchor = name.partition("#")
        path = (self.docs / file).resolve()
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            text = f"Can't read {path}: {error.strerror or error}"
        self._shown = name
        self.page.setSearchPaths([str(path.parent)])
        colours = (
            QApplication.palette()
        )  # Qt's Markdown takes the colour of links from the palette
        colours.setColor(QPalette.ColorRole.Link, QColor(palette().blue))
        QApplication.setPalette(colours)
        self.page.show_markdown(text)
        self.page.moveCursor(QTextCursor.MoveOperation.Start)
        if anchor:
            self._go_to(anchor)
        self._show_state(file)

    def _show_state(self, file: str) -> None:
        self.back.setEnabled(bool(self._past))
        self.forth.setEnabled(bool(self._future))
        self.message.setText("")
        self.list.blockSignals(True)
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(_FILE) == file:
                self.list.setCurrentRow(row)
        self.list.blockSignals(False)

    def _go_to(self, anchor: str) -> None:
        """Scroll to a heading: Qt creates no anchors for headings of Markdown."""
        document = self.page.document()
        block = None if document is None else document.begin()
        while block is not None and block.isValid():
            if block.blockFormat().headingLevel() and slug(block.text()) == anchor:
                self.page.setTextCursor(QTextCursor(block))
                self._scroll_to(block)
                return
            block = block.next()

    def _scroll_to(self, block: QTextBlock) -> None:
        document, bar = self.page.document(), self.page.verticalScrollBar()
        layout = None if document is None else document.documentLayout()
        if layout is not None and bar is not None:
            bar.setValue(int(layout.blockBoundingRect(block).top()))

    def _arrange(self) -> None:
        self.page.setOpenLinks(False)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.page.setFrameShape(QTextBrowser.Shape.NoFrame)
        self.list.setObjectName("clear")
        self.search.setPlaceholderText("Find in all pages: Enter")
        self.search.setToolTip(
            "Enter: the next match, in this page and then in the next page with one;"
            " the list shows the pages with the text"
        )
        top = QHBoxLayout()
        for widget in (self.back, self.forth, self.search, self.message):
            top.addWidget(widget)
        for button in (self.back, self.forth):
            button.setAutoDefault(False)  # Enter searches
        split = QSplitter()
        split.addWidget(self.list)
        split.addWidget(self.page)
        split.setStretchFactor(1, 1)
        split.setSizes([330, 670])
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(split, 1)
        self.resize(1040, 720)

    def _choose(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.open_page(item.data(_FILE))

    def _follow(self, link: QUrl) -> None:
        """Open a page here, and other files with the desktop's program."""
        name, anchor = link.path(), link.fragment()
        if link.scheme() in ("http", "https"):
            QDesktopServices.openUrl(link)
            return
        here = (self.docs / self._shown.partition("#")[0]).parent
        path = (here / name).resolve() if name else None
        if path is None:
            self._go_to(anchor)
        elif path.suffix == ".md" and path.is_relative_to(self.docs.resolve()):
            file = path.relative_to(self.docs.resolve()).as_posix()
            self.open_page(f"{file}#{anchor}" if anchor else file)
        elif path.exists():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
        else:
            self.message.setText(f"{name} is not part of this installation")

    def _find(self) -> None:
        """Go to the next match, also in other pages; after the last, to the first."""
        text = self.search.text()
        if not text:
            return
        found = self._lines_with(text)
        self._list_only(found)
        if not self.page.find(text) and found:
            files = list(self._texts)
            here = self._shown.partition("#")[0]
            after = files.index(here) + 1 if here in files else 0
            name = next(f for f in files[after:] + files[:after] if f in found)
            if name == here:
                self.page.moveCursor(QTextCursor.MoveOperation.Start)
            else:
                self.open_page(name)
            self.page.find(text)
        count = "1 page" if len(found) == 1 else f"{len(found)} pages"
        self.message.setText(f"in {count}" if found else "not found")

    def _lines_with(self, text: str) -> dict[str, str]:
        """Return the first line that contains the text, by page."""
        if not self._texts:
            for _, name in contents(self.docs):
                page = QTextDocument()
                page.setMarkdown((self.docs / name).read_text(encoding="utf-8"))
                self._texts[name] = page.toPlainText()
        found = {}
        for name, whole in self._texts.items():
            lines = (line for line in whole.split("\n") if text.lower() in line.lower())
            if (line := next(lines, None)) is not None:
                found[name] = line
        return found

    def _list_only(self, found: Mapping[str, str] | None) -> None:
        """List the pages found, with the line as tooltip; None: all pages."""
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None:
                name = item.data(_FILE)
                line = found.get(name, "") if found else ""
                item.setHidden(bool(found) and not line)
                item.setToolTip(f"{name}: {line}" if line else name)

    def _step(self, of: list[str], to: list[str]) -> None:
        if of:
            to.append(self._shown)
            self._load(of.pop())
            self.back.setEnabled(bool(self._past))
            self.forth.setEnabled(bool(self._future))


class _Page(QTextBrowser):
    """Shows Markdown, with images at most as wide as the page."""

    def show_markdown(self, text: str) -> None:
        """Replace the page.

        `setMarkdown` of the widget lays out a long table again for every cell: seconds.
        """
        document = QTextDocument(self)  # a child of the page, which loads its images
        document.setDefaultFont(self.font())
        document.setMarkdown(text)
        port = self.viewport()
        if port is not None:
            document.setTextWidth(port.width())
        self.setDocument(document)

        # The scroll bars follow the next change after the whole layout.
        document.size()
        document.markContentsDirty(0, 1)

    def loadResource(self, kind: int, name: QUrl) -> object:  # noqa: N802
        """Return an image scaled to the page, and other resources unchanged."""
        found = super().loadResource(kind, name)
        port = self.viewport()
        if kind != QTextDocument.ResourceType.ImageResource or port is None:
            return found
        image = QImage(self.searchPaths()[0] + "/" + name.toString())
        width = port.width() - 24
        if image.width() <= width:
            return found if image.isNull() else image
        return image.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation)


def contents(docs: Path) -> list[tuple[str, str]]:
    """Return title and file of each page, in the order of `README.md`."""
    found = {CONTENTS: "Contents"}
    try:
        text = (docs / CONTENTS).read_text(encoding="utf-8")
    except OSError:
        text = ""
    for title, name in _LINK.findall(text):
        if (docs / name).is_file():
            first = (docs / name).read_text(encoding="utf-8").partition("\n")[0]
            found.setdefault(name, first.replace("`", "").lstrip("# ") or title)
    return [(title, name) for name, title in found.items()]


def slug(heading: str) -> str:
    """Return the anchor of a heading, as web sites for Markdown define it.

    >>> slug("Several animals: identities")
    'several-animals-identities'
    """
    return _HEADING.sub("", heading.strip().lower()).replace(" ", "-")


def show_about(parent: QWidget) -> None:
    """Return a window with version, licence and folder of the program."""
    lines = (
        f"DeepLabStream {application_version() or ''}",
        "Closed-loop behavioural experiments on animal posture.",
        "Licence: GPL-3.0-or-later",
        f"Python {platform.python_version()}, Qt {QT_VERSION_STR}, "
        f"PyQt {PYQT_VERSION_STR}, {platform.platform()}",
        f"Program: {ROOT}",
        f"Python: {sys.executable}",
    )
    show_message(parent, "\n\n".join(lines), "About DeepLabStream")


def keys_of(
    actions: Iterable[QAction],
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return keys and their effects, by the page on which they work."""
    menu = [
        (action.shortcut().toString(), action.text().rstrip("… "))
        for action in actions
        if not action.shortcut().isEmpty()
    ]
    return {
        "Anywhere": (*ANYWHERE, *menu),
        "Regions": REGIONS,
        "Regions, space": VOLUMES,
        "Runs, audit": AUDIT,
        "Results, Correct": CORRECTING,
        "Network, Label": LABELLING,
    }


class KeysWindow(QDialog):
    """Shows the keyboard shortcuts of all pages."""

    def __init__(self, actions: Iterable[QAction], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts – DeepLabStream")
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setColumnMinimumWidth(0, 170)
        grid.setColumnStretch(1, 1)
        grid.setVerticalSpacing(5)
        for where, keys in keys_of(actions).items():
            title = QLabel(where.upper())
            title.setObjectName("title")
            grid.addWidget(title, grid.rowCount(), 0, 1, 2)
            for key, what in keys:
                row = grid.rowCount()
                grid.addWidget(QLabel(key), row, 0)
                grid.addWidget(QLabel(what), row, 1)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        column = QVBoxLayout(self)
        column.addWidget(area)
        self.resize(720, 640)
