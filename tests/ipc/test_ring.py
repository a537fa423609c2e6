"""The ring: whole frames or none, and everything that was missed is counted."""

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.frame import ImageFormat
from deeplabstream.ipc.ring import (
    FrameRing,
    RingReader,
    RingSpec,
    RingWriter,
    SharedBlock,
    create_ring,
    memory_fence,
)

FORM = ImageFormat((6, 8), 30.0)


@contextmanager
def ring_of(slots: int, form: ImageFormat = FORM) -> Iterator[FrameRing]:
    ring = create_ring("top", form, slots)
    try:
        yield ring
    finally:
        ring.close()
        ring.unlink()


def put(writer: RingWriter, index: int) -> None:
    writer.slot()[:] = index % 256
    writer.publish(index, 10 * index, 10 * index + 1)


@given(bursts=st.lists(st.integers(0, 12), max_size=12), slots=st.integers(3, 9))
def test_newest_plus_missed_is_everything(bursts: list[int], slots: int) -> None:
    with ring_of(slots) as ring:
        writer, reader, index = RingWriter(ring), RingReader(ring), 0
        for burst in bursts:
            for _ in range(burst):
                put(writer, index)
                index += 1
            frame = reader.newest()
            if burst:
                assert frame is not None
                assert frame.index == index - 1
                assert (frame.image == frame.index % 256).all()
            else:
                assert frame is None
        assert reader.taken + reader.missed == index


@given(
    turns=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12),
    slots=st.integers(3, 9),
)
def test_following_is_in_order_and_counts_what_was_overwritten(
    turns: list[tuple[int, int]], slots: int
) -> None:
    with ring_of(slots) as ring:
        writer, reader, index, last = RingWriter(ring), RingReader(ring), 0, -1
        for written, read in turns:
            for _ in range(written):
                put(writer, index)
                index += 1
            for _ in range(read):
                frame = reader.following()
                if frame is None:
                    break
                assert frame.index > last
                assert (frame.image == frame.index % 256).all()
                last = frame.index
        while reader.following():
            pass
        assert reader.taken + reader.missed == index


def test_a_slot_that_is_being_filled_is_not_read() -> None:
    with ring_of(3) as ring:
        writer, reader = RingWriter(ring), RingReader(ring)
        for index in range(3):
            put(writer, index)
        writer.slot()[:] = 99  # the oldest, frame 0, is void from here on
        assert reader.of(0) is None
        frame = reader.following()
        assert frame is not None
        assert frame.index == 1


def test_the_picture_of_a_step_is_found_by_its_index() -> None:
    with ring_of(5) as ring:
        writer, reader = RingWriter(ring), RingReader(ring)
        for index in (3, 4, 8, 9):
            put(writer, index)
        frame = reader.of(8)
        assert frame is not None
        assert (frame.index, frame.time_ns, int(frame.image[0, 0])) == (8, 80, 8)
        assert reader.of(5) is None
        assert ring.last_index == 9


def test_stamps_tell_of_every_frame_without_its_picture() -> None:
    with ring_of(8) as ring:
        writer, reader = RingWriter(ring), RingReader(ring)
        for index in range(4):
            put(writer, index)
        assert [stamp.index for stamp in reader.stamps()] == [0, 1, 2, 3]
        assert list(reader.stamps()) == []


def test_a_borrowed_picture_is_whole_until_its_slot_is_filled_again() -> None:
    with ring_of(4) as ring:
        writer, reader = RingWriter(ring), RingReader(ring, borrows=True)
        put(writer, 7)
        frame = reader.newest()
        assert frame is not None
        assert (frame.image == 7).all()
        assert not frame.image.flags.writeable
        for index in range(8, 11):
            put(writer, index)
            assert reader.is_intact
        writer.slot()
        assert not reader.is_intact
        assert RingReader(ring).is_intact, "a copy is never overwritten"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3)])
def test_every_kind_of_picture_passes(shape: tuple[int, ...], dtype: str) -> None:
    with ring_of(3, ImageFormat(shape, 30.0, dtype)) as ring:
        reader, writer = RingReader(ring), RingWriter(ring)
        writer.slot()[:] = 200
        writer.publish(0, 0, 0)
        frame = reader.newest()
        assert frame is not None
        assert (frame.image.shape, str(frame.image.dtype)) == (shape, dtype)
        assert (frame.image == 200).all()


def write_many(spec: RingSpec, count: int) -> None:
    writer = RingWriter(FrameRing(spec))
    for index in range(count):
        put(writer, index)


def test_no_torn_picture_passes_between_processes() -> None:
    form = ImageFormat((240, 320), 1000.0)
    with ring_of(4, form) as ring:
        reader = RingReader(ring)
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=write_many, args=(ring.spec, 2000))
        process.start()
        seen = 0
        while process.is_alive() or reader.waiting:
            frame = reader.newest() if seen % 2 else reader.following()
            if frame is not None:
                seen += 1
                assert np.ptp(frame.image) == 0
                assert frame.image[0, 0] == frame.index % 256
        process.join()
        assert process.exitcode == 0
        assert reader.taken + reader.missed == 2000


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no files of shared memory")
def test_memory_that_has_vanished_is_given_back_without_an_error() -> None:
    ring = create_ring("top", FORM, 8)
    memory = Path("/dev/shm") / ring.spec.memory
    memory.unlink()
    ring.close()
    ring.unlink()
    assert not memory.exists()


def test_a_frame_is_whole_before_it_is_numbered_and_numbered_before_it_is_counted() -> (
    None
):
    """Where stores can overtake each other, a fence lies between these steps."""
    with ring_of(4) as ring:
        writer, seen = RingWriter(ring), list[tuple[int, int, int]]()

        def look() -> None:
            level = int(ring.images[0].max())
            seen.append((level, int(ring.heads[1, 0]), ring.published))

        writer._fence = look
        put(writer, 7)
        assert seen == [(0, 0, 0), (7, 0, 0), (7, 1, 0)]
        assert ring.published == 1


def test_only_processors_that_reorder_stores_need_a_fence() -> None:
    assert memory_fence("x86_64") is memory_fence("AMD64")
    for machine in ("aarch64", "arm64"):
        fence = memory_fence(machine)
        assert fence is not memory_fence("x86_64")
        fence()  # it waits for nobody
        fence()


class _Mapped:
    def __init__(self, size: int) -> None:
        self.size, self.pieces = size, list[tuple[int, int]]()

    def __len__(self) -> int:
        return self.size

    def madvise(self, _advice: int, at: int, length: int) -> None:
        self.pieces.append((at, length))


@pytest.mark.skipif(sys.platform != "linux", reason="MADV_POPULATE_WRITE is of Linux")
def test_pages_are_mapped_in_pieces_between_which_other_threads_run() -> None:
    """`madvise` holds the GIL."""
    mapped, piece = _Mapped((9 << 20) + 4096), 4 << 20
    block = SharedBlock.__new__(SharedBlock)
    block._mmap = mapped  # type: ignore[attr-defined]
    block.populate()
    last = 2 * piece, (1 << 20) + 4096
    assert mapped.pieces == [(0, piece), (piece, piece), last]
