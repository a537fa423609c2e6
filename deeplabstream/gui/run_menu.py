"""Run menu: start and stop by keyboard, without a key that does it alone."""

from collections.abc import Callable
from functools import partial

from PyQt5.QtWidgets import QAction, QMenu, QWidget

from deeplabstream.engine.session.states import Action, Status, allowed


class RunMenu(QMenu):
    """Has an entry for each run button, enabled as that button is.

    No entry has a shortcut or a mnemonic: Alt+R opens the menu, arrow keys choose, Enter
    confirms, so that no single key starts or stops anything.
    """

    def __init__(
        self, do: Callable[[Action], object], parent: QWidget | None = None
    ) -> None:
        super().__init__("&Run", parent)
        self.entries: dict[Action, QAction] = {}
        for action in Action:
            entry = QAction(action.value, self)
            entry.triggered.connect(partial(self._do, do, action))
            self.addAction(entry)
            self.entries[action] = entry
        self.show_status(Status())

    def show_status(self, status: Status, blocked: str = "") -> None:
        """Enable what is allowed; `blocked` says why no stream can start, or is empty."""
        possible = allowed(status)
        if blocked:
            possible -= {Action.START_STREAM}
        for action, entry in self.entries.items():
            entry.setEnabled(action in possible)

    @staticmethod
    def _do(
        do: Callable[[Action], object], action: Action, _checked: bool = False
    ) -> None:
        do(action)
