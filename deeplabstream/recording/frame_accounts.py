"""Frame accounting: delivered, lost, analysed, skipped and recorded frames."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Frame counts of one camera during one analysis or one recording.

    exposed = delivered + lost at the device; delivered = analysed + skipped;
    delivered = recorded + recording losses. Counts that do not apply are None.
    """

    camera: str
    span: str
    """`analysis` or `recording`."""
    delivered: int
    """Frames that the camera process received."""
    lost: int | None = None
    """Frames that the device lost; None: not known."""
    analysed: int | None = None
    skipped: int | None = None
    """Delivered, but replaced by a newer frame before the engine was ready."""
    unlisted: int | None = None
    """Skipped frames without a row in the table: the recorder was too late."""
    recorded: int | None = None
    recording_losses: int | None = None
    files: tuple[str, ...] = ()
    """Files of the recording in the run folder."""
    dropped: int | None = None
    """Frames that are known to be missing where `lost` is not known: damaged ones that were
    dropped, and those of an interruption, by the camera's rate. None: `lost` has them."""

    @property
    def exposed(self) -> int | None:
        """Frames that the device exposed; None: not known."""
        return None if self.lost is None else self.delivered + self.lost

    def is_balanced(self) -> bool:
        """Return whether every frame is counted exactly once."""
        pairs = (self.analysed, self.skipped), (self.recorded, self.recording_losses)
        known = [
            first + second
            for first, second in pairs
            if first is not None and second is not None
        ]
        counts = [n for pair in pairs for n in pair if n is not None]
        return (
            all(total == self.delivered for total in known)
            and min([self.delivered, self.lost or 0, *counts]) >= 0
        )


class FrameCounter:
    """Counter of delivered and lost frames, from the frame numbers of the device."""

    def __init__(self, knows_losses: bool) -> None:
        self._knows_losses = knows_losses
        self.last: int | None = None
        """Number of the last counted frame."""
        self._gaps = 0
        self.delivered = 0

    def add(self, index: int, missed: int = 0) -> None:
        """Count a frame, and `missed` frames that were delivered just before it."""
        if self.last is not None:
            self._gaps += index - self.last - 1 - missed
        self.last = index
        self.delivered += 1 + missed

    def add_unnumbered(self, frames: int) -> None:
        """Count delivered frames whose numbers are not known."""
        self._gaps -= frames if self.last is not None else 0
        self.delivered += frames

    @property
    def lost(self) -> int | None:
        """Gaps in the numbers of the device; None where these do not show losses."""
        return self._gaps if self._knows_losses else None

    @property
    def dropped(self) -> int | None:
        """Gaps in the frame numbers of a camera that can't report all its losses."""
        return None if self._knows_losses else self._gaps
