"""Recent items: settings files and runs that were opened, for the menu."""

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
    """Paths, the newest first; `memory` is where they are remembered, None: nowhere."""

    def __init__(self, memory: QSettings | None = None) -> None:
        self._memory = memory
        kinds: tuple[Kind, ...] = get_args(Kind)
        self._paths = {kind: self._load_paths(kind) for kind in kinds}

    def note(self, kind: Kind, path: Path) -> None:
        """Put a path first; one that comes again moves up."""
        paths = self._paths[kind]
        if paths and paths[0] == path:
            return
        self._paths[kind] = [path, *(old for old in paths if old != path)][:MOST]
        if self._memory is not None:
            words = [str(each) for each in self._paths[kind]]
            self._memory.setValue(f"recent/{kind}", words)

    def there(self, kind: Kind) -> list[Path]:
        """Return those that are still on the disk; one that can't be reached is not."""
        return [each for each in self._paths[kind] if is_file(each) or is_folder(each)]

    def menu(
        self, title: str, kind: Kind, parent: QMenu, do: Callable[[Path], object]
    ) -> QMenu:
        """Return a menu of them, looked up each time that it is opened."""
        menu = QMenu(title, parent)
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(partial(self._fill, menu, kind, do))
        return menu

    def _fill(self, menu: QMenu, kind: Kind, do: Callable[[Path], object]) -> None:
        menu.clear()
        for path in self.there(kind):
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
        words = self._memory.value(f"recent/{kind}", [])
        listed = [words] if isinstance(words, str) else words  # one word comes alone
        return [Path(str(word)) for word in listed or ()]


def _open(do: Callable[[Path], object], path: Path, _checked: bool = False) -> None:
    do(path)
