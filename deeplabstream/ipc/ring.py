"""Ring buffer of frames in shared memory: one writer that never waits, many readers.

Each slot is a seqlock: its header holds its sequence number; 0 means that it is being
written. A reader checks the sequence before and after copying, so it never returns a torn
frame. Other processes attach by the `RingSpec`; the process that made a ring unlinks it.

On x86-64, stores become visible in program order and loads are made in it; elsewhere
(ARM) `memory_fence` orders them. Fields are aligned integers of 64 bits, which a 64-bit
CPU stores at once; a 32-bit CPU may tear them.
"""

import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.ipc.shared_memory_cleanup import hold, new_name

_SEQUENCE, _INDEX, _TIME, _ARRIVED, _DEVICE = range(5)
_PUBLISHED, _PULSE = range(2)
_NONE = -1
_FIELDS = 8  # int64 fields of a header: one cache line


_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux: maps pages for writing in advance."""
_PIECE = 4 << 20
"""Bytes that are mapped in one call of `madvise`, which holds the GIL."""

_ORDERED = ("x86_64", "amd64")


def memory_fence(machine: str = "") -> Callable[[], None]:
    """Return a memory fence: it orders the accesses of its thread before and after its call.

    On x86-64 it does nothing: there, stores stay in order, and so do loads. Elsewhere it
    acquires and releases a lock twice: accesses before the first release stay before it,
    accesses after the second acquisition stay after it. Not run on ARM so far.
    """
    if (machine or platform.machine()).lower() in _ORDERED:
        return _no_fence
    lock = threading.Lock()

    def fence() -> None:
        for _ in range(2):
            with lock:
                pass

    return fence


def _no_fence() -> None:
    """Do nothing: this CPU does not reorder the accesses."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Frame header: number and times of a frame, without its image."""

    index: int
    time_ns: int
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class RingSpec:
    """Parameters by which another process attaches to a ring."""

    memory: str
    camera: str
    format: ImageFormat
    slots: int


def create_block(size: int) -> "SharedBlock":
    """Make shared memory of `size` bytes; OSError: there is not enough."""
    block = SharedBlock(new_name(), create=True, size=size)

    # Linux allocates pages at their first use, and kills the process when none is left. All are
    # allocated here, where the failure is an error with a message.
    file = getattr(block, "_fd", -1)
    if file >= 0 and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError:
            block.drop()
            block.unlink()
            raise
    return block


