"""Settings of pose filtering: `[Tracking]`."""

import re
from contextlib import suppress
from math import inf
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.pose.filters.edge_lengths import EdgeRange

_EDGE = re.compile(r"(\S.*?)\s+-\s+(\S.*?)\s+(\S+)\s+(\S+)")


def parse_edge_range(text: object) -> EdgeRange:
    """Return the edge of two names and two lengths; ValueError: it is invalid."""
    if isinstance(text, EdgeRange):
        return text
    found = _EDGE.fullmatch(str(text).strip())
    with suppress(ValueError):
        if found and 0 <= float(found[3]) < float(found[4]) < inf:
            return EdgeRange(found[1], found[2], float(found[3]), float(found[4]))
    raise ValueError(
        "expected BODYPART - BODYPART SHORTEST LONGEST for each edge, separated "
        f"by commas, not {text!r}"
    )


@settings(frozen=True, kw_only=True)
class Tracking:
    """Filters of the points that triggers get; `[Tracking CAMERA]` applies to one camera.

    The run contains the unfiltered points.
    """

    hold_ms: float = Field(
        0.0,
        ge=0,
        description=(
            "milliseconds for which a missing or rejected point keeps its last "
            "position; after that it is unknown"
        ),
    )
    max_speed: float = Field(
        0.0,
        ge=0,
        description=(
            "maximum speed in UNIT per second; faster points are rejected; 0: no limit"
        ),
    )
    bones: tuple[Annotated[EdgeRange, BeforeValidator(parse_edge_range)], ...] = Field(
        (),
        description=(
            "BODYPART - BODYPART SHORTEST LONGEST: range of an edge's length; a "
            "point outside is rejected; utils/LearnTracking.py measures the ranges "
            "in a run"
        ),
        title="Edges and their lengths",
    )
    unit: Literal["px", "mm"] = Field(
        "px",
        description=(
            "unit of lengths and speeds; mm: on the floor; the camera needs "
            "MM_PER_PIXEL or MARKS"
        ),
    )

    smooth_hz: float = Field(
        0.0,
        ge=0,
        le=1000,
        description=(
            "cut-off frequency of smoothing at rest, in Hz; usually 1 to 5; 0: "
            "no smoothing"
        ),
        title="Smoothing cut-off (Hz)",
    )
    smooth_beta: float = Field(
        0.05,
        ge=0,
        le=10,
        description=(
            "with SMOOTH_HZ: increase of the cut-off frequency with speed, in Hz "
            "per px/s; larger: less delay, less smoothing"
        ),
        title="Smoothing at speed (beta)",
        json_schema_extra={"advanced": True},
    )
    predict: bool = Field(
        False,
        description="yes: triggers get points extrapolated to the time when an output acts",
    )
    acts_after_ms: float = Field(
        0.0,
        ge=0,
        le=200,
        description=(
            "with PREDICT: milliseconds from the decision to the output's "
            "effect; the frame's age is added"
        ),
        title="Delay of the output (ms)",
        json_schema_extra={"advanced": True},
    )

    @property
    def active(self) -> bool:
        """Whether points are rejected or held."""
        return bool(self.hold_ms or self.max_speed or self.bones)
