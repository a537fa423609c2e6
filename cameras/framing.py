"""Crop, turn and mirror: from what a device delivers to what the rig uses."""

from dataclasses import replace

import numpy as np

from cameras.camera import Camera, Film, Shot
from core.errors import DeviceError
from core.frame import Image


def framed(film: Film, camera: Camera) -> Film:
    """Return the film with the camera's CROP, ROTATE and FLIP applied, in that order.

    A film that is used as it is passes unchanged, without a copy. DeviceError: the crop
    does not lie in the picture.
    """
    if (camera.rotate, camera.flip, camera.crop) == ("0", "no", None):
        return film
    raw: Image = np.empty(film.format.shape, film.format.dtype)
    view = _view(raw, camera)

    def read(image: Image) -> Shot | None:
        shot = film.read(raw)
        if shot is not None:
            np.copyto(image, view)
        return shot

    return replace(film, format=replace(film.format, shape=view.shape), read=read)


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
