"""A camera that fails as it is told to: for tests of everything behind the contract."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import Pacer
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.plugins.camera import Camera, CameraStream, CapturedFrame

openings = 0
"""Of this process."""


def block_interpreter() -> None:
    """Wait in C for an hour, with the interpreter's lock, as a careless driver does."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(3_600_000)
    else:
        ctypes.PyDLL(None).sleep(3600)


@settings(frozen=True, kw_only=True)
class FaultyCamera(Camera):
    """Grey pictures at 100 a second, until something happens."""

    fails_when: Path | None = None
    """Once this file is there, it is unplugged."""
    refuses: int = 0
    """So many times it can't be opened again."""
    stalls_when: Path | None = None
    """While this file is there, it gives nothing."""
    blocks_when: Path | None = None
    """Once this file is there, its driver never returns and lets no other Python thread of
    its process run: it keeps the interpreter's lock (GIL)."""
    ends_at: int = 10**9
    damaged_at: int = -1
    """Before this frame, and before the one after it, three arrive damaged."""
    clock_jumps_at: int = -1
    """At this frame, and at the one after it, its clock is set."""
    smaller_while: Path | None = None
    """While this file is there, a camera that is opened again has half the width."""

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        global openings
        openings += 1
        opening = openings
        if 1 < opening <= 1 + self.refuses:
            raise DeviceError("there is no such device")
        shrunk = opening > 1 and self.smaller_while and self.smaller_while.exists()
        pacer, index = Pacer(100), -1

        def read(image: Image) -> CapturedFrame | None:
            nonlocal index
            index += 1
            if opening == 1 and self.fails_when and self.fails_when.exists():
                raise DeviceError("was unplugged")
            while self.stalls_when and self.stalls_when.exists():
                threading.Event().wait(0.02)
            if self.blocks_when and self.blocks_when.exists():
                block_interpreter()
            if index == self.ends_at:
                return None
            due_ns = pacer.wait(index)
            image[:] = index % 256
            damaged = 3 if index in (self.damaged_at, self.damaged_at + 1) else 0
            jumps = index in (self.clock_jumps_at, self.clock_jumps_at + 1)
            jump_ns = -1_500_000_000 if jumps else 0
            number = 1000 * opening + index
            return CapturedFrame(index, due_ns, number, damaged, jump_ns)

        yield CameraStream(
            ImageFormat((60, 40 if shrunk else 80), 100.0),
            read,
            knows_losses=True,
            device="fake 7",
        )
