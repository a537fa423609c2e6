"""What labels were before: undo and redo."""

from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gui.history import History
from training.label_book import LabelBook

_State: TypeAlias = tuple[int, NDArray[np.float32], bool, bool]


class LabelHistory(History[_State]):
    """The last changes of the pictures of a book."""

    def remember_picture(self, book: LabelBook, picture: int) -> None:
        """Keep what a picture is, before it is changed."""
        self.remember(_state(book, picture))

    def undo_in(self, book: LabelBook) -> int | None:
        """Take the last change back; return the picture, None: there is none."""
        return _restored(book, self.undo(partial(_present, book)))

    def redo_in(self, book: LabelBook) -> int | None:
        """Make it again; likewise."""
        return _restored(book, self.redo(partial(_present, book)))


def _restored(book: LabelBook, state: _State | None) -> int | None:
    if state is None:
        return None
    book.restore(*state)
    return state[0]


def _present(book: LabelBook, state: _State) -> _State:
    return _state(book, state[0])


def _state(book: LabelBook, picture: int) -> _State:
    points = book.points[picture].copy()
    return picture, points, bool(book.done[picture]), bool(book.proposed[picture])
