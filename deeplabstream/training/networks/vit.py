"""A small vision transformer (Dosovitskiy et al. 2021) with positions for any size."""

import torch
from torch import Tensor, nn

from deeplabstream.training.networks.backbone import Backbone

PATCH = 16
"""Pixels per token, on each side."""


class VisionTransformer(Backbone):
    """`depth` blocks of attention over patches of 16×16 pixels.

    Positions are sines and cosines of both coordinates, so that a network takes inputs of
    any size. Features come at 16 pixels per cell only.
    """

    strides = (16,)
    multiple = 16

    def __init__(self, width: int = 192, depth: int = 6, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.channels = (width,)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 16 pixels per cell."""
        x = self.patches(x)
        n, width, rows, columns = x.shape
        tokens = x.flatten(2).transpose(1, 2) + positions(width, rows, columns, x)
        return [self.encode(tokens).transpose(1, 2).reshape(n, width, rows, columns)]

    def encode(self, tokens: Tensor) -> Tensor:
        """Return tokens (n, token, width) after attention."""
        for block in self.blocks:
            tokens = block(tokens)
        return torch.as_tensor(self.norm(tokens))


class Block(nn.Module):
    """Attention, then two layers for each token; `scaled`: each by a learned factor."""

    def __init__(
        self, width: int, heads: int, eps: float = 1e-5, scaled: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.own = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scale1, self.scale2 = (
            nn.Parameter(torch.ones(width)) if scaled else 1.0 for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (n, token, width)."""
        n, tokens, width = x.shape
        mixed = self.qkv(self.norm1(x)).reshape(n, tokens, 3, self.heads, -1)
        q, k, v = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        seen = self.out(seen.transpose(1, 2).reshape(n, tokens, width))
        x = x + seen * self.scale1
        return torch.as_tensor(x + self.own(self.norm2(x)) * self.scale2)


def positions(width: int, rows: int, columns: int, like: Tensor) -> Tensor:
    """Return (row · column, width): a quarter each sine and cosine of y and of x."""
    quarter = width // 4
    rates = 10_000.0 ** (-torch.arange(quarter, device=like.device) / quarter)
    y = torch.arange(rows, device=like.device)[:, None] * rates
    x = torch.arange(columns, device=like.device)[:, None] * rates
    down = torch.cat([y.sin(), y.cos()], dim=1)[:, None].expand(-1, columns, -1)
    across = torch.cat([x.sin(), x.cos()], dim=1)[None].expand(rows, -1, -1)
    both = torch.cat([down, across], dim=2).reshape(rows * columns, -1)
    return nn.functional.pad(both, (0, width - 4 * quarter)).to(like.dtype)
