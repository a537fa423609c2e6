"""Undo history of texts and labels: undo and redo."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from deeplabstream.training.data.label_book import LabelBook

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

    def undo(self, present: Callable[[State], State | None]) -> State | None:
        """Return the state before the last change, None: there is none.

        `present` is given that state and returns what is now where it was; None: the state
        can't be restored, and stays the last one.
        """
        return _move_state(self._past, self._future, present)

    def redo(self, present: Callable[[State], State | None]) -> State | None:
        """Return the state that was taken back last; likewise."""
        return _move_state(self._future, self._past, present)

    def forget_last(self) -> None:
        """Forget the state that was kept last: nothing was changed."""
        self._past = self._past[:-1]

    def clear(self) -> None:
        """Forget all."""
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
    """The last changes of the images of a book."""

    def remember_image(self, book: LabelBook, image: int) -> None:
        """Keep what an image is, before it is changed."""
        self.remember(_state(book, image))

    def undo_in(self, book: LabelBook) -> int | None:
        """Take the last change back; return the image, None: there is none."""
        return _restore(book, self.undo(partial(_present, book)))

    def redo_in(self, book: LabelBook) -> int | None:
        """Make it again; likewise."""
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
