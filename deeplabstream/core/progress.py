"""Progress of long work: a bar on a terminal, lines for the window, else nothing."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from deeplabstream.core.clock import Clock, SystemClock

T = TypeVar("T")
VARIABLE = "DEEPLABSTREAM_PROGRESS"
"""The window sets this environment variable for the programs that it starts."""
MARK = "\x02progress "
"""Start of a line of progress: what is done, of how many (0: not known), of what."""
_EVERY_NS = 200_000_000


class Bar(Protocol):
    """What is done of a piece of work."""

    def show(self, done: int, total: int = 0) -> object:
        """Show that `done` of `total` are done; 0: as many as was said at the start."""


@contextmanager
def progress_bar(what: str, total: int = 0, unit: str = "frames") -> Iterator[Bar]:
    """Show the progress of the block.

    `total` is 0 where it is not known.
    """
    if os.environ.get(VARIABLE):
        lines = _Lines(what, total)
        lines.show(0)
        yield lines
        lines.write()
        return
    from tqdm import tqdm

    with tqdm(desc=what, total=total or None, unit=f" {unit}", disable=None) as bar:
        yield _Terminal(bar)


def window_progress(what: str, total: int) -> Bar | None:
    """Return what reports progress to the window; None: no window started the program."""
    return _Lines(what, total) if os.environ.get(VARIABLE) else None


def progress(
    items: Iterable[T], what: str, total: int = 0, unit: str = "frames"
) -> Iterator[T]:
    """Yield the items, and show how many were taken."""
    with progress_bar(what, total, unit) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.show(done)


def parse_progress(line: str) -> tuple[int, int, str] | None:
    """Return what a line of progress says: done, total (0: not known), of what.

    >>> parse_progress(f"{MARK}5 20 film.mp4")
    (5, 20, 'film.mp4')
    >>> parse_progress("5 frames written")
    """
    if not line.startswith(MARK):
        return None
    done, total, what = line.removeprefix(MARK).rstrip().split(" ", 2)
    return int(done), int(total), what


class _Lines:
    """Writes lines for the window, at most five a second."""

    def __init__(self, what: str, total: int, clock: Clock | None = None) -> None:
        self._what, self._total = what, total
        self._done = 0
        self._clock = clock or SystemClock()
        self._written_ns = 0

    def show(self, done: int, total: int = 0) -> None:
        self._done, self._total = done, total or self._total
        if not self._written_ns or self._clock.now_ns() - self._written_ns > _EVERY_NS:
            self.write()

    def write(self) -> None:
        self._written_ns = self._clock.now_ns()
        print(f"{MARK}{self._done} {self._total} {self._what}", flush=True)  # noqa: T201


class _Terminal:
    """Moves a bar of tqdm."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._started = False

    def show(self, done: int, total: int = 0) -> None:
        if total and self._bar.total != total:
            self._bar.reset(total)
        if not self._started and total:
            self._bar.initial = done  # continued: the rate counts from here
        self._started = True
        self._bar.update(done - self._bar.n)
