"""Simulated camera of the arena in space: several of them show the same body at one time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraStream,
    CapturedFrame,
    Image,
    ImageFormat,
    Pacer,
    SystemClock,
)
from deeplabstream.simulation.camera_model import DriverBuffer
from deeplabstream.simulation.space_arena import (
    BodyWalk,
    CameraPainter,
    simulated_camera,
    turned,
)

_COVERED_GREY = 8


@dataclass(frozen=True, kw_only=True)
class SimulatedSpaceCamera(Camera):
    """One of four calibrated cameras of a simulated body that walks and rears.

    Cameras of a rig with the same SEED and RATE show the same body, and expose together:
    exposures are multiples of the period on the computer's clock.
    """

    view: Literal["left", "right", "front", "top"] = Field(
        "top",
        description="position of the camera; the calibration has it under this name",
    )
    rate: float = Field(30.0, gt=0, le=500, description="frames per second")
    seed: int = Field(0, ge=0, description="seed of the walk and the noise")
    noise: float = Field(
        2.0, ge=0, le=50, description="noise of the frames, in grey levels of 255"
    )
    jitter_ms: float = Field(
        0.0, ge=0, le=100, description="largest deviation of an exposure's time, ms"
    )
    turned_deg: float = Field(
        0.0,
        ge=-20,
        le=20,
        description="angle by which the camera is turned after TURNED_AFTER_S, as by a bump",
    )
    turned_after_s: float = Field(
        0.0, ge=0, description="seconds after the start at which it is turned"
    )
    covered_from_s: float = Field(
        0.0, ge=0, description="seconds after the start at which the camera is covered"
    )
    covered_s: float = Field(
        0.0, ge=0, description="seconds for which it is covered; 0: never"
    )
    frames: int = Field(
        0, ge=0, description="number of frames until the stream ends; 0: no end"
    )

    @property
    def exposes_on_pulses(self) -> bool:
        """Exposures are multiples of the period on the computer's clock."""
        return True

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Paint the arena; exposures go on between two calls of `read`."""
        walk, clock, buffer = BodyWalk(self.seed), SystemClock(), DriverBuffer()
        camera = simulated_camera(self.view)
        upright = CameraPainter(camera, self.noise, self.seed)
        bumped = CameraPainter(turned(camera, self.turned_deg), self.noise, self.seed)
        jitter = np.random.default_rng([self.seed, *self.view.encode()])
        pacer = Pacer(self.rate, aligned=True)

        def read(image: Image) -> CapturedFrame | None:
            buffer.expose(max(0, pacer.past(clock.now_ns())))
            index = buffer.take()
            if self.frames and index >= self.frames:
                return None
            due_ns = pacer.wait(index, early_ns=pacer.period_ns)
            exposed_ns = due_ns - round(jitter.uniform(0, self.jitter_ms) * 1e6)
            since_s = index / self.rate
            is_turned = self.turned_deg and since_s >= self.turned_after_s
            painter = bumped if is_turned else upright
            if 0 <= since_s - self.covered_from_s < self.covered_s:
                image.fill(_COVERED_GREY)
            else:
                painter.paint(image, walk.at(exposed_ns / 1e9), index)
            pacer.wait(index)
            return CapturedFrame(index, exposed_ns, index)

        form = ImageFormat(camera.size, self.rate)
        yield CameraStream(form, read, knows_losses=True)
