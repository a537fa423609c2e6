"""How long frames took, stage by stage, over the last seconds. Knows no Qt."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from core.record import Step
from engine.timings import Spread, spread

SPAN_S = 10.0
"""Seconds that are looked at."""

STAGES: Mapping[str, Callable[[Step], int | None]] = MappingProxyType(
    {
        "arrived": lambda step: step.arrived_ns - step.exposed_ns,
        "posed": lambda step: step.posed_ns - step.arrived_ns,
        "decided": lambda step: step.decided_ns - step.posed_ns,
        "written": lambda step: (
            step.written_ns - step.decided_ns if step.written_ns else None
        ),
        "in all": lambda step: max(step.decided_ns, step.written_ns) - step.exposed_ns,
    }
)
"""By name: what a frame took in it, ns; None: it did not come to that."""


class Stages:
    """Remembers the frames of one camera."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._steps: deque[Step] = deque()

    def clear(self) -> None:
        """Forget everything: a new stream begins."""
        self._steps.clear()

    def add(self, steps: Sequence[Step]) -> None:
        """Take in what was analysed."""
        self._steps.extend(step for step in steps if step.camera == self.camera)
        span_ns = SPAN_S * 1e9
        while (
            self._steps
            and self._steps[-1].exposed_ns - self._steps[0].exposed_ns > span_ns
        ):
            self._steps.popleft()

    def times_ms(self, stage: str) -> list[float]:
        """Return what each frame took in a stage."""
        return [ns / 1e6 for ns in self._times_ns(stage)]

    def spreads(self) -> dict[str, Spread | None]:
        """Return the statistics of each stage; None: no frame came to it."""
        return {stage: spread(self._times_ns(stage)) for stage in STAGES}

    def _times_ns(self, stage: str) -> list[int]:
        took = STAGES[stage]
        times = (took(step) for step in self._steps)
        return [time for time in times if time is not None]
