"""Menu entries with a description beside the name."""

from collections.abc import Callable
from functools import partial

from PyQt5.QtWidgets import QAction, QMenu


def add_described(
    menu: QMenu, name: str, about: str, needs: str, do: Callable[[], object]
) -> QAction:
    """Add an entry with its name, its description and what it needs in a second column."""
    text = f"{about.rstrip('.')}  ({needs})" if needs else about.rstrip(".")
    # Qt draws what follows a tab in the column of the shortcuts, and & as a mnemonic
    action = QAction(f"{name}\t{text.replace('&', '&&')}", menu)
    action.setToolTip(text)
    action.triggered.connect(partial(_act, do))
    menu.addAction(action)
    return action


def _act(do: Callable[[], object], _checked: bool = False) -> None:
    do()


def name_of(action: QAction) -> str:
    """Return the name of an entry without its description."""
    return action.text().partition("\t")[0]
