"""Heads: from a backbone's features to heat maps at 4 pixels per cell."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

STRIDE = 4
"""Input pixels per heat map cell."""
Head = Literal["light", "deconvolution", "last"]


class LightHead(nn.Module):
    """Decoder head: doubles the resolution step by step, and adds the backbone's features at each.

    `features` gives (n, channels, height / 4, width / 4), `forward` one map of logits
    per body part from them.
    """

    def __init__(
        self,
        bodyparts: int,
        widths: tuple[int, ...],
        strides: tuple[int, ...],
        channels: int,
    ) -> None:
        super().__init__()
        sides = dict(zip(strides, widths, strict=True))
        own, stride = widths[-1], strides[-1]
        self.ups = nn.ModuleList()
        self.sides = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.taken: list[int | None] = []
        while stride > STRIDE:
            stride //= 2
            out = channels * stride // STRIDE
            self.ups.append(nn.ConvTranspose2d(own, out, 4, 2, 1))
            has_side = stride in sides
            self.sides.append(
                nn.Conv2d(sides[stride], out, 1) if has_side else nn.Identity()
            )
            self.taken.append(strides.index(stride) if has_side else None)
            self.norms.append(nn.BatchNorm2d(out))
            own = out
        self.maps = nn.Conv2d(own, bodyparts, 3, padding=1)
        self.channels = own
        nn.init.constant_(self.maps.bias, -4.0)  # type: ignore[arg-type]

    def features(self, kept: list[Tensor]) -> Tensor:
        """Return the features (n, channels, height / 4, width / 4)."""
        x = kept[-1]
        for up, side, norm, taken in zip(
            self.ups, self.sides, self.norms, self.taken, strict=True
        ):
            x = up(x)
            if taken is not None:
                x = x + side(kept[taken])
            x = torch.relu(norm(x))
        return x

    def forward(self, kept: list[Tensor]) -> Tensor:
        """Return logits (n, bodypart, height / 4, width / 4)."""
        return torch.as_tensor(self.maps(self.features(kept)))


class LastLayer(nn.Module):
    """The last layer of a trained network: maps of the finest features of its graph."""

    def __init__(self, bodyparts: int, width: int, side: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(width, bodyparts, side, padding=side // 2)

    def forward(self, kept: list[Tensor]) -> Tensor:
        """Return logits (n, bodypart, height / 4, width / 4)."""
        return torch.as_tensor(self.maps(kept[0]))


class DeconvolutionHead(nn.Module):
    """Lightning Pose's head: pixel shuffle, then transposed convolutions.

    It uses the coarsest features only. For comparisons, and for imported weights.
    """

    def __init__(
        self, bodyparts: int, widths: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        super().__init__()
        steps = round(math.log2(strides[-1] // STRIDE)) - 1
        own = widths[-1] // 4
        layers: list[nn.Module] = [nn.PixelShuffle(2)]
        for _ in range(steps):
            layers.append(nn.ConvTranspose2d(own, bodyparts, 3, 2, 1, 1))
            own = bodyparts
        if steps == 0:
            layers.append(nn.Conv2d(own, bodyparts, 3, padding=1))
        self.layers = nn.Sequential(*layers)
        for layer in layers[1:]:
            if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight, gain=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, kept: list[Tensor]) -> Tensor:
        """Return logits (n, bodypart, height / 4, width / 4)."""
        return torch.as_tensor(self.layers(kept[-1]))
