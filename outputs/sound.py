"""A tone, noise or a sound file, by a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import Connection, DeviceError, Output, Write

from .helper_process import helper_process


@settings(frozen=True, kw_only=True)
class Sound(Output):
    """A sound for as long as it is on; the level is its loudness."""

    packages: ClassVar[tuple[str, ...]] = ("sounddevice",)
    reopens: ClassVar[bool] = False  # the sound ends with the engine

    sound: Literal["tone", "noise", "file"] = Field(
        "tone", description="noise is white, the same each time"
    )
    frequency_hz: float = Field(4000.0, gt=0, le=96_000, description="of the tone")
    file: Path | None = Field(
        None, description="a .wav file, 16 to 32 bits a sample; played again and again"
    )
    volume: float = Field(
        0.5, gt=0, le=1, description="at level 1, as a share of the loudest possible"
    )
    side: Literal["both", "left", "right"] = Field(
        "both", description="which loudspeaker"
    )
    ramp_ms: float = Field(
        5.0, ge=0, le=1000, description="milliseconds to fade in and out; 0 clicks"
    )
    device: str = Field(
        "", description="a part of the sound device's name; empty: the usual one"
    )
    sample_rate: int = Field(
        48_000, ge=8000, le=384_000, description="samples a second; a file has its own"
    )

    def __post_init__(self) -> None:
        """Refuse what can't be played."""
        if self.sound == "file" and self.file is None:
            raise ValueError("SOUND = file needs FILE")
        if self.sound == "tone" and self.frequency_hz > self.sample_rate / 2:
            raise ValueError("FREQUENCY_HZ must not be above half of SAMPLE_RATE")

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Start the sound's process and its silence; it takes up to a second."""
        if self.sound == "file" and (self.file is None or not self.file.is_file()):
            raise DeviceError(f"there is no sound file {self.file}")
        with helper_process(
            _play, self, "its sound", "is there a sound device?"
        ) as write:
            yield write


def _play(output: Output, pipe: Connection) -> None:
    """Be the sound's process; the sound card's library is loaded in no other."""
    from .sound_player import play

    if isinstance(output, Sound):
        play(output, pipe)
