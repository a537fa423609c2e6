"""Unsupervised losses on unlabelled video: long steps, and implausible poses.

Points are (frame, bodypart, 2) in pixels of the camera's frames, as in Lightning Pose,
so that its hyper-parameters mean the same here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import relu

from deeplabstream.numerics.pose_pca import Centring, PosePca


def loss_weight(log_weight: float, anneal: float) -> float:
    """Return the weight of an unsupervised loss: anneal / (2 · exp(log_weight)).

    >>> loss_weight(0.0, 1.0)
    0.5
    """
    import math

    return anneal / (2 * math.exp(log_weight))


@dataclass(frozen=True, slots=True)
class Anneal:
    """Annealing of unsupervised losses, by epoch.

    >>> [Anneal(frozen_until=2)(epoch) for epoch in (0, 2, 3, 200)]
    [0.0, 0.0, 0.01, 1.0]
    """

    initial: float = 0.0
    increase: float = 0.01
    final: float = 1.0
    frozen_until: int = 60

    def __call__(self, epoch: int) -> float:
        """Return the factor, from `initial` to `final`."""
        risen = self.initial + self.increase * max(0, epoch - self.frozen_until)
        return min(risen, self.final)


@dataclass(frozen=True, slots=True)
class TemporalLoss:
    """Temporal loss: steps from frame to frame that are longer than `epsilon` px."""

    log_weight: float = 11.0
    epsilon: float | tuple[float, ...] = 20.0
    """px; one number, or one for each body part."""
    prob_threshold: float = 0.05
    """A step counts only between frames with at least this confidence."""

    def __call__(self, points: Tensor, confidence: Tensor) -> Tensor:
        """Return the mean excess over frames and body parts, px."""
        step = _length(points[1:] - points[:-1])
        epsilon = torch.as_tensor(self.epsilon, device=points.device)
        sure = confidence >= self.prob_threshold
        excess = relu(step - epsilon) * (sure[1:] & sure[:-1])
        return torch.as_tensor(excess.mean())


@dataclass(frozen=True, slots=True, eq=False)
class PcaLoss:
    """PCA loss: distance of points from the plane of the labelled poses, above epsilon."""

    subspace: PosePca
    columns: tuple[tuple[int, ...], ...]
    """One view: (its columns,); several: the matching columns of each."""
    log_weight: float = 11.0
    centring: Centring = None

    @property
    def several_views(self) -> bool:
        """Whether each row is one body part in all views."""
        return len(self.columns) > 1

    def __call__(self, points: Tensor, confidence: Tensor) -> Tensor:
        """Return the mean excess over all points, px."""
        rows = self._rows(points)
        mean = torch.as_tensor(
            self.subspace.mean, dtype=points.dtype, device=points.device
        )
        axes = torch.as_tensor(
            self.subspace.components, dtype=points.dtype, device=points.device
        )

        # What the principal components do not explain is the distance to plausible poses.
        away = rows - mean
        rest = (away - away @ axes.T @ axes).view(len(rows), -1, 2)
        return relu(_length(rest) - self.subspace.epsilon).mean()

    def errors(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the distance (image, bodypart) from the plane, px; NaN for parts not in it."""
        out = np.full(points.shape[:2], np.nan)
        away = self.subspace.error(self._rows(torch.as_tensor(points)).double().numpy())
        if self.several_views:
            own = away.reshape(len(points), -1, len(self.columns))
            for place, view in enumerate(self.columns):
                out[:, list(view)] = own[:, :, place]
        else:
            out[:, list(self.columns[0])] = away
        return out

    def _rows(self, points: Tensor) -> Tensor:
        if self.several_views:
            own = torch.stack([points[:, list(view)] for view in self.columns], dim=2)
            return own.reshape(-1, 2 * len(self.columns))
        own = points[:, list(self.columns[0])]
        if self.centring == "mean":
            own = own - own.mean(dim=1, keepdim=True)
        elif self.centring == "median":
            own = own - own.quantile(0.5, dim=1, keepdim=True)
        return own.flatten(1)


UnsupervisedLoss = TemporalLoss | PcaLoss


def back_to_camera(
    points: Tensor,
    matrix: Tensor,
    scale: Sequence[float],
    corner: Sequence[float] = (0.0, 0.0),
) -> Tensor:
    """Return points (…, 2) of augmented images in the coordinates of the camera images.

    `matrix` (2, 3) took the pixels of the network's input to those of the changed image;
    `scale` is input pixels per camera pixel along x and y, `corner` where the input begins
    in the camera's images. Exact, but for rounding.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    before = torch.linalg.solve(linear, (points - shift).unsqueeze(-1)).squeeze(-1)
    along = torch.as_tensor(scale, dtype=points.dtype, device=points.device)
    start = torch.as_tensor(corner, dtype=points.dtype, device=points.device)
    return torch.as_tensor((before + 0.5) / along - 0.5 + start)


def _length(steps: Tensor) -> Tensor:
    """Return the Euclidean length along the last axis, with a gradient of 0 at 0."""
    squared = (steps**2).sum(dim=-1)
    safe = torch.where(squared > 0, squared, torch.ones_like(squared))
    return torch.where(squared > 0, safe.sqrt(), torch.zeros_like(squared))
