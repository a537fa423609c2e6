"""Progress of long work: a bar on a terminal, lines for the window, else nothing."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol, TypeVar

from deeplabstream.core.clock import Clock, SystemClock

T = TypeVar("T")
VARIABLE = "DEEPLABSTREAM_PROGRESS"
"""Environment variable that the window sets for the programs that it starts."""
MARK = "\x02progress "
"""Start of a line of progress: number done, total (0: not known), description."""
OVERALL = "\x02overall "
"""Start of a line of overall progress: completed share of all work."""
_EVERY_NS = 200_000_000
_ESTIMATE_AFTER_S = 1.0
"""Time after which the remaining time is estimated."""


class Bar(Protocol):
    """Progress display of one task."""

    def show(self, done: int, total: int = 0) -> object:
        """Show that `done` of `total` are done; total 0: the initial total."""


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
    """Return a bar that reports to the window; None: no window started the program."""
    return _Lines(what, total) if os.environ.get(VARIABLE) else None


def progress(
    items: Iterable[T], what: str, total: int = 0, unit: str = "frames"
) -> Iterator[T]:
    """Yield the items, and show how many were yielded."""
    with progress_bar(what, total, unit) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.show(done)


class Overall:
    """Overall progress of several tasks, such as the videos of a folder.

    `sizes` are proportional to the time that the tasks take, in any unit.
    """

    def __init__(self, sizes: Sequence[float], clock: Clock | None = None) -> None:
        self._ends = [0.0, *accumulate(sizes)]
        self._clock = clock or SystemClock()
        self._written_ns = 0
        self.left = RemainingTime()

    @contextmanager
    def bar(self, number: int, what: str) -> Iterator[Bar]:
        """Show the progress of the block, task `number` from 0, and of all tasks."""
        with progress_bar(what) as bar:
            yield _Task(self, bar, number)

    def show(self, bar: Bar, number: int, done: int, total: int) -> None:
        """Show that `done` of `total` of a task are done."""
        first, last = self._ends[number : number + 2]
        if len(self._ends) > 2 and total and self._ends[-1]:
            share = (first + (last - first) * done / total) / self._ends[-1]
            now_ns = self._clock.now_ns()
            left_s = self.left.after(share, 1.0, now_ns / 1e9)
            if isinstance(bar, _Terminal):
                bar.add(f"{format_duration(left_s)} left for all" if left_s else "")
            elif os.environ.get(VARIABLE) and (
                done == total or now_ns - self._written_ns > _EVERY_NS
            ):
                self._written_ns = now_ns
                print(f"{OVERALL}{share:.6f}", flush=True)  # noqa: T201
        bar.show(done, total)


@dataclass
class RemainingTime:
    """Estimate of a task's remaining time, from its progress since the first call."""

    first: float | None = None
    since_s: float = 0.0

    def after(self, done: float, total: float, now_s: float) -> float:
        """Return the remaining seconds; 0: not known yet."""
        if self.first is None or done < self.first:
            self.first, self.since_s = done, now_s
        taken_s = now_s - self.since_s
        if done <= self.first or done >= total or taken_s <= _ESTIMATE_AFTER_S:
            return 0.0
        return taken_s / (done - self.first) * (total - done)


def format_duration(seconds: float) -> str:
    """Return a duration as readable text.

    >>> format_duration(5), format_duration(100), format_duration(7300)
    ('5 s', '2 min', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def parse_overall(line: str) -> float | None:
    """Return the completed share of all work from a line; None: it is another line."""
    return float(line.removeprefix(OVERALL)) if line.startswith(OVERALL) else None


def parse_progress(line: str) -> tuple[int, int, str] | None:
    """Return the values of a line of progress: done, total (0: not known), description.

    >>> parse_progress(f"{MARK}5 20 mouse.mp4")
    (5, 20, 'mouse.mp4')
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
    """Bar of tqdm on a terminal."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._started = False

    def show(self, done: int, total: int = 0) -> None:
        if total and self._bar.total != total:
            self._bar.reset(total)
        if not self._started and total:
            self._bar.initial = done  # a continued task: the rate counts from here
        self._started = True
        self._bar.update(done - self._bar.n)

    def add(self, text: str) -> None:
        """Show a text after the bar."""
        self._bar.set_postfix_str(text, refresh=False)


class _Task:
    """Progress of one of several tasks."""

    def __init__(self, overall: Overall, bar: Bar, number: int) -> None:
        self._overall, self._bar, self._number = overall, bar, number

    def show(self, done: int, total: int = 0) -> None:
        self._overall.show(self._bar, self._number, done, total)
