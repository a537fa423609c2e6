"""Stream watchdogs: silent cameras, frame rates, skipped frames, and an animal lost for long."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.messages import RecordingProgress
from deeplabstream.engine.session.session_state import Counts, SessionState
from deeplabstream.ipc.ring import FrameRing
from deeplabstream.pose.tracking.distinctness import listed
from deeplabstream.settings.sections import ExperimentRun

SILENCE_NS = 1_000_000_000
"""A camera that delivered no frame for this long is silent."""


@dataclass
class CameraWatchdog:
    """Detects silent cameras from the frame counters of their rings."""

    _last_new: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By camera: number of published frames, and the time of the last change."""
    _silent: set[str] = field(default_factory=set)

    def check(self, rings: Mapping[str, FrameRing], now_ns: int) -> Iterator[str]:
        """Yield a sentence for each camera that became silent or delivers again."""
        for camera, ring in rings.items():
            published = ring.published
            before, since_ns = self._last_new.setdefault(camera, (published, now_ns))
            if published != before:
                self._last_new[camera] = published, now_ns
                if camera in self._silent:
                    self._silent.discard(camera)
                    seconds = (now_ns - since_ns) / 1e9
                    again = " again" if before else ""
                    yield f"[Camera {camera}] gives frames{again}, after {seconds:.1f} s"
            elif now_ns - since_ns >= SILENCE_NS and camera not in self._silent:
                self._silent.add(camera)
                if ring.awaits_trigger:
                    yield f"[Camera {camera}] waits for its trigger: no pulse came for 1 s"
                else:
                    yield f"[Camera {camera}] has given no frame for 1 s"


RATE_SPAN_NS = 2_000_000_000
"""Frame rates are averaged over this time."""


@dataclass
class FrameRateMeter:
    """Measures the frame rate of each camera from its ring."""

    _seen: dict[str, deque[tuple[int, int]]] = field(default_factory=dict)
    """By camera: times, and number of frames published by then."""

    def update(self, rings: Mapping[str, FrameRing], now_ns: int) -> None:
        """Count the frames published until now."""
        for camera, ring in rings.items():
            seen = self._seen.setdefault(camera, deque())
            if not seen and not ring.published:
                continue  # it has not begun
            seen.append((now_ns, ring.published))
            while len(seen) > 2 and seen[1][0] <= now_ns - RATE_SPAN_NS:
                seen.popleft()

    def reset(self, camera: str) -> None:
        """Restart the measurement for a camera that was opened again."""
        self._seen.pop(camera, None)

    @property
    def rates(self) -> dict[str, float]:
        """Frames per second of cameras that delivered for at least a second."""
        rates = {}
        for camera, seen in self._seen.items():
            if seen and seen[-1][0] - seen[0][0] >= RATE_SPAN_NS // 2:
                (first_ns, first), (last_ns, last) = seen[0], seen[-1]
                rates[camera] = (last - first) / ((last_ns - first_ns) / 1e9)
        return rates


MOST_NAMED = 10
"""Arenas that an alarm lists."""
SKIPPED_SPAN_NS = 10_000_000_000
"""The share of skipped frames is measured over this time."""


