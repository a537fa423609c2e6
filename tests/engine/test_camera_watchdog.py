from collections.abc import Iterator

import pytest

from deeplabstream.core.frame import ImageFormat
from deeplabstream.engine.checks.stream_watchdogs import CameraWatchdog
from deeplabstream.ipc.ring import FrameRing, RingWriter, create_ring

MS = 1_000_000


@pytest.fixture
def ring() -> Iterator[FrameRing]:
    ring = create_ring("side", ImageFormat((8, 8), 30.0), 8)
    yield ring
    ring.close()
    ring.unlink()


def shoot(ring: FrameRing) -> None:
    writer = RingWriter(ring)
    writer.slot()
    writer.publish(ring.published, 0, 0)


def test_silence_and_its_end_are_told_once(ring: FrameRing) -> None:
    watchman, said = CameraWatchdog(), list[str]()
    shoot(ring)
    for now_ms in range(0, 3000, 100):
        said += watchman.check({"side": ring}, now_ms * MS)
    assert said == ["[Camera side] has given no frame for 1 s"]
    shoot(ring)
    (back,) = watchman.check({"side": ring}, 3000 * MS)
    assert back == "[Camera side] gives frames again, after 3.0 s"


def test_a_camera_that_awaits_a_pulse_is_not_called_silent(ring: FrameRing) -> None:
    watchman, said = CameraWatchdog(), list[str]()
    for now_ms in range(0, 3000, 100):
        RingWriter(ring).await_trigger()
        said += watchman.check({"side": ring}, now_ms * MS)
    assert said == ["[Camera side] waits for its trigger: no pulse came for 1 s"]
    shoot(ring)
    (first,) = watchman.check({"side": ring}, 3000 * MS)
    assert first == "[Camera side] gives frames, after 3.0 s"
    assert not ring.awaits_trigger
