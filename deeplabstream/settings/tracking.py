"""Settings of what triggers see of what the network says."""

import re
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

_BONE = re.compile(r"(\S.*?)\s+-\s+(\S.*?)\s+(\S+)\s+(\S+)")


@dataclass(frozen=True)
class Bone:
    """Two body parts and how far apart they can be: `snout - neck 10 60`."""

    one: str
    other: str
    shortest: float
    longest: float

    def __str__(self) -> str:
        return f"{self.one} - {self.other} {self.shortest:g} {self.longest:g}"


def parse_bone(words: object) -> Bone:
    """Return the bone that two names and two lengths describe; ValueError if they don't."""
    if isinstance(words, Bone):
        return words
    found = _BONE.fullmatch(str(words).strip())
    with suppress(ValueError):
        if found and 0 <= float(found[3]) < float(found[4]) < inf:
            return Bone(found[1], found[2], float(found[3]), float(found[4]))
    raise ValueError(
        "expected BODYPART - BODYPART SHORTEST LONGEST for each bone, commas between "
        f"them, not {words!r}"
    )


@settings(frozen=True, kw_only=True)
class Tracking:
    """What triggers see of the network's points; `[Tracking CAMERA]` says it for one camera.

    The record has the points as they came.
    """

    hold_ms: float = Field(
        0.0,
        ge=0,
        description="milliseconds for which a point that is not seen, or is refused, stays "
        "where it was; unknown after that",
    )
    max_speed: float = Field(
        0.0,
        ge=0,
        description="UNIT per second; a point that is farther from where it was last seen "
        "than it can have gone is refused; 0: no limit",
    )
    bones: tuple[Annotated[Bone, BeforeValidator(parse_bone)], ...] = Field(
        (),
        description="BODYPART - BODYPART SHORTEST LONGEST: an end of a bone outside of that "
        "is refused; utils/LearnBones.py measures them in a run",
    )
    unit: Literal["px", "mm"] = Field(
        "px",
        description="what lengths and speeds are in; mm: on the floor, for which the camera "
        "needs MM_PER_PIXEL or MARKS",
    )

    smooth_hz: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="smooths points: at rest, changes faster than this are taken for noise; "
        "1 to 5 is usual; 0: no smoothing",
    )
    smooth_beta: float = Field(
        0.05,
        ge=0,
        le=10,
        description="with SMOOTH_HZ: Hz more for each pixel per second of speed; more is "
        "prompter and less smooth",
    )
    predict: bool = Field(
        False,
        description="yes: triggers see points where they will be when an output acts, from "
        "the motion so far",
    )
    acts_after_ms: float = Field(
        0.0,
        ge=0,
        le=200,
        description="with PREDICT: milliseconds from the decision to the output's effect; "
        "the frame's own age is added to it",
    )

    @property
    def active(self) -> bool:
        """Whether anything is asked of the gate that refuses and holds points."""
        return bool(self.hold_ms or self.max_speed or self.bones)
