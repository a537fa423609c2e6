"""Embedding network: maps a crop of an animal to a point that depends on who it is.

Trained with the supervised contrastive loss (Khosla et al., NeurIPS 2020): crops of one track
are positives, crops of tracks that coexist with it negatives. Pairs whose relation is not
known are left out of both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deeplabstream.training.appearance.certain_tracks import CropSet

FEATURES = 16
"""Length of an embedding."""
_TEMPERATURE = 0.1
"""Of the loss, as in the paper."""
_PER_TRACK = 12
"""Crops of each track in a batch."""
_MOST_TRACKS = 8
"""Tracks in a batch."""
_RATE, _DECAY = 5e-3, 1e-4
_SHIFT_PX, _TURN, _ZOOM = 2.0, 0.15, 0.1
"""Augmentation: errors of the pose, in px of the crop, radians, and as a share."""
_LIGHT, _CONTRAST, _GREY_LEVELS = 0.06, 0.15, 3.0
"""Augmentation: light and contrast as shares, noise in grey levels."""

Report = Callable[[int, float], object]
"""Called with the number of the step, from 1, and its loss."""


class EmbeddingNetwork(nn.Module):
    """Four convolutions, the largest and the mean value of each channel, a linear layer.

    Pooled over all places: a tail swings, so that a band on it has no fixed place in a crop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(3, 16),
            *_convolution(16, 32),
            *_convolution(32, 32, stride=1),
            *_convolution(32, 64),
        )
        self.head = nn.Linear(2 * 64, FEATURES)

    def forward(self, crops: Tensor) -> Tensor:
        """Return embeddings (n, feature) of length 1 of crops (n, height, width, 3), uint8."""
        return self.embed(crops.permute(0, 3, 1, 2).float())

    def embed(self, pixels: Tensor) -> Tensor:
        """Return embeddings of pixels (n, 3, height, width), 0 to 255."""
        places = self.body(pixels / 64 - 2)
        pooled = torch.cat([places.amax(dim=(2, 3)), places.mean(dim=(2, 3))], dim=1)
        return functional.normalize(self.head(pooled), dim=1)


def _convolution(given: int, made: int, stride: int = 2) -> tuple[nn.Module, ...]:
    """Return a convolution with normalisation.

    Without it, the embeddings of animals that differ in a detail only stay one point for
    hundreds of steps.
    """
    return (
        nn.Conv2d(given, made, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(),
    )


@dataclass(frozen=True, slots=True)
class EmbeddingFitSettings:
    """How long the network is trained, and its seed."""

    steps: int = 400
    seed: int = 0


def fit_network(
    sources: Sequence[CropSet],
    chosen: Sequence[NDArray[np.bool_]],
    settings: EmbeddingFitSettings,
    report: Report | None = None,
) -> EmbeddingNetwork:
    """Return a network trained on the `chosen` crops (crop,) of each source.

    The same crops, settings and number of threads give the same network.
    """
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    network = EmbeddingNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _RATE, total_steps=settings.steps
    )
    by_track = [
        _rows_by_track(one, mask) for one, mask in zip(sources, chosen, strict=True)
    ]
    usable = [n for n, tracks in enumerate(by_track) if len(tracks) > 1]

    for step in range(1, settings.steps + 1):
        source = sources[usable[step % len(usable)]]
        rows = _batch(by_track[usable[step % len(usable)]], random)
        tracks = source.tracks[rows]
        pixels = torch.from_numpy(source.crops[rows]).permute(0, 3, 1, 2).float()

        loss = contrastive_loss(
            network.embed(_augmented(pixels)),
            torch.from_numpy(tracks),
            torch.from_numpy(source.different[np.ix_(tracks, tracks)]),
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if report is not None:
            report(step, float(loss.detach()))
    return network.eval()


def contrastive_loss(embedded: Tensor, tracks: Tensor, different: Tensor) -> Tensor:
    """Return the supervised contrastive loss of embeddings (n, feature).

    `tracks` (n,); `different` (n, n): pairs known to be two animals. A crop without a positive
    or a negative does not count; 0 where none counts.
    """
    itself = torch.eye(len(tracks), dtype=torch.bool)
    same = (tracks[:, None] == tracks[None]) & ~itself
    logits = embedded @ embedded.T / _TEMPERATURE
    # The sum of all known pairs, in the log domain
    known = (same | different).float().log()
    total = torch.logsumexp(logits + known, dim=1, keepdim=True)
    counts = same.sum(dim=1)
    valid = (counts > 0) & different.any(dim=1)
    if not valid.any():
        return embedded.sum() * 0
    per_pair = torch.where(same, total - logits, torch.zeros_like(logits))
    return (per_pair.sum(dim=1)[valid] / counts[valid]).mean()


def embeddings(
    network: EmbeddingNetwork, crops: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the embeddings (crop, feature) of crops."""
    if not len(crops):
        return np.zeros((0, FEATURES))
    with torch.inference_mode():
        parts = [network(torch.from_numpy(part)) for part in _parts(crops)]
    return torch.cat(parts).double().numpy()


def _parts(crops: NDArray[np.uint8], at_once: int = 256) -> list[NDArray[np.uint8]]:
    return [crops[begin : begin + at_once] for begin in range(0, len(crops), at_once)]


def _rows_by_track(source: CropSet, mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the chosen crops of each track with at least two, one array a track."""
    rows = np.flatnonzero(mask)
    tracks = source.tracks[rows]
    found = [rows[tracks == track] for track in np.unique(tracks)]
    return [one for one in found if len(one) > 1]


def _batch(
    by_track: Sequence[NDArray[np.int64]], random: np.random.Generator
) -> NDArray[np.int64]:
    """Return crops of some tracks, as many of each."""
    count = min(len(by_track), _MOST_TRACKS)
    chosen = random.choice(len(by_track), count, replace=False)
    return np.concatenate([random.choice(by_track[n], _PER_TRACK) for n in chosen])


def _augmented(pixels: Tensor) -> Tensor:
    """Return crops with errors of the pose, other light and noise, (n, 3, height, width)."""
    count, _, height, width = pixels.shape
    turn = torch.randn(count) * _TURN / 2
    zoom = 1 + torch.randn(count) * _ZOOM / 2
    cos, sin = torch.cos(turn) * zoom, torch.sin(turn) * zoom
    shift = torch.randn(count, 2) * _SHIFT_PX
    # `affine_grid` counts in halves of the image, so a turn depends on its shape
    rows = [
        torch.stack([cos, -sin * height / width, shift[:, 0] * 2 / width], dim=1),
        torch.stack([sin * width / height, cos, shift[:, 1] * 2 / height], dim=1),
    ]
    grid = functional.affine_grid(
        torch.stack(rows, dim=1), list(pixels.shape), align_corners=False
    )
    moved = functional.grid_sample(
        pixels, grid, padding_mode="border", align_corners=False
    )
    contrast = 1 + torch.randn(count, 1, 1, 1) * _CONTRAST / 2
    light = torch.randn(count, 1, 1, 1) * _LIGHT * 255
    noisy = moved * contrast + light + torch.randn_like(moved) * _GREY_LEVELS
    return noisy.clamp(0, 255)
