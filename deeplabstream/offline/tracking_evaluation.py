"""Tracking evaluation: HOTA, IDF1 and identity switches of tracks against true tracks.

TrackEval computes them: HOTA (Luiten et al., International Journal of Computer Vision 129,
2021), IDF1 (Ristani et al., ECCV workshops, 2016) and identity switches (Bernardin &
Stiefelhagen, EURASIP Journal on Image and Video Processing, 2008).

The similarity of two animals is the object keypoint similarity (OKS) with one tolerance for
all body parts: the mean of `exp(-d² / (2 (t L)²))` over the body parts that the truth has.
`d`: distance of the body part in both, px; one that the tracks lack counts as 0. `t`: the
tolerance. `L`: length of an animal, px, the same for all, because the length of a curled-up
animal, and the area of a straight one, say little about how exact its points must be.
"""

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.pose import AMBIGUOUS
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.recording.pose_table import PoseTable

Points = NDArray[np.floating]

TOLERANCE = 0.1
"""Distance in animal lengths at which the similarity of a point is 0.61."""
MATCHING = 0.5
"""Smallest similarity of a match, for IDF1 and identity switches. HOTA is the mean over
0.05, 0.10 … 0.95."""
_MOST_MEASURED = 5000
"""About so many frames are measured for the length of an animal."""


@dataclass(frozen=True, slots=True)
class TrackingScores:
    """How well tracks agree with the truth; counts are of animals, summed over frames."""

    frames: int
    """Frames in which the truth has an animal; no others are evaluated."""
    true_animals: int
    tracked_animals: int
    hota: float
    """Geometric mean of `deta` and `assa` at each similarity, averaged."""
    deta: float
    """Detection accuracy: animals found, of those found or true."""
    assa: float
    """Association accuracy: how long a track stays with one animal."""
    idf1: float
    """Harmonic mean of `idp` and `idr`."""
    idp: float
    """Share of the tracked animals that have the right identity."""
    idr: float
    """Share of the true animals that were tracked with the right identity."""
    switches: int
    """How often an animal's track became another one."""


def similarity(points: Points, truth: Points, scale_px: float) -> NDArray[np.float64]:
    """Return the similarity (true animal, tracked animal) in one frame, from 0 to 1.

    `points` and `truth`: (animal, body part, 2), px; NaN: not found. `scale_px`: tolerance
    times length, `t L` above.
    """
    off = points[None] - truth[:, None]
    near = np.exp(-(off * off).sum(axis=-1) / (2 * scale_px**2))
    labelled = np.isfinite(truth[..., 0])
    total = np.where(labelled[:, None], np.nan_to_num(near), 0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(labelled.sum(axis=-1), 1)[:, None])


def evaluate_tracks(
    tracked: Points, truth: Points, scale_px: float, matching: float = MATCHING
) -> TrackingScores:
    """Compare tracks with the truth; both (frame, track, body part, 2) of the same frames.

    DeepLabStreamError: TrackEval is not installed, or the truth has no animal.
    """
    check_packages("Evaluation of tracking", ["trackeval"])
    with redirect_stdout(StringIO()):  # it prints which data sets lack a package
        from trackeval.metrics import CLEAR, HOTA, Identity

    data = _sequence(tracked, truth, scale_px)
    if not data["num_gt_dets"]:
        raise DeepLabStreamError("the truth has no animal in these frames")

    config = {"THRESHOLD": matching, "PRINT_CONFIG": False}
    hota = HOTA().eval_sequence(data)
    identity = Identity(dict(config)).eval_sequence(data)
    clear = CLEAR(dict(config)).eval_sequence(data)
    return TrackingScores(
        frames=data["num_timesteps"],
        true_animals=data["num_gt_dets"],
        tracked_animals=data["num_tracker_dets"],
        hota=float(np.mean(hota["HOTA"])),
        deta=float(np.mean(hota["DetA"])),
        assa=float(np.mean(hota["AssA"])),
        idf1=float(identity["IDF1"]),
        idp=float(identity["IDP"]),
        idr=float(identity["IDR"]),
        switches=int(clear["IDSW"]),
    )


def _sequence(tracked: Points, truth: Points, scale_px: float) -> dict[str, Any]:
    """Return the input of TrackEval's metrics: the frames with a true animal."""
    present, found = _present(truth), _present(tracked)
    frames = np.flatnonzero(present.any(axis=1)).tolist()
    similarities = [
        similarity(tracked[frame, found[frame]], truth[frame, present[frame]], scale_px)
        for frame in frames
    ]

    true_ids, true_count = _identities(present[frames])
    tracked_ids, tracked_count = _identities(found[frames])
    return {
        "num_timesteps": len(true_ids),
        "num_gt_ids": true_count,
        "num_tracker_ids": tracked_count,
        "num_gt_dets": sum(map(len, true_ids)),
        "num_tracker_dets": sum(map(len, tracked_ids)),
        "gt_ids": true_ids,
        "tracker_ids": tracked_ids,
        "similarity_scores": similarities,
    }


