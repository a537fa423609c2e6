"""Calibrated cameras: projection of points in space, and triangulation.

Everything consists of torch operations, so losses are differentiable.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.calibrations.calibration_file import read_stored
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.training.data.labels import LabelsError

_COEFFICIENTS = 5
"""Largest number of coefficients of distortion."""
ROUNDS = 10
"""Iterations of undistortion; each greatly reduces the error."""


def read_calibration(file: Path, views: Sequence[str]) -> tuple[CalibratedCamera, ...]:
    """Return the cameras of those names, in their order and in the unit of the file.

    LabelsError: the file can't be read, one is missing, or its lens is not supported.
    """
    try:
        cameras = read_stored(file).group(views).cameras
    except DeepLabStreamError as error:
        raise LabelsError([str(error)]) from error
    for camera in cameras:
        if len(camera.distortion) > _COEFFICIENTS:
            raise LabelsError(
                [
                    f"{file}, camera {camera.name}: only lenses with the distortions "
                    "k1, k2, p1, p2, k3 are supported; calibrate it again with these"
                ]
            )
    return cameras


def project(camera: CalibratedCamera, space: Tensor) -> Tensor:
    """Return pixels (…, 2) of points in space (…, 3)."""
    seen = space @ _like(camera.rotation, space).T + _like(camera.translation, space)
    flat = seen[..., :2] / seen[..., 2:]
    bent = _bend(flat, camera.distortion)
    matrix = _like(camera.matrix, space)
    return bent @ matrix[:2, :2].T + matrix[:2, 2]


def rays(camera: CalibratedCamera, pixels: Tensor) -> Tensor:
    """Return undistorted (…, 2) pixels in the plane at distance 1."""
    inverse = _like(np.linalg.inv(camera.matrix[:2, :2]), pixels)
    bent = (pixels - _like(camera.matrix[:2, 2], pixels)) @ inverse.T
    flat = bent
    for _ in range(ROUNDS):
        flat = flat + bent - _bend(flat, camera.distortion)
    return flat


def triangulate(
    cameras: Sequence[CalibratedCamera], pixels: Sequence[Tensor]
) -> Tensor:
    """Return points in space (…, 3) from (…, 2) in each camera; NaN where any is NaN.

    The linear least squares of both rays' equations.
    """
    rows, values = [], []
    for camera, xy in zip(cameras, pixels, strict=True):
        flat = rays(camera, xy)
        rotation = _like(camera.rotation, xy)
        translation = _like(camera.translation, xy)
        for axis in (0, 1):
            along = flat[..., axis, None]
            rows.append(rotation[axis] - along * rotation[2])
            values.append(along[..., 0] * translation[2] - translation[axis])
    a, b = torch.stack(rows, dim=-2), torch.stack(values, dim=-1)

    # A NaN would spread to the gradients of all points: replaced before, restored
    # after.
    finite = torch.isfinite(b).all(dim=-1)
    safe_a = torch.where(finite[..., None, None], a, torch.eye(len(rows), 3).to(a))
    safe_b = torch.where(finite[..., None], b, torch.zeros_like(b))
    normal = safe_a.transpose(-1, -2) @ safe_a
    right = (safe_a.transpose(-1, -2) @ safe_b[..., None])[..., 0]
    space = torch.linalg.solve(normal, right[..., None])[..., 0]
    return torch.where(finite[..., None], space, torch.full_like(space, torch.nan))


def pairwise(cameras: Sequence[CalibratedCamera], pixels: Tensor) -> Tensor:
    """Return points in space (pair, …, 3) from each pair of views of (view, …, 2)."""
    return torch.stack(
        [
            triangulate((cameras[i], cameras[j]), (pixels[i], pixels[j]))
            for i, j in combinations(range(len(cameras)), 2)
        ]
    )


def pairwise_projection_loss(
    cameras: Sequence[CalibratedCamera], pixels: Tensor, space: Tensor
) -> Tensor:
    """Return the mean distance of points triangulated by pairs of views (view, …, 2).

    `space` (…, 3) comes from the labels; NaN there, or in a view, is left out.
    """
    away = torch.linalg.vector_norm(_known(pairwise(cameras, pixels) - space), dim=-1)
    counts = torch.isfinite(pairwise(cameras, pixels.detach())).all(dim=-1)
    counts = counts & torch.isfinite(space).all(dim=-1)
    return torch.as_tensor((away * counts).sum() / counts.sum().clamp(min=1))


def reprojection_heatmap_loss(
    cameras: Sequence[CalibratedCamera],
    pixels: Tensor,
    targets: Tensor,
    cell: Tensor | float,
    sigma: float,
) -> Tensor:
    """Return the reprojection loss: heat map MSE, times cells, of the triangulated point.

    `pixels` (view, n, bodypart, 2) are the network's; the mean of all pairs' points is
    projected into each view and drawn like the targets (view, n, bodypart, h, w), which
    have a sum of 1. `cell` is camera pixels per cell, the same everywhere, or of each view
    along x and y (view, 2). NaN is left out.
    """
    cell = torch.as_tensor(cell, dtype=pixels.dtype, device=pixels.device)
    space = pairwise(cameras, pixels).nanmean(dim=0)
    height, width = targets.shape[-2:]
    total, count = targets.new_zeros(()), 0
    views = zip(cameras, targets, cell.expand(len(cameras), 2), strict=True)
    for camera, target, own in views:
        cells = (project(camera, space) + 0.5) / own - 0.5
        visible = torch.isfinite(cells).all(dim=-1) & (target.sum(dim=(-1, -2)) > 0)
        cells = _known(cells)
        x = torch.arange(width, device=cells.device) - cells[..., :1]
        y = torch.arange(height, device=cells.device) - cells[..., 1:]
        along = (-(x**2) / (2 * sigma**2)).softmax(dim=-1)
        down = (-(y**2) / (2 * sigma**2)).softmax(dim=-1)
        drawn = down[..., :, None] * along[..., None, :]
        miss = ((drawn - target) ** 2).mean(dim=(-1, -2)) * (height * width)
        total = total + (miss * visible).sum()
        count += int(visible.sum())
    return total / max(1, count)


def _bend(flat: Tensor, distortion: NDArray[np.float64]) -> Tensor:
    """Return distorted (…, 2) in the plane at distance 1."""
    k1, k2, p1, p2, k3 = distortion.tolist()
    x, y = flat[..., 0], flat[..., 1]
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    bent_y = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return torch.stack([bent_x, bent_y], dim=-1)


def _known(values: Tensor) -> Tensor:
    """Return the values with 0 for NaN, through which no gradient flows."""
    return torch.where(torch.isfinite(values), values, torch.zeros_like(values))


def _like(values: NDArray[np.floating], other: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=other.dtype, device=other.device)
