"""Frame-counting session: stops after a number of frames, and keeps their latencies."""

import sys
from collections.abc import Sequence
from math import inf

from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.latency_statistics import Timings
from deeplabstream.engine.session.request_queue import RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Failed, News
from deeplabstream.settings.loading import Settings


class FrameCountingSession(RigSession):
    """A session that counts the frames of its deciding camera up to a limit.

    Frames count once everything that `agenda` requests runs.
    """

    def __init__(
        self, settings: Settings, frames: float, analysed: bool, agenda: RequestQueue
    ) -> None:
        """Count up to `frames`; `analysed`: frames with a pose, otherwise all frames."""
        super().__init__(settings)
        self._frames = frames
        self._agenda = agenda
        limit = int(frames) if frames < inf else sys.maxsize
        self.timings = Timings(self.cameras[0], 0.0, limit)
        self._analysed_only = analysed
        self.failed = False
        """Whether an error was reported, not only a warning."""
        self._delivered = self._before = 0

    def poll(self) -> Sequence[News]:
        """Poll the session, and count."""
        news = super().poll()
        self.timings.threshold = self.state.thresholds.of(self.cameras[0])
        for entry in news:
            if isinstance(entry, Step):
                if self._agenda.done:
                    self.timings.add(entry)
            elif isinstance(entry, Failed):
                self.failed = self.failed or entry.grave

        # counts are empty after the stream has ended: keep the last number
        counts = self.state.counts.get(self.cameras[0])
        self._delivered = counts.delivered if counts else self._delivered
        if not self._agenda.done:
            self._before = self._delivered
        return news

    @property
    def enough(self) -> bool:
        """Whether the frame limit is reached."""
        if self._analysed_only:
            return self.timings.complete
        return self._delivered - self._before >= self._frames
