"""Plate process: looks for the markers of the plate in a frame each second.

In a process of its own, at a low priority: finding markers takes tens of milliseconds, for which
the engine would be late. It ends with the engine's pipe. If it ends before, the main process starts
another one on the same pipe.
"""

import os
from contextlib import suppress
from math import nan

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.engine.plate_watch import (
    CHECK_S,
    PlateProcessReady,
    PlateSeen,
    WatchPlate,
)
from deeplabstream.engine.processes.child_process import send_message, set_up_child
from deeplabstream.engine.session.messages import ProblemReport
from deeplabstream.ipc.pipe import Connection, has_message, receive
from deeplabstream.ipc.ring import FrameRing, RingReader
from deeplabstream.settings.arenas import Arenas
from deeplabstream.settings.plate import plate_movement_px
from deeplabstream.startup.low_priority import lower_own_priority


def plate_main(pipe: Connection, engine: Connection) -> None:
    """Answer each second with a `PlateSeen`, from the first `WatchPlate` on."""
    import cv2

    set_up_child(orphaned=lambda: os._exit(0))
    # one core at most, and only what camera, engine and recorder leave
    cv2.setNumThreads(1)
    lower_own_priority()
    try:
        _watch(engine)
    except Exception as error:
        # not the end of the stream: without checks the arenas are unknown
        text = f"The process 'plate watch' failed: {type(error).__name__}: {error}"
        send_message(pipe, ProblemReport(text, grave=False))
        raise


def _watch(engine: Connection) -> None:
    """Look for the markers until the engine closes its end of the pipe."""
    reader: RingReader | None = None
    plate = Arenas()
    # another one before it may have taken the message that says where to look
    send_message(engine, PlateProcessReady())
    while True:
        if has_message(engine, CHECK_S):
            message = receive(engine)
            if not isinstance(message, WatchPlate):
                return
            if reader is not None:
                reader.close()
            reader, plate = None, message.plate
            # a camera that was opened again meanwhile has another ring, which comes next
            with suppress(FileNotFoundError):
                reader = RingReader(FrameRing(message.ring))
        elif reader is not None and (frame := reader.newest()) is not None:
            send_message(engine, look(frame, plate))


def look(frame: Frame, plate: Arenas) -> PlateSeen:
    """Return where the plate is in a frame. `plate`: the markers at the start of the stream."""
    try:
        return PlateSeen(frame.time_ns, plate_movement_px(frame.image, plate))
    except DeepLabStreamError as error:
        return PlateSeen(frame.time_ns, nan, str(error))
