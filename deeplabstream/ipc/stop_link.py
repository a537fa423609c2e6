"""Stop link: by which a process beside the main one ends the experiment."""

from dataclasses import dataclass
from multiprocessing.synchronize import Semaphore

from deeplabstream.ipc.journal import Journal, JournalSpec


@dataclass(frozen=True, slots=True)
class StopLink:
    """The journal, which holds the requests, and the semaphore that wakes the engine."""

    journal: JournalSpec
    wake: Semaphore


class StopRequester:
    """Requests the end of the experiment from the engine, without the main process."""

    def __init__(self, link: StopLink) -> None:
        self._journal = Journal(link.journal)
        self._wake = link.wake

    def request(self) -> None:
        """Have the engine end the experiment, and with it switch all outputs off."""
        self._journal.request_stop()
        self._wake.release()

    @property
    def done(self) -> bool:
        """Whether the engine has carried out all requests."""
        return self._journal.stops_done == self._journal.stops
