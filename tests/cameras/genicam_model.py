"""A GenICam camera in place of harvesters: features with states, frames on pulses."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np


class Feature:
    """A node of the feature map; an enumeration if it has `symbolics`."""

    def __init__(self, value: Any, *symbolics: str, log: list[Any], name: str) -> None:
        self._value, self._log, self._name = value, log, name
        self.symbolics = symbolics
        self.gone = False

    @property
    def value(self) -> Any:
        if self.gone:
            raise RuntimeError("TimeoutException: device does not respond")
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        if self.symbolics and value not in self.symbolics:
            raise ValueError(f"{value} is not a valid entry of {self._name}")
        self._log.append((self._name, value))
        self._value = value


class ModelCamera:
    """Delivers a frame per call of `try_fetch` when it runs free, else one per trigger.

    Follows the Standard Features Naming Convention: with TriggerMode On it exposes on
    pulses of the TriggerSource only, or on TriggerSoftware.
    """

    min_num_buffers, num_buffers = 1, 1
    unplugged = False
    clock_us = 10**6

    def __init__(self, without: tuple[str, ...] = ()) -> None:
        self.log: list[Any] = []
        self.nodes = SimpleNamespace()
        lines = ("Line1", "Line2")
        for name, value, *symbolics in (
            ("PixelFormat", "Mono8", "Mono8"),
            ("Width", 64),
            ("Height", 48),
            ("AcquisitionFrameRate", 50.0),
            ("AcquisitionFrameRateEnable", True),
            ("AcquisitionMode", "SingleFrame", "SingleFrame", "Continuous"),
            ("TriggerSelector", "FrameStart", "AcquisitionStart", "FrameStart"),
            ("TriggerMode", "On", "Off", "On"),
            ("TriggerSource", "Line2", *lines, "Software"),
            ("TriggerActivation", "RisingEdge", "RisingEdge", "FallingEdge"),
            ("LineSelector", "Line1", *lines),
            ("LineMode", "Input", "Input", "Output"),
            ("LineSource", "Off", "Off", "ExposureActive"),
        ):
            if name not in without:
                feature = Feature(value, *symbolics, log=self.log, name=name)
                setattr(self.nodes, name, feature)
        self.nodes.TriggerSoftware = SimpleNamespace(
            execute=lambda: self.pulse("Software")
        )
        self.remote_device = SimpleNamespace(node_map=self.nodes)
        self.running, self.number, self.waiting = False, 0, 0

    def pulse(self, source: str) -> None:
        """Give a pulse at an input."""
        nodes = self.nodes
        armed = self.running and self._waits
        self.waiting += armed and nodes.TriggerSource.value == source

    @property
    def _waits(self) -> bool:
        mode = getattr(self.nodes, "TriggerMode", None)
        return mode is not None and mode.value == "On"

    def start(self) -> None:
        self.running, self.number, self.waiting = True, 0, 0
        self.log.append("start")

    def stop(self) -> None:
        self.running = False
        self.log.append("stop")

    def destroy(self) -> None:
        self.log.append("destroy")

    def try_fetch(self, timeout: float) -> Any:
        """Return a buffer; None, without waiting, if none would come in time."""
        assert timeout > 0
        assert self.running
        if self.unplugged:
            return None
        if self._waits:
            if not self.waiting:
                return None
            self.waiting -= 1
        self.number += 1
        part = SimpleNamespace(
            height=48, width=64, data=np.full(48 * 64, self.number % 256, np.uint8)
        )
        return _Buffer(
            payload=SimpleNamespace(components=[part]),
            module=SimpleNamespace(frame_id=self.number),
            timestamp=self.clock_us + 1000 * self.number,
            timestamp_frequency=1_000_000,
        )


class _Buffer(SimpleNamespace):
    def __enter__(self) -> "_Buffer":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def producers_of(camera: ModelCamera) -> Iterator[Any]:
    """Return what `cameras.genicam.camera._producers` returns, with this camera."""
    about = SimpleNamespace(vendor="Maker", model="Model", serial_number="7")
    yield SimpleNamespace(device_info_list=[about], create=lambda chosen: camera)


def no_frame_in_time(camera: Any, patience_s: float) -> Any:
    """`_fetched` without its wait."""
    from cameras.genicam.camera import _NoFrameError

    buffer = camera.try_fetch(timeout=patience_s)
    if buffer is None:
        raise _NoFrameError(f"gave no frame for {patience_s:g} s")
    return buffer, 1
