"""What a camera is: settings, and a `with` that gives a film."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.frame import Image, ImageFormat


@dataclass(frozen=True, slots=True)
class Shot:
    """What the device says of one picture."""

    index: int
    """Counts every exposure of the device from 0: a gap is a frame that it lost."""
    exposed_ns: int | None = None
    """When it was exposed, on the run's clock; None: the device can't say."""


@dataclass(frozen=True, slots=True)
class Film:
    """An open camera."""

    format: ImageFormat
    """What it really delivers, not what was asked for."""
    read: Callable[[Image], Shot | None]
    """Wait for the next picture and write it into the image given, which has `format`'s
    shape and type (a slot of the ring: nothing is copied twice). None: there are no more.
    Raises DeviceError when the camera fails."""
    knows_losses: bool = False
    """Whether a gap in `index` shows every frame lost at the device."""


@settings(frozen=True, kw_only=True)
class Camera(ABC):
    """A camera of the rig: fields are its settings, opening it is a `with`."""

    analyse: bool = Field(
        True, description="whether its frames are posed and decided on"
    )
    record: bool = Field(True, description="whether Start Recording records it")

    @abstractmethod
    def opened(self) -> AbstractContextManager[Film]:
        """Open the device; leaving the `with` closes it, whatever happened.

        Imports the vendor's package here, not at the top of the file.
        """
