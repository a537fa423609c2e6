"""Labels of several cameras: one file each, the same moments in the same order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.training.camera_geometry import (
    pairwise,
    pairwise_projection_loss,
    reprojection_heatmap_loss,
)
from deeplabstream.training.data.dataset import Dataset, Parts, load_dataset
from deeplabstream.training.data.labels import Labels, LabelsError


@dataclass(frozen=True, slots=True, eq=False)
class CameraLosses:
    """Losses between the views of calibrated cameras."""

    cameras: tuple[CalibratedCamera, ...]
    scales: tuple[tuple[float, float], ...]
    """For each view: input pixels per camera pixel along x and y."""
    pairwise: float | None
    """Its log_weight; None: not used."""
    reprojection: float | None

    def in_camera_px(self, points: Tensor) -> Tensor:
        """Return (view, n, bodypart, 2) of (n, view · bodypart, 2) in input pixels."""
        views = len(self.cameras)
        own = points.view(len(points), views, -1, 2).transpose(0, 1)
        scale = torch.as_tensor(self.scales, dtype=points.dtype, device=points.device)
        return (own + 0.5) / scale.view(views, 1, 1, 2) - 0.5

    def pairwise_loss(self, found: Tensor, labelled: Tensor) -> Tensor:
        """Return the loss of points (n, view · bodypart, 2) against labelled ones."""
        space = pairwise(self.cameras, self.in_camera_px(labelled)).nanmean(dim=0)
        return pairwise_projection_loss(self.cameras, self.in_camera_px(found), space)

    def reprojection_loss(
        self, found: Tensor, targets: Tensor, stride: int, sigma: float
    ) -> Tensor:
        """Return the loss of points against maps (n, view · bodypart, h, w)."""
        views = len(self.cameras)
        own = targets.view(len(targets), views, -1, *targets.shape[2:]).transpose(0, 1)
        mass = own / own.sum(dim=(-1, -2), keepdim=True).clamp(min=1e-6)
        pixels = self.in_camera_px(found)
        cell = stride / torch.as_tensor(self.scales).to(pixels)
        return reprojection_heatmap_loss(self.cameras, pixels, mass, cell, sigma)


def check_views(parts: Sequence[Labels]) -> None:
    """Raise LabelsError where label files of several cameras are not of the same moments."""
    problems = []
    for part in parts[1:]:
        if part.skeleton.bodyparts != parts[0].skeleton.bodyparts:
            problems.append(
                f"{part.file} and {parts[0].file} differ in their body parts"
            )
        if len(part.images) != len(parts[0].images):
            problems.append(
                f"{part.file} has {len(part.images)} images, {parts[0].file} "
                f"{len(parts[0].images)}"
            )
    if problems:
        raise LabelsError(problems)

    # After the check above: rows are compared one by one, so there must be as many.
    for part in parts[1:]:
        problems += _other_moments(parts[0], part)
    if problems:
        raise LabelsError(problems)


def stack_views(parts: Sequence[Labels]) -> Labels:
    """Return the labels of all cameras as images of their own, one camera after the other.

    LabelsError as `check_views`.
    """
    check_views(parts)
    return replace(
        parts[0],
        images=tuple(image for part in parts for image in part.images),
        names=tuple(name for part in parts for name in part.names),
        points=np.concatenate([part.points for part in parts]),
        known=np.concatenate([part.known for part in parts]),
        tables=len(parts),
        unlabelled=sum(part.unlabelled for part in parts),
    )


def of_all_views(parts: Parts, moments: int, views: int) -> Parts:
    """Return a split of moments as one of the images of `stack_views`.

    >>> of_all_views(Parts((1, 0), (2,), ()), 3, 2)
    Parts(train=(1, 4, 0, 3), validation=(2, 5), test=())
    """

    def images(some: Sequence[int]) -> tuple[int, ...]:
        return tuple(at + view * moments for at in some for view in range(views))

    return Parts(images(parts.train), images(parts.validation), images(parts.test))


def join_views(
    parts: Sequence[Labels], views: Sequence[str], fitting: Fitting
) -> tuple[Labels, Dataset]:
    """Return one label set and one dataset of all views.

    Body parts get their view's name: `paw_left`. LabelsError when the files do not hold
    the same body parts or numbers of images, or rows that are not of one moment.
    """
    check_views(parts)
    names = tuple(
        f"{name}_{view}" for view in views for name in parts[0].skeleton.bodyparts
    )
    labels = Labels(
        parts[0].file,
        Skeleton(names),
        parts[0].images,
        np.concatenate([part.points for part in parts], axis=1),
        np.concatenate([part.known for part in parts], axis=1),
        parts[0].names,
        parts[0].root,
    )

    # The windows of one moment follow each other, as its views do in a batch.
    own = [load_dataset(part, fitting) for part in parts]
    windows = tuple(
        window
        for row in zip(*(data.windows for data in own), strict=True)
        for window in row
    )
    data = Dataset(
        labels.skeleton,
        fitting,
        own[0].images,
        np.concatenate([view.points for view in own], axis=1),
        labels.known,
        windows,
        own[0].clips,
        np.stack([view.images for view in own], axis=1),
        len(parts),
    )
    return labels, data


def _other_moments(first: Labels, other: Labels) -> list[str]:
    """Return the first row whose images are not of one moment, by the numbers in their names.

    The last number that differs between rows is the frame's; what is the same pair in all
    rows is the cameras'. Names without numbers, or with different counts of them, can't be
    compared.
    """
    rows = [
        [re.findall(r"\d+", image.stem) for image in pair]
        for pair in zip(first.images, other.images, strict=True)
    ]
    counts = {len(numbers) for row in rows for numbers in row}
    if len(counts) != 1:
        return []
    for place in reversed(range(counts.pop())):
        pairs = [(int(own[place]), int(its[place])) for own, its in rows]
        if len(set(pairs)) > 1:
            return [
                f"{other.file}, row {row + 1}: {other.names[row]} stands beside "
                f"{first.names[row]} of {first.file.name}. The rows of all views must be "
                "of the same moments, in the same order"
                for row, (own, its) in enumerate(pairs)
                if own != its
            ][:1]
    return []
