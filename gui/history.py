"""What something was before: undo and redo."""

from collections.abc import Callable
from typing import Generic, TypeVar

_MOST = 200

State = TypeVar("State")


class History(Generic[State]):
    """The last 200 states."""

    def __init__(self) -> None:
        self._past: list[State] = []
        self._future: list[State] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._future)

    def remember(self, state: State) -> None:
        """Keep what is, before it is changed."""
        self._past = [*self._past[1 - _MOST :], state]
        self._future.clear()

    def undo(self, present: Callable[[State], State]) -> State | None:
        """Return the state before the last change, None: there is none.

        `present` is given that state and returns what is now where it was.
        """
        return _moved(self._past, self._future, present)

    def redo(self, present: Callable[[State], State]) -> State | None:
        """Return the state that was taken back last; likewise."""
        return _moved(self._future, self._past, present)

    def clear(self) -> None:
        """Forget all."""
        self._past.clear()
        self._future.clear()


def _moved(
    of: list[State], to: list[State], present: Callable[[State], State]
) -> State | None:
    if not of:
        return None
    state = of.pop()
    to.append(present(state))
    return state
