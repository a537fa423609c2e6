"""Analysis watchdog: reports skipped frames above a limit, and an animal lost for long."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.session_state import Counts, SessionState
from deeplabstream.settings.sections import ExperimentRun

SPAN_NS = 10_000_000_000
"""The share of skipped frames is measured over this time."""


@dataclass
class AnalysisWatchdog:
    """Watches the steps and counts of an experiment; each problem is reported once.

    A problem is reported again after it was over. Nothing is reported while no experiment
    runs: an empty arena is no problem then.
    """

    _lost_since: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By camera: exposure times of the first and the newest frame without the animal."""
    _counted: dict[str, deque[tuple[int, int, int]]] = field(default_factory=dict)
    """By camera: time, frames delivered, frames analysed."""
    _reported: set[tuple[str, str]] = field(default_factory=set)

    def take(self, step: Step) -> None:
        """Note whether the animal was lost in an analysed frame."""
        if step.lost:
            first_ns, _ = self._lost_since.get(step.camera, (step.exposed_ns, 0))
            self._lost_since[step.camera] = first_ns, step.exposed_ns
        else:
            self._lost_since.pop(step.camera, None)
            self._reported.discard((step.camera, "lost"))

    def look(
        self, rules: ExperimentRun, state: SessionState, now_ns: int
    ) -> Iterator[str]:
        """Yield a sentence for each problem that has begun."""
        if not state.experimenting:
            self._lost_since.clear()
            self._counted.clear()
            self._reported.clear()
            return
        yield from self._look_for_lost(rules.lost_alarm_s)
        analysed = {name: state.counts[name] for name in state.analysed_from}
        yield from self._look_for_skipped(
            rules.skipped_alarm_percent / 100, analysed, now_ns
        )

    def _look_for_lost(self, limit_s: float) -> Iterator[str]:
        for camera, (first_ns, last_ns) in self._lost_since.items():
            if limit_s and last_ns - first_ns >= limit_s * 1e9:
                text = (
                    f"[Camera {camera}] the animal has not been found for {limit_s:g} s"
                )
                yield from self._once(camera, "lost", text)

    def _look_for_skipped(
        self, limit: float, counts: Mapping[str, Counts], now_ns: int
    ) -> Iterator[str]:
        for camera, each in counts.items():
            seen = self._counted.setdefault(camera, deque())
            seen.append((now_ns, each.delivered, each.analysed))
            while len(seen) > 2 and seen[1][0] <= now_ns - SPAN_NS:
                seen.popleft()
            then_ns, delivered, analysed = seen[0]
            if not limit or now_ns - then_ns < SPAN_NS or each.delivered <= delivered:
                continue
            share = 1 - (each.analysed - analysed) / (each.delivered - delivered)
            if share > limit:
                text = (
                    f"[Camera {camera}] more than {limit:.0%} of the frames are skipped: "
                    "lower the rate, or use a faster network"
                )
                yield from self._once(camera, "skipped", text)
            elif share < limit / 2:
                self._reported.discard((camera, "skipped"))

    def _once(self, camera: str, what: str, text: str) -> Iterator[str]:
        if (camera, what) not in self._reported:
            self._reported.add((camera, what))
            yield text
