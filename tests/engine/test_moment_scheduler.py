"""Frames of calibrated cameras are analysed together when they show one moment."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deeplabstream.engine.processes.moment_scheduler import MomentScheduler
from deeplabstream.ipc.ring import RingReader, RingWriter
from deeplabstream.space.moment_matching import MISSED
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
def cameras(*names: str) -> Iterator[_Cameras]:
    with memory(*names) as (rings, _):
        writers = {name: RingWriter(ring) for name, ring in rings.items()}
        readers = [RingReader(ring, borrows=True) for ring in rings.values()]
        yield _Cameras(MomentScheduler(readers), writers)


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
