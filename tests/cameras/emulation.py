"""Basler cameras that pylon's emulator plays, showing images of ours."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameras.basler.camera import Basler
from cameras.basler.devices import connected, find
from cameras.basler.features import feature
from cameras.basler.stream import acquire
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import CameraStream

FAST: dict[str, Any] = {"region": (0, 0, 64, 48), "exposure_us": 1000, "rate": 200}
"""Settings of small images that come quickly."""
SERIALS = ("0815-0000", "0815-0001", "0815-0002", "0815-0003")


@contextmanager
def emulated(count: int = 1) -> Iterator[tuple[str, ...]]:
    """Have so many cameras plugged in, also for processes begun meanwhile."""
    with warnings.catch_warnings():  # one that is an error would crash its import
        warnings.simplefilter("ignore")
        pytest.importorskip("pypylon.pylon")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYLON_CAMEMU", str(count))
        yield SERIALS[:count]


def feature_file(path: Path, images: Path) -> Path:
    """Write what makes an emulated camera show the images of a folder, in order."""
    lines = (
        "# {05D8C294-F295-4dfb-9D01-096BD04049F4}",
        "# GenApi persistence file (version 3.1.0)",
        "TestImageSelector\tOff",
        "ImageFileMode\tOn",
        f"ImageFilename\t{images}",
    )
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def save(path: Path, image: Image) -> None:
    """Save an image at once and whole: who reads meanwhile gets the one before."""
    import cv2

    there, data = cv2.imencode(".bmp", image)
    assert there
    new = path.with_name("new")
    new.write_bytes(data.tobytes())
    new.replace(path)


def numbered(folder: Path, count: int, shape: tuple[int, ...] = (48, 64)) -> Path:
    """Save images that are 10, 20, 30 … bright."""
    folder.mkdir()
    for number in range(count):
        image = np.full(shape, 10 * (number + 1), np.uint8)
        save(folder / f"{number:03}.bmp", image)
    return folder


@contextmanager
def at_hand(**wanted: Any) -> Iterator[tuple[Any, CameraStream]]:
    """A stream, and the camera itself, to make it fail."""
    with (
        connected(find("")) as camera,
        acquire(camera, Basler(**{**FAST, **wanted})) as stream,
    ):
        yield camera, stream


def slot(stream: CameraStream) -> Image:
    image: Image = np.empty(stream.format.shape, stream.format.dtype)
    return image


def mine(folder: Path, count: int = 3, shape: tuple[int, ...] = (48, 64)) -> Path:
    return feature_file(folder / "own.pfs", numbered(folder / "own", count, shape))


def fail(camera: Any, count: int) -> None:
    feature(camera, "ForceFailedBufferCount").SetValue(count)
    camera.GetNodeMap().GetNode("ForceFailedBuffer").Execute()
