"""A row for every frame that came while a camera was analysed, and their accounts."""

from collections import deque

from core.pose import Skeleton
from core.record import Step
from core.ring import Ring, RingReader, Stamp
from recording.accounts import Accounts, Tally
from recording.run_writer import RunWriter


class FrameRows:
    """Learns of frames from the headers of a ring and of what became of them from steps.

    A frame whose step has come is analysed; it was skipped when a later one's step came.
    `look` must be called at least as often as the ring goes round.
    """

    def __init__(self, ring: Ring, knows_losses: bool) -> None:
        self._camera = ring.spec.camera
        self._knows_losses = knows_losses
        self._reader = RingReader(ring)
        self._waiting: deque[Stamp] = deque()
        self._run: RunWriter | None = None
        self._skeleton: Skeleton | None = None

    @property
    def active(self) -> bool:
        """Whether frames are listed at present."""
        return self._run is not None

    def start(
        self,
        run: RunWriter,
        skeleton: Skeleton | None,
        triggers: tuple[str, ...],
        since_ns: int | None,
    ) -> None:
        """Begin with the frames that arrived from `since_ns` on, or the first analysed.

        The table is made with the first step, whose triggers are added to `triggers`.
        """
        self._run, self._skeleton, self._triggers = run, skeleton, triggers
        self._opened = False
        self._from_first_step = since_ns is None
        self._tally = Tally(self._knows_losses)
        self._analysed = self._skipped = self._unlisted = self._passed = 0
        recent = self._reader.stamps()
        self._missed = self._reader.missed
        self._waiting = deque(
            stamp for stamp in recent if stamp.arrived_ns >= (since_ns or 0)
        )

    def look(self) -> None:
        """Take note of the frames that came since the last look."""
        self._waiting.extend(self._reader.stamps())
        if not self._from_first_step:
            self._passed += self._reader.missed - self._missed
        self._missed = self._reader.missed

    def step(self, step: Step) -> None:
        """Write the rows of an analysed frame and of those skipped before it."""
        run = self._run
        if run is None:
            return
        if not self._opened:
            names = dict.fromkeys((*self._triggers, *step.triggers))
            self._open(run, step.pose.skeleton, tuple(names), step)
        waiting = self._waiting
        while waiting and waiting[0].index != step.index:
            if waiting[0].arrived_ns > step.arrived_ns:
                break
            self._skip(run, waiting.popleft())
        if waiting and waiting[0].index == step.index:
            waiting.popleft()
        elif self._passed:
            self._passed -= 1
        self._from_first_step = False
        self._saw(step.index)
        self._analysed += 1
        run.step(step)

    def end(self, until_ns: int | None) -> Accounts:
        """Write the frames that arrived up to `until_ns`, by default the last analysed."""
        run, self._run = self._run, None
        waiting, self._waiting = self._waiting, deque()
        if run is not None and until_ns is not None:
            if not self._opened and self._skeleton is not None:
                self._open(run, self._skeleton, self._triggers)
            for stamp in waiting:
                if stamp.arrived_ns <= until_ns:
                    self._skip(run, stamp)
        return Accounts(
            self._camera,
            "analysis",
            delivered=self._tally.delivered,
            lost=self._tally.lost,
            analysed=self._analysed,
            skipped=self._skipped,
            unlisted=self._unlisted,
        )

    def _open(
        self,
        run: RunWriter,
        skeleton: Skeleton,
        triggers: tuple[str, ...],
        first: Step | None = None,
    ) -> None:
        """Make the table; the first step says what else it holds."""
        behaviours = tuple(first.behaviours) if first else ()
        inputs = tuple(first.inputs) if first else ()
        run.begin(self._camera, skeleton, triggers, behaviours, inputs)
        self._opened = True

    def _skip(self, run: RunWriter, stamp: Stamp) -> None:
        if self._from_first_step:
            return
        self._saw(stamp.index)
        self._skipped += 1
        if self._opened:
            run.skipped(self._camera, stamp)
        else:
            self._unlisted += 1

    def _saw(self, index: int) -> None:
        """Count a frame, and those whose headers were gone before the last look."""
        self._tally.saw(index, self._passed)
        self._skipped += self._passed
        self._unlisted += self._passed
        self._passed = 0
