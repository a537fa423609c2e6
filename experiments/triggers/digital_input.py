"""Triggers on a digital input of the rig: lick, lever, beam."""

from abc import abstractmethod
from collections import deque
from dataclasses import field
from math import nan

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Answer, ContextTrigger, InputName, TriggerContext


@settings(kw_only=True)
class InputTrigger(ContextTrigger):
    """A condition on an input, evaluated on each frame of its camera."""

    input: InputName = Field(description="NAME of the [Input NAME]")

    @abstractmethod
    def is_true(self, active: bool, count: int, time_s: float) -> bool:
        """Return the answer; `count` is the number of activations since the start."""

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Return the answer; None: the state of the input is unknown."""
        level = context.inputs.get(self.input, nan)
        count = context.inputs.get(f"{self.input}.count", nan)
        if level != level or count != count:
            self.reset()
            return None
        return self.is_true(level > 0, int(count), time_s)


@settings(kw_only=True)
class InputIs(InputTrigger):
    """Holds while an input is active, and on the first frame after it became active."""

    _before: int | None = field(default=None, init=False, repr=False, compare=False)

    def is_true(self, active: bool, count: int, time_s: float) -> bool:
        """Return whether it is active or became active, so that the shortest lick is detected."""
        before, self._before = self._before, count
        return active or (before is not None and count > before)

    def reset(self) -> None:
        """Discard the counts."""
        self._before = None


@settings(kw_only=True)
class InputCount(InputTrigger):
    """Holds while an input has become active TIMES times within WITHIN_S."""

    times: int = Field(gt=0, description="required number of activations")
    within_s: float = Field(gt=0, description="period that counts, in seconds")
    _counts: deque[tuple[float, int]] = field(
        default_factory=deque, init=False, repr=False, compare=False
    )

    def is_true(self, active: bool, count: int, time_s: float) -> bool:
        """Return whether it was activated often enough within the last `within_s`."""
        counts = self._counts
        counts.append((time_s, count))
        while len(counts) > 1 and counts[1][0] <= time_s - self.within_s:
            counts.popleft()
        return count - counts[0][1] >= self.times

    def reset(self) -> None:
        """Discard the counts."""
        self._counts.clear()
