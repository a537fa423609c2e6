"""Plate: arenas moved to where their plate lies, in settings and in their text."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.pose.plate_markers import (
    PlatePlace,
    Points,
    find_markers,
    locate_plate,
)
from deeplabstream.settings.arena_geometry import grid_centres
from deeplabstream.settings.arena_instances import centre_of
from deeplabstream.settings.arenas import ARENAS, SINGLE, Arenas
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings

MOVED_PART = 0.05
"""Part of the smallest arena's width by which the plate may move before it counts as moved."""
LEAST_MOVED_PX = 2.0
"""Movement that never counts: markers are found with an error of up to a pixel."""
_SAME_PX = 0.1
"""Movement within which a plate lies at the same place: positions are written with 0.01 px."""


def points_word(points: Points) -> str:
    """Return the text of positions (n, 2), as in CORNERS."""
    return ", ".join(f"{x:g} {y:g}" for x, y in np.round(points, 2).tolist())


def laid_out_markers(plate: Arenas) -> tuple[Points, ...]:
    """Return the corners (4, 2) of each marker in the image of the layout, px."""
    points = np.array([(corner.x, corner.y) for corner in plate.marker_corners])
    return tuple(points.reshape(-1, 4, 2))


def plate_in(image: Image, plate: Arenas) -> PlatePlace:
    """Return where the plate lies in an image; DeepLabStreamError: why it is not known."""
    found = find_markers(image, plate.dictionary)
    return locate_plate(found, plate.markers, laid_out_markers(plate))


def plate_movement_px(image: Image, plate: Arenas) -> float:
    """Return how far the markers have moved at most since the layout, px.

    At the corners of the markers: so that a turn counts, too. DeepLabStreamError: why it is not
    known.
    """
    return _movement_px(plate, plate_in(image, plate))


def _movement_px(plate: Arenas, place: PlatePlace) -> float:
    """Return how far a corner of a marker lies at most from where it was laid out, px."""
    before = np.concatenate(laid_out_markers(plate))
    return float(np.hypot(*(place.place(before) - before).T).max())


def movement_tolerance_px(arenas: Iterable[Region]) -> float:
    """Return the movement of the plate that is harmless for these arenas, px."""
    widths = [float(np.ptp(arena.outline(), axis=0).min()) for arena in arenas]
    return max(LEAST_MOVED_PX, MOVED_PART * min(widths, default=0.0))


def found_plate(settings: Settings, used: Settings) -> Settings:
    """Return the settings with the arenas where those in use lie.

    `used`: the settings of a stream that has found the plate. They stay as they are if it has the
    same markers at the same place, or other markers.
    """
    plate, found = settings.plate, used.plate
    if not plate.markers or plate.markers != found.markers:
        return settings
    markers = dict(zip(found.markers, laid_out_markers(found), strict=True))
    try:
        place = locate_plate(markers, plate.markers, laid_out_markers(plate))
    except DeepLabStreamError:
        # the layout was edited since, so that the markers are those of another image
        return settings
    is_moved = _movement_px(plate, place) > _SAME_PX
    return moved_plate(settings, place) if is_moved else settings


def moved_plate(settings: Settings, place: PlatePlace) -> Settings:
    """Return the settings with all arenas, also in their text, where the plate lies.

    The text is that of the run: replays and re-runs need no markers.
    """
    plate, text = settings.plate, settings.text
    if plate.rows:
        centres = grid_centres(plate.rows, plate.columns, plate.corners)
        outer = centres[[0, 0, -1, -1], [0, -1, -1, 0]]
        if 1 in (plate.rows, plate.columns):
            # a single row or column has two ends, a single arena one
            ends = centres.reshape(-1, 2)
            outer = ends[[0, -1]] if len(ends) > 1 else ends
        text = set_value(text, ARENAS, "CORNERS", points_word(place.place(outer)))
    markers = np.concatenate(laid_out_markers(plate))
    text = set_value(text, ARENAS, "MARKER_CORNERS", points_word(place.place(markers)))

    for title, texts in read_sections(text).texts.items():
        if title.startswith(SINGLE) and "REGION" in texts:
            region = parse_region(texts["REGION"])
            old = np.array([centre_of(region)])
            x, y = np.round(place.place(old) - old, 2)[0].tolist()
            text = set_value(text, title, "REGION", str(region.moved(x, y)))

    moved = parse(text, settings.folder)
    return replace(
        settings,
        text=text,
        plate=moved.plate,
        arenas=moved.arenas,
        triggers=moved.triggers,
    )
