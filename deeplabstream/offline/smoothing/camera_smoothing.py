"""Whole cameras smoothed: each body part by what was chosen for it, as one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.ibl.pupil import places_of_sides, smooth_pupil
from deeplabstream.offline.smoothing.ensemble_kalman import (
    EnsemblePoses,
    SmoothedPoses,
    smooth_paws,
)
from deeplabstream.offline.smoothing.ensemble_kalman_4 import (
    smooth_single_4,
    smooth_views_4,
)
from deeplabstream.offline.smoothing.ensemble_members import Members

Numbers = NDArray[np.float64]
Smoothed: TypeAlias = dict[str, dict[str, Numbers]]
"""By body part: `deeplabstream.offline.smoothing.ensemble_kalman.COLUMNS`, each (row,)."""

PAWS = {"paw_l": "paw_r", "paw_r": "paw_l"}
"""Names of one paw, for IBL's left and right camera."""
_SEEN = 5
"""In how many frames all views have to see a body part together, at least."""


def smooth_mirrored(
    members: Members, endings: Sequence[str] = (), s: float | None = None
) -> Smoothed:
    """Smooth one camera; body parts that all `endings` have are views of the same point.

    The others are smoothed each alone, as all are without `endings`.
    """
    found: Smoothed = {}
    if endings:
        try:
            own = views_by_ending(members.bodyparts, endings)
        except DeepLabStreamError as error:
            raise DeepLabStreamError(f"{members.source}: {error}") from error
        views = [(members, view) for view in own]
        for view, smoothed in zip(own, _together(views, s), strict=True):
            found |= _columns(view, smoothed)
    return _with_the_rest(members, found, s)


def smooth_eye(members: Members) -> Smoothed:
    """Smooth pupil_top…, _bottom…, _right… and _left… as a circle, the rest alone."""
    try:
        places = places_of_sides(members.bodyparts)
    except DeepLabStreamError as error:
        raise DeepLabStreamError(f"{members.source}: {error}") from error
    own = [members.bodyparts[place] for place in places]
    found = _columns(own, smooth_pupil(members.ensemble(own), own, None, None))
    return _with_the_rest(members, found, None)


def smooth_cameras(
    cameras: Sequence[Members], s: float | None = None
) -> list[Smoothed]:
    """Smooth the points of several cameras at the same moments, row by row.

    Body parts that all cameras have are smoothed together, the others alone.
    """
    first = cameras[0]
    if len(cameras) < 2:
        raise DeepLabStreamError(f"{first.source}: several views need two cameras")
    for camera in cameras:
        if len(camera) != len(first):
            raise DeepLabStreamError(
                f"{camera.source} has {len(camera)} frames, but {first.source} has "
                f"{len(first)}: views need equal numbers"
            )
    shared = [
        name for name in first.bodyparts if all(name in c.bodyparts for c in cameras)
    ]
    if not shared:
        others = " and ".join(str(camera.source) for camera in cameras)
        raise DeepLabStreamError(f"{others} have no body part in common")
    together = _together([(camera, shared) for camera in cameras], s)
    return [
        _with_the_rest(camera, _columns(shared, smoothed), s)
        for camera, smoothed in zip(cameras, together, strict=True)
    ]


