"""Backbones: features of an image at several strides."""

import pickle
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError


class Backbone(nn.Module):
    """Backbone: returns features of images, the finest first.

    `forward` takes normalised BGR images (n, 3, height, width) and gives one tensor per
    entry of `strides` (input pixels per cell), with the numbers of `channels`. Sides
    must be multiples of `multiple`.
    """

    strides: tuple[int, ...] = (4, 8, 16, 32)
    channels: tuple[int, ...] = ()
    multiple: int = 32
    mean: ClassVar[tuple[float, float, float]] = (103.53, 116.28, 123.675)
    std: ClassVar[tuple[float, float, float]] = (57.375, 57.12, 58.395)
    """Standard deviation of the pixels, 0 to 255, BGR; ImageNet's unless the weights
    need others."""
    last: tuple[Tensor, Tensor] | None = None
    """Weight and bias of the convolution that made heat maps of the finest features in the
    network that it is from; None: they were made differently."""

    def normalised(self, images: Tensor) -> Tensor:
        """Return (n, 3, height, width) of images (n, height, width, 3), uint8 BGR."""
        x = images.permute(0, 3, 1, 2).float()
        mean = torch.tensor(self.mean, device=x.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=x.device).view(1, 3, 1, 1)
        return (x - mean) / std

    def load_file(self, file: Path) -> None:
        """Load the weights in a file; ModelError when they do not fit."""
        raise ModelError(
            f"{file}: weights of {type(self).__name__} can't be read from a file; only "
            "those of ResNet-18, ResNet-50 and EfficientNet-Lite can"
        )

    def check_size(self, height: int, width: int) -> None:
        """Raise ModelError when the backbone does not accept images of this size."""

    def load_imagenet(self) -> None:
        """Load ImageNet weights; ModelError when there are none."""
        raise ModelError(
            f"there are no ImageNet weights for {type(self).__name__} in a package; use an "
            "EfficientNet-Lite, or start from random weights (--no-imagenet)"
        )


GRAPH = "graph:"
"""Prefix of the name of a backbone that is the ONNX graph of a model folder."""
_NO_LAYERS = ("fc.", "classifier.", "head.", "keypoint_head.")
"""Prefixes of weights in a file that do not belong to the backbone."""
Opener = Callable[[int], Backbone]


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the weights of a backbone in a file, by name; only tensors are loaded.

    Files of torchvision hold them as they are, those of MMPose below `state_dict` with
    names that begin with `backbone.`. ModelError when the file cannot be read.
    """
    try:
        content = torch.load(file, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} holds more than numbers, and is not opened here: save its weights "
            'alone, with torch.save({"state_dict": …})'
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        raise ModelError(f"{file} can't be read as weights") from error
    held = content.get("state_dict", content) if isinstance(content, dict) else {}
    named = {key: it for key, it in held.items() if isinstance(it, Tensor)}
    if own := {key for key in named if key.startswith("backbone.")}:
        named = {key.removeprefix("backbone."): named[key] for key in own}
    return {k: it for k, it in named.items() if not k.startswith(_NO_LAYERS)}


def open_backbone(name: str, stages: int = 5) -> Backbone:
    """Return the backbone of that name, with random weights.

    `stages` (4 or 5) shortens EfficientNets only. Names that begin with `timm:` need
    the package timm, which is optional; after `graph:` stands a model folder.
    """
    if name.startswith("timm:"):
        return TimmBackbone(name.removeprefix("timm:"))
    if name.startswith(GRAPH):
        from deeplabstream.training.networks.graph_backbone import GraphBackbone

        return GraphBackbone(Path(name.removeprefix(GRAPH)))
    known = _openers()
    if name not in known:
        from deeplabstream.training.networks.learned_vit import SIZES

        free = ", ".join(other for other in known if other not in SIZES)
        raise ModelError(
            f"there is no backbone {name!r}; known are {free}; of networks of Lightning "
            f"Pose (--start-from) also {', '.join(SIZES)}"
        )
    return known[name](stages)


def _openers() -> dict[str, Opener]:
    from deeplabstream.training.networks.efficientnet import EfficientNetLite
    from deeplabstream.training.networks.learned_vit import SIZES
    from deeplabstream.training.networks.resnet import ResNet
    from deeplabstream.training.networks.unet import FastUNet
    from deeplabstream.training.networks.vit import VisionTransformer

    return {
        "efficientnet_lite0": lambda stages: EfficientNetLite(0, stages),
        "efficientnet_lite1": lambda stages: EfficientNetLite(1, stages),
        "efficientnet_lite2": lambda stages: EfficientNetLite(2, stages),
        "resnet18": lambda _: ResNet(18),
        "resnet50": lambda _: ResNet(50),
        "vit_tiny": lambda _: VisionTransformer(192, 6, 3),
        "unet": lambda _: FastUNet(),
        **{name: partial(_transformer, name) for name in SIZES},
    }


def _transformer(name: str, _stages: int) -> Backbone:
    from deeplabstream.training.networks.learned_vit import SIZES, LearnedTransformer

    return LearnedTransformer(*SIZES[name])


class TimmBackbone(Backbone):
    """A network of the package timm by its name, such as `resnet34`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.features = _open(name, pretrained=False)
        info = self.features.feature_info
        pairs = list(zip(info.reduction(), info.channels(), strict=True))
        kept = [place for place, (stride, _) in enumerate(pairs) if stride >= 4]
        self.kept = kept
        self.strides = tuple(int(pairs[place][0]) for place in kept)
        self.channels = tuple(int(pairs[place][1]) for place in kept)
        self.multiple = max(self.strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 4 and more pixels per cell."""
        features = self.features(x.flip(1))  # BGR to RGB
        return [features[place] for place in self.kept]

    def load_imagenet(self) -> None:
        """Load the weights that timm downloads, or has in its cache."""
        taught = _open(self.name, pretrained=True)
        self.features.load_state_dict(taught.state_dict())


def _open(name: str, pretrained: bool):  # type: ignore[no-untyped-def]
    try:
        timm = import_module("timm")
    except ImportError as error:
        raise ModelError(
            f"the backbone timm:{name} needs the package timm (and torchvision), which "
            f"can't be imported: {error}"
        ) from error
    try:
        return timm.create_model(name, pretrained=pretrained, features_only=True)
    except (
        Exception
    ) as error:  # timm's errors, and the network's, have no common base class
        reason = str(error).splitlines()[0]
        raise ModelError(f"timm gives no network {name!r}: {reason}") from error
