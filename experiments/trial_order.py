"""Random orders of trials and lengths of intervals, all from one seed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from random import Random
from typing import Annotated, TypeVar

from pydantic import BeforeValidator

from deeplabstream.plugin import ExperimentError

T = TypeVar("T")
_TRIES = 1000


def drawn(
    kinds: Sequence[T],
    weights: Sequence[float],
    number: int,
    random: Random,
    longest_run: int = 0,
) -> list[T]:
    """Return `number` trials, each drawn independently with probability by weight.

    No kind occurs more than `longest_run` times in a row (0: no limit).
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
    """Return `blocks` blocks, each with a fixed number of each kind in random order.

    No kind occurs more than `longest_run` times in a row, also across blocks (0: no
    limit). ExperimentError: no such order exists.
    """
    block = [p for p, count in enumerate(counts) for _ in range(count)]
    places: list[int] = []
    for _ in range(blocks):
        for _ in range(_TRIES):
            random.shuffle(block)
            if not longest_run or _longest([*places, *block]) <= longest_run:
                break
        else:
            raise ExperimentError(f"no order has at most {longest_run} in a row")
        places += block
    return [kinds[place] for place in places]


def _longest(places: Sequence[int]) -> int:
    return max((len([*run]) for _, run in groupby(places)), default=0)


class Interval(ABC):
    """A random waiting time, in seconds."""

    @abstractmethod
    def draw(self, random: Random) -> float:
        """Return the next waiting time."""

    def __str__(self) -> str:
        numbers = astuple(self)[0]  # type: ignore[call-overload]
        return " ".join([type(self).__name__.lower(), *(f"{n:g}" for n in numbers)])


@dataclass(frozen=True)
class Choice(Interval):
    """`choice S1 S2 …`: one of these values; a single value is constant."""

    seconds: tuple[float, ...]

    def draw(self, random: Random) -> float:
        """Return one of the values."""
        return random.choice(self.seconds)


@dataclass(frozen=True)
class Uniform(Interval):
    """`uniform MIN MAX`: uniformly distributed between them."""

    seconds: tuple[float, float]

    def draw(self, random: Random) -> float:
        """Return a value between the limits."""
        return random.uniform(*self.seconds)


@dataclass(frozen=True)
class Exponential(Interval):
    """`exponential MEAN MIN MAX`: exponentially distributed, without memory.

    MEAN is the mean without limits; values outside the limits are drawn again.
    """

    seconds: tuple[float, float, float]

    def draw(self, random: Random) -> float:
        """Return a value between MIN and MAX."""
        mean, low, high = self.seconds
        for _ in range(_TRIES):
            if low <= (drawn := random.expovariate(1 / mean)) <= high:
                return drawn
        return low


def parse_interval(text: object) -> Interval:
    """Return the interval that one line describes; a single number is constant.

    >>> parse_interval("uniform 10 41")
    Uniform(seconds=(10.0, 41.0))
    """
    if isinstance(text, Interval):
        return text
    parts = str(text).replace(",", " ").split()
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
INTERVAL_SYNTAX = f"seconds: {_EXPECTED.removeprefix('seconds, ')}, or one number"
IntervalSetting = Annotated[Interval, BeforeValidator(parse_interval)]
"""An `Interval` that is written in one line of settings.ini."""
