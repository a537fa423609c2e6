"""What several networks say together of the animals in one picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.decoders.decoder import DecodedPoses
from deeplabstream.pose.tracking.pose_matching import NEAR, animal_lengths, same_animals

Points = NDArray[np.float32]


def aligned(told: Sequence[DecodedPoses]) -> DecodedPoses:
    """Return what networks tell of one picture with the same animals in the same rows.

    `told` are points (animal, bodypart, 2) and confidences (animal, bodypart) of each, in
    any order; the answer is (network, animal, bodypart, 2) and (network, animal, bodypart),
    with as many animals as the network has room for that has most. Who is not told by a
    network is NaN there, with 0. Those that are surest in the sum come first; an animal
    that only one network sees is the first to be left out.
    """
    most = max(len(points) for points, _ in told)
    if most == 1:
        return np.stack([points for points, _ in told]), np.stack([c for _, c in told])
    parts = told[0][0].shape[1]
    longest = animal_lengths(np.concatenate([points for points, _ in told])).max()
    near = NEAR * longest if longest > 0 else np.inf
    room = sum(len(points) for points, _ in told)
    points = np.full((len(told), room, parts, 2), np.nan, np.float32)
    sure = np.zeros((len(told), room, parts), np.float32)
    middles = np.full((0, parts, 2), np.nan, np.float32)
    for network, (own, confidence) in enumerate(told):
        there = np.flatnonzero(np.isfinite(own).any(axis=(1, 2))).tolist()
        pairs = dict(same_animals(own[there], middles, near))
        free = len(middles)
        for place, animal in enumerate(there):
            row = pairs.get(place, free)
            free += row == free
            points[network, row] = own[animal]
            sure[network, row] = np.nan_to_num(confidence[animal])
        middles = median(points[: network + 1, :free])
    order = np.argsort(-sure.sum(axis=(0, 2)), kind="stable")[:most]
    return points[:, order], sure[:, order]


def median(points: Points) -> Points:
    """Return the median over networks (network, …, 2) of those that tell of a point."""
    there = np.isfinite(points)
    ranked = np.sort(points, axis=0)  # NaN comes last
    count = there.sum(axis=0)
    low = np.maximum(count - 1, 0) // 2
    high = np.maximum(count // 2, low)
    ends = [np.take_along_axis(ranked, n[None], 0)[0] for n in (low, high)]
    return np.asarray((ends[0] + ends[1]) / 2, np.float32)