def smooth_both_paws(
    left: Members,
    right: Members,
    times_s: tuple[Numbers, Numbers],
    s: float | None = None,
) -> list[Smoothed]:
    """Smooth paw_l and paw_r of two cameras, each with its own `times_s`.

    As iblvideo does it, which follows version 3. Rows of both are the left camera's frames;
    each keeps the names its camera has: the left camera's paw_l is the right one's paw_r.
    """
    for side in (left, right):
        if lacking := [name for name in PAWS if name not in side.bodyparts]:
            raise DeepLabStreamError(f"{side.source} has no {' and no '.join(lacking)}")
    left_of = {paw: left.ensemble([paw]) for paw in PAWS}
    right_of = {paw: right.ensemble([other]) for paw, other in PAWS.items()}
    for paw in PAWS:
        ours, theirs = _known(left_of[paw])[:, 0], _known(right_of[paw])[:, 0]
        overlap = np.where(theirs, 1.0, np.nan)
        both = np.interp(times_s[0], times_s[1], overlap, np.nan, np.nan)
        count = np.isfinite(both[ours]).sum()
        if count < _SEEN:
            raise DeepLabStreamError(
                f"{left.source} and {right.source} both show {paw} in {count} "
                f"frames; {_SEEN} are needed. Are the times on one clock?"
            )
    found = smooth_paws(left_of, right_of, times_s, 2.0 if s is None else s)
    return [
        {paw: found[paw][0].columns(0) for paw in PAWS},
        {paw: found[other][1].columns(0) for paw, other in PAWS.items()},
    ]


def write_smoothed(file: Path, smoothed: Smoothed) -> None:
    """Write scorer, bodyparts, coords, as the package `ensemble-kalman-smoother` does."""
    import pandas as pd

    table = pd.DataFrame(
        {
            ("ensemble-kalman-smoother", name, column): values
            for name, columns in smoothed.items()
            for column, values in columns.items()
        }
    )
    table.columns.names = ["scorer", "bodyparts", "coords"]
    with atomic_file(file) as making:
        table.to_csv(making, lineterminator="\n", float_format="%.6g")


def _together(
    views: Sequence[tuple[Members, Sequence[str]]], s: float | None
) -> list[SmoothedPoses]:
    """Smooth views of the same body parts, which each view has its own names for."""
    seen = [members.ensemble(own) for members, own in views]
    frames = np.logical_and.reduce([_known(ensemble) for ensemble in seen]).sum(axis=0)
    for name, count in zip(views[0][1], frames, strict=True):
        if count < _SEEN:
            raise DeepLabStreamError(
                f"{views[0][0].source}: all views show {name} in {count} frames; "
                f"{_SEEN} are needed"
            )
    return smooth_views_4(seen, s)


def _known(ensemble: EnsemblePoses) -> NDArray[np.bool_]:
    """Return (row, body part): whether the networks say where it is."""
    known = np.isfinite(ensemble.median + ensemble.variance)
    return np.asarray(known.all(axis=2))


def _with_the_rest(members: Members, found: Smoothed, s: float | None) -> Smoothed:
    """Return all body parts in their order; those not yet found are smoothed alone."""
    rest = [name for name in members.bodyparts if name not in found]
    if rest:
        found = found | _columns(rest, smooth_single_4(members.ensemble(rest), s))
    return {name: found[name] for name in members.bodyparts}


def _columns(names: Sequence[str], smoothed: SmoothedPoses) -> Smoothed:
    return {name: smoothed.columns(place) for place, name in enumerate(names)}


def views_by_ending(
    bodyparts: Sequence[str], endings: Sequence[str]
) -> list[list[str]]:
    """Return the body parts of each view, the same points in the same order.

    `endings` are the views', as `_top`, `_bot`. DeepLabStreamError: there are fewer than
    two of them, or no body part has a name for each.

    >>> views_by_ending(["paw_top", "nose_top", "tail", "paw_bot"], ["_top", "_bot"])
    [['paw_top'], ['paw_bot']]
    """
    if len(set(endings)) < 2 or len(set(endings)) < len(endings):
        raise DeepLabStreamError(
            f"--mirrored {' '.join(endings)}: name a different ending for each "
            "of two or more views"
        )
    shared = [
        name.removesuffix(endings[0])
        for name in bodyparts
        if name.endswith(endings[0])
        and all(name.removesuffix(endings[0]) + end in bodyparts for end in endings)
    ]
    if not shared:
        raise DeepLabStreamError(
            f"--mirrored {' '.join(endings)}: no body part occurs with each "
            f"ending ({', '.join(bodyparts)})"
        )
    return [[name + end for name in shared] for end in endings]
