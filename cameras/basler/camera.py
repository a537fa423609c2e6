"""Basler cameras, through the vendor's pylon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field
from pydantic.dataclasses import dataclass

from cameras.genicam.triggers import GenicamTriggers
from deeplabstream.plugin import CameraStream, Device, DeviceAddress

from .devices import connected, describe, find, list_devices
from .stream import acquire


@dataclass(frozen=True, kw_only=True)
class Basler(GenicamTriggers):
    """A Basler camera (GigE, USB), free-running or triggered, selected by serial number.

    Empty settings stay as the camera, or CONFIG, has them. Each value that the camera
    changed is reported when it is opened.
    """

    serial: str = Field(
        "", description="serial number; empty: the only Basler camera that is there"
    )
    config: Path | None = Field(
        None,
        description="a feature file of the pylon Viewer (.pfs), loaded before all else",
    )
    pixel_format: str = Field(
        "",
        description="mono, mono12 (grey of 8, 12 bits), bayer, bgr (colour), or the camera's "
        "own name of one (BayerGB8); empty: as it is set",
    )
    region: tuple[int, int, int, int] | None = Field(
        None, description="x, y, width, height on the sensor, pixels; read out alone"
    )
    resolution: tuple[int, int] | None = Field(
        None,
        description="width, height in px of a region in the middle of the sensor; for a "
        "camera without REGION; empty: as it is set",
    )
    exposure_us: float | None = Field(
        None, gt=0, description="exposure time, microseconds; switches automatic off"
    )
    gain: float | None = Field(
        None,
        description="gain in the camera's own unit (dB; steps for older GigE cameras); "
        "switches automatic off",
    )
    rate: float | None = Field(
        None,
        ge=0.5,
        description="frames per second; for TRIGGER = line: the expected rate of the pulses",
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The camera with this serial number; empty: the only one."""
        return (DeviceAddress("Basler camera", self.serial or "without SERIAL"),)

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open and configure the camera; a triggered one is armed from here on.

        A free-running one begins with the first reading.
        """
        with (
            connected(find(self.serial)) as camera,
            acquire(camera, self) as stream,
        ):
            yield stream

    @classmethod
    def connected_devices(cls) -> tuple[Device, ...]:
        """Return the connected Basler cameras; each is opened briefly."""
        return tuple(describe(info, cls.__name__) for info in list_devices())
