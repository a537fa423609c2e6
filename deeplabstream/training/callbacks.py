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
class Epoch:
    """Progress after a step: the argument of `watch`."""

    step: int
    """Counts from 1."""
    loss: float
    """Running mean."""


Watch: TypeAlias = Callable[[Epoch], object]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Poses in the held-out images during training."""

    step: int
    """The step after which they were found."""
    points: NDArray[np.float32]
    """(image, bodypart, 2), px of the original images."""
    error_px: float
    """Median distance to the labels, px; NaN: none is labelled."""


Looked: TypeAlias = Callable[[Look], object]


def unseen(_look: Look) -> None:
    """Ignore a validation."""


class ChildSignalKeeper(Callback):
    """Lightning callback that keeps the handler of ended child processes.

    After training, Lightning sets the handlers of all signals to those that Python knew. It
    does not know Qt's handler and would replace it by none: `QProcess` would never notice
    again that a program has ended.
    """

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Leave the signal out of those that are set."""
        if number := getattr(signal, "SIGCHLD", None):  # not on Windows
            connector = trainer._signal_connector  # noqa: SLF001  (there is no public way)
            connector._original_handlers.pop(number, None)  # noqa: SLF001


class Watching(Callback):
    """Lightning callback that calls `watch` after each step and `looked` after each validation."""

    def __init__(self, watch: Watch, held_out: Dataset | None, looked: Looked) -> None:
        self.watch, self.held_out, self.looked = watch, held_out, looked
        self.mean: float | None = None

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, *rest: Any
    ) -> None:
        """Report the step."""
        if not trainer.is_global_zero:
            return
        now = float(outputs["loss"])
        self.mean = now if self.mean is None else 0.98 * self.mean + 0.02 * now
        self.watch(Epoch(trainer.global_step, self.mean))

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Report the poses."""
        data = self.held_out
        if data is None or self.looked is unseen or not trainer.is_global_zero:
            return
        found = data.in_camera_px(module.found.numpy())
        away = np.linalg.norm(found - data.in_camera_px(data.points), axis=2)
        there = away[np.isfinite(away)]
        error = float(np.median(there)) if len(there) else float("nan")
        self.looked(Look(trainer.global_step, found, error))

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a resumed run."""
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        self.mean = state["mean"]
