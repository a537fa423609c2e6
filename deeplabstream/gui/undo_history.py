"""Undo history of texts and labels."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from deeplabstream.training.data.label_book import LabelBook

_MOST = 200

State = TypeVar("State")


class History(Generic[State]):
    """Undo and redo of the last 200 states."""

    def __init__(self) -> None:
        self._past: list[State] = []
        self._future: list[State] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to redo."""
        return bool(self._future)

    def remember(self, state: State) -> None:
        """Save the current state before a change."""
        self._past = [*self._past[1 - _MOST :], state]
        self._future.clear()

    def undo(self, present: Callable[[State], State | None]) -> State | None:
        """Return the state before the last change; None: there is none.

        `present` is called with that state, and returns the current state to save for redo;
        None: the state can't be restored, and remains in the history.
        """
        return _move_state(self._past, self._future, present)

    def redo(self, present: Callable[[State], State | None]) -> State | None:
        """Return the state that was undone last; `present` as for `undo`."""
        return _move_state(self._future, self._past, present)

    def discard_last(self) -> None:
        """Discard the last saved state: nothing was changed."""
        self._past = self._past[:-1]

    def clear(self) -> None:
        """Delete the history."""
        self._past.clear()
        self._future.clear()


def _move_state(
    of: list[State], to: list[State], present: Callable[[State], State | None]
) -> State | None:
    if not of:
        return None
    state = of.pop()
    before = present(state)
    if before is None:
        of.append(state)
        return None
    to.append(before)
    return state


_State: TypeAlias = tuple[int, NDArray[np.float32], bool, bool, bool, NDArray[np.bool_]]


class LabelHistory(History[_State]):
    """Undo history of the labels of images."""

    def remember_image(self, book: LabelBook, image: int) -> None:
        """Save the labels of an image before a change."""
        self.remember(_state(book, image))

    def undo_in(self, book: LabelBook) -> int | None:
        """Undo the last change; return its image; None: there is none."""
        return _restore(book, self.undo(partial(_present, book)))

    def redo_in(self, book: LabelBook) -> int | None:
        """Redo the change that was undone last; return its image; None: there is none."""
        return _restore(book, self.redo(partial(_present, book)))


def _restore(book: LabelBook, state: _State | None) -> int | None:
    if state is None:
        return None
    book.restore(*state)
    return state[0]


def _present(book: LabelBook, state: _State) -> _State:
    return _state(book, state[0])


def _state(book: LabelBook, image: int) -> _State:
    marks = book.done, book.proposed, book.copied
    done, proposed, copied = (bool(mark[image]) for mark in marks)
    points, known = book.points[image].copy(), book.known[image].copy()
    return image, points, done, proposed, copied, known
