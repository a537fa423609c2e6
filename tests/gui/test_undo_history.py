from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.gui.undo_history import History


class Line:
    """A number that is changed, undone and redone."""

    def __init__(self) -> None:
        self.now = 0
        self.history = History[int]()

    def change(self, value: int) -> None:
        self.history.remember(self.now)
        self.now = value

    def take(self, way: Callable[[Callable[[int], int]], int | None]) -> None:
        state = way(lambda _state: self.now)
        self.now = self.now if state is None else state


@given(st.lists(st.integers(), max_size=30))
def test_all_that_was_undone_comes_again(values: list[int]) -> None:
    line = Line()
    seen = [line.now]
    for value in values:
        line.change(value)
        seen.append(value)
    for before in reversed(seen[:-1]):
        assert line.history.can_undo
        line.take(line.history.undo)
        assert line.now == before
    assert not line.history.can_undo
    for after in seen[1:]:
        assert line.history.can_redo
        line.take(line.history.redo)
        assert line.now == after
    assert not line.history.can_redo


def test_what_was_undone_is_gone_with_the_next_change() -> None:
    line = Line()
    line.change(1)
    line.take(line.history.undo)
    line.change(2)
    assert not line.history.can_redo
    assert line.history.redo(lambda state: state) is None
    line.history.clear()
    assert line.history.undo(lambda state: state) is None


def test_the_last_two_hundred_are_kept() -> None:
    line = Line()
    for value in range(1, 251):
        line.change(value)
    for _ in range(300):
        line.take(line.history.undo)
    assert line.now == 50
