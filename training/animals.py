"""Several animals in a picture: edges between their body parts, and what is read off.

Points of all animals of a picture stand one animal after the other, (picture, animal ·
bodypart, 2); which animal is which row means nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.assignment import assign
from core.pose import Skeleton
from pose.grouping import Grouping
from pose.heatmaps import Heatmaps
from pose.matching import distances
from pose.reading import Several
from training.dataset import Dataset
from training.heads import STRIDE
from training.labels import Labels, LabelsError
from training.networks import PoseNetwork

Points = NDArray[np.float32]
Edges = tuple[tuple[int, int], ...]
SPARE = 1.5
"""So many times the longest labelled edge, a line may be a bone."""
NEAR = 0.25
"""An animal is found where its points are, in the mean, within this share of an animal's
length of the labelled ones."""
LINKS = (0.05, 0.1, 0.15, 0.2, 0.25)
"""What a line must reach, to choose from."""
LEAST_PARTS = 2
"""Fewer body parts, and an animal need not be found: one alone is joined to nothing."""


def padded(labels: Labels, animals: int) -> Labels:
    """Return the labels with room for so many animals; LabelsError: there are more."""
    if labels.animals > animals:
        raise LabelsError(
            [
                f"{labels.file} labels up to {labels.animals} animals, more than {animals}"
            ]
        )
    more = (animals - labels.animals) * len(labels.skeleton.bodyparts)
    spread = (0, 0), (0, more)
    return Labels(
        labels.file, labels.skeleton, labels.images,
        np.pad(labels.points, (*spread, (0, 0)), constant_values=np.nan),
        np.pad(labels.known, spread, constant_values=True),
        labels.names, labels.root, animals,
    )  # fmt: skip


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


def decoder_of(data: Dataset, edges: Edges, sigma: float) -> Several:
    """Return how a network for this data is read."""
    heatmaps, parts = Heatmaps(STRIDE, sigma), len(data.skeleton.bodyparts)
    lengths = _lengths(data.points, parts)
    diagonal = float(np.hypot(data.fitting.height, data.fitting.width))
    longest = tuple(
        round(SPARE * float(lengths[pair].max()), 1) if pair in lengths else diagonal
        for pair in ((min(edge), max(edge)) for edge in edges)
    )
    return Several(
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
    network: PoseNetwork, how: Several, pictures: NDArray[np.uint8]
) -> tuple[Points, Points]:
    """Return points (picture, animal, bodypart, 2), px of the input, and confidences."""
    each = [how.decode(output) for output in _outputs(network, pictures)]
    return np.stack([points for points, _ in each]), np.stack(
        [sure for _, sure in each]
    )


def choose_link(network: PoseNetwork, data: Dataset, how: Several) -> Several:
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
        )
        good = 2 * found.found / max(1, found.labelled + found.told)
        if good >= most and good > 0:
            best, most = tried, good
    return best


def _outputs(network: PoseNetwork, pictures: NDArray[np.uint8]) -> Iterator[Points]:
    """Yield maps and fields (channel, h, w) of each picture."""
    with torch.inference_mode():
        for start in range(0, len(pictures), 16):
            batch = torch.from_numpy(pictures[start : start + 16])
            yield from network.maps(batch).float().numpy()


def matched_points(how: Several, maps: Tensor, labels: Tensor) -> Tensor:
    """Return points (n, animal · bodypart, 2) off the maps, in the order of the labels'.

    NaN where a labelled animal was not found.
    """
    each = [how.decode(output) for output in maps.cpu().numpy()]
    found = np.stack([points for points, _ in each])
    sure = np.stack([confidence for _, confidence in each])
    truth = labels.cpu().numpy().reshape(found.shape)
    ordered = match(found, sure, truth).points.reshape(labels.shape)
    return torch.from_numpy(ordered).to(labels)


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Animals found, in the order of the labelled ones, and how well that went."""

    points: Points
    """(picture, animal, bodypart, 2); those that match no label fill the other rows."""
    confidence: Points
    distance: Points
    """(picture, animal, bodypart), px; NaN: not labelled, or not found."""
    labelled: int
    """Animals to be found, of two body parts at least."""
    found: int
    told: int
    """Animals that the network tells of; found or not."""
    near_px: float

    @property
    def recall(self) -> float:
        """The share of the labelled animals that was found."""
        return self.found / self.labelled if self.labelled else float("nan")

    @property
    def precision(self) -> float:
        """The share of the animals told that is there."""
        return self.found / self.told if self.told else float("nan")


def match(
    points: Points, confidence: Points, labels: Points, threshold: float = 0.0
) -> Matched:
    """Return found animals (picture, animal, bodypart, 2) in the order of the labels'.

    Both have room for as many animals, and are in one unit. In each picture the best
    assignment by mean distance counts; what is farther than `NEAR` is not found. Points
    below `threshold` are not there.
    """
    near = NEAR * animal_length(labels)
    believed = np.where((confidence >= threshold)[..., None], points, np.nan)
    out = np.full_like(points, np.nan)
    sure = np.zeros_like(confidence)
    labelled = found = told = 0
    for place, (own, truth) in enumerate(zip(believed, labels, strict=True)):
        costs = distances(own, truth)
        costs = np.where(costs <= near, costs, np.nan)
        pairs = assign(costs)
        there = np.isfinite(own).all(axis=2).sum(axis=1)
        wanted = np.isfinite(truth).all(axis=2).sum(axis=1)
        good = sum(int(wanted[row]) >= LEAST_PARTS for _, row in pairs)
        labelled += int((wanted >= LEAST_PARTS).sum())
        found += good
        # What lies on an animal of which one part is to be seen is neither right nor wrong.
        told += int((there > 0).sum()) - (len(pairs) - good)
        rows = dict(pairs)
        left = [row for row in range(len(truth)) if row not in rows.values()]
        left.sort(key=lambda row: int(wanted[row]))  # rows without a label first
        for animal in range(len(own)):
            row = rows[animal] if animal in rows else left.pop(0)
            if animal in rows or not wanted[row]:
                out[place, row] = points[place, animal]
                sure[place, row] = confidence[place, animal]
    away = np.linalg.norm(out - labels, axis=3).astype(np.float32)
    return Matched(out, sure, away, labelled, found, told, near)


def animal_length(labels: Points) -> float:
    """Return the median over animals (…, bodypart, 2) of their farthest points' distance.

    NaN when none has two points.
    """
    each = labels.reshape(-1, *labels.shape[-2:])
    away = np.linalg.norm(each[:, :, None] - each[:, None], axis=3)
    most = np.nan_to_num(away, nan=0.0).max(axis=(1, 2))
    return float(np.median(most[most > 0])) if (most > 0).any() else float("nan")


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
