"""Help window: the documentation as pages, with contents, links and a search."""

import platform
import re
import sys
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
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QPushButton,
    QSplitter,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.paths import ROOT
from deeplabstream.gui.theme import palette
from deeplabstream.recording.run_folder import application_version

DOCS = ROOT / "docs"
CONTENTS = "README.md"
_LINK = re.compile(r"\[([^\]]+)\]\(([\w/-]+\.md)\)")
_HEADING = re.compile(r"[^\w\- ]")
_FILE = Qt.ItemDataRole.UserRole


class HelpWindow(QDialog):
    """Shows the pages of `docs/`; links to other pages stay in the window."""

    def __init__(self, parent: QWidget, docs: Path = DOCS) -> None:
        super().__init__(parent)
        self.setWindowTitle("Documentation – DeepLabStream")
        self.docs = docs
        self.list, self.page = QListWidget(), _Page()
        self.search, self.words = QLineEdit(), QLabel()
        self.back, self.forth = QPushButton("Back"), QPushButton("Forward")
        self._past: list[str] = []
        self._future: list[str] = []
        self._shown = ""
        self._arrange()
        for title, name in contents(docs):
            item = QListWidgetItem(title)
            item.setData(_FILE, name)
            item.setToolTip(name)
            self.list.addItem(item)
        self.list.currentItemChanged.connect(self._choose)
        self.page.anchorClicked.connect(self._follow)
        self.search.returnPressed.connect(self._find)
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
        colours = QApplication.palette()  # that is where Markdown takes it from
        colours.setColor(QPalette.ColorRole.Link, QColor(palette().blue))
        QApplication.setPalette(colours)
        self.page.setMarkdown(text)
        self.page.moveCursor(QTextCursor.MoveOperation.Start)
        if anchor:
            self._go_to(anchor)
        self._show_state(file)

    def _show_state(self, file: str) -> None:
        self.back.setEnabled(bool(self._past))
        self.forth.setEnabled(bool(self._future))
        self.words.setText("")
        self.list.blockSignals(True)
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(_FILE) == file:
                self.list.setCurrentRow(row)
        self.list.blockSignals(False)

    def _go_to(self, anchor: str) -> None:
        """Scroll to a heading; Qt makes no anchors for those of Markdown."""
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
        self.search.setPlaceholderText("Find in this page: Enter")
        self.search.setToolTip("Enter: the next place")
        top = QHBoxLayout()
        for widget in (self.back, self.forth, self.search, self.words):
            top.addWidget(widget)
        for button in (self.back, self.forth):
            button.setAutoDefault(False)  # Enter searches
        split = QSplitter()
        split.addWidget(self.list)
        split.addWidget(self.page)
        split.setStretchFactor(1, 1)
        split.setSizes([220, 780])
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(split, 1)
        self.resize(1040, 720)

    def _choose(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.open_page(item.data(_FILE))

    def _follow(self, link: QUrl) -> None:
        """Open a page here, and everything else where the desktop opens it."""
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
            self.words.setText(f"{name} is not part of this installation")

    def _find(self) -> None:
        """Go to the next place of the searched words; from the end on to the start."""
        text = self.search.text()
        found = self.page.find(text)
        if not found:
            self.page.moveCursor(QTextCursor.MoveOperation.Start)
            found = self.page.find(text, QTextDocument.FindFlags())
        self.words.setText("" if found or not text else "not found")

    def _step(self, of: list[str], to: list[str]) -> None:
        if of:
            to.append(self._shown)
            self._load(of.pop())
            self.back.setEnabled(bool(self._past))
            self.forth.setEnabled(bool(self._future))


class _Page(QTextBrowser):
    """Shows images no wider than itself."""

    def loadResource(self, kind: int, name: QUrl) -> object:  # noqa: N802
        """Return an image that fits, anything else as it is."""
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
    """Return the anchor of a heading, as web sites for Markdown make it.

    >>> slug("Several animals: who is who?")
    'several-animals-who-is-who'
    """
    return _HEADING.sub("", heading.strip().lower()).replace(" ", "-")


def about(parent: QWidget) -> QMessageBox:
    """Return a window with version, licence and place of the program."""
    lines = (
        f"DeepLabStream {application_version() or ''}",
        "Closed-loop behavioural experiments on animal posture.",
        "Licence: GPL-3.0-or-later",
        f"Python {platform.python_version()}, Qt {QT_VERSION_STR}, "
        f"PyQt {PYQT_VERSION_STR}, {platform.platform()}",
        f"Program: {ROOT}",
        f"Python: {sys.executable}",
    )
    box = QMessageBox(parent)
    box.setWindowTitle("About DeepLabStream")
    box.setText("\n\n".join(lines))
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return box
