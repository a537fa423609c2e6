"""Space section: the calibrated cameras whose poses become points in space."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.space.calibration_monitor import TURNED_DEG
from deeplabstream.space.triangulation import LIMIT_PX


@settings(frozen=True, kw_only=True)
class Space:
    """Points in space from several calibrated cameras, for triggers in space."""

    calibration: Path | None = Field(
        default=None,
        description="calibration of the cameras: a file or folder of aniposelib, Label3D, "
        "OpenCV, JARVIS or DANNCE; empty: no points in space",
    )
    cameras: tuple[str, ...] = Field(
        default=(),
        description="cameras, as their sections and the calibration name them; empty: all "
        "analysed cameras",
    )
    match: Literal["times", "pulses"] = Field(
        default="times",
        description="how frames of one moment are found; times: by time of exposure; pulses: by "
        "the frame numbers of cameras with TRIGGER = line or LEADS = yes, where time and number "
        "agree; other frames are not used",
        title="Match frames by",
    )
    limit_px: float = Field(
        default=LIMIT_PX,
        gt=0,
        description="distance in px of a view from the point's projection above which it is "
        "rejected",
        title="Reject views beyond (px)",
    )
    turned_deg: float = Field(
        default=TURNED_DEG,
        ge=0,
        le=45,
        description="turn of a camera since the first minute, in degrees, that raises an alarm "
        "and makes all triggers in space unknown; 0: calibrations are not monitored",
        title="Alarm at a turned camera (°)",
    )
    smooth_hz: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="one-euro filter of the points: cut-off frequency at rest, in Hz; a point "
        "at rest is then 1 / (6.3 SMOOTH_HZ) seconds late; 0: none",
        title="Smoothing: cut-off (Hz)",
    )
    smooth_beta: float = Field(
        default=0.007,
        ge=0,
        description="increase of the cut-off with speed, in Hz per mm/s",
        title="Smoothing: increase with speed",
        json_schema_extra={"advanced": True},
    )
