"""Several animals in a picture: edges between their body parts, and what is read off.

Points of all animals of a picture stand one animal after the other, (picture, animal ·
bodypart, 2); which animal is which row means nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.decoders import MultiAnimalDecoder
from deeplabstream.pose.decoders.grouping import Grouping
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.evaluation.animal_matching import match
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.pose_network import PoseNetwork

Points = NDArray[np.float32]
Edges = tuple[tuple[int, int], ...]
SPARE = 1.5
"""So many times the longest labelled edge, a line may be a bone."""
LINKS = (0.05, 0.1, 0.15, 0.2, 0.25)
"""What a line must reach, to choose from."""


def edges_of(skeleton: Skeleton, points: Points) -> Edges:
    """Return the bones, and the shortest edges beyond them that join all body parts.

    `points` (picture, animal · bodypart, 2) say how long an edge usually is. LabelsError
    when two parts that must be joined never occur together.
    """
    parts = len(skeleton.bodyparts)
    edges = [
        (skeleton.indices(bone)[0], skeleton.indices(bone)[1])
        for bone in skeleton.bones
    ]
    edges = list(
        {frozenset(edge): edge for edge in edges if edge[0] != edge[1]}.values()
    )
    group = list(range(parts))

    def join(a: int, b: int) -> None:
        old, new = group[b], group[a]
        group[:] = [new if each == old else each for each in group]

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
            [f"{names}: never labelled together with other parts; give --bones"]
        )
    return tuple(edges)


def _lengths(points: Points, parts: int) -> dict[tuple[int, int], Points]:
    """Return all labelled lengths of each pair of body parts, where there are any."""
    each = points.reshape(-1, parts, 2)
    found = {}
    for a, b in combinations(range(parts), 2):
        away = np.linalg.norm(each[:, a] - each[:, b], axis=1)
        if np.isfinite(away).any():
            found[a, b] = away[np.isfinite(away)]
    return found


def decoder_of(data: Dataset, edges: Edges, sigma: float) -> MultiAnimalDecoder:
    """Return how a network for this data is read."""
    heatmaps, parts = Heatmaps(STRIDE, sigma), len(data.skeleton.bodyparts)
    lengths = _lengths(data.points, parts)
    diagonal = float(np.hypot(data.fitting.height, data.fitting.width))
    longest = tuple(
        round(SPARE * float(lengths[pair].max()), 1) if pair in lengths else diagonal
        for pair in ((min(edge), max(edge)) for edge in edges)
    )
    return MultiAnimalDecoder(
        heatmaps,
        Grouping(parts, edges, data.animals, STRIDE, heatmaps.first, longest=longest),
    )


def field_loss(fields: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Return the squared error of fields (n, 2 · edge, h, w), summed over cells.

    The mean over maps; `weight` (n, edge) is 0 where an end of the edge is unknown.
    """
    each = ((fields - targets) ** 2).sum(dim=(2, 3))
    both = weight.repeat_interleave(2, dim=1)
    return (each * both).sum() / both.sum().clamp(min=1)


def predict_animals(
    network: PoseNetwork, how: MultiAnimalDecoder, pictures: NDArray[np.uint8]
) -> tuple[Points, Points]:
    """Return points (picture, animal, bodypart, 2), px of the input, and confidences."""
    each = [how.decode(output) for output in _outputs(network, pictures)]
    return np.stack([points for points, _ in each]), np.stack(
        [sure for _, sure in each]
    )


def choose_link(
    network: PoseNetwork, data: Dataset, how: MultiAnimalDecoder
) -> MultiAnimalDecoder:
    """Return how to read the network, with the `link` that finds animals best in `data`.

    Best is the highest harmonic mean of recall and precision, of equal ones the highest
    link. Fields are learned the weaker, the less sure the network is where a bone lies.
    """
    labels = data.points.reshape(len(data), data.animals, -1, 2)
    outputs = [] if not len(data) else list(_outputs(network, data.pictures))
    best, most = how, 0.0
    for link in LINKS:
        tried = replace(how, grouping=replace(how.grouping, link=link))
        each = [tried.decode(output) for output in outputs]
        if not each:
            break
        found = match(
            np.stack([points for points, _ in each]),
            np.stack([sure for _, sure in each]),
            labels,
        ).counted
        sums = found.labelled.sum() + found.told.sum()
        good = 2 * int(found.found.sum()) / max(1, int(sums))
        if good >= most and good > 0:
            best, most = tried, good
    return best


def _outputs(network: PoseNetwork, pictures: NDArray[np.uint8]) -> Iterator[Points]:
    """Yield maps and fields (channel, h, w) of each picture."""
    with torch.inference_mode():
        for start in range(0, len(pictures), 16):
            batch = torch.from_numpy(pictures[start : start + 16])
            yield from network.maps(batch).float().numpy()


def matched_points(how: MultiAnimalDecoder, maps: Tensor, labels: Tensor) -> Tensor:
    """Return points (n, animal · bodypart, 2) off the maps, in the order of the labels'.

    NaN where a labelled animal was not found.
    """
    each = [how.decode(output) for output in maps.cpu().numpy()]
    found = np.stack([points for points, _ in each])
    sure = np.stack([confidence for _, confidence in each])
    truth = labels.cpu().numpy().reshape(found.shape)
    ordered = match(found, sure, truth).points.reshape(labels.shape)
    return torch.from_numpy(ordered).to(labels)


def refused(kind: str, words: Sequence[str]) -> None:
    """Raise LabelsError where several animals can't be trained in this way."""
    wrong = [*([f"--kind {kind}"] if kind != "heatmap" else []), *words]
    if wrong:
        raise LabelsError(
            [
                "networks for several animals are trained on heat maps of whole, single "
                f"pictures: leave out {', '.join(wrong)}"
            ]
        )
