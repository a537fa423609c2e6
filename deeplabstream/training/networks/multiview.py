"""Multiview network: one transformer for the images of several cameras."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork
from deeplabstream.training.networks.vit import PATCH, VisionTransformer, positions


class MultiviewNetwork(PoseNetwork):
    """Attention between the patches of all views; each view has its own heat maps.

    `forward` takes (n, view, height, width, 3), uint8 BGR, and gives logits (n, view ·
    bodypart, height / 4, width / 4), view by view. In training, a share `masked` (0 to
    1) of the patches is hidden, so that it learns to find a part in one view from the
    others; `mask_seed` says which.
    """

    body: VisionTransformer

    def __init__(self, bodyparts: int, how: Architecture) -> None:
        if bodyparts % how.views:
            raise ModelError(
                f"{bodyparts} maps can't be divided among {how.views} views"
            )
        super().__init__(
            bodyparts // how.views, replace(how, backbone="vit_tiny", head="light")
        )
        self.how = how
        self.masked = 0.0
        self.mask_seed: tuple[int, ...] = (0,)
        width = self.body.channels[-1]
        self.of_view = nn.Parameter(0.02 * torch.randn(how.views, 1, width))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of all views' heat maps."""
        n, views = images.shape[:2]
        x = self.body.normalised(images.flatten(0, 1))
        if self.training and self.masked > 0:
            x = hide_patches(x, self.masked, np.random.default_rng(self.mask_seed))
        x = self.body.patches(x)
        _, width, rows, columns = x.shape
        tokens = x.flatten(2).transpose(1, 2) + positions(width, rows, columns, x)
        tokens = tokens.view(n, views, -1, width) + self.of_view
        seen = self.body.encode(tokens.flatten(1, 2)).view(n * views, -1, width)
        features = seen.transpose(1, 2).reshape(n * views, width, rows, columns)
        maps = self.head([features])
        return torch.as_tensor(maps.reshape(n, -1, *maps.shape[2:]))


def hide_patches(images: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Return images (n, channel, height, width) with that share of 16×16 patches at 0."""
    n, _, height, width = images.shape
    kept = rng.random((n, 1, height // PATCH, width // PATCH)) >= share
    mask = torch.from_numpy(kept).to(images)
    return images * nn.functional.interpolate(mask, size=(height, width))


def masked_share(
    epoch: int, first: int = 40, last: int = 300, start: float = 0.0, end: float = 0.5
) -> float:
    """Return the share of hidden patches, from `start` at `first` to `end` at `last`.

    >>> [masked_share(epoch) for epoch in (0, 40, 170, 400)]
    [0.0, 0.0, 0.25, 0.5]
    """
    if epoch < first:
        return 0.0
    passed = min(1.0, (epoch - first) / max(1, last - first))
    return start + (end - start) * passed
