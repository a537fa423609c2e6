"""ResNet-18 and ResNet-50 (He et al. 2016), with torchvision's names of layers.

A weights file of torchvision can be loaded: the tensors have the same names.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.training.networks.backbone import Backbone, read_weights

DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


class ResNet(Backbone):
    """The convolutions of a ResNet of 18 or 50 layers."""

    def __init__(self, depth: int = 18) -> None:
        super().__init__()
        wide = depth >= 50
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        own = 64
        widths = []
        for place, blocks in enumerate(DEPTHS[depth]):
            width = 64 * 2**place
            layers = []
            for block in range(blocks):
                stride = 2 if place and not block else 1
                layers.append(_Block(own, width, stride, wide))
                own = 4 * width if wide else width
            setattr(self, f"layer{place + 1}", nn.Sequential(*layers))
            widths.append(own)
        self.channels = tuple(widths)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )

    def load_file(self, file: Path) -> None:
        """Load weights with torchvision's names, of RGB images."""
        weights = read_weights(file)
        if (first := weights.get("conv1.weight")) is not None:
            weights["conv1.weight"] = first.flip(1)  # RGB to BGR
        try:
            self.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(
                f"{file} does not have the weights of this ResNet"
            ) from error

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 4, 8, 16 and 32 pixels per cell."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        kept = []
        for place in range(1, 5):
            x = getattr(self, f"layer{place}")(x)
            kept.append(x)
        return kept


class _Block(nn.Module):
    """Two 3×3 convolutions, or (`wide`) 1×1, 3×3 and 1×1, beside a shortcut."""

    def __init__(self, own: int, width: int, stride: int, wide: bool) -> None:
        super().__init__()
        out = 4 * width if wide else width
        self.wide = wide
        if wide:
            self.conv1 = nn.Conv2d(own, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(own, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(own, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )
            if stride > 1 or own != out
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of `x`."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.wide:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))
