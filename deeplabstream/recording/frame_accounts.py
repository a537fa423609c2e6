"""Where every frame of a span went: the equation that must close."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accounts:
    """The frames of one camera while it was analysed, or while it was recorded.

    exposed = delivered + lost at the device; delivered = analysed + skipped;
    delivered = recorded + recording losses. What does not apply to the span is None.
    """

    camera: str
    span: str
    """analysis or recording."""
    delivered: int
    """Frames that the camera's process gave to the computer."""
    lost: int | None = None
    """Frames that the device lost; None: it can't know."""
    analysed: int | None = None
    skipped: int | None = None
    """Delivered, but a newer frame was there when the engine looked."""
    unlisted: int | None = None
    """Skipped frames that have no row in the table: the recorder came too late."""
    recorded: int | None = None
    recording_losses: int | None = None
    files: tuple[str, ...] = ()
    """What the span left in the run folder."""

    @property
    def exposed(self) -> int | None:
        """Frames that the device exposed; None: it can't know."""
        return None if self.lost is None else self.delivered + self.lost

    def closes(self) -> bool:
        """Return whether every frame is accounted for exactly once."""
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


class Tally:
    """Counts the frames of a span by the device's own numbers."""

    def __init__(self, knows_losses: bool) -> None:
        self._knows_losses = knows_losses
        self.last: int | None = None
        """The number of the frame that was counted last."""
        self._gaps = 0
        self.delivered = 0

    def saw(self, index: int, missed: int = 0) -> None:
        """Count one frame, and `missed` ones that were delivered just before it."""
        if self.last is not None:
            self._gaps += index - self.last - 1 - missed
        self.last = index
        self.delivered += 1 + missed

    def passed(self, frames: int) -> None:
        """Count frames that were delivered, and whose own numbers nobody knows."""
        self._gaps -= frames if self.last is not None else 0
        self.delivered += frames

    @property
    def lost(self) -> int | None:
        """Gaps in the device's numbers; None when those don't tell."""
        return self._gaps if self._knows_losses else None
