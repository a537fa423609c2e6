"""Everything that a training run depends on, besides the data."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.losses.supervised import Loss
from deeplabstream.training.losses.unsupervised import Anneal
from deeplabstream.training.lr_schedule import LearningRateSchedule
from deeplabstream.training.networks.pose_network import Architecture

CLIPS = Augmentation(
    rotation_deg=10, scale=(0.8, 1.2), shift=0, mirror=False, light=0.3
)
"""Augmentation of unlabelled clips."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of one training run; frozen."""

    steps: int = 1500
    batch: int = 8
    """Images per step, all GPUs together."""
    learning_rate: float = 2e-3
    """At its highest."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    network: Architecture = field(default_factory=Architecture)
    imagenet: bool = True
    """Start from ImageNet's weights; else from random ones."""
    backbone_file: Path | None = None
    """Weights of the backbone to start from, instead."""
    start_from: Path | None = None
    """Model folder to start from, instead."""
    loss: Loss = "cross_entropy"
    missing: Literal["absent", "unknown"] = "absent"
    """Meaning of a body part without a label: not visible, or unknown."""
    schedule: LearningRateSchedule = field(default_factory=LearningRateSchedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    least_epoch: int = 1
    """Steps that an epoch has at least."""
    log_every: int = 10
    """Steps from one point of the curves to the next."""
    check_epochs: int = 5
    """Epochs from one validation to the next."""
    patience: int = 0
    """Early stopping: validations without improvement before training stops; 0: never."""
    least_steps: int = 0
    """Fewest steps before early stopping."""
    keep: Literal["last", "best"] = "last"
    """Which weights are kept in the end: the last, or the best in the held-out loss."""
    clip_length: int = 0
    """Frames of unlabelled video per step; 0: none."""
    anneal: Anneal = field(default_factory=Anneal)
    clip_augmentation: Augmentation = CLIPS
    masked: tuple[int, int, float, float] = (40, 300, 0.0, 0.5)
    """Of a multiview network: epochs and shares between which patches are hidden."""
    seed: int = 0
    device: str = "cpu"
    devices: int = 1
    """How many of them; each in a process of its own."""
    precision: Literal["auto", "full", "mixed"] = "auto"
    """`mixed`: automatic mixed precision (16 bits); `auto`: where that is faster, on GPUs
    and on CPUs with matrix instructions for bfloat16 (AMX)."""
    workers: int = 1
    """Threads that prepare batches."""

    def epoch_steps(self, images: int) -> int:
        """Return the steps in which each image is seen once."""
        return max(self.least_epoch, -(-images // self.batch))
