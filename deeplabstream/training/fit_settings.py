"""Training settings: all parameters of a training run besides the data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.losses.supervised import Loss
from deeplabstream.training.losses.unsupervised import Anneal
from deeplabstream.training.networks.pose_network import Architecture

WARM = 0.1
"""Warm-up: share of a one-cycle schedule in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class LearningRateSchedule:
    """Learning-rate schedule: factors of the head and of the backbone."""

    kind: Literal["onecycle", "multistep"] = "onecycle"
    milestones: tuple[int, ...] = ()
    """Steps at which a multistep rate is multiplied by `gamma`."""
    gamma: float = 0.5
    unfreeze_at: int = 0
    """The step from which the backbone is trained; it is frozen before."""
    backbone: float = 0.25
    """The backbone's share of the head's rate, from `unfreeze_at` on."""
    thaw: float = 1.0
    """Factor by which the backbone's share grows per epoch, up to the head's rate."""

    def head_factor(self, step: int, total: int) -> float:
        """Return the head's factor, 0 to 1, at `step` of `total`."""
        if self.kind == "multistep":
            return self.gamma ** sum(step >= milestone for milestone in self.milestones)

        # Warm-up: the first steps of a random head are in arbitrary directions.
        warm = max(1.0, WARM * total)
        if step < warm:
            return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * step / warm))

        rest = (step - warm) / max(1.0, total - warm)
        return max(1e-5, 0.5 * (1 + math.cos(math.pi * min(1.0, rest))))

    def backbone_factor(self, step: int, total: int, steps_per_epoch: int) -> float:
        """Return the backbone's factor; 0 while it is frozen."""
        if step < self.unfreeze_at:
            return 0.0
        epochs = (step - self.unfreeze_at) // max(1, steps_per_epoch)
        share = min(1.0, self.backbone * self.thaw**epochs)
        return share * self.head_factor(step, total)

    def factors(
        self, total: int, steps_per_epoch: int
    ) -> tuple[Callable[[int], float], Callable[[int], float]]:
        """Return the backbone's and the head's factor as functions of the step."""
        return (
            lambda step: self.backbone_factor(step, total, steps_per_epoch),
            lambda step: self.head_factor(step, total),
        )


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
    """Maximum learning rate."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    network: Architecture = field(default_factory=Architecture)
    imagenet: bool = True
    """Whether to start from ImageNet weights instead of random ones."""
    backbone_file: Path | None = None
    """Backbone weights to start from instead."""
    start_from: Path | None = None
    """Model folder to start from instead."""
    loss: Loss = "cross_entropy"
    missing: Literal["absent", "unknown"] = "absent"
    """Meaning of a body part without a label: not visible, or unknown."""
    schedule: LearningRateSchedule = field(default_factory=LearningRateSchedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    least_epoch: int = 1
    """Fewest steps of an epoch."""
    log_every: int = 10
    """Steps from one point of the curves to the next."""
    check_epochs: int = 5
    """Epochs from one validation to the next."""
    patience: int = 0
    """Early stopping: validations without improvement before training stops; 0: never."""
    least_steps: int = 0
    """Fewest steps before early stopping."""
    keep: Literal["last", "best"] = "last"
    """Weights that are kept: the last, or those with the best held-out loss."""
    clip_length: int = 0
    """Frames of unlabelled video per step; 0: none."""
    anneal: Anneal = field(default_factory=Anneal)
    clip_augmentation: Augmentation = CLIPS
    masked: tuple[int, int, float, float] = (40, 300, 0.0, 0.5)
    """Patch masking of a multiview network: first and last epoch, first and last share."""
    seed: int = 0
    device: str = "cpu"
    devices: int = 1
    """Number of GPUs, each with its own process."""
    precision: Literal["auto", "full", "mixed"] = "auto"
    """`mixed`: automatic mixed precision (16 bits); `auto`: where that is faster, on GPUs
    and on CPUs with matrix instructions for bfloat16 (AMX)."""
    workers: int = 1
    """Threads that prepare batches."""

    def epoch_steps(self, images: int) -> int:
        """Return the steps in which each image is seen once."""
        return max(self.least_epoch, -(-images // self.batch))
