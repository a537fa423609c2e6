"""A U-Net with half the resolution, for small animals in large images."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from deeplabstream.training.networks.backbone import Backbone


class FastUNet(Backbone):
    """Down to 16 pixels per cell and up again to 4, `width` channels at the top.

    Its first layer has no stride, so that an animal of a few pixels is found; depthwise
    convolutions keep that fast.
    """

    strides = (4,)
    multiple = 16

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 6 * width, 8 * width]
        self.first = _layer(3, widths[0], 1)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(_layer(a, b, 2) for a, b in pairs)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(pairs[2:])
        )
        self.merge = nn.ModuleList(_layer(2 * a, a, 1) for a, _ in reversed(pairs[2:]))
        self.channels = (widths[2],)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 4 pixels per cell."""
        x = self.first(x)
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), kept.pop()], dim=1))
        return [x]


def _layer(own: int, out: int, stride: int) -> nn.Sequential:
    """Return a 3×3 convolution, depthwise where that is faster, and a 1×1 one."""
    if own == 3:
        return nn.Sequential(
            nn.Conv2d(own, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        )
    return nn.Sequential(
        nn.Conv2d(own, own, 3, stride, 1, groups=own, bias=False),
        nn.BatchNorm2d(own),
        nn.Conv2d(own, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )
