"""A recorder process whose fsync waits for the test while it closes a run.

Run as a program it is DeepLabStream.py with such a recorder; without the environment
variable, with one whose disk takes no video frame.
"""

import os
import sys
import threading
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from time import sleep
from typing import Any

from deeplabstream.engine.processes import recorder_process
from deeplabstream.engine.processes.child_process import UnblockedPipe
from deeplabstream.engine.processes.recorder_process import (
    StreamRecorder,
    recorder_main,
)
from deeplabstream.engine.session import process_manager, session
from deeplabstream.ipc.journal import JournalSpec
from deeplabstream.recording.video_writer import VideoWriter

STUCK = "tests.engine.gated_recorder:stuck_recorder"
GATED = "tests.engine.gated_recorder:gated_recorder"
"""For `process_manager.RECORDER`."""
GATE = "TEST_RECORDER_GATE"
"""Environment variable: folder of the files `at N` (it waits for the Nth time; holds its
process number) and `go N` (it may continue)."""


def gated_recorder(
    pipe: Connection, wake: Semaphore, journal: JournalSpec, zero_ns: int
) -> None:
    """A recorder that has sent all that it says before it waits."""
    gate, numbers, closing = Path(os.environ[GATE]), count(), list[bool]()
    fsync, close_run = os.fsync, StreamRecorder._close_run

    def waiting_fsync(file: int) -> None:
        if closing:
            number = next(numbers)
            draft = gate / f"draft {number}"
            draft.write_text(str(os.getpid()))
            draft.rename(gate / f"at {number}")
            while not (gate / f"go {number}").exists():
                sleep(0.002)
        fsync(file)

    def closing_run(self: StreamRecorder, how: str, **facts: object) -> None:
        closing.append(True)
        close_run(self, how, **facts)

    os.fsync = waiting_fsync
    UnblockedPipe.send = sent_now  # type: ignore[method-assign]
    StreamRecorder._close_run = closing_run  # type: ignore[method-assign]
    recorder_process.SYNC_S = 0.0  # progress is reported each time
    recorder_main(pipe, wake, journal, zero_ns)


def sent_now(self: UnblockedPipe, message: object) -> None:
    self._pipe.send(message)


def stuck_recorder(
    pipe: Connection, wake: Semaphore, journal: JournalSpec, zero_ns: int
) -> None:
    """A recorder on a disk that takes no frame before the run is closed."""
    write, close_run = VideoWriter.write, StreamRecorder._close_run
    closing = threading.Event()

    def waiting_write(self: VideoWriter, *frame: Any) -> None:
        closing.wait()
        write(self, *frame)

    def closing_run(self: StreamRecorder, how: str, **facts: object) -> None:
        closing.set()
        close_run(self, how, **facts)

    VideoWriter.write = waiting_write  # type: ignore[method-assign]
    StreamRecorder._close_run = closing_run  # type: ignore[method-assign]
    recorder_main(pipe, wake, journal, zero_ns)


if __name__ == "__main__":
    process_manager.RECORDER = GATED
    if GATE not in os.environ:
        process_manager.RECORDER = STUCK
        session.BEGIN_S = 0.5
        process_manager.SAVING_S = 3.0
    import DeepLabStream

    sys.exit(DeepLabStream.main(sys.argv[1:]))
