"""A line that says how far training is and how long it will still take."""

from dataclasses import dataclass, field
from typing import Any

from training.watching import Epoch


@dataclass
class Progress:
    """Takes an `Epoch` after each step; can be sent to another process."""

    steps: int
    quiet: bool = False
    _bar: Any = field(default=None, init=False, repr=False)

    def __call__(self, epoch: Epoch) -> None:
        """Show one step more."""
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.steps,
                initial=epoch.step - 1,
                unit="step",
                disable=self.quiet,
            )
        self._bar.set_postfix_str(f"loss {epoch.loss:.3g}", refresh=False)
        self._bar.update()
        if epoch.step >= self.steps:
            self._bar.close()
