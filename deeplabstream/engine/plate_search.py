"""Plate search: where the plate of the arenas lies at the start of a stream, and later."""

from collections.abc import Callable
from dataclasses import dataclass

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.pose.plate_markers import PlatePlace
from deeplabstream.settings.plate import (
    moved_plate,
    movement_tolerance_px,
    plate_in,
    plate_movement_px,
)
from deeplabstream.settings.sections import Settings

TRIES = 5
"""Frames in which the markers are looked for at the start of a stream."""


@dataclass
class PlateSearch:
    """Finds the plate in frames of the deciding camera.

    A stream whose plate is not found goes on, so that the user sees the image; its frames
    are not analysed, so no experiment starts.
    """

    settings: Settings
    """Settings of the stream; once the plate is found, with the arenas where it lies."""
    place: PlatePlace | None = None
    """Where it lay at the start of the stream; None: it was not found."""

    @property
    def needed(self) -> bool:
        """Whether the arenas are found by markers."""
        return bool(self.settings.plate.markers)

    @property
    def tolerance_px(self) -> float:
        """Movement of the plate from which nothing is analysed."""
        return movement_tolerance_px(self.settings.arenas.values())

    def find(self, next_frame: Callable[[], Frame | None]) -> None:
        """Move the arenas to the plate in one of the next frames; None: no frame comes."""
        for _ in range(TRIES):
            frame = next_frame()
            if frame is None:
                return
            try:
                self.place = plate_in(frame.image, self.settings.plate)
                self.settings = moved_plate(self.settings, self.place)
            except DeepLabStreamError:
                self.place = None  # `problem` says why, when the analysis is requested
            else:
                return

    def problem(self, frame: Frame | None) -> str:
        """Return why a frame must not be analysed; empty: the plate lies as at the start."""
        if not self.needed:
            return ""
        where = f"[Arenas] MARKERS in [Camera {self.settings.deciding_camera}]"
        again = "then stop the stream and start it again"
        if frame is None:
            return f"{where}: no frame has come; check the camera, {again}"
        try:
            moved_px = plate_movement_px(frame.image, self.settings.plate)
        except DeepLabStreamError as error:
            return f"{where}: {error}; {again}"
        if self.place is None:
            return (
                f"{where}: the plate was not found at the start of the stream, but is seen "
                "now: stop the stream and start it again"
            )
        if moved_px > self.tolerance_px:
            return (
                f"{where}: the plate has moved by {moved_px:.1f} px since the start of the "
                "stream: stop the stream and start it again"
            )
        return ""
