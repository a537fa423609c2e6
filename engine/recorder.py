"""The recorder process: what happened and what was seen, from shared memory to disk.

One semaphore wakes it: the engine releases it with each entry of the journal, the session
with each message. It never waits for anything else, so that the journal is drained whatever
becomes of the disk. Films look for their frames by themselves.
"""

import signal
from multiprocessing.synchronize import Semaphore

from core.journal import Journal, JournalSpec
from core.pipe import Connection
from engine.child import hurry, reporting, settle
from engine.messages import Filmed, Saving
from engine.stream_recorder import StreamRecorder

LOOK_S = 0.1
"""While a run is open: how often frames are listed and progress is told, at least."""
IDLE_S = 0.5
"""While none is: who sends more than the pipe holds waits so long, before it wakes us."""
ORPHAN_S = 20.0
"""How long to wait for the last words of the engine or a guard when the session is gone."""


def recorder_main(
    pipe: Connection, wake: Semaphore, journal: JournalSpec, zero_ns: int
) -> None:
    """Record until told to end, or until the session is gone: files are completed then.

    Without its session it goes on until the engine has said its last words.
    """
    with reporting(pipe, latest=(Filmed, Saving)) as messages:
        recorder = StreamRecorder(messages, wake.release, Journal(journal), zero_ns)

        def orphaned() -> None:
            recorder.orphaned = True
            wake.release()

        settle(orphaned)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the session ends the record
        hurry(3)
        try:
            while not recorder.over:
                patience_s = LOOK_S if recorder.busy else IDLE_S
                if recorder.orphaned:
                    patience_s = ORPHAN_S
                if not wake.acquire(timeout=patience_s) and recorder.orphaned:
                    break
                while wake.acquire(block=False):
                    pass
                recorder.turn()
        finally:
            recorder.close("the application ended without a word")
