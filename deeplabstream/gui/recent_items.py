"""Recent items: settings files, runs and label folders that were opened."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from PyQt5.QtCore import QSettings
from PyQt5.QtWidgets import QMenu

from deeplabstream.files.paths import is_file, is_folder

Kind: TypeAlias = Literal["settings", "runs", "labels"]
MOST = 8


class Recent:
    """Recent paths, newest first; `memory` stores them; None: they are not stored."""

    def __init__(self, memory: QSettings | None = None) -> None:
        self._memory = memory
        kinds: tuple[Kind, ...] = get_args(Kind)
        self._paths = {kind: self._load_paths(kind) for kind in kinds}

    def note(self, kind: Kind, path: Path) -> None:
        """Add a path, or move it to the front."""
        paths = self._paths[kind]
        if paths and paths[0] == path:
            return
        self._paths[kind] = [path, *(old for old in paths if old != path)][:MOST]
        if self._memory is not None:
            texts = [str(recent) for recent in self._paths[kind]]
            self._memory.setValue(f"recent/{kind}", texts)

    def existing(self, kind: Kind) -> list[Path]:
        """Return the paths that exist; one that can't be reached is left out."""
        return [path for path in self._paths[kind] if is_file(path) or is_folder(path)]

    def menu(
        self, title: str, kind: Kind, parent: QMenu, do: Callable[[Path], object]
    ) -> QMenu:
        """Return a menu of the existing paths, updated each time that it opens."""
        menu = QMenu(title, parent)
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(partial(self._fill, menu, kind, do))
        return menu

    def _fill(self, menu: QMenu, kind: Kind, do: Callable[[Path], object]) -> None:
        menu.clear()
        for path in self.existing(kind):
            action = menu.addAction(f"{path.name}   {path.parent.name}")
            if action is not None:
                action.setToolTip(str(path))
                action.triggered.connect(partial(_open, do, path))
        if menu.isEmpty():
            nothing = menu.addAction("none yet")
            if nothing is not None:
                nothing.setEnabled(False)

    def _load_paths(self, kind: Kind) -> list[Path]:
        if self._memory is None:
            return []
        stored = self._memory.value(f"recent/{kind}", [])
        # Qt returns a list of one text as a text
        texts = [stored] if isinstance(stored, str) else stored
        return [Path(str(text)) for text in texts or ()]


def _open(do: Callable[[Path], object], path: Path, _checked: bool = False) -> None:
    do(path)
