"""Live figures: rates, latencies and stage times of the last seconds, without Qt."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType

from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.latency_statistics import Spread, spread
from deeplabstream.engine.session.session_state import Counts

_SPAN_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """Rates and latencies at one moment; NaN: unknown."""

    frame: int | None
    """Number of the camera's newest frame, as in the tables of a run."""
    camera_rate: float
    """Frames per second."""
    analysed_rate: float
    decided_ms: float
    """Median time from exposure to decision."""
    written_ms: float
    """Median time from exposure to the last byte written."""


class Figures:
    """Rates and latencies of one camera over the last second."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._counts: deque[tuple[int, Counts]] = deque()
        self._steps: deque[Step] = deque()

    def clear(self) -> None:
        """Delete all data, for a new stream."""
        self._counts.clear()
        self._steps.clear()

    def add(self, steps: Sequence[Step]) -> None:
        """Add analysed frames."""
        self._steps.extend(step for step in steps if step.camera == self.camera)
        while self._steps and _old(self._steps):
            self._steps.popleft()

    def update(self, now_ns: int, counts: Counts) -> Reading:
        """Add the current counts; return the figures of the last second."""
        self._counts.append((now_ns, counts))
        while len(self._counts) > 2 and now_ns - self._counts[0][0] > _SPAN_NS:
            self._counts.popleft()
        then_ns, then = self._counts[0]
        seconds = max(now_ns - then_ns, 1) / 1e9
        decided = [step.decided_ns - step.exposed_ns for step in self._steps]
        written = [s.written_ns - s.exposed_ns for s in self._steps if s.written_ns]
        analysed = (counts.analysed - then.analysed) / seconds
        return Reading(
            counts.newest,
            (counts.delivered - then.delivered) / seconds,
            analysed,
            _median_ms(decided if analysed else []),
            _median_ms(written if analysed else []),
        )


def _old(steps: deque[Step]) -> bool:
    return steps[-1].exposed_ns - steps[0].exposed_ns > _SPAN_NS


def _median_ms(times_ns: Sequence[int]) -> float:
    return median(times_ns) / 1e6 if times_ns else float("nan")


@dataclass
class TileFigures:
    """Rate and losses of one camera, for its tile."""

    _counts: deque[tuple[int, int]] = field(default_factory=deque)

    def update(self, now_ns: int, counts: Counts) -> str:
        """Add the current counts; return rate and losses of the last second as text.

        >>> tile = TileFigures()
        >>> tile.update(0, Counts(delivered=10, lost=0))
        ''
        >>> tile.update(1_000_000_000, Counts(delivered=40, lost=2))
        '30 /s, 2 lost'
        """
        seen = self._counts
        # a smaller count: the camera was opened again
        if seen and seen[-1][1] > counts.delivered:
            seen.clear()
        seen.append((now_ns, counts.delivered))
        while len(seen) > 2 and now_ns - seen[0][0] > _SPAN_NS:
            seen.popleft()
        then_ns, then = seen[0]
        seconds = (now_ns - then_ns) / 1e9
        if not seconds:
            return ""
        lost = (counts.lost or 0) + counts.recording_losses
        rate = f"{(counts.delivered - then) / seconds:.0f} /s"
        return f"{rate}, {lost} lost" if lost else rate


SPAN_S = 10.0
"""Time span of the statistics, s."""

STAGES: Mapping[str, Callable[[Step], int | None]] = MappingProxyType(
    {
        "arrived": lambda step: step.arrived_ns - step.exposed_ns,
        "posed": lambda step: step.posed_ns - step.arrived_ns,
        "decided": lambda step: step.decided_ns - step.posed_ns,
        "written": lambda step: (
            step.written_ns - step.decided_ns if step.written_ns else None
        ),
        "total": lambda step: max(step.decided_ns, step.written_ns) - step.exposed_ns,
    }
)
"""Duration of each stage for a frame, ns; None: the frame did not reach it."""


class StageTimes:
    """Durations of the stages, for the last frames of one camera."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._steps: deque[Step] = deque()

    def clear(self) -> None:
        """Delete all data, for a new stream."""
        self._steps.clear()

    def add(self, steps: Sequence[Step]) -> None:
        """Add analysed frames."""
        self._steps.extend(step for step in steps if step.camera == self.camera)
        span_ns = SPAN_S * 1e9
        while (
            self._steps
            and self._steps[-1].exposed_ns - self._steps[0].exposed_ns > span_ns
        ):
            self._steps.popleft()

    def times_ms(self, stage: str) -> list[float]:
        """Return the duration of a stage for each frame."""
        duration = STAGES[stage]
        times = (duration(step) for step in self._steps)
        return [ns / 1e6 for ns in times if ns is not None]

    def spreads(self) -> dict[str, Spread | None]:
        """Return the statistics of each stage; None: no frame reached it."""
        return {stage: spread(self.times_ms(stage)) for stage in STAGES}
