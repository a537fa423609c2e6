"""Regression network: coordinates, drawn as heat maps, so that all else stays the same."""

import torch
from torch import Tensor, nn

from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork

GRID = 4
"""Parts along each side of the features from which coordinates are computed."""


class RegressionNetwork(PoseNetwork):
    """`forward` gives (n, bodypart, 3): x, y and a logit of the confidence.

    x and y are shares of the image's sides, 0 at its upper left corner. `maps` draws
    them as Gaussians.
    """

    def __init__(self, bodyparts: int, how: Architecture) -> None:
        super().__init__(bodyparts, how)
        self.bodyparts = bodyparts
        del self.head
        width = self.body.channels[-1]
        self.coordinates = nn.Sequential(
            _Pool(),
            nn.Flatten(),
            nn.Linear(GRID**2 * width, 3 * bodyparts),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return x, y and a logit for each body part."""
        raw = self.coordinates(self.kept(images)[-1])
        raw = raw.view(-1, self.bodyparts, 3)
        return torch.cat([raw[..., :2] + 0.5, raw[..., 2:]], dim=2)

    def maps(self, images: Tensor) -> Tensor:
        """Return heat maps (n, bodypart, height / 4, width / 4) from 0 to 1."""
        found = self(images)
        # Integers, because the sizes of the maps are constants in an exported network.
        height, width = (int(side) // STRIDE for side in images.shape[1:3])
        size = torch.tensor([width, height], device=found.device)
        cells = (found[..., :2] * size - 0.5)[..., None]
        x = torch.arange(width, device=found.device) - cells[..., 0, :]
        y = torch.arange(height, device=found.device) - cells[..., 1, :]
        two = 2 * self.how.sigma**2
        maps = (
            torch.exp(-(y**2) / two)[..., None] * torch.exp(-(x**2) / two)[..., None, :]
        )
        return maps * torch.sigmoid(found[..., 2])[..., None, None]


class _Pool(nn.Module):
    """Means over `GRID` by `GRID` parts of any grid, like `nn.AdaptiveAvgPool2d`.

    That one can be exported only where the parts divide the grid.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, GRID, GRID) of (n, channels, height, width)."""
        rows, columns = (_parts(int(side)).to(x) for side in x.shape[2:])
        return rows @ x @ columns.T


def _parts(side: int) -> Tensor:
    """Return (GRID, side): the weight of each cell of a side in each part."""
    parts = torch.zeros(GRID, side)
    for place in range(GRID):
        start, stop = place * side // GRID, -(-(place + 1) * side // GRID)
        parts[place, start:stop] = 1 / (stop - start)
    return parts
