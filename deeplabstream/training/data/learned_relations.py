"""Relative positions of body parts, learned from labelled poses.

Each pair of body parts gets the model that predicts labels which it was not fitted to better:
a Gaussian of the offset, or one of the logarithm of the distance. For each body part the
pairs from which its position is best known have most of the weight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.body_sides import mirrored
from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.part_relations import (
    NEAREST_PX,
    DistanceRelation,
    OffsetRelation,
    PartRelations,
)
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.dataset import Dataset

TURNING_DEG = 90
"""Rotation of augmented images from which an animal may have any direction."""
ENOUGH = 10
"""Fewest poses in which both body parts of a pair are labelled."""
FOLDS = 5
PRIOR = 5.0
"""Weight of a round Gaussian beside the covariance of the labels, in labelled offsets."""
LABEL_PX = 2.0
"""Standard deviation of a label, input pixels: no offset is known better."""
LEAST_DEVIATION = 0.15
"""Smallest standard deviation of the logarithm of a distance."""
SCALES = 5
"""Scales of the augmentation at which the poses are learned."""
USUAL = 0.9
"""Share of the labels of a body part at positions that are fully plausible."""
LEAST_WEIGHT = 0.02
"""Pairs with less of the weight of both of their body parts are left out."""
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Offset:
    mean: Values
    inverse: Values

    @classmethod
    def fitted(cls, offsets: Values) -> "_Offset":
        count, own = len(offsets), np.cov(offsets.T)
        # Few labels: the covariance is drawn towards a round one of the same size.
        round_one = np.eye(2) * np.trace(own) / 2
        spread = (count * own + PRIOR * round_one) / (count + PRIOR)
        spread += np.eye(2) * LABEL_PX**2
        return cls(np.median(offsets, axis=0), np.linalg.inv(spread))

    def log_density(self, offsets: Values) -> Values:
        away = offsets - self.mean
        squares = ((away @ self.inverse) * away).sum(axis=1)
        half = np.log(np.linalg.det(self.inverse)) / 2
        return np.asarray(half - squares / 2 - np.log(2 * np.pi))


@dataclass(frozen=True, slots=True)
class _Distance:
    mean: float
    deviation: float

    @classmethod
    def fitted(cls, offsets: Values) -> "_Distance":
        logs = _log_distances(offsets)
        mean = float(np.median(logs))
        # A few wrong labels must neither decide the deviation nor be left out of it.
        usual = 1.4826 * float(np.median(np.abs(logs - mean)))
        own = max(usual, 0.6 * float(logs.std()))
        return cls(mean, float(np.hypot(own, LEAST_DEVIATION)))

    def log_density(self, offsets: Values) -> Values:
        logs = _log_distances(offsets)
        along = -(((logs - self.mean) / self.deviation) ** 2) / 2
        # From a density of the logarithm to one per square pixel of a ring.
        ring = 2 * logs + np.log(self.deviation * (2 * np.pi) ** 1.5)
        return np.asarray(along - ring)


Kinds: TypeAlias = tuple[type[_Offset] | type[_Distance], ...]


def _log_distances(offsets: Values) -> Values:
    lengths = np.linalg.norm(offsets, axis=1)
    return np.asarray(np.log(np.maximum(lengths, NEAREST_PX)))


def with_relations(decoder: Decoder, data: Dataset, how: Augmentation) -> Decoder:
    """Return a decoder of heat maps of one animal with the relations in the labels of `data`.

    Other decoders, and those of several views, are returned as they are. Training augments
    the images as `how` says: poses that it shows to the network are as plausible as labels.
    """
    if not isinstance(decoder, Heatmaps) or data.animals > 1 or data.views > 1:
        return decoder
    points = data.points
    if how.mirror:
        swapped = points[:, mirrored(data.skeleton)] * np.array([-1, 1], np.float32)
        points = np.concatenate([points, swapped])
    every_direction = how.rotation_deg >= TURNING_DEG
    scales = np.linspace(*how.scale, SCALES)
    learned = learned_relations(points, every_direction, scales.tolist())
    return replace(decoder, relations=learned)


def learned_relations(
    points: NDArray[np.floating],
    every_direction: bool = False,
    scales: Sequence[float] = (1.0,),
) -> PartRelations | None:
    """Return the relations of body parts in labelled poses; None: too few labels.

    Parameters
    ----------
    points
        (pose, bodypart, 2), input pixels; NaN: not labelled.
    every_direction
        Whether the animal turns: then only distances are learned, also where the few
        labelled poses have similar directions.
    scales
        Sizes of the animal relative to its labelled ones that are as likely as those.
    """
    parts, poses = points.shape[1], np.asarray(points, np.float64)
    kinds: Kinds = (_Distance,) if every_direction else (_Offset, _Distance)
    found = dict(_pairs(poses, kinds, np.asarray(scales, np.float64)))
    if not found:
        return None

    # The better known a position is, the more its pair counts: softmax of the information.
    known = np.full((parts, parts), -np.inf)
    for (a, b), (_, information) in found.items():
        known[a, b] = known[b, a] = information
    highest = known.max(axis=1, keepdims=True)
    share = np.exp(known - np.where(np.isfinite(highest), highest, 0))
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-12)

    offsets, distances = [], []
    for (a, b), (model, _) in found.items():
        weight = round(float(share[a, b] + share[b, a]), 4)
        if weight < LEAST_WEIGHT:
            continue
        if isinstance(model, _Offset):
            x, y = model.mean.round(2).tolist()
            (xx, xy), (_, yy) = model.inverse.round(7).tolist()
            offsets.append(OffsetRelation(a, b, weight, x, y, xx, xy, yy))
        else:
            mean, deviation = round(model.mean, 4), round(model.deviation, 4)
            distances.append(DistanceRelation(a, b, weight, mean, deviation))
    learned = PartRelations(tuple(offsets), tuple(distances))
    every = np.concatenate([poses * scale for scale in scales])
    return replace(learned, usual=_usual(learned, every))


def _usual(learned: PartRelations, points: NDArray[np.floating]) -> tuple[float, ...]:
    """Return the plausibility that `USUAL` of the labels of each body part exceed."""
    every = np.stack([learned.log_plausible(pose[:, None]) for pose in points])
    every[~np.isfinite(points).all(axis=2)] = np.nan
    labelled = np.isfinite(every).any(axis=0)
    limits = np.zeros(points.shape[1])
    limits[labelled] = np.nanquantile(every[:, labelled], 1 - USUAL, axis=0)
    return tuple(limits.round(4).tolist())


def _area(points: Values) -> float:
    """Return the area in which body parts lie, square pixels: nothing is known of a pair."""
    every = points[np.isfinite(points).all(axis=2)]
    if not len(every):
        return 1.0
    low, high = np.percentile(every, [5, 95], axis=0)
    return float(np.prod(np.maximum(high - low, 1)))


def _pairs(
    points: Values, kinds: Kinds, scales: Values
) -> Iterator[tuple[tuple[int, int], tuple[_Offset | _Distance, float]]]:
    """Yield each pair with enough labels, its best model, and the information in it.

    The information is the mean gain in log-density, of poses that a model was not fitted to,
    over a position anywhere in the area of all labels; it is not below 0.
    """
    area = _area(points)
    for a, b in combinations(range(points.shape[1]), 2):
        offsets = points[:, b] - points[:, a]
        offsets = offsets[np.isfinite(offsets).all(axis=1)]
        if len(offsets) < ENOUGH:
            continue
        gains = [_held_out(kind, offsets, scales, area) for kind in kinds]
        best = int(np.argmax(gains))
        model = kinds[best].fitted(_scaled(offsets, scales))
        yield (a, b), (model, max(gains[best], 0.0))


def _scaled(offsets: Values, scales: Values) -> Values:
    """Return (offset · scale, 2): each offset in each scale."""
    return np.asarray((offsets[:, None] * scales[:, None]).reshape(-1, 2))


def _held_out(
    kind: type[_Offset] | type[_Distance], offsets: Values, scales: Values, area: float
) -> float:
    """Return the mean gain of a kind of model over folds of the poses.

    All scales of a pose are in the same fold.
    """
    fold = np.arange(len(offsets)) % FOLDS
    gains = np.concatenate(
        [
            kind.fitted(_scaled(offsets[fold != own], scales)).log_density(
                _scaled(offsets[fold == own], scales)
            )
            for own in range(FOLDS)
        ]
    )
    # A wrong label must not decide: an outlier is ten times as unlikely as anywhere.
    return float(np.maximum(gains + np.log(area), -np.log(10)).mean())
