"""Arenas (wells) of one camera: a grid, `[Arenas]`, and single regions, `[Arena NAME]`.

One animal lives in each arena and never leaves it, so an arena's name is its animal's.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.regions import Rectangle, Region, parse_region
from deeplabstream.plugins.trigger import RegionSetting
from deeplabstream.settings.arena_geometry import (
    MOST_COLUMNS,
    MOST_ROWS,
    ImagePoint,
    check_size,
    grid_centres,
)

ARENAS, ARENA = "Arenas", "Arena"
"""Section of the grid, and family of the sections of single arenas."""
SINGLE = f"{ARENA} "
"""Start of the titles of single arenas."""
MARKERS = 4
"""Number of markers of a plate."""
NO_SUBJECT = "-"
"""Subject of an empty arena."""
NO_EXPERIMENT = "-"
"""Experiment of an arena in which nothing is controlled."""
_GRID_NAME = re.compile(r"([A-Z])([1-9][0-9]?)")
"""Row and column of an arena of the grid."""


def parse_point(text: object) -> ImagePoint:
    """Return the point that two numbers describe; ValueError: it is invalid.

    >>> parse_point("102 88.5")
    ImagePoint(x=102.0, y=88.5)
    """
    if isinstance(text, ImagePoint):
        return text
    try:
        x, y = map(float, str(text).split())
    except ValueError:
        x = y = np.nan
    if not np.isfinite((x, y)).all():
        raise ValueError(
            f"expected X Y for each corner, commas between them, not {text!r}"
        )
    return ImagePoint(x, y)


def parse_shape(text: object) -> Region:
    """Return the region around 0 0 that a shape without a place describes.

    >>> parse_shape("rectangle 60 40")
    Rectangle(x=-30.0, y=-20.0, w=60.0, h=40.0)
    """
    if isinstance(text, Region):
        return text
    word, *numbers = str(text).replace(",", " ").split() or [""]
    if word not in ("circle", "ellipse", "rectangle"):
        raise ValueError("expected circle R, ellipse RX RY or rectangle W H")
    try:
        region = parse_region(" ".join([word, "0 0", *numbers]))
    except ValueError as error:
        raise ValueError(str(error).replace(" X Y", "")) from None
    if isinstance(region, Rectangle):
        return region.moved(-region.w / 2, -region.h / 2)
    return region


def _without_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return each name once."""
    return tuple(dict.fromkeys(names))


def parse_subjects(subjects: tuple[str, ...]) -> tuple[str, ...]:
    """Return `ARENA NAME` of each subject; ValueError: it is not that, or there twice.

    >>> parse_subjects(("A1 fly 7", "A2 -"))
    ('A1 fly 7', 'A2 -')
    """
    pairs = [_arena_and_name(words) for words in subjects]
    for (arena, name), words in zip(pairs, subjects, strict=True):
        if not name:
            raise ValueError(f"{words!r}: expected an arena and its animal's name")
        if [it for it, _ in pairs].count(arena) > 1:
            raise ValueError(f"arena {arena} is there twice; each has one animal")
        if name != NO_SUBJECT and [it for _, it in pairs].count(name) > 1:
            raise ValueError(f"animal {name} is there twice; each is in one arena")
    return subjects


