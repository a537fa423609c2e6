"""Arena layout: a grid of arenas, its unused ones and the outputs of each, in a settings text."""

from collections.abc import Collection, Sequence

import numpy as np

from deeplabstream.plugins.event_output import EventOutput
from deeplabstream.settings.arena_geometry import ImagePoint, check_size, grid_centres
from deeplabstream.settings.arena_instances import arena_of, in_arena
from deeplabstream.settings.arenas import (
    ARENAS,
    NO_EXPERIMENT,
    SINGLE,
    parse_point,
    parse_shape,
)
from deeplabstream.settings.ini_editing import add_section, remove_section, set_value
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import kind_of
from deeplabstream.settings.sections import Settings

_OUTPUT = "Output "


def fitted_shape(
    rows: int,
    columns: int,
    corners: Sequence[ImagePoint],
    *,
    is_round: bool,
    gap: float,
) -> str:
    """Return SHAPE of the arenas of a grid, with a gap between neighbours, px.

    ValueError: the grid is not valid, or the gap leaves nothing.

    >>> corners = ImagePoint(100, 100), ImagePoint(300, 200)
    >>> fitted_shape(2, 3, corners, is_round=True, gap=10)
    'circle 45'
    >>> fitted_shape(2, 3, corners, is_round=False, gap=20)
    'rectangle 80 80'
    """
    check_size(rows, columns)
    centres = grid_centres(rows, columns, tuple(corners))
    steps = [
        float(np.hypot(*np.moveaxis(np.diff(centres, axis=axis), -1, 0)).min())
        for axis in (1, 0)
        if centres.shape[axis] > 1
    ]
    if not steps:
        raise ValueError("a single arena has no neighbours; draw a region instead")
    across, along = steps[0] - gap, steps[-1] - gap
    if min(across, along) < 1:
        raise ValueError(f"a gap of {gap:g} px leaves nothing of the arenas")
    if is_round:
        return f"circle {round(min(across, along) / 2, 1):g}"
    return f"rectangle {round(across, 1):g} {round(along, 1):g}"


def with_grid(
    text: str,
    rows: int,
    columns: int,
    corners: str,
    *,
    is_round: bool,
    gap: float,
) -> str:
    """Return the settings with a grid; ValueError: it is not valid.

    Single arenas of the grid, and a list of unused ones, stay where the new grid has them.
    """
    points = [parse_point(word) for word in corners.split(",")]
    shape = fitted_shape(rows, columns, points, is_round=is_round, gap=gap)
    new = {
        "ROWS": f"{rows}",
        "COLUMNS": f"{columns}",
        "CORNERS": corners,
        "SHAPE": shape,
    }
    for key, word in new.items():
        text = set_value(text, ARENAS, key, word)
    return text


def gap_of(rows: int, columns: int, corners: str, shape: str) -> float:
    """Return the gap between neighbours of a grid, px; ValueError: it is not valid."""
    points = [parse_point(word) for word in corners.split(",")]
    without = fitted_shape(rows, columns, points, is_round=True, gap=0.0)
    outline = parse_shape(shape).outline()
    width = float(np.ptp(outline, axis=0).min())
    return round(max(0.0, 2 * float(without.split()[1]) - width), 1)


def with_unused(text: str, names: Collection[str]) -> str:
    """Return the settings with these arenas unused; they have no subjects then."""
    text = set_value(text, ARENAS, "UNUSED", ", ".join(names) or None)
    return _without_entries(text, "SUBJECTS", names)


def _without_entries(text: str, key: str, names: Collection[str]) -> str:
    """Return the settings without the entries `ARENA …` of these arenas in a list."""
    texts = read_sections(text).texts.get(ARENAS, {})
    entries = [word.strip() for word in texts.get(key, "").split(",")]
    kept = [word for word in entries if word and word.split()[0] not in names]
    if kept != [word for word in entries if word]:
        text = set_value(text, ARENAS, key, ", ".join(kept) or None)
    return text


def with_first_arenas(text: str, rig: Settings, number: int) -> str:
    """Return the settings with so many of their arenas, and the outputs of these.

    `rig`: the settings that the text has. Arenas with an experiment come first, else there may be
    nothing to run.
    """

    def has_none(name: str) -> bool:
        return rig.arena_experiments.get(name) == NO_EXPERIMENT

    others = sorted(rig.arenas, key=has_none)[number:]
    for title in read_sections(text).texts:
        is_single = title.startswith(SINGLE) and title.removeprefix(SINGLE) in others
        if is_single or (title.startswith(_OUTPUT) and arena_of(title, others)):
            text = remove_section(text, title)
    in_grid = [name for name in others if name in rig.plate.grid]
    text = with_unused(text, [*rig.plate.unused, *in_grid])
    for key in ("SUBJECTS", "EXPERIMENTS"):
        text = _without_entries(text, key, others)
    return text


def with_outputs(text: str, arenas: Sequence[str]) -> str:
    """Return the settings with each output once for each arena: NAME.ARENA.

    A missing one is a copy of the first of that name; those of other arenas are removed.
    Outputs that send events to other programs stay as they are.
    """
    sections = read_sections(text).texts
    groups: dict[str, dict[str, str]] = {}
    for title, texts in sections.items():
        kind = kind_of(title, texts) if title.startswith(_OUTPUT) else None
        if kind is not None and not issubclass(kind, EventOutput):
            base = title.removeprefix(_OUTPUT).partition(".")[0]
            groups.setdefault(base, dict(texts))
    for base, texts in groups.items():
        wanted = {f"{_OUTPUT}{in_arena(base, arena)}": arena for arena in arenas}
        for title, arena in wanted.items():
            if title in sections:
                continue
            own = dict(texts)
            if "THEN" in own:
                own["THEN"] = in_arena(own["THEN"].partition(".")[0], arena)
            text = add_section(text, title, own)
        for title in sections:
            name = title.removeprefix(_OUTPUT)
            is_of_base = title.startswith(_OUTPUT) and name.partition(".")[0] == base
            if is_of_base and title not in wanted:
                text = remove_section(text, title)
    return text


def lacks_outputs(text: str, arenas: Sequence[str]) -> bool:
    """Return whether the outputs are not those of the arenas."""
    return bool(arenas) and with_outputs(text, arenas) != text
