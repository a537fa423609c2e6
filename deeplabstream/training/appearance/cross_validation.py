"""Cross-validation of a learned appearance by blocks of time.

Each recording is divided into `FOLDS` blocks. A fold leaves out one block of all recordings
*for all animals*: the network, and the mean embedding of every animal, come from the other
blocks. Were only an animal's own block left out, its neighbours in time would be missing for
itself and there for all others, and animals that look alike would be taken for one another
more often than by chance. Crops within `GAP` of the left-out block are not used, as light and
posture there are nearly those in it. Looks that last longer still count as appearance.

Views (one crop each) give the rank-1 accuracy. Links join the views of a track in `BURST`
successive frames, a burst, to an animal of the other blocks; one is made when the evidence is at
least `DISTINCT`. Views that are farther apart differ more, and their mean would say more than
that of the successive frames from which the identity tracker decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.tracking.appearance_folder import (
    AppearanceScores,
    PairAccuracy,
)
from deeplabstream.pose.tracking.appearance_model import ENOUGH
from deeplabstream.pose.tracking.embedding_evidence import BURST
from deeplabstream.pose.tracking.identity_tracker import DISTINCT
from deeplabstream.training.appearance.certain_tracks import CropSet

FOLDS = 4
"""Blocks of a recording."""
GAP = 0.2
"""Time before and after the left-out block that is not used either, in blocks."""
_LEAST_SCALE, _LARGEST_SCALE = 1e-3, 1e6
"""Limits of the search for the scale of the evidence."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def blocks(source: CropSet) -> NDArray[np.int64]:
    """Return the block of time (crop,) of each crop, 0 to `FOLDS` - 1."""
    since_s = source.times_s - source.times_s[:1]
    share = since_s / max(source.duration_s, 1e-9) * FOLDS
    return np.minimum(share.astype(np.int64), FOLDS - 1)


