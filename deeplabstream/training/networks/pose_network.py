"""Heat map networks: a backbone and a head."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.heatmaps import LINEAR_TO
from deeplabstream.training.networks.backbone import GRAPH, open_backbone
from deeplabstream.training.networks.heads import (
    DeconvolutionHead,
    Head,
    LastLayer,
    LightHead,
)

Kind = Literal["heatmap", "regression", "context", "multiview"]
Scale = Literal["peak", "mass"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Architecture of a network."""

    backbone: str = "efficientnet_lite0"
    kind: Kind = "heatmap"
    head: Head = "light"
    """`last`: the last layer of the network whose graph is the backbone."""
    stages: int = 5
    """Stages of an EfficientNet: 4 is smaller and faster."""
    channels: int = 32
    """Channels of the light head."""
    scale: Scale = "peak"
    """Scale of the maps. `peak`: sigmoid of each cell: the height of a map is its
    confidence. `mass`: all cells of a map add up to 1 (softmax), as in Lightning
    Pose."""
    sigma: float = 1.25
    """Standard deviation of the targets' Gaussians, in heat map cells."""
    views: int = 1
    """Number of views of a multiview network."""

    @property
    def linear_to(self) -> float | None:
        """Mapping from map scores to confidences: see `heatmaps.confidence_of`."""
        return LINEAR_TO if self.scale == "mass" else None

    edges: tuple[tuple[int, int], ...] = ()
    """Pairs of body parts, by index, with a part affinity field each, for several
    animals. Their maps, x before y, follow those of the body parts."""


class PoseNetwork(nn.Module):
    """A heat map network.

    `forward` takes images (n, height, width, 3), uint8 BGR, whose sides are multiples of
    `body.multiple`, and gives logits (n, bodypart, height / 4, width / 4); `as_maps` makes
    heat maps from 0 to 1 of them, which `Heatmaps.decode` reads. With `how.edges` 2 · edge
    more maps follow in both, which stay as they are. While `frozen`, nothing is
    learned by the backbone and nothing is propagated back through it.
    """

    def __init__(self, bodyparts: int, how: Architecture | None = None) -> None:
        super().__init__()
        self.how = how or Architecture()
        self.frozen = False
        self.body = open_backbone(self.how.backbone, self.how.stages)
        self.bodyparts = bodyparts
        widths, strides = self.body.channels, self.body.strides
        maps = bodyparts + 2 * len(self.how.edges)
        self.head: nn.Module
        if self.how.head == "light":
            self.head = LightHead(maps, widths, strides, self.how.channels)
        elif self.how.head == "last":
            if self.body.last is None:
                raise ModelError(
                    f"{self.how.backbone.removeprefix(GRAPH)} has no last layer that a "
                    "network can be started from: it makes its heat maps otherwise"
                )
            weight, _ = self.body.last
            self.head = LastLayer(maps, widths[0], weight.shape[-1])
        else:
            self.head = DeconvolutionHead(maps, widths, strides)
        if isinstance(self.head, LightHead):
            with torch.no_grad():
                self.head.maps.bias[bodyparts:] = 0  # type: ignore[index]

    def kept(self, images: Tensor) -> list[Tensor]:
        """Return the backbone's features."""
        x = self.body.normalised(images)
        if not self.frozen:
            return list(self.body(x))
        with torch.no_grad():
            return list(self.body(x))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of the heat maps."""
        return torch.as_tensor(self.head(self.kept(images)))

    def as_maps(self, logits: Tensor) -> Tensor:
        """Return heat maps from 0 to 1: a sure point has a Gaussian of height 1."""
        if not self.how.edges:
            return to_maps(logits, self.how)
        maps = to_maps(logits[:, : self.bodyparts], self.how)
        return torch.cat([maps, logits[:, self.bodyparts :]], dim=1)

    def maps(self, images: Tensor) -> Tensor:
        """Return heat maps (n, bodypart, height / 4, width / 4) from 0 to 1."""
        return self.as_maps(self(images))

    def train(self, mode: bool = True) -> "PoseNetwork":
        """Set the mode; the statistics of a frozen backbone stay as they are."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze the backbone."""
        self.frozen = frozen
        self.train(self.training)

    def backbone(self) -> list[nn.Parameter]:
        """Return the parameters of the backbone."""
        return list(self.body.parameters())

    def load_imagenet(self) -> None:
        """Load ImageNet weights; ModelError when there are none."""
        self.body.load_imagenet()


def to_maps(logits: Tensor, how: Architecture) -> Tensor:
    """Return heat maps of logits (…, height, width), from 0 to 1.

    With `mass`, the softmax is multiplied by 2πσ², so that a Gaussian which holds all of
    it has height 1, whoever is spread out is small, and a narrower one is higher than 1.
    """
    if how.scale == "peak":
        return torch.sigmoid(logits)
    mass = logits.flatten(-2).softmax(dim=-1).view_as(logits)
    return mass * (2 * torch.pi * how.sigma**2)


def build_network(bodyparts: int, how: Architecture) -> "PoseNetwork":
    """Return the network that `how` describes, with random weights."""
    if how.kind == "regression":
        from deeplabstream.training.networks.regression import RegressionNetwork

        return RegressionNetwork(bodyparts, how)
    if how.kind == "context":
        from deeplabstream.training.networks.context import ContextNetwork

        return ContextNetwork(bodyparts, how)
    if how.kind == "multiview":
        from deeplabstream.training.networks.multiview import MultiviewNetwork

        return MultiviewNetwork(bodyparts, how)
    return PoseNetwork(bodyparts, how)


def check_size(how: Architecture, height: int, width: int) -> None:
    """Raise ModelError when the network can't take images of this size."""
    body = open_backbone(how.backbone, how.stages)
    multiple = body.multiple
    if height % multiple or width % multiple:
        near = (max(1, round(side / multiple)) * multiple for side in (width, height))
        raise ModelError(
            f"{how.backbone.removeprefix(GRAPH)} takes sides that are multiples of "
            f"{multiple}, not {width}x{height}; {'x'.join(map(str, near))} would do"
        )
    body.check_size(height, width)
