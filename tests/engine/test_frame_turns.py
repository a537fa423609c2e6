"""When an engine analyses which camera's frame, and when it sends heartbeats."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.engine.processes.engine_process import OTHERS_EVERY, FrameScheduler
from deeplabstream.engine.processes.guard import HANG_S, HEARTBEAT_EVERY_S, Heartbeat
from deeplabstream.engine.session.messages import Stop
from deeplabstream.ipc.ring import RingReader, RingWriter
from tests.engine.stream import memory
from tests.engine.test_attached_rings import WRITE, engine_of


def analysed(*cameras: str, busy: tuple[str, ...], turns: int) -> list[str]:
    """Return the cameras in their turns; `busy` ones have a new frame each time."""
    with memory(*cameras) as (rings, _):
        writers = {name: RingWriter(ring) for name, ring in rings.items()}
        order = FrameScheduler(
            [RingReader(ring, borrows=True) for ring in rings.values()]
        )
        found = []
        for index in range(turns):
            for name in busy:
                writers[name].slot()
                writers[name].publish(index, index, index)
            frame = order.next()
            found.append(frame.camera if frame is not None else "")
        assert order.next() is None or len(busy) > 1
    return found


def test_a_deciding_camera_that_keeps_the_network_busy_starves_no_other() -> None:
    cameras = ("top", "side", "front")
    found = analysed(*cameras, busy=cameras, turns=24)
    assert found[:4] == ["top", "top", "top", "side"]
    count = Counter(found)
    assert count["top"] == 24 * (OTHERS_EVERY - 1) // OTHERS_EVERY
    assert count["side"] == count["front"] == 3


def test_the_deciding_camera_waits_for_no_camera_without_a_frame() -> None:
    assert analysed("top", "side", busy=("top",), turns=9) == ["top"] * 9
    assert analysed("top", "side", busy=("side",), turns=5) == ["side"] * 5


def test_without_cameras_there_is_no_frame() -> None:
    assert FrameScheduler(()).next() is None


class _Timeline(Heartbeat):
    """Notes when an engine beats, waits and analyses, by a clock that only those move."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.events: list[tuple[str, float]] = []

    def note(self, what: str, lasts_s: float = 0.0) -> None:
        self.events.append((what, self.clock.now_ns() / 1e9))
        self.clock.set(self.clock.now_ns() + round(lasts_s * 1e9))

    def _send(self, signal: bytes, now_ns: int = 0) -> None:
        self.note("beat")

    def idle(self, now_ns: int = 0) -> None:
        """Do nothing, in place of loop and garbage collection."""

    def distinctness(self) -> dict[str, Any]:
        """Return nothing: the loop has no animals."""
        return {}


def timeline(folder: Path, analysis_s: float, wait_s: float) -> _Timeline:
    """Return what an engine does for twelve frames, each of which it waits for."""
    it = _Timeline()
    frames: Iterator[Any] = iter([["frame"], []] * 12)
    with memory("top") as (_, journal), engine_of(folder, journal) as engine:
        substitute: Any = it
        engine.clock, engine.heart = substitute.clock, it
        engine.loop = engine.garbage = substitute
        engine.newest = lambda: next(frames)  # type: ignore[method-assign]
        engine.sleep = (  # type: ignore[method-assign]
            lambda deadline_ns: it.note("wait", wait_s)
        )
        for n, ready in enumerate(engine.frames()):
            if ready:
                it.note("frame", analysis_s)
            engine.stopped = n == 22
    return it


@pytest.mark.parametrize(("analysis_s", "wait_s"), [(0.85, 0.15), (0.1, 0.2)])
def test_waiting_for_a_frame_does_not_count_as_hanging(
    tmp_path: Path, analysis_s: float, wait_s: float
) -> None:
    beats = [
        at
        for what, at in timeline(tmp_path, analysis_s, wait_s).events
        if what == "beat"
    ]
    longest_s = max(after - before for before, after in pairwise(beats))
    assert len(beats) > 12
    assert (
        longest_s
        < max(analysis_s, wait_s + analysis_s / 2) + HEARTBEAT_EVERY_S
        < HANG_S
    )


class _Wake:
    """The semaphore that wakes the engine: nobody releases it, and time passes."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def acquire(self, block: bool = True, timeout: float = 0.0) -> bool:
        self._clock.set(self._clock.now_ns() + round(timeout * 1e9))
        return False


@pytest.mark.parametrize("analysing", [True, False])
def test_a_board_is_fed_between_the_frames_of_a_slow_camera(
    tmp_path: Path, analysing: bool
) -> None:
    """Four frames a second of 5 ms each, or none."""
    it = _Timeline()
    with memory("top") as (_, journal), engine_of(tmp_path, journal) as engine:
        substitute: Any = it
        wake: Any = _Wake(it.clock)
        engine.clock, engine.heart = substitute.clock, it
        engine.loop = engine.garbage = substitute
        engine.links = replace(engine.links, wake=wake)
        fed, shown_ns = len(WRITE.beats), 0
        for ready in engine.frames():
            if ready:
                it.note("frame", 0.005)
            now_ns = it.clock.now_ns()
            due = analysing and now_ns - shown_ns >= 250_000_000
            shown_ns = now_ns if due else shown_ns
            frames: Any = ["frame"] if due else []
            engine.newest = lambda frames=frames: frames  # type: ignore[misc,method-assign]
            engine.stopped = now_ns > 2_000_000_000
        beats_ms = [at / 1e6 for at in WRITE.beats[fed:]]
    assert sum(what == "frame" for what, _ in it.events) == (7 if analysing else 0)
    pauses_ms = [after - before for before, after in pairwise(beats_ms)]
    assert len(pauses_ms) > 90 and max(pauses_ms) <= 25, "20 ms, and a frame"


def test_an_engine_whose_frames_take_no_time_beats_after_the_outputs(
    tmp_path: Path,
) -> None:
    """A heartbeat wakes the guards, which would take the frame's time."""
    events = [what for what, _ in timeline(tmp_path, 0.005, 0.028).events][2:]
    assert events.count("beat") >= 3
    before = [one for one, other in pairwise(events) if other == "frame"]
    assert set(before) == {"wait"}


def test_a_stopped_engine_does_not_wait_for_another_frame(tmp_path: Path) -> None:
    it = _Timeline()
    with memory("top") as (_, journal), engine_of(tmp_path, journal) as engine:
        substitute: Any = it
        engine.clock, engine.heart = substitute.clock, it
        engine.loop = engine.garbage = substitute
        engine.pipe = substitute = _Stopping()
        engine.sleep = lambda deadline_ns: it.note("wait")  # type: ignore[method-assign]
        assert [*engine.frames()] == [[]]
    assert substitute.read
    assert "wait" not in [what for what, _ in it.events]


class _Stopping:
    """A pipe with one message: to stop."""

    read = False

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether the message was not yet read."""
        return not self.read

    def recv(self) -> Stop:
        """Return the message."""
        self.read = True
        return Stop()
