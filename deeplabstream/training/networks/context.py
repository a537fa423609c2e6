"""Context network: poses from a frame and two frames before and after."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from deeplabstream.training.data.dataset import FRAMES
from deeplabstream.training.networks.heads import LightHead
from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork


class ContextNetwork(PoseNetwork):
    """One backbone, two heads: for one frame, and for five.

    `forward` is the head for one frame, which a rig uses. `in_context` takes five; what
    it adds to the middle frame's logits starts at zero, so that it starts no worse than
    one frame.
    """

    head: LightHead

    def __init__(self, bodyparts: int, how: Architecture) -> None:
        super().__init__(bodyparts, replace(how, head="light"))
        own = self.head.channels
        self.mix = nn.Sequential(
            nn.Conv2d(FRAMES * own, 2 * own, 1, bias=False),
            nn.BatchNorm2d(2 * own),
            nn.ReLU(),
            nn.Conv2d(2 * own, own, 3, padding=1, bias=False),
            nn.BatchNorm2d(own),
            nn.ReLU(),
        )
        self.more = nn.Conv2d(own, bodyparts, 3, padding=1)
        nn.init.zeros_(self.more.weight)
        nn.init.zeros_(self.more.bias)  # type: ignore[arg-type]

    def in_context(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return both heads' logits of the middle frames.

        `images` are (n, 5, height, width, 3); logits (n, bodypart, h, w), one frame's
        first.
        """
        n = images.shape[0]
        features = self.head.features(self.kept(images.flatten(0, 1)))
        own = features.view(n, FRAMES, *features.shape[1:])
        alone = self.head.maps(own[:, FRAMES // 2])
        together = self.mix(own.flatten(1, 2))
        return torch.as_tensor(alone), torch.as_tensor(alone + self.more(together))

    def surest(self, images: Tensor) -> Tensor:
        """Return heat maps (n, bodypart, h, w) of the head with the higher peak of each part."""
        return self._surest(*self.in_context(images))

    def along(self, images: Tensor) -> Tensor:
        """Return the output of `surest` for images (n, height, width, 3) in their order.

        Each is the middle of five; neighbours that are not there are the image itself.
        """
        own = self.head.features(self.kept(images))
        alone = self.head.maps(own)
        here = torch.arange(own.shape[0], device=own.device)
        beside = []
        for by in range(-(FRAMES // 2), FRAMES // 2 + 1):
            place = here + by
            exists = (place >= 0) & (place < own.shape[0])
            beside.append(own[torch.where(exists, place, here)])
        together = self.mix(torch.cat(beside, dim=1))
        return self._surest(alone, alone + self.more(together))

    def _surest(self, *logits: Tensor) -> Tensor:
        alone, together = map(self.as_maps, logits)
        surer = together.amax(dim=(2, 3)) >= alone.amax(dim=(2, 3))
        return torch.where(surer[..., None, None], together, alone)
