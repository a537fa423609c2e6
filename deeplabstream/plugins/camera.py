"""Camera contract: settings of a camera, its stream of frames, and live controls."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.calibration import (
    Calibration,
    CalibrationMark,
    from_marks,
    from_scale,
    parse_mark,
)
from deeplabstream.core.command import CameraName
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.core.lens import FORM, Lens, parse_lens
from deeplabstream.plugins.device_address import DeviceAddress

Area: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height, px."""
Value: TypeAlias = float | Area | None
"""Value of a control; None for an area: the whole frame."""
SIZING = frozenset({"crop", "region", "resolution"})
"""Settings that may change the size of the frames."""


@dataclass(frozen=True, slots=True)
class CameraControl:
    """A setting of an open camera that can be changed between two frames."""

    key: str
    """Field of the camera's class."""
    now: Value
    """Value that the device reports; None: not available."""
    low: Value = None
    """Lowest and, in `high`, highest value; None: unknown. `high` of an area is the whole
    frame."""
    high: Value = None


def no_common_start(start_ns: int) -> None:
    """Ignore when the rig begins: a device exposes at its own times."""


def fixed_control(_key: str, _value: Value) -> bool:
    """Change nothing: `set_control` of a camera without controls."""
    return False


def no_controls() -> tuple[CameraControl, ...]:
    """Return no controls: `controls` of a camera without any."""
    return ()


def format_value(value: Value) -> str:
    """Return a value as settings.ini has it.

    >>> format_value((0, 8, 640, 480)), format_value(33.333), format_value(None)
    ('0, 8, 640, 480', '33.333', '')
    """
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else f"{value:.6g}" if value % 1 else f"{value:.0f}"


def matches_request(now: Value, requested: Value) -> bool:
    """Return whether the value of a device is the requested one, apart from rounding."""
    if now is None or requested is None:
        return requested is None
    if isinstance(now, tuple) or isinstance(requested, tuple):
        return now == requested
    return abs(now - requested) <= max(0.005 * abs(requested), 1e-3)


def copy_frame(frame: NDArray[Any], image: Image) -> None:
    """Copy a frame into the image that `CameraStream.read` was given.

    Parameters
    ----------
    frame
        Pixels as the device delivers them, (height, width) or (height, width, 3).
    image
        Slot of the ring, with shape and type of the stream's format.

    Raises
    ------
    DeviceError
        The frame has another shape or type: it is not scaled.
    """
    if frame.shape != image.shape or frame.dtype != image.dtype:
        before, now = (
            ImageFormat(array.shape, 0.0, str(array.dtype)).pixels
            for array in (image, frame)
        )
        raise DeviceError(f"changed its frames from {before} to {now}")
    np.copyto(image, frame)


MarkSetting = Annotated[CalibrationMark, BeforeValidator(parse_mark)]
"""A `Mark` that is written `X Y X_MM Y_MM` in settings.ini."""
LensSetting = Annotated[Lens | None, BeforeValidator(parse_lens)]
"""A `Lens` that is written as numbers in settings.ini."""


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """Data of one captured frame, as reported by the device."""

    index: int
    """Number of the exposure at the device, from 0: a gap is a lost frame."""
    exposed_ns: int | None = None
    """Time of exposure on the run's clock; None: the device does not report it."""
    device_id: int | None = None
    """The device's own frame number, unchanged: it may start at any value and may restart.
    None: the device gives none."""
    damaged: int = 0
    """Frames between the last one and this that arrived damaged and were dropped. The
    camera process reports them; the index counts them as lost."""
    clock_jump_ns: int = 0
    """By how much the device's clock was set since the frames before
    (`ClockSync.jump_ns`). The camera process reports it."""


NO_FRAME_YET = CapturedFrame(-1)
"""Returned by `CameraStream.read` each second while a camera waits for its pulses."""


@dataclass(frozen=True, slots=True)
class CameraStream:
    """An open camera."""

    format: ImageFormat
    """The delivered format, which may differ from the requested one."""
    read: Callable[[Image], CapturedFrame | None]
    """Wait for the next frame and write it into the image given, which has `format`'s
    shape and type (a slot of the ring: nothing is copied twice). None: the stream has ended.
    Raises DeviceError when the camera fails, or gives no frame for a second; a camera
    that waits for pulses returns `NO_FRAME_YET` each second instead."""
    knows_losses: bool = False
    """Whether a gap in `index` shows every frame lost at the device."""
    clock: Literal["device", "host"] = "host"
    """Clock of `exposed_ns`: the device's (mapped by `deeplabstream.numerics.clock_sync`), or
    the computer's, because the device gives no time."""
    device: str = ""
    """Model and serial number, for the record."""
    remarks: tuple[str, ...] = ()
    """Messages for the user: settings that the camera does not deliver."""
    controls: Callable[[], tuple[CameraControl, ...]] = no_controls
    """Read back what can be changed while frames are captured. Called between two readings."""
    begin: Callable[[int], None] = no_common_start
    """Take the time at which all cameras of the rig begin, in ns of the computer's clock. Called
    at most once, before the first `read`: recordings that are played begin together."""
    set_control: Callable[[str, Value], bool] = fixed_control
    """Change the setting of that field from the next frame on, to the nearest value that the
    device has. False: not while frames are captured. Called between two readings;
    DeviceError: the device refuses."""


