"""Trigger input and pulse output of cameras with features of the GenICam standard."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import SynchronisedCamera


@dataclass(frozen=True, kw_only=True)
class GenicamTriggers(SynchronisedCamera):
    """Trigger input and pulse output of a camera with features of the GenICam standard."""

    line: str = Field("Line1", description="input of the pulses, for TRIGGER = line")
    edge: Literal["rising", "falling"] = Field(
        "rising",
        description="edge of the pulse that starts the exposure, for TRIGGER = line",
    )
    output_line: str = Field(
        "Line2",
        description="output of the pulses, high during the exposure, for LEADS = yes",
    )

    def __post_init__(self) -> None:
        """Reject the same line for input and output."""
        super().__post_init__()
        if self.leads and self.trigger == "line" and self.line == self.output_line:
            raise ValueError(
                f"LINE and OUTPUT_LINE are both {self.line}: enter two different lines"
            )

    def arm(
        self,
        choose: Callable[[str, str, str], None],
        attempt: Callable[[str, str | bool], bool],
    ) -> None:
        """Set trigger and pulse output last, because other settings may reset them.

        Parameters
        ----------
        choose
            Sets a feature (name, value, key of the settings) and reads it back; raises
            DeviceError if the camera has not accepted the value.
        attempt
            Sets a feature that not every camera has; returns whether it is set.
        """
        if self.leads:
            choose("LineSelector", self.output_line, "OUTPUT_LINE")
            attempt("LineMode", "Output")
            choose("LineSource", "ExposureActive", "LEADS")
        if self.trigger == "free":
            return
        attempt("AcquisitionFrameRateEnable", False)
        choose("TriggerSelector", "FrameStart", "TRIGGER")
        if self.trigger == "line":
            if attempt("LineSelector", self.line):
                attempt("LineMode", "Input")
            choose("TriggerSource", self.line, "LINE")
            choose("TriggerActivation", f"{self.edge.title()}Edge", "EDGE")
        else:
            choose("TriggerSource", "Software", "TRIGGER")
        choose("TriggerMode", "On", "TRIGGER")
