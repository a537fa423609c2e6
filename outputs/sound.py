"""A tone, noise or a sound file, played by its own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Connection, DeviceAddress, DeviceError, Output, Write

from .helper_process import helper_process


@settings(frozen=True, kw_only=True)
class Sound(Output):
    """A sound while the output is on; the level is its loudness."""

    packages: ClassVar[tuple[str, ...]] = ("sounddevice",)
    reopens: ClassVar[bool] = False  # the sound ends with the engine

    sound: Literal["tone", "noise", "file"] = Field(
        "tone", description="tone, white noise (the same each time), or FILE"
    )
    frequency_hz: float = Field(
        4000.0, gt=0, le=96_000, description="frequency of the tone"
    )
    file: Path | None = Field(
        None, description="a .wav file, 16 to 32 bits per sample; played in a loop"
    )
    volume: float = Field(
        0.5, gt=0, le=1, description="loudness at level 1; 1: the maximum"
    )
    side: Literal["both", "left", "right"] = Field("both", description="channel")
    ramp_ms: float = Field(
        5.0,
        ge=0,
        le=1000,
        description="fade-in and fade-out, in milliseconds; 0 clicks",
    )
    device: str = Field(
        "", description="part of the sound device's name; empty: the default device"
    )
    sample_rate: int = Field(
        48_000,
        ge=8000,
        le=384_000,
        description="samples per second; a file has its own",
    )

    def __post_init__(self) -> None:
        """Reject settings that can't be played."""
        if self.sound == "file" and self.file is None:
            raise ValueError("SOUND = file needs FILE")
        if self.sound == "tone" and self.frequency_hz > self.sample_rate / 2:
            raise ValueError("FREQUENCY_HZ must not be above half of SAMPLE_RATE")

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The channels of the sound device."""
        sides = ("left", "right") if self.side == "both" else (self.side,)
        device = self.device or "default"
        return tuple(DeviceAddress("sound channel", f"{device} {s}") for s in sides)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Start the process, silent; takes up to a second."""
        if self.sound == "file" and (self.file is None or not self.file.is_file()):
            raise DeviceError(f"sound file not found: {self.file}")
        with helper_process(
            _play, self, "its sound", "is there a sound device?"
        ) as write:
            yield write


def _play(output: Output, pipe: Connection) -> None:
    """Run the sound's process, the only one that loads the sound library."""
    from .sound_player import play

    if isinstance(output, Sound):
        play(output, pipe)
