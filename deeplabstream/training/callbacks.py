"""Callbacks of training: progress after each step, poses after each validation."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import lightning.pytorch as lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from deeplabstream.training.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Progress of training after one optimisation step."""

    step: int
    """Number of the step, from 1."""
    loss: float
    """Running mean of the training loss."""


StepHook: TypeAlias = Callable[[StepProgress], object]
"""Called after each optimisation step."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidationResult:
    """Result of one validation: poses predicted in the held-out images."""

    step: int
    """Number of the last step before the validation."""
    points: NDArray[np.float32]
    """(image, bodypart, 2), px of the original images."""
    error_px: float
    """Median distance to the labels, px; NaN: no point is labelled."""


ValidationHook: TypeAlias = Callable[[ValidationResult], object]
"""Called after each validation."""


def ignore_validation(_result: ValidationResult) -> None:
    """Do nothing: the default validation hook."""


class ChildSignalKeeper(Callback):
    """Lightning callback that keeps the handler of ended child processes.

    After training, Lightning restores the handlers that Python has stored. Qt's handler is
    not among them and would be removed: `QProcess` would no longer notice the end of a
    program.
    """

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Exclude the signal from those that Lightning sets."""
        if number := getattr(signal, "SIGCHLD", None):  # not on Windows
            connector = trainer._signal_connector  # noqa: SLF001  (there is no public way)
            connector._original_handlers.pop(number, None)  # noqa: SLF001


class ProgressCallback(Callback):
    """Lightning progress callback: calls one hook after each step, one after each validation.

    Only the first of several training processes reports.
    """

    def __init__(
        self,
        on_step: StepHook,
        held_out: Dataset | None,
        on_validation: ValidationHook,
    ) -> None:
        self.on_step, self.on_validation = on_step, on_validation
        self.held_out = held_out
        self.mean_loss: float | None = None

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, *rest: Any
    ) -> None:
        """Report the step."""
        if not trainer.is_global_zero:
            return

        # The loss of a single batch is too noisy for a progress bar.
        loss = float(outputs["loss"])
        if self.mean_loss is None:
            self.mean_loss = loss
        else:
            self.mean_loss = 0.98 * self.mean_loss + 0.02 * loss

        self.on_step(StepProgress(trainer.global_step, self.mean_loss))

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Report the poses in the held-out images, and their median error."""
        data = self.held_out
        ignored = self.on_validation is ignore_validation
        if data is None or ignored or not trainer.is_global_zero:
            return

        # Labels and predictions are in pixels of the network's input; users see images.
        points = data.in_camera_px(module.found.numpy())
        distance = np.linalg.norm(points - data.in_camera_px(data.points), axis=2)
        labelled = distance[np.isfinite(distance)]
        error_px = float(np.median(labelled)) if len(labelled) else float("nan")

        self.on_validation(ValidationResult(trainer.global_step, points, error_px))

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint; files of users have its keys."""
        return {"mean": self.mean_loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.mean_loss = state["mean"]
