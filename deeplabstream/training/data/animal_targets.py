"""Edges and decoder of a network for several animals.

Points of all animals of an image stand one animal after the other, (image, animal ·
bodypart, 2); the order of the animals has no meaning.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.pose_network import Architecture

Points = NDArray[np.float32]
Edges = tuple[tuple[int, int], ...]
SPARE = 1.5
"""Longest predicted edge, as a multiple of the longest labelled one."""


def edges_of(skeleton: Skeleton, points: Points) -> Edges:
    """Return the edges, and the shortest edges beyond them that connect all body parts.

    `points` (image, animal · bodypart, 2) give the usual length of an edge. LabelsError
    when two parts that must be connected never occur together.
    """
    parts = len(skeleton.bodyparts)
    edges = [
        (skeleton.indices(edge)[0], skeleton.indices(edge)[1])
        for edge in skeleton.edges
    ]
    edges = list(
        {frozenset(edge): edge for edge in edges if edge[0] != edge[1]}.values()
    )
    group = list(range(parts))

    def join(a: int, b: int) -> None:
        old, new = group[b], group[a]
        group[:] = [new if number == old else number for number in group]

    for edge in edges:
        join(*edge)
    usual = {
        pair: float(np.median(own)) for pair, own in _lengths(points, parts).items()
    }
    for a, b in sorted(usual, key=lambda pair: usual[pair]):
        if group[a] != group[b]:
            edges.append((a, b))
            join(a, b)
    if alone := [n for n in range(parts) if group[n] != group[0]]:
        names = ", ".join(skeleton.bodyparts[n] for n in alone)
        raise LabelsError(
            [f"{names}: never labelled together with other body parts; use --edges"]
        )
    return tuple(edges)


def _lengths(points: Points, parts: int) -> dict[tuple[int, int], Points]:
    """Return all labelled lengths of each pair of body parts, where there are any."""
    poses = points.reshape(-1, parts, 2)
    found = {}
    for a, b in combinations(range(parts), 2):
        away = np.linalg.norm(poses[:, a] - poses[:, b], axis=1)
        if np.isfinite(away).any():
            found[a, b] = away[np.isfinite(away)]
    return found


def training_decoder(data: Dataset, network: Architecture) -> Decoder:
    """Return the decoder of a network that is trained on `data`.

    With `network.edges`, or of one body part, it decodes several animals: lines between
    body parts are then at most `SPARE` times as long as the longest labelled one.
    """
    maps = Heatmaps(STRIDE, network.sigma, linear_to=network.linear_to)
    parts = len(data.skeleton.bodyparts)
    if not network.edges and (data.animals == 1 or parts > 1):
        return maps
    lengths = _lengths(data.points, parts)
    diagonal = float(np.hypot(data.fitting.height, data.fitting.width))
    longest = tuple(
        round(SPARE * float(lengths[pair].max()), 1) if pair in lengths else diagonal
        for pair in ((min(edge), max(edge)) for edge in network.edges)
    )
    return MultiAnimalDecoder(
        maps,
        PafGrouper(
            parts, network.edges, data.animals, STRIDE, maps.first_px, longest=longest
        ),
    )


def refused(kind: str, options: Sequence[str]) -> None:
    """Raise LabelsError where several animals can't be trained in this way."""
    wrong = [*([f"--kind {kind}"] if kind != "heatmap" else []), *options]
    if wrong:
        raise LabelsError(
            [
                "networks for several animals are trained on heat maps of whole, single "
                f"images: leave out {', '.join(wrong)}"
            ]
        )