def _present(points: Points) -> NDArray[np.bool_]:
    """Return (frame, track): whether a body part was found."""
    return np.asarray(np.isfinite(points[..., 0]).any(axis=2))


def _identities(present: NDArray[np.bool_]) -> tuple[list[NDArray[np.int64]], int]:
    """Return the identities in each frame, from 0 on without gaps, and their number.

    `present` (frame, track): TrackEval expects every identity in at least one frame.
    """
    used = np.cumsum(present.any(axis=0)) - 1
    return [used[row] for row in present], int(present.any(axis=0).sum())


@dataclass(frozen=True, slots=True)
class TrackingEvaluation:
    """Scores of a table of tracks."""

    all: TrackingScores
    """Of all animals under the names that they have in the table."""
    known: TrackingScores | None
    """Of those whose identity was known, not ambiguous; None: the tracks do not say."""
    length_px: float
    bodyparts: tuple[str, ...]


def evaluate_tracking(
    tracked: PoseTable,
    truth: PoseTable,
    tolerance: float = TOLERANCE,
    length_px: float | None = None,
    frames: tuple[int, int] | None = None,
) -> TrackingEvaluation:
    """Compare a table of named tracks with a table of true ones.

    Frames are compared by their numbers, and body parts by their names.

    Parameters
    ----------
    tracked : PoseTable
        Its `identity` says where the identity of an animal was ambiguous.
    truth : PoseTable
        Frames without an animal in it are not evaluated.
    tolerance : float
        Of the similarity, in animal lengths.
    length_px : float, optional
        Length of an animal; default: the median of the truth.
    frames : tuple of int, optional
        First and last frame; default: all.

    Returns
    -------
    TrackingEvaluation
        Names of animals need not agree: each track is compared with the true animal that
        it follows longest.

    Raises
    ------
    DeepLabStreamError
        They have no common body part or frame, or TrackEval is not installed.
    """
    parts = [part for part in truth.skeleton.bodyparts if part in _parts(tracked)]
    if not parts:
        raise DeepLabStreamError(
            f"{tracked.source} and {truth.source} have no body part in common: "
            f"{', '.join(_parts(tracked))}; {', '.join(_parts(truth))}"
        )

    first, last = frames or (0, np.iinfo(np.int64).max)
    numbers = truth.frames[(truth.frames >= first) & (truth.frames <= last)]
    if not np.isin(numbers, tracked.frames).any():
        raise DeepLabStreamError(
            f"{tracked.source} and {truth.source} have no frame in common"
            + (f" from {first} to {last}" if frames else "")
        )
    true_points = _of_frames(truth, numbers, parts)
    some = true_points[:: max(1, len(true_points) // _MOST_MEASURED)]
    length = length_px or animal_length(some.astype(np.float32))
    if not np.isfinite(length):
        raise DeepLabStreamError(
            f"{truth.source}: no animal has two body parts, so its length is not known. "
            "State it with --length-px"
        )

    scale_px = tolerance * length
    scores = evaluate_tracks(_of_frames(tracked, numbers, parts), true_points, scale_px)
    known = None
    if len(tracked.identity):
        asserted = _of_frames(_without_ambiguous(tracked), numbers, parts)
        known = evaluate_tracks(asserted, true_points, scale_px)
    return TrackingEvaluation(scores, known, length, tuple(parts))


def _parts(table: PoseTable) -> tuple[str, ...]:
    return table.skeleton.bodyparts


def _of_frames(
    table: PoseTable, numbers: NDArray[np.int64], parts: Sequence[str]
) -> Points:
    """Return the points (frame, animal, body part, 2) of frames; NaN where one is missing."""
    places = table.skeleton.indices(parts)
    points = np.full((len(numbers), table.points.shape[1], len(parts), 2), np.nan)
    rows = np.searchsorted(table.frames, numbers).clip(max=len(table) - 1)
    there = table.frames[rows] == numbers
    points[there] = table.points[rows[there]][:, :, places]
    return points


def _without_ambiguous(table: PoseTable) -> PoseTable:
    """Return the table without the animals whose identity was ambiguous."""
    out = [
        [word.startswith(AMBIGUOUS) for word in words]
        or [False] * table.points.shape[1]
        for words in table.identity
    ]
    points = table.points.copy()
    points[np.array(out, bool)] = np.nan
    return replace(table, points=points)
