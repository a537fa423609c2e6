"""Crop, turn and mirror: from what a device delivers to what the rig uses."""

from dataclasses import replace

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import Camera, CameraStream, CapturedFrame
from deeplabstream.plugins.camera_controls import Area, CameraControl, Value


def transformed(film: CameraStream, camera: Camera) -> CameraStream:
    """Return the film with the camera's CROP, ROTATE and FLIP applied, in that order.

    A film that is used as it is passes without a copy. CROP can be moved while it films.
    DeviceError: the crop does not lie in the picture.
    """
    frame = _Frame(film, camera)
    if (camera.rotate, camera.flip, camera.crop) == ("0", "no", None):
        return replace(film, controls=frame.controls, set_control=frame.set_control)
    form = replace(film.format, shape=frame.view.shape)
    return replace(
        film,
        format=form,
        read=frame.read,
        controls=frame.controls,
        set_control=frame.set_control,
    )


class _Frame:
    """The part of the pictures that is used."""

    def __init__(self, film: CameraStream, camera: Camera) -> None:
        self._film, self._camera = film, camera
        self._raw: Image = np.empty(film.format.shape, film.format.dtype)
        self.view = _view(self._raw, camera)

    def read(self, image: Image) -> CapturedFrame | None:
        shot = self._film.read(self._raw)
        if shot is not None:
            np.copyto(image, self.view)
        return shot

    def controls(self) -> tuple[CameraControl, ...]:
        rows, columns = self._raw.shape[:2]
        whole: Area = (0, 0, columns, rows)
        crop = CameraControl("crop", self._camera.crop or whole, (0, 0, 1, 1), whole)
        return (*self._film.controls(), crop)

    def set_control(self, key: str, value: Value) -> bool:
        """Move the crop, if that keeps its size; all else is the device's."""
        if key != "crop":
            return self._film.set_control(key, value)
        if isinstance(value, float | int):
            raise DeviceError("it is x, y, width, height")
        moved = replace(self._camera, crop=value)
        view, before = _view(self._raw, moved), self._camera.crop
        if view.shape != self.view.shape or (value is None) is not (before is None):
            return False
        self._camera, self.view = moved, view
        return True


def _view(raw: Image, camera: Camera) -> Image:
    """Return the part of `raw` that is used, as a view, turned and mirrored."""
    if camera.crop is not None:
        x, y, width, height = camera.crop
        rows, columns = raw.shape[:2]
        inside = x >= 0 and y >= 0 and x + width <= columns and y + height <= rows
        if not inside or min(width, height) < 1:
            raise DeviceError(
                f"CROP = {x}, {y}, {width}, {height} does not lie in the picture of "
                f"{columns}×{rows} pixels"
            )
        raw = raw[y : y + height, x : x + width]
    view: Image = np.rot90(raw, -int(camera.rotate) // 90)
    if camera.flip != "no":
        view = np.flip(view, 1 if camera.flip == "horizontal" else 0)
    return view