@dataclass
class AnalysisWatchdog:
    """Watches the steps and counts of an experiment; each problem is reported once.

    A problem is reported again after it was over. Nothing is reported while no experiment
    runs: an empty arena is normal then.
    """

    _lost_since: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By camera and arena (empty: none): exposure times of the first and the newest frame
    without the animal."""
    _ambiguous: dict[str, list[str]] = field(default_factory=dict)
    """By camera: animals whose identity was ambiguous in the newest frame."""
    _counted: dict[str, deque[tuple[int, int, int]]] = field(default_factory=dict)
    """By camera: time, frames delivered, frames analysed."""
    _reported: set[tuple[str, str]] = field(default_factory=set)

    def add(
        self, step: Step, arenas: Mapping[str, Collection[str]] = MappingProxyType({})
    ) -> None:
        """Note whether the animal was lost in an analysed frame.

        `arenas`: the triggers that the experiment of each names. Where one of them is unknown,
        the arena's animal is lost.
        """
        pose, lost = step.pose, {"": step.lost}
        self._ambiguous[step.camera] = [
            name
            for animal, name in enumerate(pose.skeleton.animals)
            if pose.is_ambiguous(animal)
        ]
        if arenas and step.status:
            lost = {
                arena: any(step.triggers.get(name, False) is None for name in names)
                for arena, names in arenas.items()
            }
            # a loss before the arenas' first step is that of no arena
            lost[""] = False
        for arena, is_lost in lost.items():
            place = step.camera, arena
            if is_lost:
                first_ns, _ = self._lost_since.get(place, (step.exposed_ns, 0))
                self._lost_since[place] = first_ns, step.exposed_ns
            else:
                self._lost_since.pop(place, None)
                self._reported.discard((step.camera, _lost(arena)))

    def check(
        self, rules: ExperimentRun, state: SessionState, now_ns: int
    ) -> Iterator[str]:
        """Yield a sentence for each problem that has begun."""
        if not state.experimenting:
            self._lost_since.clear()
            self._counted.clear()
            self._reported.clear()
            return
        yield from self._check_lost(rules.lost_alarm_s)
        analysed = {name: state.counts[name] for name in state.analysed_from}
        yield from self._check_skipped(
            rules.skipped_alarm_percent / 100, analysed, now_ns
        )

    def _check_lost(self, limit_s: float) -> Iterator[str]:
        by_camera: dict[str, list[str]] = {}
        for (camera, arena), (first_ns, last_ns) in self._lost_since.items():
            is_long = limit_s and last_ns - first_ns >= limit_s * 1e9
            if is_long and (camera, _lost(arena)) not in self._reported:
                self._reported.add((camera, _lost(arena)))
                by_camera.setdefault(camera, []).append(arena)
        for camera, arenas in by_camera.items():
            text = f"the animal has not been found for {limit_s:g} s"
            ambiguous = self._ambiguous.get(camera)
            if arenas == [""] and ambiguous:
                text = (
                    f"triggers are unknown for {limit_s:g} s: the identities of "
                    f"{listed(ambiguous)} are ambiguous. Confirm the names (Live, Ctrl+R)"
                )
            if arenas != [""]:
                # a light that fails loses all at once
                named = ", ".join(arenas[:MOST_NAMED])
                more = len(arenas) - MOST_NAMED
                named += f" and {more} more" if more > 0 else ""
                noun = "arena" if len(arenas) == 1 else "arenas"
                text = f"{noun} {named}: {text}"
            yield f"[Camera {camera}] {text}"

    def _check_skipped(
        self, limit: float, counts: Mapping[str, Counts], now_ns: int
    ) -> Iterator[str]:
        for camera, now in counts.items():
            seen = self._counted.setdefault(camera, deque())
            seen.append((now_ns, now.delivered, now.analysed))
            while len(seen) > 2 and seen[1][0] <= now_ns - SKIPPED_SPAN_NS:
                seen.popleft()
            then_ns, delivered, analysed = seen[0]
            if (
                not limit
                or now_ns - then_ns < SKIPPED_SPAN_NS
                or now.delivered <= delivered
            ):
                continue
            share = 1 - (now.analysed - analysed) / (now.delivered - delivered)
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


def _lost(arena: str) -> str:
    return f"lost {arena}"


MISSED_SPAN_NS = 10_000_000_000
MOST_MISSED = 0.25
"""A recording that missed a larger share of its frames in this time does not count as one."""


@dataclass
class RecordingWatchdog:
    """Detects a camera whose video misses a large share of its frames; reports it once."""

    _number: int = 0
    _counted: dict[str, deque[tuple[int, int, int]]] = field(default_factory=dict)
    """By camera: time, frames in the video, frames that it missed."""
    _reported: set[str] = field(default_factory=set)

    def check(self, progress: RecordingProgress, now_ns: int) -> Iterator[str]:
        """Yield a sentence for each camera whose video misses too many frames."""
        if progress.number != self._number:
            self._number = progress.number
            self._counted.clear()
            self._reported.clear()

        for camera, recorded in progress.recorded.items():
            seen = self._counted.setdefault(camera, deque())
            seen.append((now_ns, recorded, progress.losses.get(camera, 0)))
            while len(seen) > 2 and seen[1][0] <= now_ns - MISSED_SPAN_NS:
                seen.popleft()

            then_ns, recorded_then, missed_then = seen[0]
            missed = seen[-1][2] - missed_then
            delivered = recorded - recorded_then + missed
            if (
                now_ns - then_ns >= MISSED_SPAN_NS
                and missed > MOST_MISSED * delivered
                and camera not in self._reported
            ):
                self._reported.add(camera)
                yield (
                    f"[Camera {camera}] {missed} of {delivered} frames miss the video: "
                    "disk or encoder do not keep up"
                )