def parse_experiments(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Return `ARENAS NAME` of each experiment; ValueError: it is not that, or one is there twice.

    >>> parse_experiments(("A1:B6 control", "C1 -"))
    ('A1:B6 control', 'C1 -')
    """
    found: list[str] = []
    for words in entries:
        arenas, name = _arena_and_name(words)
        if not name:
            raise ValueError(
                f"{words!r}: expected arenas, such as A1 or A1:B6, and the NAME of an "
                f"[Experiment NAME], or {NO_EXPERIMENT}"
            )
        found += arenas_between(arenas)
    if twice := sorted({it for it in found if found.count(it) > 1}):
        raise ValueError(
            f"arena {listed(twice)} is there twice; each has one experiment"
        )
    return entries


def arenas_between(word: str) -> list[str]:
    """Return the arenas of a word: `A1`, or of a block of the grid, `A1:B6`, row by row.

    ValueError: the block has no such corners.

    >>> arenas_between("A2:B3"), arenas_between("left")
    (['A2', 'A3', 'B2', 'B3'], ['left'])
    """
    first, colon, last = word.partition(":")
    if not colon:
        return [word]
    corners = _GRID_NAME.fullmatch(first), _GRID_NAME.fullmatch(last)
    rows, columns = (
        [it[1] for it in corners if it],
        [int(it[2]) for it in corners if it],
    )
    if len(rows) < 2 or rows[0] > rows[1] or columns[0] > columns[1]:
        raise ValueError(
            f"{word}: expected the upper left and the lower right arena of a block, such "
            "as A1:B6"
        )
    return [
        f"{row}{column}"
        for row in map(chr, range(ord(rows[0]), ord(rows[1]) + 1))
        for column in range(columns[0], columns[1] + 1)
    ]


def _arena_and_name(words: str) -> tuple[str, str]:
    """Return arena and name of `ARENA NAME`; an empty name: it is missing."""
    arena, name, *_ = [*words.split(None, 1), "", ""]
    return arena, name.strip()


@settings(frozen=True, kw_only=True, config={"arbitrary_types_allowed": True})
class Arenas:
    """Grid of arenas (wells) in the deciding camera's image, each with one animal.

    An arena's name is that of its animal: row letter and column number (A1, B12). `[Arena
    NAME]` adds a single arena, or replaces one of the grid.
    """

    rows: int = Field(
        default=0,
        ge=0,
        le=MOST_ROWS,
        description="number of rows; 0: no grid",
    )
    columns: int = Field(
        default=0, ge=0, le=MOST_COLUMNS, description="number of columns"
    )
    corners: tuple[Annotated[ImagePoint, BeforeValidator(parse_point)], ...] = Field(
        default=(),
        description="X Y of the centres of the first and the last arena, in px; or of the "
        "upper left, upper right, lower right and lower left one, for a grid that the "
        "camera sees turned or in perspective",
    )
    shape: Annotated[Region, BeforeValidator(parse_shape)] | None = Field(
        default=None,
        description="circle R, ellipse RX RY or rectangle W H, in px: shape of each arena",
    )
    subjects: Annotated[tuple[str, ...], AfterValidator(parse_subjects)] = Field(
        default=(),
        description="arena and name of the animal in it, for results and NWB: A1 fly12, "
        "A2 fly13, A3 -; every arena, also those of [Arena NAME]; -: it is empty, and "
        "MODEL = background finds nothing in it that rests",
    )
    experiments: Annotated[tuple[str, ...], AfterValidator(parse_experiments)] = Field(
        default=(),
        description="arenas, or blocks of the grid, with another experiment than EXP_NAME, "
        "and its NAME: C1:D6 control, E1 -; -: none, the outputs of these arenas stay off",
    )
    unused: Annotated[tuple[str, ...], AfterValidator(_without_repetition)] = Field(
        default=(),
        description="arenas of the grid that are not analysed, recorded or controlled: "
        "A3, B7",
    )
    markers: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(),
        description="numbers of the ArUco markers at the upper left, upper right, lower "
        "right and lower left of the plate; the arenas are found by them at the start of "
        "each stream; empty: they stay where they were laid out",
    )
    dictionary: str = Field(
        default="4X4_50", description="ArUco dictionary of the markers"
    )
    marker_corners: tuple[Annotated[ImagePoint, BeforeValidator(parse_point)], ...] = (
        Field(
            default=(),
            description="X Y of the four corners of each marker in the image in which the "
            "arenas were laid out; *Find markers* on the page Regions writes them",
        )
    )

    def __post_init__(self) -> None:
        self._check_markers()
        if not self.rows and not self.columns:
            return
        if not self.rows or not self.columns:
            raise ValueError("ROWS and COLUMNS: enter both, or none")
        check_size(self.rows, self.columns)
        if self.shape is None:
            raise ValueError("SHAPE: is missing, such as circle 40")
        grid_centres(self.rows, self.columns, self.corners)

    def _check_markers(self) -> None:
        if not self.markers:
            return
        if len(self.markers) != MARKERS or len({*self.markers}) != MARKERS:
            raise ValueError(f"MARKERS: expected {MARKERS} different numbers")
        if len(self.marker_corners) != 4 * MARKERS:
            raise ValueError(
                f"MARKER_CORNERS: expected {4 * MARKERS} points, not "
                f"{len(self.marker_corners)}; press Find markers on the page Regions"
            )

    @property
    def subject_of(self) -> dict[str, str]:
        """The subject of each arena; `NO_SUBJECT`: it is empty."""
        return dict(_arena_and_name(words) for words in self.subjects)

    @property
    def experiment_of(self) -> dict[str, str]:
        """The experiment of each arena that EXPERIMENTS has; `NO_EXPERIMENT`: none."""
        return {
            arena: name
            for arenas, name in map(_arena_and_name, self.experiments)
            for arena in arenas_between(arenas)
        }

    @property
    def grid(self) -> dict[str, Region]:
        """Regions of the grid by name, row by row, with those that are unused."""
        if not self.rows or self.shape is None:
            return {}
        centres = grid_centres(self.rows, self.columns, self.corners)
        return {
            f"{ascii_uppercase[row]}{column + 1}": self.shape.moved(
                *centres[row, column].tolist()
            )
            for row in range(self.rows)
            for column in range(self.columns)
        }


def arena_regions(
    grid: Arenas, single: Mapping[str, "SingleArena"]
) -> dict[str, Region]:
    """Return the arenas that are used, by name.

    A single arena with the name of one of the grid replaces it.
    """
    laid_out = {**grid.grid, **{name: one.region for name, one in single.items()}}
    return {name: it for name, it in laid_out.items() if name not in grid.unused}


def unused_problems(grid: Arenas) -> Iterator[str]:
    """Yield a sentence for unused arenas that the grid does not have, or if all are unused."""
    if unknown := [name for name in grid.unused if name not in grid.grid]:
        yield f"[Arenas] UNUSED: there is no arena {listed(unknown)} in the grid"
    elif grid.grid and len(grid.unused) == len(grid.grid):
        yield "[Arenas] UNUSED: all arenas are unused; leave one out of the list"


def subject_problems(
    subjects: Mapping[str, str], arenas: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for the subjects without an arena, and the arenas without one."""
    if unknown := [arena for arena in subjects if arena not in arenas]:
        yield f"[Arenas] SUBJECTS: there is no arena {listed(unknown)}"
    missing = [arena for arena in arenas if arena not in subjects]
    if subjects and missing:
        yield (
            f"[Arenas] SUBJECTS: {listed(missing)} missing; enter the animal of each "
            f"arena, or {NO_SUBJECT} for an empty one: {missing[0]} {NO_SUBJECT}"
        )


def arena_experiment_problems(grid: Arenas, arenas: Collection[str]) -> Iterator[str]:
    """Yield a sentence for experiments of missing arenas, or if no arena has any."""
    chosen = grid.experiment_of
    if unknown := [it for it in chosen if it not in arenas and it not in grid.unused]:
        yield f"[Arenas] EXPERIMENTS: there is no arena {listed(unknown)}"
    elif arenas and all(chosen.get(it) == NO_EXPERIMENT for it in arenas):
        yield "[Arenas] EXPERIMENTS: no arena has an experiment; leave one out of the list"


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return the first names, and how many more there are.

    >>> listed(["A1", "A2", "A3"], 2)
    'A1, A2 and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@settings(frozen=True, kw_only=True, config={"arbitrary_types_allowed": True})
class SingleArena:
    """Arena (well) in the deciding camera's image; NAME is also that of its animal.

    With the name of an arena of the grid, such as `[Arena B7]`, it replaces that arena.
    """

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, rectangle X Y W H or polygon X1 Y1 "
        "X2 Y2 X3 Y3 …, in px"
    )
