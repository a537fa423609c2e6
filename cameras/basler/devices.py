"""Discovery and opening of Basler cameras."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from deeplabstream.plugin import Device, DeviceError

from .pixel_formats import layout_of

_BY_PROGRAMMERS = re.compile(r"\s*:\s*\w*Exception thrown.*$", re.DOTALL)


def list_devices() -> list[Any]:
    """Return pylon's descriptions of the connected cameras."""
    # a warning raised as an error would fail this import
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pypylon import pylon

    return list(pylon.TlFactory.GetInstance().EnumerateDevices())


def find(serial: str) -> Any:
    """Return the description of the camera with that number, or of the only one."""
    infos = {info.GetSerialNumber(): info for info in list_devices()}
    if not infos:
        raise DeviceError("there is no Basler camera; is it plugged in and powered?")
    listed = ", ".join(sorted(infos))
    if serial and serial not in infos:
        raise DeviceError(f"there is no Basler camera {serial}; there are: {listed}")
    if not serial and len(infos) > 1:
        raise DeviceError(f"SERIAL must say which Basler camera: {listed}")
    return infos[serial or listed]


@contextmanager
def connected(info: Any) -> Iterator[Any]:
    """Open the camera as pylon's `InstantCamera`; it is closed on every exit path."""
    from pypylon import genicam, pylon

    with translate_pylon_errors():
        device = pylon.TlFactory.GetInstance().CreateDevice(info)
        camera = pylon.InstantCamera(device)
    try:
        with translate_pylon_errors():
            camera.Open()
        yield camera
    finally:
        with suppress(genicam.GenericException):  # it may have been removed already
            camera.Close()
        with suppress(genicam.GenericException):
            camera.DestroyDevice()


@contextmanager
def translate_pylon_errors(before: str = "") -> Iterator[None]:
    """Turn pylon's errors into one sentence, without the details for programmers."""
    from pypylon import genicam

    try:
        yield
    except genicam.GenericException as error:
        text = _BY_PROGRAMMERS.sub("", str(error)) or "pylon failed"
        raise DeviceError(before + text) from error


def describe(info: Any, kind: str) -> Device:
    """Return the device for lists; formats are empty for a camera that is in use."""
    serial = info.GetSerialNumber()
    formats: tuple[str, ...] = ()
    with suppress(DeviceError), connected(info) as camera:
        formats = supported_formats(camera)
    choose = f"SERIAL = {serial}"
    return Device(kind, serial, choose, info.GetModelName(), formats)


def supported_formats(camera: Any) -> tuple[str, ...]:
    """Return the camera's names of the pixel formats that can be read here."""
    with translate_pylon_errors():
        names = camera.GetNodeMap().GetNode("PixelFormat").GetSettableValues()
    return tuple(name for name in names if layout_of(name) is not None)
