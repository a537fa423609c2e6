"""Pins of a Raspberry Pi: this computer, or another one on the network with pigpiod."""

import socket
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import DeviceAddress, DeviceError, Output, Write

from .background_writer import background_write
from .shared_devices import shared

ANSWER_S = 2.0
"""Longest wait for an answer from a Raspberry Pi on the network."""


@settings(frozen=True, kw_only=True)
class RaspberryPin(Output):
    """A pin of a Raspberry Pi, digital or PWM."""

    packages: ClassVar[tuple[str, ...]] = ("gpiozero",)

    pin: int = Field(
        ge=0,
        le=27,
        description="GPIO number (17 for GPIO17), not the connector's pin number",
    )
    pwm: bool = Field(False, description="yes: PWM, the level is the duty cycle")
    pwm_hz: int = Field(1000, gt=0, le=10_000, description="PWM frequency")
    active_low: bool = Field(False, description="yes: on is low")
    host: str = Field(
        "", description="address of another Raspberry Pi; empty: pins of this computer"
    )
    port: int = Field(8888, gt=0, lt=65_536, description="port of pigpiod on HOST")

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The pin."""
        name = f"{self.host} {self.pin}" if self.host else str(self.pin)
        return (DeviceAddress("Raspberry Pi pin", name),)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Make the pin an output, switched off; a thread writes to another computer."""
        with self._factory() as factory, closing(self._device(factory)) as device:

            def write(level: float) -> None:
                device.value = level if self.pwm else level > 0

            if not self.host:
                yield write
                return
            with background_write(write) as handed_over:
                yield handed_over

    def _device(self, factory: Any) -> Any:
        import gpiozero

        how = {"active_high": not self.active_low, "pin_factory": factory}
        if self.pwm:
            return gpiozero.PWMOutputDevice(self.pin, frequency=self.pwm_hz, **how)
        return gpiozero.DigitalOutputDevice(self.pin, **how)

    def _factory(self) -> AbstractContextManager[Any]:
        if self.host:
            place = f"{self.host}:{self.port}"
            return shared(place, "pigpio", self._remote)
        return shared("the pins of this Raspberry Pi", "", _local)

    @contextmanager
    def _remote(self) -> Iterator[Any]:
        try:
            socket.create_connection((self.host, self.port), ANSWER_S).close()
        except OSError as error:
            raise DeviceError(
                f"HOST = {self.host} does not answer at port {self.port}; does pigpiod "
                f"run there? ({error})"
            ) from error
        from gpiozero.pins.pigpio import PiGPIOFactory

        with closing(PiGPIOFactory(self.host, self.port)) as factory:
            yield factory


@contextmanager
def _local() -> Iterator[Any]:
    import gpiozero

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", gpiozero.PinFactoryFallback)
            gpiozero.Device.ensure_pin_factory()
    except gpiozero.BadPinFactory as error:
        raise DeviceError(
            "this computer has no GPIO pins that can be used: on a Raspberry Pi, pip install "
            "lgpio; for pins of another one, set HOST"
        ) from error
    yield gpiozero.Device.pin_factory
