"""Supervised losses of heat maps, fields and coordinates.

Maps are (n, bodypart, h, w); `weight` is (n, bodypart): 0 where the label is unknown. A
part that is not visible has a target of zeros in maps of the scale `peak`, and a flat
one in maps of the scale `mass`.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    huber_loss,
)

Loss = Literal["cross_entropy", "mse", "kl", "js"]
TINY = 1e-10
"""Added before logarithms."""


def heatmap_loss(
    logits: Tensor, targets: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the binary cross entropy, summed over cells, averaged over maps.

    Its minimum is the target itself, Gaussians and all, so the sigmoid of the logits is
    a heat map that `Heatmaps.decode` reads, and its height is the confidence.
    An absent body part has a target of zeros.
    """
    by_cell = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _mean(by_cell.sum(dim=(2, 3)), weight)


def as_mass(targets: Tensor) -> Tensor:
    """Return Gaussians scaled to a sum of 1; an empty map becomes uniform."""
    height, width = targets.shape[-2:]
    total = targets.sum(dim=(2, 3), keepdim=True)
    flat = torch.full_like(targets, 1 / (height * width))
    return torch.where(total > TINY, targets / total.clamp(min=TINY), flat)


def heatmap_mse(mass: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean squared difference of two maps, times their number of cells.

    Both have a sum of 1 (Lightning Pose's heatmap_mse).
    """
    height, width = mass.shape[-2:]
    by_map = ((mass - target) ** 2).mean(dim=(2, 3)) * (height * width)
    return _mean(by_map, weight)


def heatmap_kl(mass: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the Kullback-Leibler divergence of the target from the prediction.

    What Lightning Pose computes: In kornia's loss the target is the reference
    distribution.
    """
    return _mean(_divergence(target + TINY, mass + TINY), weight)


def heatmap_js(mass: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the Jensen-Shannon divergence of the two maps."""
    p, q = mass + TINY, target + TINY
    middle = (p + q) / 2
    return _mean((_divergence(p, middle) + _divergence(q, middle)) / 2, weight)


def supervised_loss(
    kind: Loss, logits: Tensor, targets: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the loss of that name; `targets` are Gaussians of height 1, or zeros."""
    if kind == "cross_entropy":
        return heatmap_loss(logits, targets, weight)
    mass = logits.flatten(2).softmax(dim=2).view_as(logits)
    which = {"mse": heatmap_mse, "kl": heatmap_kl, "js": heatmap_js}[kind]
    return which(mass, as_mass(targets), weight)


def regression_loss(found: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Return the loss of x, y and a logit (n, bodypart, 3), against shares (…, 2) or NaN.

    Far misses count linearly (Huber, from a twentieth of the side on), so that one frame
    does not outweigh the rest. Absent body parts train only the logit.
    """
    visible = torch.isfinite(targets).all(dim=2)
    # Without a label the prediction is its own target, so its distance and gradient are
    # 0.
    goal = torch.where(visible[..., None], targets, found[..., :2].detach())
    away = huber_loss(found[..., :2], goal, reduction="none", delta=0.05).sum(dim=2)
    sure = binary_cross_entropy_with_logits(
        found[..., 2], visible.to(found.dtype), reduction="none"
    )
    return _mean(400 * away + sure, weight)


def field_loss(fields: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Return the squared error of fields (n, 2 · edge, h, w), summed over cells.

    The mean over maps; `weight` (n, edge) is 0 where an end of the edge is unknown.
    """
    by_map = ((fields - targets) ** 2).sum(dim=(2, 3))
    both = weight.repeat_interleave(2, dim=1)  # x and y of each edge
    return (by_map * both).sum() / both.sum().clamp(min=1)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p.log() - q.log())).sum(dim=(2, 3))


def _mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum().clamp(min=1)
