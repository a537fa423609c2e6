"""Differentiable decoding of heat maps, for unsupervised and camera losses.

The same rule as `deeplabstream.pose.decoders.heatmaps.Heatmaps.decode`; a test compares
them. Around the highest cell, the logarithm of a Gaussian is a plane once its known
curvature is subtracted.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from deeplabstream.pose.decoders.heatmaps import LEAST, REACH

SPAN = 2 * REACH + 1


def decode(maps: Tensor, stride: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Return points (…, 2) in input pixels and confidences (…) of maps (…, h, w).

    The gradient moves a point within the cells around the highest one. The choice of that
    cell has no gradient, and the weights of the cells are constants.
    """
    height, width = maps.shape[-2:]
    flat = maps.reshape(-1, height * width)
    confidence, place = flat.max(dim=1)
    row, column = place // width, place % width

    # The squares around the peaks, padded so that those at the border have all cells.
    padded = pad(flat.view(-1, height, width), (REACH,) * 4)
    steps = torch.arange(SPAN, device=maps.device)
    rows, columns = row[:, None] + steps, column[:, None] + steps
    of = torch.arange(len(flat), device=maps.device)[:, None, None]
    near = padded[of, rows[:, :, None], columns[:, None, :]].clamp(min=LEAST)
    inside = (
        _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
    ).to(near.dtype)

    # As the decoder of heat maps: the logarithm of a Gaussian without its curvature is a
    # plane, whose slope is the offset of the centre.
    reach = (steps - REACH).to(near.dtype)
    dy, dx = reach[:, None].expand(SPAN, SPAN), reach[None].expand(SPAN, SPAN)
    plane = near.log() * sigma**2 + (dx**2 + dy**2) / 2
    weight = (near * inside).detach() ** 2
    slope = _slope(weight, plane, dx, dy)

    cells = torch.stack([column, row], dim=1) + slope.clamp(-1, 1)
    points = (cells + 0.5) * stride - 0.5
    shape = maps.shape[:-2]
    return points.view(*shape, 2), confidence.view(shape)


def decode_with_centroid_gradient(
    maps: Tensor, stride: int, sigma: float
) -> tuple[Tensor, Tensor]:
    """Return points and confidence as `decode`, with the gradient of the centroid.

    A point on the wrong peak of its map is far from its target, and moving it within the
    cells of that peak does not help. So the gradient is that of the centre of mass of the
    squared maps: it raises peaks near the target and lowers the wrong one.
    """
    exact, confidence = decode(maps, stride, sigma)
    height, width = maps.shape[-2:]
    mass = maps.square()
    total = mass.sum(dim=(-2, -1)).clamp(min=1e-6)
    x = torch.arange(width, device=maps.device, dtype=maps.dtype)
    y = torch.arange(height, device=maps.device, dtype=maps.dtype)
    centre = torch.stack(
        [
            (mass.sum(dim=-2) * x).sum(dim=-1) / total,
            (mass.sum(dim=-1) * y).sum(dim=-1) / total,
        ],
        dim=-1,
    )
    centre = (centre + 0.5) * stride - 0.5
    return exact.detach() + (centre - centre.detach()), confidence


def _within(padded: Tensor, size: int) -> Tensor:
    return (padded >= REACH) & (padded < size + REACH)


def _slope(weight: Tensor, plane: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Return (n, 2): slopes along x and y of the least-squares plane."""
    total = weight.sum(dim=(1, 2)).clamp(min=1e-12)

    def mean(values: Tensor) -> Tensor:
        return (weight * values).sum(dim=(1, 2)) / total

    mx, my, p = mean(dx), mean(dy), mean(plane)
    xx, xy, yy = (
        mean(dx * dx) - mx * mx,
        mean(dx * dy) - mx * my,
        mean(dy * dy) - my * my,
    )
    along, down = mean(dx * plane) - mx * p, mean(dy * plane) - my * p
    determinant = xx * yy - xy * xy
    flat = determinant < 1e-9
    safe = torch.where(flat, torch.ones_like(determinant), determinant)
    slope = torch.stack([along * yy - down * xy, down * xx - along * xy], dim=1)
    return torch.where(flat[:, None], torch.zeros_like(slope), slope / safe[:, None])
