"""Capacity: how many boxes a computer carries, by a rule for measurements of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from typing import Any

from deeplabstream.rack.box_load import BoxLoad
from deeplabstream.settings.rack_file import threads_of_box

LEAST_SHARE = 0.99
"""Least share of each camera's frames that must be analysed."""
MOST_RATIO = 1.5
"""Largest median latency, relative to that of the same box alone."""
RULE = (
    f"at least {LEAST_SHARE:.0%} of each camera's frames are analysed, and p50 is at most "
    f"{MOST_RATIO:g} times that of the same box alone"
)
_TABLE = "{:>5}  {:>8}  {:>12}  {:>7}  {:>9}  {:>9}  {}"
TABLE_HEAD = _TABLE.format(
    "boxes", "analysed", "p50/p99 ms", "x alone", "CPU cores", "memory MB", "carried"
)


@dataclass(frozen=True)
class RatedLoad:
    """A measurement of boxes that ran together, and what the rule says about it."""

    load: BoxLoad
    ratio: float
    """Largest p50 of a camera, relative to that of its box alone; NaN: none was measured."""

    @property
    def share(self) -> float:
        """Smallest share of a camera's frames that was analysed; 0: none was measured."""
        return min((camera.share for camera in self.load.cameras), default=0.0)

    @property
    def carried(self) -> bool:
        """Whether the rule holds."""
        return self.share >= LEAST_SHARE and self.ratio <= MOST_RATIO

    def row(self) -> str:
        """Return a line of the table: the worst camera of all boxes."""
        load = self.load
        if load.problem:
            return f"{load.boxes:>5}  {load.problem}"
        return _TABLE.format(
            load.boxes,
            f"{self.share:.1%}",
            f"{max(it.p50_ms for it in load.cameras):.1f}/"
            f"{max(it.p99_ms for it in load.cameras):.1f}",
            f"{self.ratio:.2f}",
            f"{load.cpu_cores:.2f}",
            f"{load.memory_mb:.0f}",
            "yes" if self.carried else "no",
        )

    def facts(self) -> dict[str, Any]:
        """Return everything as plain values; unknown ones are None."""
        cameras = [
            {key: _known(value) for key, value in asdict(it).items()}
            for it in self.load.cameras
        ]
        return asdict(self.load) | {
            "cameras": cameras,
            "threads_of_each_network": threads_of_box(self.load.boxes),
            "least_share": self.share,
            "p50_ratio": _known(self.ratio),
            "carried": self.carried,
        }


def rated(load: BoxLoad, alone: Mapping[tuple[str, str], float]) -> RatedLoad:
    """Rate a measurement; `alone` is the p50 (ms) of each box alone, by box and camera."""
    ratios = [it.p50_ms / alone.get((it.box, it.camera), nan) for it in load.cameras]
    unknown = not ratios or any(map(isnan, ratios))
    return RatedLoad(load, nan if unknown else max(ratios))


def find_capacity(
    most: int, measure: Callable[[int], RatedLoad]
) -> Iterator[tuple[int, RatedLoad]]:
    """Measure growing numbers of boxes; yield the number that is carried so far, and the last.

    The number is doubled until one is not carried or `most` is reached. Then the numbers
    between are halved, so that the last one that is carried is exact.
    """
    carried, too_many, number = 0, most + 1, 1
    while carried + 1 < too_many:
        found = measure(number)
        if found.carried:
            carried = number
        else:
            too_many = number
        yield carried, found
        between = (carried + too_many) // 2
        number = min(2 * carried, most) if too_many > most else between


def sentence(carried: int, most: int) -> str:
    """Return what was found, with the rule."""
    if not carried:
        return f"This computer does not carry one of these boxes. The rule: {RULE}."
    boxes = f"{carried} of these boxes" if carried > 1 else "one of these boxes"
    more = "; more were not tried (--most)" if carried == most else ""
    return f"This computer carries {boxes}{more}: {RULE}."


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value


def copies(names: Sequence[str], number: int) -> list[tuple[str, str]]:
    """Return so many names of boxes, each with the box of the rack that it is a copy of.

    >>> copies(["left", "right"], 3)
    [('1 left', 'left'), ('2 right', 'right'), ('3 left', 'left')]
    """
    sources = [names[place % len(names)] for place in range(number)]
    return [(f"{place} {source}", source) for place, source in enumerate(sources, 1)]