class SharedBlock(SharedMemory):
    """Shared memory that stays mapped as long as an array refers to it."""

    def __init__(
        self, name: str | None = None, create: bool = False, size: int = 0
    ) -> None:
        """Map it, and hold it as `remove_abandoned` expects."""
        super().__init__(name, create, size)
        hold(getattr(self, "_fd", -1))

    def __del__(self) -> None:
        """Do nothing, because arrays may still refer to the memory: unmapping it would crash."""

    def populate(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Map all pages now, so that their first use causes no page fault; on Linux.

        `meanwhile` is called before each piece of 4 MiB: a large block takes long.
        """
        # a page fault takes microseconds, in the camera's thread and for each page of a frame
        mapped = getattr(self, "_mmap", None)
        if sys.platform == "linux" and mapped is not None:
            for at in range(0, len(mapped), _PIECE):
                meanwhile()
                left = len(mapped) - at
                with suppress(OSError):  # before Linux 5.14
                    mapped.madvise(_POPULATE_WRITE, at, min(_PIECE, left))

    @property
    def bytes(self) -> memoryview:
        """The memory itself."""
        if self.buf is None:
            raise ValueError("the shared memory is closed")
        return self.buf

    def unlink(self) -> None:
        """Remove the memory; do nothing if it is already gone."""
        try:
            super().unlink()
        except FileNotFoundError:
            resource_tracker.unregister(f"/{self.name.lstrip('/')}", "shared_memory")

    def drop(self) -> None:
        """Unmap the memory, unless an array refers to it."""
        try:
            self.close()
        except BufferError:
            return


def create_ring(camera: str, form: ImageFormat, slots: int) -> "FrameRing":
    """Make a ring of `slots` images; OSError: not enough shared memory."""
    size = 8 * _FIELDS * (1 + slots) + form.nbytes * slots
    block = create_block(size)
    return FrameRing(RingSpec(block.name, camera, form, slots), block)


def foreign_ring(spec: RingSpec) -> "FrameRing":
    """Map a ring that another program made, to read it; OSError: it no longer exists."""
    ring = FrameRing(spec)
    # Python would remove the memory at the end of each program that has mapped it
    if sys.platform != "win32":
        resource_tracker.unregister(f"/{spec.memory.lstrip('/')}", "shared_memory")
    return ring


class FrameRing:
    """A mapped ring; `meanwhile` is called often while its memory is mapped."""

    def __init__(
        self,
        spec: RingSpec,
        block: SharedBlock | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        self.spec = spec
        self._block = block or SharedBlock(spec.memory)
        self._block.populate(meanwhile)
        size = 8 * _FIELDS * (1 + spec.slots)
        heads: NDArray[np.int64] = np.frombuffer(self._block.bytes[:size], np.int64)
        self.heads = heads.reshape(1 + spec.slots, _FIELDS)
        """Headers, int64 (1 + slots, field). Row 0: frames published, and whether the
        camera waits for a trigger pulse."""
        self.header_fields = self._block.bytes[:size].cast("q")
        """The same memory in one dimension: single fields are read faster than from an array."""

        pixels = self._block.bytes[size : size + spec.format.nbytes * spec.slots]
        images: NDArray[Any] = np.frombuffer(pixels, spec.format.dtype)
        self.images: NDArray[Any] = images.reshape(spec.slots, *spec.format.shape)

    @property
    def published(self) -> int:
        """Number of frames published so far."""
        return self.header_fields[_PUBLISHED]

    @property
    def awaits_trigger(self) -> bool:
        """Whether the camera waits for a trigger pulse."""
        return bool(self.heads[0, _PULSE])

    @property
    def last_index(self) -> int:
        """Number of the newest frame at the device; -1 before the first."""
        published = self.published
        if published == 0:
            return -1
        return self.header_fields[self.place(published) + _INDEX]

    @property
    def last_stamp(self) -> Stamp | None:
        """Number and times of the newest frame; None before the first."""
        published = self.published
        if published == 0:
            return None
        place = self.place(published)
        return Stamp(*self.header_fields[place + _INDEX : place + _ARRIVED + 1])

    def place(self, sequence: int) -> int:
        """Return the index in `header_fields` of a frame's header; sequences count from 1."""
        return _FIELDS * (1 + (sequence - 1) % self.spec.slots)

    def close(self) -> None:
        """Unmap the memory; its readers and writers can no longer be used."""
        # release all views first, or the memory stays mapped: see `drop`
        self.header_fields.release()
        del self.heads, self.images
        self._block.drop()

    def unlink(self) -> None:
        """Remove the memory; called by the process that made it."""
        self._block.unlink()


class RingWriter:
    """Writes frames; never waits for a reader."""

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring
        self._fence = memory_fence()

    def slot(self) -> Image:
        """Return the image to fill next; its old content is invalid from now on."""
        place = self._ring.published % self._ring.spec.slots
        # first: a reader that copies this slot must see that it is no longer valid
        self._ring.heads[1 + place, _SEQUENCE] = 0
        self._fence()
        image: Image = self._ring.images[place]
        return image

    def await_trigger(self) -> None:
        """Note that the camera waits for a trigger pulse; its silence is expected."""
        self._ring.heads[0, _PULSE] = 1

    def publish(
        self, index: int, time_ns: int, arrived_ns: int, device_id: int | None = None
    ) -> None:
        """Make the image that `slot` returned last visible to readers."""
        fields, sequence = self._ring.header_fields, self._ring.published + 1
        place = self._ring.place(sequence)

        fields[place + _INDEX], fields[place + _TIME] = int(index), int(time_ns)
        fields[place + _ARRIVED] = arrived_ns
        fields[place + _DEVICE] = _NONE if device_id is None else device_id

        # The order is the protocol: image and times, then the sequence that makes the slot
        # valid, then the count that makes readers look at it.
        self._fence()
        fields[place + _SEQUENCE] = sequence
        fields[_PULSE] = 0
        self._fence()
        fields[_PUBLISHED] = sequence


class RingReader:
    """Reads frames, the newest or one after the other; counts missed frames.

    It starts at the frame that is published next. The image of a returned frame is the
    reader's buffer and valid until its next call. A reader that `borrows` does not copy:
    the image is that of the ring, and `is_intact` is False once it was overwritten.
    """

    def __init__(self, ring: FrameRing, borrows: bool = False) -> None:
        self._ring = ring
        self.spec = ring.spec
        """Parameters of the ring."""
        self.camera = ring.spec.camera
        """Name of the camera."""
        self._borrows = borrows
        self._fence = memory_fence()
        self._read = ring.published
        form = ring.spec.format
        self._image: Image = np.empty(() if borrows else form.shape, form.dtype)
        self.taken = 0
        """Frames returned."""
        self.missed = 0
        """Frames skipped by `newest`, or overwritten before `following`."""

    @property
    def place(self) -> int:
        """Number of published frames before the reading position."""
        return self._read

    @property
    def waiting(self) -> int:
        """Frames published and not yet read."""
        return self._ring.published - self._read

    @property
    def newest_stamp(self) -> Stamp | None:
        """Number and times of the newest unread frame; None: there is none."""
        return self._ring.last_stamp if self.waiting else None

    @property
    def is_intact(self) -> bool:
        """Whether the image read last has not been overwritten."""
        self._fence()
        return not self._borrows or self._sequence_at(self._read) == self._read

    def newest(self) -> Frame | None:
        """Return the newest unread frame and skip older ones; None: there is none."""
        # Try again if the frame was overwritten while it was copied: then a newer one
        # exists.
        while (latest := self._ring.published) > self._read:
            if frame := self._copied(latest):
                self._note(latest)
                return frame
        return None

    def following(self, last: int | None = None) -> Frame | None:
        """Return the next frame in order; None: there is none yet.

        `last`: number of the last published frame to return.
        """
        while (latest := self._ring.published) > self._read:
            # The slot after the newest is being written: the oldest frame that can be read is in
            # the one behind it.
            sequence = max(self._read + 1, latest - self._ring.spec.slots + 2)
            if last is not None and sequence > last:
                self.missed += last - self._read
                self._read = last
                return None
            if frame := self._copied(sequence):
                self._note(sequence)
                return frame
            # otherwise the writer overwrote it: the next try starts at a newer frame
        return None

    def stamps(self) -> Iterator[Stamp]:
        """Yield number and times of the unread frames, in order.

        `missed` grows just before the first frame after the missed ones.
        """
        latest = self._ring.published
        first = max(self._read + 1, latest - self._ring.spec.slots + 2)
        for sequence in range(first, latest + 1):
            self._fence()
            place = self._ring.place(sequence)
            stamp = Stamp(
                *self._ring.header_fields[place + _INDEX : place + _ARRIVED + 1]
            )
            self._fence()
            if self._sequence_at(sequence) == sequence:
                self._note(sequence)
                yield stamp

    def of(self, index: int) -> Frame | None:
        """Return the frame with the device's number `index`; None: overwritten."""
        for place in np.flatnonzero(self._ring.heads[1:, _INDEX] == index):
            sequence = int(self._ring.heads[1 + place, _SEQUENCE])
            frame = self._copied(sequence) if sequence else None
            if frame is not None and frame.index == index:
                return frame
        return None

    def close(self) -> None:
        """Unmap the ring."""
        self._ring.close()

    def skip(self) -> None:
        """Skip all frames published so far without counting them."""
        self._read = self._ring.published

    def _sequence_at(self, sequence: int) -> int:
        """Return which frame is in the slot of a frame."""
        return self._ring.header_fields[self._ring.place(sequence) + _SEQUENCE]

    def _copied(self, sequence: int) -> Frame | None:
        self._fence()
        if self._sequence_at(sequence) != sequence:
            return None

        # the fields and the image must be read after the sequence
        self._fence()
        place = self._ring.place(sequence)
        index, time_ns, arrived_ns, device = self._ring.header_fields[
            place + _INDEX : place + _DEVICE + 1
        ]
        image: Image = self._ring.images[(sequence - 1) % self._ring.spec.slots]
        if self._borrows:
            # a plug-in that draws into the image would change the recorded video
            image.flags.writeable = False
        else:
            np.copyto(self._image, image)
            image = self._image

        # the writer may have reached this slot again while the image was copied
        self._fence()
        if self._sequence_at(sequence) != sequence:
            return None
        device_id = None if device == _NONE else device
        return Frame(self.camera, index, time_ns, arrived_ns, image, device_id)

    def _note(self, sequence: int) -> None:
        self.taken += 1
        self.missed += sequence - self._read - 1
        self._read = sequence
