"""A trigger on crossing a line."""

from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Pose, PoseTrigger, middle


@settings(kw_only=True)
class LineCrossing(PoseTrigger):
    """Holds on the frame on which the centre of the body parts has crossed a line.

    With EXIT_DELAY_S it holds longer. The path between two frames is assumed straight; a
    point on the line has not crossed it. A crossing while the animal was lost is not
    detected.
    """

    line: tuple[float, float, float, float] = Field(
        description="X1, Y1, X2, Y2: both ends, in UNIT"
    )
    to: Literal["left", "right", "both"] = Field(
        "both", description="side of arrival, seen from point 1 towards point 2"
    )
    _before: tuple[float, float] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.line[:2] == self.line[2:]:
            raise ValueError("LINE: both ends are the same point")

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the animal has crossed the line since the previous frame."""
        x, y = middle(pose.places(self.bodyparts))
        here, before = (x, y), self._before
        if before is None:
            self._before = here if self._side(here) else None
            return None if self._before is None else False
        if not self._side(here):
            return False
        self._before = here
        if self._side(here) * self._side(before) > 0 or not self._meets(before, here):
            return False
        return self.to in ("both", "right" if self._side(here) > 0 else "left")

    def reset(self) -> None:
        """Discard the last position."""
        self._before = None

    def _side(self, point: tuple[float, float]) -> float:
        """Return a number above 0 for a point on the right, below 0 on the left."""
        x1, y1, x2, y2 = self.line
        return (x2 - x1) * (point[1] - y1) - (y2 - y1) * (point[0] - x1)

    def _meets(self, start: tuple[float, float], end: tuple[float, float]) -> bool:
        """Return whether the path from start to end crosses between the line's ends."""
        way_x, way_y = end[0] - start[0], end[1] - start[1]
        x1, y1, x2, y2 = self.line
        one = way_x * (y1 - start[1]) - way_y * (x1 - start[0])
        two = way_x * (y2 - start[1]) - way_y * (x2 - start[0])
        return one * two <= 0
