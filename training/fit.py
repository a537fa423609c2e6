"""The training loop."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ModelError
from pose.heatmaps import Heatmaps
from training.augmentation import Augmentation, augment
from training.dataset import Dataset
from training.losses import heatmap_loss
from training.networks import STRIDE, PoseNetwork


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Everything that a training run depends on, besides the data."""

    steps: int = 1500
    batch: int = 8
    learning_rate: float = 2e-3
    """At its highest; the backbone, which knows pictures already, gets a quarter."""
    sigma: float = 1.25
    """Of the targets' Gaussians, in heat map cells."""
    stages: int = 5
    channels: int = 32
    imagenet: bool = True
    """Start from ImageNet's weights; else from random ones."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What `watch` gets after each step."""

    step: int
    """Counts from 1."""
    loss: float
    """Running mean."""


Watch: TypeAlias = Callable[[Epoch], object]
Batch: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]


def fit(data: Dataset, settings: FitSettings, watch: Watch) -> PoseNetwork:
    """Return a network trained on `data`, ready to evaluate, on the CPU.

    The same settings and data on the same device give the same network, up to rounding.
    """
    torch.manual_seed(settings.seed)
    device = open_device(settings.device)
    network = PoseNetwork(
        len(data.skeleton.bodyparts), settings.stages, settings.channels
    )
    if settings.imagenet:
        network.load_imagenet()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    taught = {id(parameter) for parameter in network.backbone()}
    new = [p for p in network.parameters() if id(p) not in taught]
    rates = [settings.learning_rate / 4, settings.learning_rate]
    optimiser = torch.optim.AdamW(
        [{"params": network.backbone()}, {"params": new}], weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rates, total_steps=settings.steps, pct_start=0.1
    )
    half = device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    loss_mean = None
    for step, (pictures, targets) in enumerate(_batches(data, settings), start=1):
        with torch.autocast(device.type, enabled=half):
            logits = network(torch.from_numpy(pictures).to(device))
        loss = heatmap_loss(logits.float(), torch.from_numpy(targets).to(device))
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        scaler.step(optimiser)
        scaler.update()
        schedule.step()
        now = float(loss.detach())
        if not np.isfinite(now):
            raise ModelError(f"training diverged at step {step}: the loss is {now}")
        loss_mean = now if loss_mean is None else 0.98 * loss_mean + 0.02 * now
        watch(Epoch(step, loss_mean))
    return network.cpu().eval()


def open_device(name: str) -> torch.device:
    """Return the device; ModelError when there is none of that kind."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"torch has no device {name!r} here: {reason}") from error
    return device


def backgrounds(data: Dataset) -> list[NDArray[np.uint8] | None]:
    """Return for each picture the median of its clip, None for clips under 8 pictures."""
    medians: dict[str, NDArray[np.uint8] | None] = {}
    for clip in set(data.clips):
        own = [i for i, name in enumerate(data.clips) if name == clip]
        medians[clip] = (
            np.median(data.pictures[own], axis=0).astype(np.uint8)
            if len(own) >= 8
            else None
        )
    return [medians[clip] for clip in data.clips]


def _batches(data: Dataset, settings: FitSettings) -> Iterator[Batch]:
    """Give batches of changed pictures and their heat maps, made one step ahead."""
    heatmaps = Heatmaps(STRIDE, settings.sigma)
    height, width = data.fitting.height // STRIDE, data.fitting.width // STRIDE
    still = settings.augmentation.moved > 0
    scenes = backgrounds(data) if still else [None] * len(data)

    def make(step: int) -> Batch:
        rng = np.random.default_rng((settings.seed, step))
        changed = [
            augment(
                settings.augmentation,
                data.skeleton,
                data.pictures[place],
                data.points[place],
                scenes[place],
                rng,
            )
            for place in rng.integers(0, len(data), settings.batch)
        ]
        pictures = np.stack([picture for picture, _ in changed])
        points = np.stack([points for _, points in changed])
        return pictures, heatmaps.encode(points, height, width)

    with ThreadPoolExecutor(1) as worker:
        ahead = worker.submit(make, 0)
        for step in range(1, settings.steps + 1):
            ready = ahead.result()
            if step < settings.steps:
                ahead = worker.submit(make, step)
            yield ready