@dataclass(frozen=True, slots=True)
class Device:
    """A connected device, for `--list-cameras`."""

    kind: str
    """KIND in settings.ini."""
    serial: str
    """Identifies the device; the key that selects it is in `choose`."""
    choose: str
    """The line for settings.ini that selects it: `SERIAL = 21234567`."""
    label: str = ""
    formats: tuple[str, ...] = ()


@settings(frozen=True, kw_only=True)
class Camera(ABC):
    """A camera of the rig: its fields are its settings; `with` opens it."""

    former_methods: ClassVar[Mapping[str, str]] = {"found": "connected_devices"}
    """Methods by their names in earlier versions."""
    reopens: ClassVar[bool] = True
    """Whether a camera that fails can be opened again and continues. False: a file, which
    would start again at its beginning."""

    analyse: bool = Field(
        True,
        description="whether its frames are posed and decided on",
        title="Analyse",
        json_schema_extra={"advanced": False},
    )
    model: str = Field(
        "",
        description="another network for this camera, named as [Pose Estimation] MODEL is; "
        "empty: that one",
        title="Other network",
    )
    record: bool = Field(
        True,
        description="whether Start Recording records it",
        title="Record",
        json_schema_extra={"advanced": False},
    )
    rotate: Literal["0", "90", "180", "270"] = Field(
        "0",
        description="degrees by which frames are turned clockwise",
        title="Rotate (°)",
    )
    flip: Literal["no", "horizontal", "vertical"] = Field(
        "no", description="mirror left and right (horizontal), or top and bottom"
    )
    crop: tuple[int, int, int, int] | None = Field(
        None,
        description="x, y, width, height in px of the part that is used, before turning",
    )
    mm_per_pixel: float | None = Field(
        None,
        gt=0,
        description="millimetres on the floor per pixel, for a camera that looks straight "
        "down; empty: not calibrated",
        title="Millimetres per pixel",
        json_schema_extra={"advanced": False},
    )
    marks: tuple[MarkSetting, ...] = Field(
        (),
        description="for any camera: X Y X_MM Y_MM of four or more points of the floor, in "
        "the recorded image and on the floor, both with y downwards",
        title="Calibration marks",
    )
    lens: LensSetting = Field(
        None,
        description=f"{FORM} of the lens in the recorded image, as CalibrateCameras computes "
        "them; MM_PER_PIXEL or MARKS are then free of its distortion; empty: none",
        title="Lens",
    )

    @property
    def calibration(self) -> Calibration | None:
        """Conversion from pixels to mm; None: not calibrated. ValueError: invalid."""
        if self.marks and self.mm_per_pixel:
            raise ValueError("MM_PER_PIXEL and MARKS are both set; remove one")
        if self.marks:
            return from_marks(self.marks, self.lens)
        scale = self.mm_per_pixel
        return from_scale(scale, self.lens) if scale else None

    @property
    def repeated_video(self) -> Path | None:
        """Video that starts again at its end; None: there is none."""
        return None

    @property
    def exposes_on_pulses(self) -> bool:
        """Whether each exposure belongs to a pulse that other cameras have too."""
        return False

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """Devices that no other rig can use meanwhile; by default none is known."""
        return ()

    @abstractmethod
    def opened(self) -> AbstractContextManager[CameraStream]:
        """Open the device; leaving the `with` always closes it.

        Imports the vendor's package here, not at the top of the file.
        """

    @classmethod
    def connected_devices(cls) -> tuple[Device, ...]:
        """Return the connected devices of this kind.

        Imports the vendor's package, and may take a second; not for the GUI's thread.
        Empty for kinds without a device.
        """
        return ()


@settings(frozen=True, kw_only=True)
class SynchronisedCamera(Camera):
    """A camera that exposes on pulses, or gives a pulse for each exposure.

    The settings have one vocabulary: a *leader* gives pulses, a *follower* exposes on them.
    """

    rate_above_pulses: ClassVar[bool] = False
    """Whether RATE of a triggered camera must be above the rate of the pulses, as the camera
    ignores pulses that come while it reads out."""

    rate: float | None
    trigger: Literal["free", "line", "software"] = Field(
        "free",
        description="what starts an exposure; free: the camera's own clock; line: a pulse "
        "at its input, waited for without a time-out; software: the computer, RATE times "
        "per second",
        json_schema_extra={"advanced": False},
    )
    leader: CameraName | None = Field(
        None,
        description="with TRIGGER = line: NAME of the camera whose pulses it follows; "
        "empty: another device gives them (generator, board)",
        json_schema_extra={"advanced": False},
    )
    leads: bool = Field(
        False,
        description="yes: the camera gives a pulse for each exposure",
        title="Leads (gives pulses)",
        json_schema_extra={"advanced": False},
    )

    def __post_init__(self) -> None:
        """Reject a leader of a camera that follows no pulses."""
        if self.leader is not None and self.trigger != "line":
            raise ValueError(
                f"LEADER = {self.leader} needs TRIGGER = line: with TRIGGER = "
                f"{self.trigger} no pulses are followed"
            )

    @property
    def exposes_on_pulses(self) -> bool:
        """Whether it follows pulses, or gives them."""
        return self.leads or self.trigger == "line"
