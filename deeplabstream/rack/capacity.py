"""Capacity: how many boxes, or arenas of a box, a computer carries, by a rule.

The rule is for measurements of them.
"""

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
ARENA_RULE = f"at least {LEAST_SHARE:.0%} of each camera's frames are analysed"
"""Without a limit of p50: one engine evaluates all arenas of a camera, each adds to it."""
RULE = (
    f"{ARENA_RULE}, and p50 is at most {MOST_RATIO:g} times that of the same box alone"
)
_TABLE = "{:>6}  {:>8}  {:>12}  {:>7}  {:>9}  {:>9}  {}"


def table_head(what: str) -> str:
    """Return the head of a table of `boxes` or `arenas`."""
    return _TABLE.format(
        what, "analysed", "p50/p99 ms", "x alone", "CPU cores", "memory MB", "carried"
    )


@dataclass(frozen=True)
class RatedLoad:
    """A measurement of boxes that ran together, and what the rule says about it."""

    load: BoxLoad
    ratio: float
    """Largest p50 of a camera, relative to that of its box alone, or with one arena; NaN: none
    was measured."""
    arenas: int = 0
    """How many arenas of a box were measured; 0: boxes were, with all their arenas."""

    @property
    def share(self) -> float:
        """Smallest share of a camera's frames that was analysed; 0: none was measured."""
        return min((camera.share for camera in self.load.cameras), default=0.0)

    @property
    def carried(self) -> bool:
        """Whether the rule holds."""
        as_fast = bool(self.arenas) or self.ratio <= MOST_RATIO
        return self.share >= LEAST_SHARE and as_fast

    def row(self) -> str:
        """Return a line of the table: the worst camera of all boxes."""
        load, number = self.load, self.arenas or self.load.boxes
        if load.problem:
            return f"{number:>6}  {load.problem}"
        return _TABLE.format(
            number,
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
            "arenas": self.arenas,
        }


def rated(
    load: BoxLoad, alone: Mapping[tuple[str, str], float], arenas: int = 0
) -> RatedLoad:
    """Rate a measurement; `alone` is the p50 (ms) of each box alone, by box and camera.

    `arenas`: how many arenas of a box were measured; `alone` is that with one of them.
    """
    ratios = [it.p50_ms / alone.get((it.box, it.camera), nan) for it in load.cameras]
    unknown = not ratios or any(map(isnan, ratios))
    return RatedLoad(load, nan if unknown else max(ratios), arenas)


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


def arena_sentence(box: str, carried: int, full: RatedLoad) -> str:
    """Return what was found of a box with several arenas, with the rule.

    `full`: the measurement of all of them.
    """
    p50_ms = max((camera.p50_ms for camera in full.load.cameras), default=nan)
    found = full.load.problem or (
        f"{full.share:.1%} of the frames are analysed, p50 is {p50_ms:.1f} ms"
    )
    number = "all" if carried == full.arenas else carried or "none"
    return (
        f"[Box {box}] This computer carries {number} of its {full.arenas} arenas: "
        f"{ARENA_RULE}. With all {full.arenas}: {found}."
    )


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value


def copies(names: Sequence[str], number: int) -> list[tuple[str, str]]:
    """Return so many names of boxes, each with the box of the rack that it is a copy of.

    >>> copies(["left", "right"], 3)
    [('1 left', 'left'), ('2 right', 'right'), ('3 left', 'left')]
    """
    sources = [names[place % len(names)] for place in range(number)]
    return [(f"{place} {source}", source) for place, source in enumerate(sources, 1)]
