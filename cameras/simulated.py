"""Simulated camera above a simulated arena: all positions are known, no device is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraStream,
    CapturedFrame,
    Image,
    ImageFormat,
    SystemClock,
    Value,
)
from deeplabstream.simulation.arena import MOST_ANIMALS, Arena, ArenaView
from deeplabstream.simulation.camera_model import (
    DriverBuffer,
    ExposureClock,
    SimulatedExposure,
)
from deeplabstream.simulation.social_walk import SocialRule, parse_social_rule

_FLIGHT = 4.0
_LONG_NS, _SLACK_NS = 1_000_000_000, 200_000


@dataclass(frozen=True, kw_only=True)
class SimulatedCamera(Camera):
    """Simulated mice that walk in an arena, seen from above."""

    width: int = Field(640, ge=64, le=4096, description="width of the frame, pixels")
    height: int = Field(480, ge=64, le=4096, description="height of the frame, pixels")
    rate: float = Field(30.0, gt=0, le=2000, description="frames per second")
    seed: int = Field(0, ge=0, description="seed of the walk and the noise")
    animals: int = Field(
        1,
        ge=1,
        le=MOST_ANIMALS,
        description="number of mice; they meet, touch and cross",
    )
    alike: bool = Field(
        True,
        description="whether all are black; if not, they are black, white, brown and "
        "grey, in this order",
    )
    social: tuple[Annotated[SocialRule, BeforeValidator(parse_social_rule)], ...] = (
        Field(
            (),
            description="what the mice do to one another at times, such as 1 attacks 2, "
            "2 avoids 1; also approaches and follows; empty: each walks as if it were alone",
        )
    )
    shelter: bool = Field(True, description="whether a roof hides an animal at times")
    grey: bool = Field(False, description="grey frames instead of colour")
    noise: float = Field(
        2.0, ge=0, le=50, description="noise of the frames, in grey levels of 255"
    )
    exposure_us: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="exposure time, microseconds: twice as long is twice as bright, 10000 "
        "as bright as without; a longer one than 1/RATE makes it slower, as with real cameras",
    )
    gain: float = Field(
        0.0, ge=-20, le=20, description="gain, dB: 6 is about twice as bright"
    )
    frames: int = Field(
        0, ge=0, description="number of frames until the stream ends; 0: no end"
    )

    def __post_init__(self) -> None:
        for rule in self.social:
            if max(rule.actor, rule.target) > self.animals:
                raise ValueError(
                    f"SOCIAL = {rule}: there are {self.animals} animals; increase ANIMALS"
                )

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Compute the arena; the first `read` starts the walk.

        An image is computed just before its tick and delivered at its tick: exposure and
        read-out take no time, and the computation does not delay the reader. Exposures
        follow the device's own clock, as in a real camera: a late reader gets the frames
        of the driver's buffer, oldest first; frames that are exposed while it is full are
        lost at the device, and `index` jumps.
        """
        arena, clock, buffer = self.arena, SystemClock(), DriverBuffer()
        exposure = SimulatedExposure(self.rate, self.exposure_us, self.gain)
        timing: ExposureClock | None = None
        last, ahead_s, lead_ns = -1, 0.0, _LONG_NS

        def read(image: Image) -> CapturedFrame | None:
            nonlocal timing, last, ahead_s, lead_ns
            if timing is None:
                timing = ExposureClock(exposure.real_rate)
            buffer.expose(timing.exposed(clock.now_ns()))
            index = buffer.take()
            steps, last = index - last, index
            if self.frames and index >= self.frames:
                return None
            timing.wait(index, early_ns=lead_ns)
            began_ns = clock.now_ns()
            if self.startled():
                ahead_s += (_FLIGHT - 1) * steps / timing.rate
            arena.draw(image, timing.time_s(index) + ahead_s, index)
            exposure.expose(image)
            computed_ns = clock.now_ns() - began_ns
            lead_ns = max(lead_ns * 7 // 8, 2 * computed_ns + _SLACK_NS)
            return CapturedFrame(index, timing.wait(index), index)

        def set_control(key: str, value: Value) -> bool:
            nonlocal timing
            if not exposure.set_control(key, value):
                return False
            if timing is not None and timing.rate != exposure.real_rate:
                timing = timing.changed(exposure.real_rate, last + 1)
            return True

        form = ImageFormat(self.shape, exposure.real_rate)
        yield CameraStream(
            form,
            read,
            knows_losses=True,
            controls=exposure.controls,
            set_control=set_control,
        )

    def startled(self) -> bool:
        """Return whether the animals flee: they then run four times as fast.

        Called for each frame. Always false; a subclass of a test reads an output here, to
        close a loop in one process.
        """
        return False

    def where(self, index: int) -> NDArray[np.float32]:
        """Return the body parts (animal, 4, 2), px, in frame `index`: see `Arena.truth`.

        Not valid after a change of the rate.
        """
        exposure = SimulatedExposure(self.rate, self.exposure_us, self.gain)
        return self.arena.truth(index / exposure.real_rate)

    @property
    def arena_view(self) -> ArenaView:
        """View of the arena: see `ArenaCamera`."""
        return ArenaView(self.shape, self.rate, self.seed, self.shelter, self.social)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its images."""
        return (self.height, self.width) if self.grey else (self.height, self.width, 3)

    @cached_property
    def arena(self) -> Arena:
        """The simulated scene."""
        return Arena(
            self.shape,
            self.seed,
            self.shelter,
            self.noise,
            self.animals,
            self.alike,
            self.social,
        )
