"""Progress of training as lines of JSON, for the window, or as a line of text.

{"step": 120, "steps": 3000, "loss": 0.0123, "left_s": 412.0}
{"step": 120, "error_px": 6.1, "found": {"labeled-data/video/img3.png": [[1, 2], null]}}
"""

import json
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.clock import Clock, SystemClock
from deeplabstream.startup.progress import Bar, window_progress
from deeplabstream.training.callbacks import StepProgress, ValidationResult
from deeplabstream.training.training_run import Run


@dataclass
class Progress:
    """Shows each `StepProgress` on one line; can be sent to another process."""

    steps: int
    quiet: bool = False
    _bar: Any = field(default=None, init=False, repr=False)
    _window: Bar | None = field(default=None, init=False, repr=False)

    def __call__(self, progress: StepProgress) -> None:
        """Show one step more."""
        if self._bar is None and not self.quiet:
            self._window = self._window or window_progress("training", self.steps)
        if self._window is not None:
            self._window.show(progress.step)
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.steps,
                initial=progress.step - 1,
                unit="step",
                disable=self.quiet,
            )
        self._bar.set_postfix_str(f"loss {progress.loss:.3g}", refresh=False)
        self._bar.update()
        if progress.step >= self.steps:
            self._bar.close()


SHOWN = 6
"""Number of held-out images whose points are reported."""
_EVERY_NS = 250_000_000
_WARM = 3
"""Steps that are slower than those after them."""


@dataclass
class JsonProgressReporter:
    """Writes training steps, at most four a second, and validations as lines of JSON."""

    steps: int
    names: tuple[str, ...]
    """Names of the held-out images, in the order of `ValidationResult.points`."""
    clock: Clock = field(default_factory=SystemClock)
    _reported_ns: int = field(default=0, init=False)
    _began: tuple[int, int] | None = field(default=None, init=False)
    """The step from which time is measured, and when it ended."""
    _first: int = field(default=0, init=False)

    @classmethod
    def of(cls, run: Run) -> "JsonProgressReporter":
        """Return the reporter of a run; of several views only the curves."""
        names = [run.labels.names[place] for place in run.parts.validation]
        return cls(run.settings.steps, () if run.views else tuple(names))

    def __call__(self, progress: StepProgress) -> None:
        """Report a step, unless the last report was just before."""
        now = self.clock.now_ns()
        self._first = self._first or progress.step
        if self._began is None and progress.step >= self._first + _WARM:
            self._began = progress.step, now
        if now - self._reported_ns < _EVERY_NS and progress.step < self.steps:
            return
        self._reported_ns = now
        fields: dict[str, Any] = {
            "step": progress.step,
            "steps": self.steps,
            "loss": _short(progress.loss),
        }
        if self._began is not None and progress.step > self._began[0]:
            step_s = (now - self._began[1]) / 1e9 / (progress.step - self._began[0])
            fields["left_s"] = round(step_s * (self.steps - progress.step), 1)
        _write_line(fields)

    def report_validation(self, result: ValidationResult) -> None:
        """Report the points in some of the held-out images."""
        some = np.linspace(0, len(self.names) - 1, SHOWN).round().astype(int)
        places = sorted(set(some.tolist())) if self.names else []
        found = {self.names[place]: _points(result.points[place]) for place in places}
        error = None if np.isnan(result.error_px) else _short(result.error_px)
        _write_line({"step": result.step, "error_px": error, "found": found})


def _points(points: NDArray[np.float32]) -> list[list[float] | None]:
    rows = points.tolist()
    return [
        None if np.isnan(row).any() else [round(value, 2) for value in row]
        for row in rows
    ]


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _write_line(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