def training_mask(source: CropSet, fold: int) -> Mask:
    """Return (crop,): which crops a fold uses, those apart from its block."""
    left_out = source.times_s[blocks(source) == fold]
    if not len(left_out):
        return np.ones(len(source), bool)
    gap_s = GAP * source.duration_s / FOLDS
    before = source.times_s < left_out[0] - gap_s
    return np.asarray(before | (source.times_s > left_out[-1] + gap_s))


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Distances of the left-out views of one fold of one source to all animals."""

    distances: Array
    """(view, track): squared distance to the mean embedding; NaN: no other animal of the
    track is known, or it is not known whether it is another one."""
    tracks: NDArray[np.int64]
    """(view,): the true track, for which there is a distance."""
    pieces: Array
    """(piece, track): squared distances of means of `BURST` successive views."""
    piece_tracks: NDArray[np.int64]


def held_out(source: CropSet, embedded: Array, fold: int) -> HeldOut:
    """Return the distances of a fold's left-out views.

    `embedded` (crop, feature): by the network of that fold.
    """
    training, testing = training_mask(source, fold), blocks(source) == fold
    count = len(source.names)
    # The mean of the same blocks for all tracks
    means = np.full((count, embedded.shape[1]), np.nan)
    for track in range(count):
        own = training & (source.tracks == track)
        if own.sum() >= ENOUGH:
            means[track] = embedded[own].mean(axis=0)

    known = np.isfinite(means[:, 0])
    ranked = (source.different & known) & known[:, None]
    usable = ranked.any(axis=1)
    left_out = testing & usable[source.tracks]
    rows = np.flatnonzero(left_out)
    views = _distances(embedded[rows], source.tracks[rows], means, ranked)

    gathered = list(_pieces(source, embedded, left_out))
    tracks = np.array([track for track, _ in gathered], np.int64)
    mean_views = np.array([mean for _, mean in gathered]).reshape(-1, embedded.shape[1])
    pieces = _distances(mean_views, tracks, means, ranked)
    return HeldOut(views, source.tracks[rows], pieces, tracks)


def _distances(
    embedded: Array, tracks: NDArray[np.int64], means: Array, ranked: Mask
) -> Array:
    """Return squared distances (view, track), NaN for tracks that may be the same animal."""
    off = embedded[:, None] - means[None]
    distances = (off * off).sum(axis=-1)
    own = np.arange(len(means))[None] == tracks[:, None]
    return np.where(ranked[tracks] | own, distances, np.nan)


def _pieces(
    source: CropSet, embedded: Array, mask: Mask
) -> Iterator[tuple[int, Array]]:
    """Yield the track and the mean of the views of each track in each burst."""
    chosen = np.flatnonzero(mask)
    keys = np.stack([source.tracks[chosen], source.bursts[chosen]], axis=1)
    found, members, counts = np.unique(
        keys, axis=0, return_inverse=True, return_counts=True
    )
    for piece in np.flatnonzero(counts == BURST).tolist():
        own = chosen[members.ravel() == piece]
        yield int(found[piece, 0]), embedded[own].mean(axis=0)


def evidence_scale(folds: Sequence[HeldOut]) -> float:
    """Return the factor that makes squared distances of pieces costs of the identity tracker.

    With it, half the difference of two costs is the log of the odds: maximum likelihood of
    the true animals, where one piece more is taken to be wrong (Laplace's rule of succession),
    so that the odds are never larger than the number of pieces supports. 0: distances say
    nothing.
    """
    margins = [_margins(fold) for fold in folds if len(fold.pieces)]
    if not margins:
        return 0.0
    own, nearest = (np.concatenate(several) for several in zip(*margins, strict=True))
    wrong = 1 / (len(own) + 2)

    def loss(log_scale: float) -> float:
        half = np.exp(log_scale) / 2 * (nearest - own)
        likely, unlikely = np.logaddexp(0, -half), np.logaddexp(0, half)
        return float(((1 - wrong) * likely + wrong * unlikely).sum())

    # Golden-section search: the loss is convex in the scale, so it has one minimum
    low, high = np.log(_LEAST_SCALE), np.log(_LARGEST_SCALE)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        one, other = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, other) if loss(one) < loss(other) else (one, high)
    return float(np.exp((low + high) / 2))


def _margins(fold: HeldOut) -> tuple[Array, Array]:
    """Return the distances (piece,) to the own animal, and to the nearest other one."""
    own = fold.piece_tracks[:, None] == np.arange(fold.pieces.shape[1])[None]
    others = np.where(own | np.isnan(fold.pieces), np.inf, fold.pieces)
    return fold.pieces[own], others.min(axis=1)


def score(
    folds: Sequence[Sequence[HeldOut]], sources: Sequence[CropSet]
) -> AppearanceScores:
    """Return the result of all folds, `folds[fold][source]`.

    The scale of the evidence of a fold's links is that of the other folds.
    """
    tally = _Tally()
    for fold, of_sources in enumerate(folds):
        others = [
            one for n, several in enumerate(folds) if n != fold for one in several
        ]
        scale = evidence_scale(others)
        for number, (found, source) in enumerate(zip(of_sources, sources, strict=True)):
            tally.add_views(number, found)
            tally.add_pairs(found, source)
            tally.add_links(found, scale)

    accuracies = [float(np.mean(hits)) for hits in tally.hits.values()]
    return AppearanceScores(
        views=sum(map(len, tally.hits.values())),
        rank1=float(np.mean(accuracies)) if accuracies else 0.0,
        chance=float(np.mean(tally.chances)) if tally.chances else 0.0,
        pieces=tally.pieces,
        links=tally.links,
        right=tally.right,
        pairs=tuple(
            PairAccuracy(one, other, float(np.mean(hits)))
            for (one, other), hits in sorted(tally.pairs.items())
        ),
    )


@dataclass(slots=True)
class _Tally:
    """Sums over folds and sources."""

    hits: dict[tuple[int, int], list[bool]] = field(default_factory=dict)
    """By source and track: which views are nearest to their own animal."""
    chances: list[float] = field(default_factory=list)
    pairs: dict[tuple[str, str], list[bool]] = field(default_factory=dict)
    """By two animals: which views are nearer to their own of the two."""
    pieces: int = 0
    links: int = 0
    right: int = 0

    def add_views(self, source: int, found: HeldOut) -> None:
        if not len(found.distances):
            return
        ranked = np.isfinite(found.distances).sum(axis=1)
        self.chances += (1 / ranked).tolist()
        right = np.nanargmin(found.distances, axis=1) == found.tracks
        for track in np.unique(found.tracks).tolist():
            own = right[found.tracks == track].tolist()
            self.hits.setdefault((source, track), []).extend(own)

    def add_pairs(self, found: HeldOut, source: CropSet) -> None:
        for view, track in zip(found.distances, found.tracks.tolist(), strict=True):
            for other in np.flatnonzero(np.isfinite(view)).tolist():
                if other != track:
                    one, two = sorted((source.names[track], source.names[other]))
                    nearer = bool(view[track] < view[other])
                    self.pairs.setdefault((one, two), []).append(nearer)

    def add_links(self, found: HeldOut, scale: float) -> None:
        """Add the pieces that are linked to an animal, and those to the right one."""
        if not len(found.pieces):
            return
        costs = scale * np.where(np.isnan(found.pieces), np.inf, found.pieces)
        best = np.sort(costs, axis=1)
        made = best[:, 1] - best[:, 0] >= DISTINCT
        self.pieces += len(costs)
        self.links += int(made.sum())
        self.right += int((costs.argmin(axis=1) == found.piece_tracks)[made].sum())
