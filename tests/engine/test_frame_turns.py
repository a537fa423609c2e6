"""The order in which an engine analyses the frames of several cameras."""

from collections import Counter

from deeplabstream.engine.processes.engine_process import OTHERS_EVERY, FrameTurns
from deeplabstream.ipc.ring import RingReader, RingWriter
from tests.engine.stream import memory


def analysed(*cameras: str, busy: tuple[str, ...], turns: int) -> list[str]:
    """Return the cameras in their turns; `busy` ones have a new frame each time."""
    with memory(*cameras) as (rings, _):
        writers = {name: RingWriter(ring) for name, ring in rings.items()}
        order = FrameTurns([RingReader(ring, borrows=True) for ring in rings.values()])
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
    assert FrameTurns(()).next() is None
