"""An image or video on a monitor, in a window with its own process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Connection, DeviceAddress, DeviceError, Output, Write

from ..helper_process import helper_process


@settings(frozen=True, kw_only=True)
class Screen(Output):
    """A visual stimulus on one monitor: an image, a video, or white."""

    reopens: ClassVar[bool] = False  # the window ends with the engine

    monitor: int = Field(0, ge=0, description="number of the monitor; 0: the main one")
    full_screen: bool = Field(False, description="yes: cover the whole monitor")
    size: tuple[int, int] = Field(
        (400, 400), description="with FULL_SCREEN = no: width, height in pixels"
    )
    image: Path | None = Field(None, description="image shown while on; empty: white")
    video: Path | None = Field(
        None,
        description="video shown while on, from its beginning, in a loop",
    )
    background: str = Field(
        "#000000",
        pattern="^#[0-9a-fA-F]{6}$",
        description="colour while off and around the image, as #rrggbb",
    )

    background_image: Path | None = Field(
        None, description="image shown while off; empty: BACKGROUND"
    )
    patch: Literal["none", "top left", "top right", "bottom left", "bottom right"] = (
        Field(
            "none",
            description="corner of a photodiode patch: white while on, black while off",
        )
    )
    patch_size: int = Field(
        60, gt=0, le=1000, description="side of that patch, in pixels"
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The monitor, where the stimulus covers all of it."""
        if not self.full_screen:
            return ()
        return (DeviceAddress("monitor", str(self.monitor)),)

    def __post_init__(self) -> None:
        """Reject a window without an area."""
        if min(self.size) < 1:
            raise ValueError("SIZE: width and height must be above 0")
        if self.image and self.video:
            raise ValueError("IMAGE or VIDEO, not both")

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Show the window; it takes up to a second to appear."""
        for what, path in {
            "image": self.image,
            "video": self.video,
            "background": self.background_image,
        }.items():
            if path is not None and not path.is_file():
                raise DeviceError(f"there is no {what} {path}")
        where = os.environ.get("DISPLAY", "")
        hint = f"is there a screen?{f' (DISPLAY={where})' if where else ''}"
        with helper_process(_show, self, "its window", hint) as write:
            yield write


def _show(screen: Output, pipe: Connection) -> None:
    """Run the window's process, the only one that imports Qt."""
    from .stimulus_window import show

    if isinstance(screen, Screen):
        show(screen, pipe)
