"""Staged camera: a simulated camera that fails as the file beside its rig says.

`benchmarks/alarms.py` copies it into the `cameras` folder of a rig. The file `camera.txt` in
the rig folder holds `frozen`, `black`, `silent` or `unplugged`; without it all is well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep

from pydantic.dataclasses import dataclass as settings

from cameras.simulated import SimulatedCamera
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import CameraStream, CapturedFrame

FAULT = Path(__file__).resolve().parents[1] / "camera.txt"


@settings(frozen=True, kw_only=True)
class StagedCamera(SimulatedCamera):
    """A simulated camera with faults."""

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open the simulated camera."""
        if _fault() == "unplugged":
            raise DeviceError("there is no such device")
        with super().opened() as stream:
            last: Image | None = None

            def read(image: Image) -> CapturedFrame | None:
                nonlocal last
                fault = _fault()
                if fault == "unplugged":
                    raise DeviceError("was unplugged")
                if fault == "silent":
                    sleep(1)
                    raise DeviceError("delivers no frame for a second")
                frame = stream.read(image)
                if fault == "black":
                    image[:] = 0
                elif fault == "frozen" and last is not None:
                    image[:] = last
                else:
                    last = image.copy()
                return frame

            yield replace(stream, read=read)


def _fault() -> str:
    return FAULT.read_text("utf-8") if FAULT.exists() else ""
