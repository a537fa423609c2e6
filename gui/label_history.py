"""What labels were before: undo and redo."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.label_book import LabelBook

_MOST = 200
_State: TypeAlias = tuple[int, NDArray[np.float32], bool, bool]


class LabelHistory:
    """The last 200 changes of the pictures of a book."""

    def __init__(self) -> None:
        self._past: list[_State] = []
        self._future: list[_State] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._future)

    def remember(self, book: LabelBook, picture: int) -> None:
        """Keep what a picture is, before it is changed."""
        self._past = [*self._past[1 - _MOST :], _state(book, picture)]
        self._future.clear()

    def undo(self, book: LabelBook) -> int | None:
        """Take the last change back; return the picture, None: there is none."""
        return _swap(book, self._past, self._future)

    def redo(self, book: LabelBook) -> int | None:
        """Make it again; likewise."""
        return _swap(book, self._future, self._past)


def _swap(book: LabelBook, of: list[_State], to: list[_State]) -> int | None:
    if not of:
        return None
    picture, points, done, proposed = of.pop()
    to.append(_state(book, picture))
    book.restore(picture, points, done, proposed)
    return picture


def _state(book: LabelBook, picture: int) -> _State:
    points = book.points[picture].copy()
    return picture, points, bool(book.done[picture]), bool(book.proposed[picture])
