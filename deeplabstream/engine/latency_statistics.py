"""Latency statistics: times of analysed frames, as a benchmark prints and stores them."""

from array import array
from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np

from deeplabstream.core.journal_entries import Step


class Spread(TypedDict):
    """Statistics of a duration, in milliseconds."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float
    jitter: float
    """Standard deviation."""


class Timings:
    """Timings of the analysed frames of the deciding camera, at most `limit` frames."""

    def __init__(self, camera: str, threshold: float, limit: int) -> None:
        self._camera = camera
        self.threshold = threshold
        self._limit = limit
        self._analysis, self._overall = array("q"), array("q")
        self._posed = array("q")
        self._lost = 0

    @property
    def frames(self) -> int:
        """Number of frames counted."""
        return len(self._posed)

    @property
    def complete(self) -> bool:
        """Whether `limit` frames were counted."""
        return self.frames >= self._limit

    def add(self, step: Step) -> None:
        """Count a frame of the camera, unless `limit` is reached."""
        if step.camera != self._camera or self.complete:
            return
        self._analysis.append(step.posed_ns - step.arrived_ns)
        self._overall.append(max(step.decided_ns, step.written_ns) - step.exposed_ns)
        self._posed.append(step.posed_ns)
        self._lost += not (step.pose.confidence >= self.threshold).all(axis=1).any()

    def facts(self) -> dict[str, object]:
        """Return the statistics; times in milliseconds."""
        seconds = (self._posed[-1] - self._posed[0]) / 1e9 if self.frames > 1 else 0.0
        return {
            "camera": self._camera,
            "frames": self.frames,
            "mean_fps": (self.frames - 1) / seconds if seconds else 0.0,
            "lost_share": self._lost / self.frames if self.frames else 0.0,
            "overall_ms": spread([ns / 1e6 for ns in self._overall]),
            "analysis_ms": spread([ns / 1e6 for ns in self._analysis]),
        }

    def lines(self) -> Iterator[str]:
        """Yield the statistics as lines of text."""
        facts = self.facts()
        yield (
            f"{self.frames} frames of camera {self._camera} analysed, "
            f"{facts['mean_fps']:.1f} per second on average"
        )
        yield f"a body part was not seen in {facts['lost_share']:.1%} of them"
        for key, what in (
            ("overall_ms", "overall (exposed to decided and written)"),
            ("analysis_ms", "analysis (arrived to posed)"),
        ):
            found = facts[key]
            if isinstance(found, dict):
                numbers = ", ".join(f"{name} {ms:.2f}" for name, ms in found.items())
                yield f"{what}, ms: {numbers}"


def spread(times_ms: Sequence[float]) -> Spread | None:
    """Return the statistics of times; None: the sequence is empty."""
    if not len(times_ms):
        return None
    ms = np.asarray(times_ms, np.float64)
    p50, p95, p99 = np.percentile(ms, (50, 95, 99)).tolist()
    return Spread(
        mean=float(ms.mean()),
        p50=p50,
        p95=p95,
        p99=p99,
        max=float(ms.max()),
        jitter=float(ms.std()),
    )
