"""Triggers on body parts in space: heights, volumes, speed, distances, angles, planes."""

from dataclasses import field
from math import asin, degrees, dist, sqrt
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import SpacePose, SpaceTrigger, VolumeSetting

from .hysteresis import Hysteresis


@settings(kw_only=True)
class AboveHeight(Hysteresis, SpaceTrigger):
    """Holds while body parts are above a height, as in rearing."""

    height_mm: float = Field(description="height above the floor, in mm")
    which: Literal["all", "any"] = Field(
        "all", description="all body parts must be above it, or any"
    )

    def holds(self, pose: SpacePose, time_s: float) -> bool | None:
        """Return whether the body parts are above the height."""
        heights = [z for _, _, z in pose.places(self.bodyparts)]
        reached = min(heights) if self.which == "all" else max(heights)
        return self.update(reached - self.height_mm)


@settings(kw_only=True)
class InsideVolume(Hysteresis, SpaceTrigger):
    """Holds while body parts are inside a volume, border included."""

    volume: VolumeSetting = Field(
        description="a region of the floor and two heights, in mm: circle X Y R z Z1 Z2, or "
        "ellipse, ring, rectangle, polygon"
    )
    inside: Literal["all", "any"] = Field(
        "all", description="all body parts must be inside, or any"
    )

    def holds(self, pose: SpacePose, time_s: float) -> bool | None:
        """Return whether the body parts are inside the volume."""
        depths = [self.volume.depth(*at) for at in pose.places(self.bodyparts)]
        return self.update(min(depths) if self.inside == "all" else max(depths))


@settings(kw_only=True)
class SpaceSpeed(Hysteresis, SpaceTrigger):
    """Holds while the centre of the body parts moves faster (or slower) than SPEED_MM_S.

    Speed is the displacement in space within WINDOW_S, divided by its duration. Unknown
    until the body parts were known for WINDOW_S.
    """

    speed_mm_s: float = Field(gt=0, description="speed in mm per second")
    window_s: float = Field(
        0.2, gt=0, description="seconds over which the displacement is measured"
    )
    when: Literal["above", "below"] = Field(
        "above", description="holds above SPEED_MM_S, or below it"
    )
    _past: list[tuple[float, list[float]]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def holds(self, pose: SpacePose, time_s: float) -> bool | None:
        """Return whether the speed is above the limit, or below it."""
        past = self._past
        past.append((time_s, _centre(pose.places(self.bodyparts))))
        while len(past) > 1 and time_s - past[1][0] >= self.window_s:
            past.pop(0)
        began_s, began = past[0]
        if time_s - began_s < self.window_s:
            return None
        speed = dist(began, past[-1][1]) / (time_s - began_s)
        above = speed - self.speed_mm_s
        return self.update(above if self.when == "above" else -above)

    def reset(self) -> None:
        """Discard the earlier positions."""
        self._past.clear()
        super().reset()


@settings(kw_only=True)
class SpaceDistance(Hysteresis, SpaceTrigger):
    """Holds while two body parts are nearer than DISTANCE_MM, or further apart."""

    distance_mm: float = Field(gt=0, description="distance in space, in mm")
    when: Literal["above", "below"] = Field(
        "below", description="holds below DISTANCE_MM, or above it"
    )

    def __post_init__(self) -> None:
        if len(self.bodyparts) != 2:
            raise ValueError("BODYPARTS: enter two body parts")

    def holds(self, pose: SpacePose, time_s: float) -> bool | None:
        """Return whether the distance is below the limit, or above it."""
        above = dist(*pose.places(self.bodyparts)) - self.distance_mm
        return self.update(above if self.when == "above" else -above)


@settings(kw_only=True)
class SpaceAngle(Hysteresis, SpaceTrigger):
    """Holds while an angle in space is above (or below) ANGLE degrees.

    Of three body parts, the angle of the joint at the second one, 0 to 180. Of two, the
    pitch of the body: the elevation of the direction from the second to the first one above
    the floor, -90 to 90. Unknown where two of them are at the same place.
    """

    angle: float = Field(ge=-180, le=180, description="angle in degrees")
    when: Literal["above", "below"] = Field(
        "above", description="holds above ANGLE, or below it"
    )

    def __post_init__(self) -> None:
        if len(self.bodyparts) not in (2, 3):
            raise ValueError("BODYPARTS: enter three body parts of a joint, or two")

    def holds(self, pose: SpacePose, time_s: float) -> bool | None:
        """Return whether the angle is above the limit, or below it."""
        first, *middle, last = pose.places(self.bodyparts)
        apex = middle[0] if middle else last
        arm = _direction(apex, first)
        other = _direction(apex, last) if middle else [0.0, 0.0, 1.0]
        if arm is None or other is None:
            return None
        cosine = sum(a * b for a, b in zip(arm, other, strict=True))
        elevation = degrees(asin(max(-1.0, min(1.0, cosine))))
        above = (90.0 - elevation if middle else elevation) - self.angle
        return self.update(above if self.when == "above" else -above)


@settings(kw_only=True)
class PlaneCrossing(SpaceTrigger):
    """Holds at the moment at which the centre of the body parts has crossed a plane.

    With EXIT_DELAY_S it holds longer. A point on the plane has not crossed it; a crossing
    while the animal was lost is not detected.
    """

    point: tuple[float, float, float] = Field(
        description="X, Y, Z of a point of the plane, in mm"
    )
    normal: tuple[float, float, float] = Field(
        description="X, Y, Z of a direction perpendicular to the plane, such as 0, 0, 1"
    )
    to: Literal["front", "back", "both"] = Field(
        "both", description="side of arrival; front is where NORMAL points"
    )
    _before: float = field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not any(self.normal):
            raise ValueError("NORMAL: enter a direction, not 0, 0, 0")

    def holds(self, pose: SpacePose, time_s: float) -> bool | None:
        """Return whether the plane was crossed since the moment before."""
        centre = _centre(pose.places(self.bodyparts))
        side = sum(
            direction * (at - start)
            for direction, at, start in zip(
                self.normal, centre, self.point, strict=True
            )
        )
        before, self._before = self._before, side or self._before
        if not before:
            return False if side else None
        if side * before >= 0:
            return False
        return self.to in ("both", "front" if side > 0 else "back")

    def reset(self) -> None:
        """Discard the last position."""
        self._before = 0.0


def _centre(points: list[list[float]]) -> list[float]:
    return [sum(axis) / len(points) for axis in zip(*points, strict=True)]


def _direction(start: list[float], end: list[float]) -> list[float] | None:
    """Return the unit vector from one point to another; None: they are the same."""
    way = [b - a for a, b in zip(start, end, strict=True)]
    length = sqrt(sum(part * part for part in way))
    return [part / length for part in way] if length else None
