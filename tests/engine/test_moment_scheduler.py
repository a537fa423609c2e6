"""Frames of calibrated cameras are analysed together when they show one moment."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from deeplabstream.engine.processes.moment_scheduler import MomentScheduler, PulseOf
from deeplabstream.ipc.ring import RingReader, RingWriter
from deeplabstream.space.moment_matching import MISSED, MomentMatcher
from deeplabstream.space.pulse_numbering import WINDOW, PulsedFrame, PulseNumbers
from tests.engine.stream import memory

MS = 1_000_000
CAMERAS = ("left", "right", "top")
PERIOD = 33  # 30 frames a second, ms


class _Cameras:
    def __init__(
        self, scheduler: MomentScheduler, writers: dict[str, RingWriter]
    ) -> None:
        self.scheduler, self._writers = scheduler, writers
        self._count = dict.fromkeys(writers, 0)

    def expose(self, time_ms: float, *cameras: str) -> None:
        for name in cameras:
            self._writers[name].slot()
            time_ns = round(time_ms * MS)
            self._writers[name].publish(self._count[name], time_ns, time_ns)
            self._count[name] += 1

    def taken(self, now_ms: float) -> list[str]:
        return [frame.camera for frame in self.scheduler.next(round(now_ms * MS))]


@contextmanager
def cameras(*names: str, pulse_of: PulseOf | None = None) -> Iterator[_Cameras]:
    with memory(*names) as (rings, _):
        writers = {name: RingWriter(ring) for name, ring in rings.items()}
        readers = [RingReader(ring, borrows=True) for ring in rings.values()]
        yield _Cameras(MomentScheduler(readers, pulse_of), writers)


def test_a_moment_waits_for_all_its_frames() -> None:
    with cameras(*CAMERAS) as rig:
        rig.expose(1, "left")
        assert rig.taken(2) == []
        rig.expose(2, "top", "right")
        assert rig.taken(3) == [*CAMERAS]
        assert rig.taken(4) == []
        assert rig.scheduler.deadline_ns() is None


def test_a_frame_of_the_moment_before_is_not_taken_with_a_new_one() -> None:
    with cameras("left", "right") as rig:
        rig.expose(0, "right")
        rig.expose(PERIOD, "left")
        assert rig.taken(PERIOD) == []
        rig.expose(PERIOD + 1, "right")
        assert rig.taken(PERIOD + 1) == ["left", "right"]


def test_a_missing_frame_is_waited_for_during_most_of_a_period() -> None:
    with cameras(*CAMERAS) as rig:
        rig.expose(0, "left", "right")
        assert rig.taken(1) == []
        deadline_ns = rig.scheduler.deadline_ns()
        assert deadline_ns is not None
        assert deadline_ns / MS == pytest.approx(1 + 800 / 30, abs=0.01)
        assert rig.taken(27) == []
        assert rig.taken(28) == ["left", "right"]


def test_a_lost_camera_is_waited_for_no_longer_and_again_once_it_returns() -> None:
    with cameras(*CAMERAS) as rig:
        for moment in range(MISSED):
            rig.expose(moment * PERIOD, "left", "right")
            assert rig.taken(moment * PERIOD) == []
            assert rig.taken(moment * PERIOD + 28) == ["left", "right"]
        at = MISSED * PERIOD
        rig.expose(at, "left", "right")
        assert rig.taken(at) == ["left", "right"]

        # its first frame is late, the next one is waited for
        rig.expose(at + 1, "top")
        assert rig.taken(at + 2) == []
        rig.expose(at + PERIOD, "left", "right")
        assert rig.taken(at + PERIOD) == []
        rig.expose(at + PERIOD + 1, "top")
        assert rig.taken(at + PERIOD + 1) == [*CAMERAS]


def test_a_camera_that_delivers_late_is_waited_for() -> None:
    with cameras("left", "right") as rig:
        for moment in range(5):
            at = moment * PERIOD
            rig.expose(at, "left")
            assert rig.taken(at + 1) == []
            rig.expose(at + 1, "right")  # delivered 25 ms later
            assert rig.taken(at + 25) == ["left", "right"]


def test_a_camera_that_is_late_in_each_moment_delays_every_second_one_at_most() -> None:
    with cameras(*CAMERAS) as rig:
        delayed = []
        for moment in range(20):
            at = moment * PERIOD
            rig.expose(at, "left", "right")
            delayed.append(rig.taken(at) == [])
            rig.taken(at + 28)
            rig.expose(at + 1, "top")
            assert rig.taken(at + 30) == []
        assert sum(delayed[MISSED:]) <= 10


def test_nothing_is_waited_for_once_its_frames_were_skipped() -> None:
    with cameras("left", "right") as rig:
        rig.expose(0, "left")
        assert rig.taken(1) == []
        rig.scheduler.reset()
        assert rig.scheduler.deadline_ns() is None


def test_no_camera_gives_no_frame() -> None:
    scheduler = MomentScheduler(())
    assert scheduler.next(0) == []
    assert scheduler.deadline_ns() is None


def counted(camera: str, index: int, time_ns: int) -> PulsedFrame | None:
    """Pulses that each camera has counted from the start."""
    return PulsedFrame(index, index * PERIOD * MS)


def test_frames_of_one_pulse_are_taken_together_however_late_their_times_are() -> None:
    with cameras("left", "right", pulse_of=counted) as rig:
        rig.expose(0, "left")
        assert rig.taken(0) == []
        rig.expose(0.75 * PERIOD, "right")
        assert rig.taken(0.75 * PERIOD) == ["left", "right"]
        # and one that is near in time, of the next pulse, is not late
        rig.expose(PERIOD, "left", "right")
        assert rig.taken(PERIOD) == ["left", "right"]


def test_a_frame_whose_pulse_was_taken_is_analysed_at_once_on_its_own() -> None:
    with cameras(*CAMERAS, pulse_of=counted) as rig:
        rig.expose(0, "left", "right")
        assert rig.taken(0) == []
        assert rig.taken(28) == ["left", "right"]
        rig.expose(30, "top")
        assert rig.taken(30) == ["top"]
        rig.expose(PERIOD, "left", "right")
        assert rig.taken(PERIOD) == []


def test_a_frame_of_an_earlier_pulse_is_skipped() -> None:
    with cameras("left", "right", pulse_of=counted) as rig:
        rig.expose(0, "left")
        rig.expose(PERIOD, "left")
        assert rig.taken(PERIOD) == []
        assert rig.taken(PERIOD + 28) == ["left"]
        rig.expose(PERIOD + 30, "right")
        assert rig.taken(PERIOD + 30) == []
        assert rig.scheduler.deadline_ns() is None


def test_a_frame_without_a_pulse_is_never_late() -> None:
    def of_left(camera: str, index: int, time_ns: int) -> PulsedFrame | None:
        return counted(camera, index, time_ns) if camera == "left" else None

    with cameras("left", "right", pulse_of=of_left) as rig:
        rig.expose(0, "left")
        assert rig.taken(0) == []
        assert rig.taken(28) == ["left"]
        rig.expose(2, "right")
        assert rig.taken(29) == []
        rig.expose(PERIOD, "left")
        assert rig.taken(PERIOD) == ["left", "right"]


def test_pulses_that_are_numbered_anew_are_not_late() -> None:
    numbers = [1000, None, 0]

    def restarted(camera: str, index: int, time_ns: int) -> PulsedFrame | None:
        number = numbers[index]
        return None if number is None else PulsedFrame(number, time_ns)

    with cameras("left", "right", pulse_of=restarted) as rig:
        for moment in range(len(numbers)):
            rig.expose(moment * PERIOD, "left", "right")
            assert rig.taken(moment * PERIOD) == ["left", "right"]


PULSES, LATE = 240, 0.8


def arrivals(seed: int) -> list[tuple[float, str]]:
    """Frames in the order of their times in ms, each up to `LATE` periods late."""
    late = np.random.default_rng(seed).uniform(0, LATE, (len(CAMERAS), PULSES))
    times = (late + np.arange(PULSES)) * PERIOD
    named = zip(CAMERAS, times, strict=True)
    return sorted((float(it), name) for name, own in named for it in own)


def known_views(seed: int, by_pulse: bool) -> tuple[int, int]:
    """Return the views of moments with two views and more, with the scheduler and without it."""
    numbers, every = PulseNumbers(CAMERAS), PulseNumbers(CAMERAS)
    views = [Counter[int](), Counter[int]()]
    matcher = MomentMatcher[int](CAMERAS, numbered=True)

    def count(place: int, camera: str, index: int, time_ns: int) -> None:
        pulsed = (every if place else numbers).add(camera, index, time_ns)
        if pulsed is None:
            return
        if place:
            views[place][pulsed.number] += 1
        elif (moment := matcher.add(camera, pulsed.number, index)) is not None:
            views[place][moment.at] += len(moment.views)
            assert len({*moment.views.values()}) == 1

    with cameras(*CAMERAS, pulse_of=numbers.expected if by_pulse else None) as rig:
        indices = Counter[str]()
        for time_ms, camera in arrivals(seed):
            deadline_ns = rig.scheduler.deadline_ns()
            now_ns = round(time_ms * MS)
            if deadline_ns is not None and deadline_ns < now_ns:
                for frame in rig.scheduler.next(deadline_ns):
                    count(0, frame.camera, frame.index, frame.time_ns)
            rig.expose(time_ms, camera)
            count(1, camera, indices[camera], now_ns)
            indices[camera] += 1
            for frame in rig.scheduler.next(now_ns):
                count(0, frame.camera, frame.index, frame.time_ns)
    used, possible = (sum(n for n in it.values() if n > 1) for it in views)
    return used, possible


def test_late_frames_of_known_pulses_are_analysed() -> None:
    both = [known_views(seed, by_pulse=True) for seed in range(4)]
    used, possible = (sum(it) for it in zip(*both, strict=True))
    assert possible > 4 * (PULSES - 2 * WINDOW)
    assert used > 0.94 * possible

    by_time = sum(known_views(seed, by_pulse=False)[0] for seed in range(4))
    assert by_time < 0.7 * possible
