"""Deferred measures: measures so far are computed when they are read, or after the outputs."""

from collections.abc import Mapping

from deeplabstream.analysis.live_measures import LiveMeasures
from deeplabstream.core.pose import Pose
from deeplabstream.engine.failure_text import MEASURES, add_place


class DeferredMeasures:
    """Measures so far, updated lazily: when they are read, or after the outputs are written.

    Measures that no trigger reads add nothing to the latency of a decision.
    """

    def __init__(self, measures: LiveMeasures) -> None:
        self.live = measures
        self._frame: tuple[float, Pose, Mapping[str, str]] | None = None

    def defer(self, time_s: float, pose: Pose, flags: Mapping[str, str]) -> None:
        """Keep a frame for `update`; the previous one was added."""
        self._frame = time_s, pose, flags

    def update(self) -> None:
        """Add the deferred frame, if any."""
        frame, self._frame = self._frame, None
        if frame is not None:
            try:
                self.live.add(*frame)
            except Exception as error:
                add_place(error, MEASURES)
                raise

    def value(self, measure: str, of: str = "", animal: str = "1") -> float:
        """Return a measure up to the present frame; see `MeasuresSoFar`."""
        self.update()
        return self.live.value(measure, of, animal)

    def is_known(self, of: str = "", animal: str = "1") -> bool:
        """Return whether a position is known on the present frame; see `MeasuresSoFar`."""
        self.update()
        return self.live.is_known(of, animal)
