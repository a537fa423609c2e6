"""A row for every frame that came while a camera was analysed, and their accounts."""

from collections import deque
from dataclasses import dataclass

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Skeleton
from deeplabstream.ipc.ring import Ring, RingReader, Stamp
from deeplabstream.recording.frame_accounts import Accounts, Tally
from deeplabstream.recording.run_writer import RunWriter


@dataclass
class _Gap:
    """Frames in a row whose headers were overwritten before the last look."""

    frames: int
    """Those of which no step came yet."""
    after: int | None = None
    """The number of the last frame that was counted before the first step of the gap."""
    analysed: int = 0


class FrameRows:
    """Learns of frames from the headers of a ring and of what became of them from steps.

    A frame whose step has come is analysed; it was skipped when a later one's step came.
    When `look` is not called as often as the ring goes round, the frames in between are
    known by number only: those whose steps come are analysed, the others were skipped and
    are not listed.
    """

    def __init__(self, ring: Ring, knows_losses: bool) -> None:
        self._camera = ring.spec.camera
        self._knows_losses = knows_losses
        self._reader = RingReader(ring)
        self._waiting: deque[Stamp | _Gap] = deque()
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
        self._analysed = self._skipped = self._unlisted = 0
        recent = list(self._reader.stamps())
        self._missed = self._reader.missed
        self._waiting = deque(
            stamp for stamp in recent if stamp.arrived_ns >= (since_ns or 0)
        )

    def look(self) -> None:
        """Take note of the frames that came since the last look."""
        for stamp in self._reader.stamps():
            if gap := self._reader.missed - self._missed:
                self._missed = self._reader.missed
                self._waiting.append(_Gap(gap))
            self._waiting.append(stamp)

    def step(self, step: Step) -> None:
        """Write the rows of an analysed frame and of those skipped before it."""
        run = self._run
        if run is None:
            return
        if not self._opened:
            names = dict.fromkeys((*self._triggers, *step.triggers))
            self._open(run, step.pose.skeleton, tuple(names), step)
        waiting = self._waiting
        while waiting:
            first = waiting[0]
            if isinstance(first, _Gap):
                after = next((e for e in waiting if isinstance(e, Stamp)), None)
                inside = after is None or step.arrived_ns < after.arrived_ns
                if first.frames and inside:
                    self._enter(run, first, step, after)
                    break
            elif first.index == step.index:
                waiting.popleft()
                break
            elif first.arrived_ns > step.arrived_ns:
                break
            self._skip(run, waiting.popleft())
        self._from_first_step = False
        self._tally.saw(step.index)
        self._analysed += 1
        run.step(step)

    def _enter(
        self, run: RunWriter, gap: _Gap, step: Step, after: Stamp | None
    ) -> None:
        """Count a step's frame as one of a gap, whose own numbers nobody knows."""
        if not gap.analysed:
            gap.after = self._tally.last
        gap.frames -= 1
        gap.analysed += 1
        if (
            self._tally.last is None and after is not None
        ):  # where it began is not known
            later = min(gap.frames, max(0, after.index - step.index - 1))
            self._skip(run, _Gap(gap.frames - later))
            gap.frames, gap.after = later, step.index - 1

    def end(self, until_ns: int | None) -> Accounts:
        """Write the frames that arrived up to `until_ns`, by default the last analysed."""
        run, self._run = self._run, None
        waiting, self._waiting = self._waiting, deque()
        begun = waiting[0] if waiting and isinstance(waiting[0], _Gap) else None
        while waiting and (until_ns is None or not _arrived_by(waiting[-1], until_ns)):
            waiting.pop()
        if run is not None and begun is not None and not waiting:
            self._skip(run, self._before_last_step(begun))
        if run is not None and until_ns is not None:
            if not self._opened and self._skeleton is not None:
                self._open(run, self._skeleton, self._triggers)
            for each in waiting:
                self._skip(run, each)
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

    def _skip(self, run: RunWriter, frame: Stamp | _Gap) -> None:
        """Count a frame that was not analysed, or all that are left of a gap."""
        if self._from_first_step:
            return
        if isinstance(frame, _Gap):
            self._tally.passed(frame.frames)
            self._skipped += frame.frames
            self._unlisted += frame.frames
            return
        self._tally.saw(frame.index)
        self._skipped += 1
        if self._opened:
            run.skipped(self._camera, frame)
        else:
            self._unlisted += 1

    def _before_last_step(self, gap: _Gap) -> _Gap:
        """Return the part of a gap that is before the last step, by the frames' numbers."""
        last = self._tally.last
        if not gap.analysed or gap.after is None or last is None:
            return _Gap(0)
        return _Gap(min(gap.frames, max(0, last - gap.after - gap.analysed)))


def _arrived_by(frame: Stamp | _Gap, until_ns: int) -> bool:
    """Return whether a frame is known to have arrived by then; of a gap's nobody knows."""
    return isinstance(frame, Stamp) and frame.arrived_ns <= until_ns
