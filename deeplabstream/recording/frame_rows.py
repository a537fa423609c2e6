"""Frame rows: a table row for every frame delivered during analysis, and frame accounts."""

from collections import deque
from dataclasses import dataclass

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Skeleton
from deeplabstream.ipc.ring import FrameRing, RingReader, Stamp
from deeplabstream.recording.frame_accounts import FrameCounter, FrameCounts
from deeplabstream.recording.run_schema import OPTIONAL_COLUMNS
from deeplabstream.recording.run_writer import RunWriter


@dataclass
class _Gap:
    """Consecutive frames whose headers were overwritten before the last poll."""

    frames: int
    """Frames without a step so far."""
    after: int | None = None
    """Number of the last frame counted before the first step of the gap."""
    analysed: int = 0


class FrameRows:
    """Combines frame headers of a ring with steps of the journal.

    A frame with a step was analysed. A frame was skipped when the step of a later frame
    arrives first. If `poll` is called less often than the ring is filled, only the number
    of frames in between is known: those with steps were analysed, the others were skipped
    and have no row.
    """

    def __init__(self, ring: FrameRing, knows_losses: bool) -> None:
        self._camera = ring.spec.camera
        self._knows_losses = knows_losses
        self._reader = RingReader(ring)
        self._waiting: deque[Stamp | _Gap] = deque()
        self._run: RunWriter | None = None

    @property
    def active(self) -> bool:
        """Whether rows are being written."""
        return self._run is not None

    def start(self, run: RunWriter, triggers: tuple[str, ...]) -> None:
        """Start with the first analysed frame.

        The first step makes the table; its triggers are added to `triggers`.
        """
        self._run, self._triggers = run, triggers
        self._opened = False
        self._from_first_step = True
        self._frame_counter = FrameCounter(self._knows_losses)
        self._analysed = self._skipped = self._unlisted = 0
        self._waiting = deque(self._reader.stamps())
        self._missed = self._reader.missed

    def poll(self) -> None:
        """Read the headers of frames that arrived since the last call."""
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

        # Frames before that of the step were skipped; those after it wait for their step.
        waiting = self._waiting
        while waiting:
            first = waiting[0]
            if isinstance(first, _Gap):
                # The reader missed headers: only the times show which one belongs to
                # the step.
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
        self._frame_counter.add(step.index)
        self._analysed += 1
        run.step(step)

    def _enter(
        self, run: RunWriter, gap: _Gap, step: Step, after: Stamp | None
    ) -> None:
        """Count the frame of a step as part of a gap, whose frame numbers are not known."""
        if not gap.analysed:
            gap.after = self._frame_counter.last
        gap.frames -= 1
        gap.analysed += 1

        # Before the first numbered frame, only the frames after the step can be counted.
        if self._frame_counter.last is None and after is not None:
            later = min(gap.frames, max(0, after.index - step.index - 1))
            self._skip(run, _Gap(gap.frames - later))
            gap.frames, gap.after = later, step.index - 1

    def end(self) -> FrameCounts:
        """End with the last analysed frame."""
        run, self._run = self._run, None
        waiting, self._waiting = self._waiting, deque()
        begun = waiting[0] if waiting and isinstance(waiting[0], _Gap) else None
        if run is not None and begun is not None:
            self._skip(run, self._before_last_step(begun))
        return FrameCounts(
            self._camera,
            "analysis",
            delivered=self._frame_counter.delivered,
            lost=self._frame_counter.lost,
            dropped=self._frame_counter.dropped,
            analysed=self._analysed,
            skipped=self._skipped,
            unlisted=self._unlisted,
        )

    def _open(
        self,
        run: RunWriter,
        skeleton: Skeleton,
        triggers: tuple[str, ...],
        first: Step,
    ) -> None:
        """Create the table; the first step determines its other columns."""
        behaviours, inputs = tuple(first.behaviours), tuple(first.inputs)
        # a light cycle is known from the first frame on, or never
        names = (column.name for column in OPTIONAL_COLUMNS)
        optional = tuple(name for name in names if getattr(first, name))
        run.begin(self._camera, skeleton, triggers, behaviours, inputs, optional)
        self._opened = True

    def _skip(self, run: RunWriter, frame: Stamp | _Gap) -> None:
        """Count a skipped frame, or the remaining frames of a gap."""
        if self._from_first_step:
            return
        if isinstance(frame, _Gap):
            self._frame_counter.add_unnumbered(frame.frames)
            self._skipped += frame.frames
            self._unlisted += frame.frames
            return
        self._frame_counter.add(frame.index)
        self._skipped += 1
        run.skipped(self._camera, frame)

    def _before_last_step(self, gap: _Gap) -> _Gap:
        """Return the part of a gap before the last step, by frame numbers."""
        last = self._frame_counter.last
        if not gap.analysed or gap.after is None or last is None:
            return _Gap(0)
        return _Gap(min(gap.frames, max(0, last - gap.after - gap.analysed)))
