"""Vision transformers with learned positions: DINO (Caron et al. 2021), DINOv2, ViT-MAE.

Their weights come from a checkpoint of Lightning Pose to start from.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deeplabstream.training.networks.backbone import Backbone
from deeplabstream.training.networks.vit import PATCH, Block

SIZES: dict[str, tuple[int, int, int, int, bool]] = {
    "vits_dino": (384, 12, 6, 14, False),
    "vitb_dino": (768, 12, 12, 14, False),
    "vitb_imagenet": (768, 12, 12, 14, False),
    "vits_dinov2": (384, 12, 6, 37, True),
    "vitb_dinov2": (768, 12, 12, 37, True),
}
"""Width, blocks, heads, positions along a side, and whether branches are scaled (DINOv2)."""
WITHOUT_START = (
    "{} has weights only in networks of Lightning Pose: name the folder of one with "
    "--start-from, or take another backbone"
)


class LearnedTransformer(Backbone):
    """A class token, patches of 16×16 pixels, and learned positions.

    Positions are interpolated (bicubic), so that a network takes inputs of any size.
    Features come at 16 pixels per cell only.
    """

    strides = (PATCH,)
    multiple = PATCH

    def __init__(
        self, width: int, depth: int, heads: int, grid: int, scaled: bool
    ) -> None:
        super().__init__()
        eps = 1e-6 if scaled else 1e-12
        self.grid = grid
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        nn.init.trunc_normal_(self.places, std=0.02)
        self.blocks = nn.ModuleList(
            Block(width, heads, eps, scaled) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps)
        self.channels = (width,)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 16 pixels per cell."""
        x = self.patches(x)
        n, width, rows, columns = x.shape
        token = (self.token + self.places[:, :1]).expand(n, -1, -1)
        places = self.places[:, 1:].transpose(1, 2)
        places = places.reshape(1, width, self.grid, self.grid)
        if (rows, columns) != (self.grid, self.grid):
            places = nn.functional.interpolate(places, (rows, columns), mode="bicubic")
        tokens = torch.cat([token, (x + places).flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        seen = self.norm(tokens)[:, 1:]
        return [seen.transpose(1, 2).reshape(n, width, rows, columns)]


_NAMES = {
    r"embeddings\.cls_token": "token",
    r"embeddings\.position_embeddings": "places",
    r"embeddings\.patch_embeddings\.projection\.(weight|bias)": r"patches.\1",
    r"layernorm\.(weight|bias)": r"norm.\1",
}
_BLOCK = r"(?:encoder\.)?layers?\.(\d+)\."
_IN_BLOCKS = {
    r"(?:layernorm_before|norm1)\.(weight|bias)": r"norm1.\2",
    r"(?:layernorm_after|norm2)\.(weight|bias)": r"norm2.\2",
    r"attention\.(?:attention\.)?(query|key|value|q_proj|k_proj|v_proj)\.(weight|bias)": (
        r"\2.\3"
    ),
    r"attention\.(?:output\.dense|o_proj)\.(weight|bias)": r"out.\2",
    r"(?:intermediate\.dense|mlp\.fc1)\.(weight|bias)": r"own.0.\2",
    r"(?:output\.dense|mlp\.fc2)\.(weight|bias)": r"own.2.\2",
    r"layer_scale([12])\.lambda1": r"scale\2",
}
_PATTERNS = [
    *((re.compile(theirs), own) for theirs, own in _NAMES.items()),
    *(
        (re.compile(_BLOCK + theirs), rf"blocks.\1.{own}")
        for theirs, own in _IN_BLOCKS.items()
    ),
]
_WITHOUT_USE = ("embeddings.mask_token", "pooler.")
"""Beginnings of names of weights that make no features."""


def weights_of(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the names of transformers (any version), in our layers.

    Those without use are left out, unknown ones keep their names. Of RGB images, as theirs.
    """
    own: dict[str, Tensor] = {}
    for name, value in theirs.items():
        if name.startswith(_WITHOUT_USE):
            continue
        found = ((it.fullmatch(name), to) for it, to in _PATTERNS)
        own[next((m.expand(to) for m, to in found if m), name)] = value
    parts = ("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")
    for place in {name.split(".")[1] for name in own if name.startswith("blocks.")}:
        for kind in ("weight", "bias"):
            keys = [f"blocks.{place}.{part}.{kind}" for pair in parts for part in pair]
            held = [own.pop(key) for key in keys if key in own]
            if held:
                own[f"blocks.{place}.qkv.{kind}"] = torch.cat(held)
    return own
