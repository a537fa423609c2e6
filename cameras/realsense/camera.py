"""RealSense cameras: colour, infrared or depth; and their recordings, as if live."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import CameraStream, Device, DeviceAddress, SynchronisedCamera

from .devices import describe, find, play, present
from .stream import stream


@dataclass(frozen=True, kw_only=True)
class RealSense(SynchronisedCamera):
    """A RealSense camera, or a recording of one; a section delivers one of its streams.

    Colour and depth of one device are two sections with the same SERIAL: the SDK gives
    different streams of a device to different processes, each stream once. (Infrared and
    depth come from one sensor: not both.)
    """

    rate_above_pulses: ClassVar[bool] = True

    serial: str = Field(
        "", description="serial number; empty: the only connected RealSense"
    )
    recording: Path | None = Field(
        None,
        description="a recording (.db3, or an old .bag) that plays in the camera's place",
    )
    paced: bool = Field(
        True,
        description="yes: frames at the recorded times, and late reads lose frames, as "
        "live; no: every frame, as fast as it is read",
    )
    repeat: bool = Field(
        False, description="whether the recording starts again at its end"
    )
    stream: Literal["color", "infrared", "depth"] = Field(
        "color",
        description="color: BGR; infrared: grey, of the left imager; depth: 16 bits, "
        "not for analysis (ANALYSE = no), recorded without loss",
    )
    resolution: tuple[int, int] | None = Field(
        None, description="width, height, pixels; empty: the device's usual one"
    )
    rate: float | None = Field(
        None, gt=0, description="frames per second; empty: the device's usual one"
    )
    exposure_us: float | None = Field(
        None,
        gt=0,
        description="exposure time in µs; switches automatic exposure off; empty: as it is "
        "set",
    )
    gain: float | None = Field(
        None,
        description="gain in the sensor's own unit; switches automatic exposure off; "
        "empty: as it is set",
    )
    trigger: Literal["free", "line"] = Field(
        "free",
        description="what starts an exposure; free: the camera's own clock; line: a pulse "
        "at its SYNC pin, of LEADER or of a generator",
    )
    leads: bool = Field(
        False,
        description="yes: the camera gives a pulse for each exposure at its SYNC pin",
        title="Leads (gives pulses)",
    )
    align: tuple[int, int] | None = Field(
        None,
        description="for depth: width, height of the colour images to which it is aligned, "
        "pixel by pixel; empty: not aligned",
    )
    emitter: bool | None = Field(
        None, description="infrared projector on or off; empty: as it is"
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The device; a recording of one can be read by several rigs."""
        if self.recording:
            return ()
        return (DeviceAddress("RealSense", self.serial or "without SERIAL"),)

    def __post_init__(self) -> None:
        """Reject settings that fit no stream."""
        if self.stream == "depth" and self.analyse:
            raise ValueError(
                "STREAM = depth needs ANALYSE = no: no network knows depth"
            )
        if self.stream != "depth" and self.align is not None:
            raise ValueError(f"ALIGN is for STREAM = depth, not for {self.stream}")
        super().__post_init__()
        if self.leads and self.trigger == "line":
            raise ValueError(
                "LEADS = yes and TRIGGER = line exclude each other: the device has one SYNC "
                "pin"
            )
        if self.stream == "color" and self.trigger == "line" and self.leader is None:
            raise ValueError(
                "TRIGGER = line with STREAM = color needs LEADER: only depth and infrared "
                "follow an external generator"
            )
        if self.recording is not None and (self.leads or self.trigger == "line"):
            raise ValueError(
                "TRIGGER = line and LEADS = yes do not apply to a RECORDING"
            )

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Find the device and start it; a missing device is reported within a second.

        A recording starts with the first reading.
        """
        if self.recording is None:
            with stream(find(self.serial), self) as frames:
                yield frames
        else:
            with play(self.recording) as device, stream(device, self) as frames:
                yield frames

    @classmethod
    def connected_devices(cls) -> tuple[Device, ...]:
        """Return the RealSense cameras that are plugged in."""
        return tuple(describe(device, cls.__name__) for device in present())
