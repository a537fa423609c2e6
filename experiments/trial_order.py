"""Which trial comes when: orders of trials and lengths of intervals, all from one seed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from random import Random
from typing import Annotated, TypeVar

from pydantic import BeforeValidator

from deeplabstream import ExperimentError

T = TypeVar("T")
_TRIES = 1000


def drawn(
    kinds: Sequence[T],
    weights: Sequence[float],
    number: int,
    random: Random,
    longest_run: int = 0,
) -> list[T]:
    """Return `number` trials, each drawn by itself: twice the weight is twice as often.

    No kind comes more than `longest_run` times in a row (0: no limit).
    """
    places: list[int] = []
    for _ in range(number):
        run = set(places[-longest_run:]) if 0 < longest_run <= len(places) else set()
        free = [p for p in range(len(kinds)) if run != {p}] or [*range(len(kinds))]
        places += random.choices(free, [weights[place] for place in free])
    return [kinds[place] for place in places]


def in_blocks(
    kinds: Sequence[T],
    counts: Sequence[int],
    blocks: int,
    random: Random,
    longest_run: int = 0,
) -> list[T]:
    """Return `blocks` blocks in random order, each with so many of each kind.

    No kind comes more than `longest_run` times in a row, from block to block neither;
    ExperimentError when that can't be (0: no limit).
    """
    block = [p for p, count in enumerate(counts) for _ in range(count)]
    places: list[int] = []
    for _ in range(blocks):
        for _ in range(_TRIES):
            random.shuffle(block)
            if not longest_run or _longest([*places, *block]) <= longest_run:
                break
        else:
            raise ExperimentError(f"no order has runs of {longest_run} at most")
        places += block
    return [kinds[place] for place in places]


def _longest(places: Sequence[int]) -> int:
    return max((len([*run]) for _, run in groupby(places)), default=0)


class Interval(ABC):
    """How long to wait, each time anew; in seconds."""

    @abstractmethod
    def draw(self, random: Random) -> float:
        """Return the next one."""

    def __str__(self) -> str:
        numbers = astuple(self)[0]  # type: ignore[call-overload]
        return " ".join([type(self).__name__.lower(), *(f"{n:g}" for n in numbers)])


@dataclass(frozen=True)
class Choice(Interval):
    """`choice S1 S2 …`: one of them; a single one is always the same."""

    seconds: tuple[float, ...]

    def draw(self, random: Random) -> float:
        """Return one of them."""
        return random.choice(self.seconds)


@dataclass(frozen=True)
class Uniform(Interval):
    """`uniform MIN MAX`: all between them are as likely."""

    seconds: tuple[float, float]

    def draw(self, random: Random) -> float:
        """Return one between them."""
        return random.uniform(*self.seconds)


@dataclass(frozen=True)
class Exponential(Interval):
    """`exponential MEAN MIN MAX`: having waited tells nothing about how long it will last.

    MEAN is that without limits; what lies outside them is drawn again.
    """

    seconds: tuple[float, float, float]

    def draw(self, random: Random) -> float:
        """Return one between MIN and MAX."""
        mean, low, high = self.seconds
        for _ in range(_TRIES):
            if low <= (drawn := random.expovariate(1 / mean)) <= high:
                return drawn
        return low


def parse_interval(words: object) -> Interval:
    """Return the interval that one line describes; a single number is always the same.

    >>> parse_interval("uniform 10 41")
    Uniform(seconds=(10.0, 41.0))
    """
    if isinstance(words, Interval):
        return words
    parts = str(words).replace(",", " ").split()
    name = parts.pop(0) if parts and parts[0].isalpha() else "choice"
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        raise ValueError(f"expected {_EXPECTED}") from None
    if numbers and min(numbers) >= 0 and max(numbers) < 1e9:
        match name, len(numbers):
            case "choice", _:
                return Choice(numbers)
            case "uniform", 2 if numbers[0] <= numbers[1]:
                return Uniform((numbers[0], numbers[1]))
            case "exponential", 3 if numbers[0] > 0 and numbers[1] <= numbers[2]:
                return Exponential((numbers[0], numbers[1], numbers[2]))
    raise ValueError(f"expected {_EXPECTED}")


_EXPECTED = "seconds, choice S1 S2 …, uniform MIN MAX or exponential MEAN MIN MAX"
INTERVAL_WORDS = f"seconds: {_EXPECTED.removeprefix('seconds, ')}, or one number"
IntervalSetting = Annotated[Interval, BeforeValidator(parse_interval)]
"""An `Interval` that is written in one line of settings.ini."""
