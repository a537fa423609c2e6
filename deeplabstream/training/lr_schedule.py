"""Learning-rate schedule: one-cycle (warm-up, cosine decay) or multi-step decay."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

WARM = 0.1
"""Share of a one-cycle schedule in which the rate rises."""


@dataclass(frozen=True, slots=True)
class LearningRateSchedule:
    """Learning-rate factors of the head and of the backbone."""

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
