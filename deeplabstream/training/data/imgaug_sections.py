"""Augmentation of a section `imgaug` in a Lightning Pose file: transforms by imgaug's names.

`{Affine: {p: 0.5, kwargs: {rotate: [-10, 10]}}, MotionBlur: {…}}`: each transform is applied
with its probability `p` (0.5), in the order of the file. A parameter is a number, two numbers
(any between them; of `k` and `translate_px` any whole number), or a list in a list (one of
them). Scale and translation may differ along x and y: `{x: …, y: …}`; an axis that is left out
does not change. The package itself is not needed. As in imgaug, mirroring does not swap the
body parts named left and right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

ImageArray: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.float32]
Drawn: TypeAlias = Callable[[str], Any]
Transform: TypeAlias = Callable[
    [ImageArray, Points, Drawn, np.random.Generator], tuple[ImageArray, Points]
]
MOST = 0.5
"""Probability of a transform where the file has none."""
_WHOLE = ("k", "translate_px")
"""Parameters for which only whole numbers are drawn, as in imgaug."""
_BY_AXIS = ("scale", "translate_percent", "translate_px")
"""Parameters of Affine that may have a range for each axis."""


@dataclass(frozen=True, slots=True)
class ImgaugTransform:
    """One transform."""

    name: str
    p: float
    kwargs: tuple[tuple[str, Any], ...]

    def apply(
        self, image: ImageArray, points: Points, rng: np.random.Generator
    ) -> tuple[ImageArray, Points]:
        """Return the image (height, width, 3) and its points (n, 2), changed or not."""
        if rng.random() >= self.p:
            return image, points
        transform, usual = TRANSFORMS[self.name]
        given = {**usual, **dict(self.kwargs)}

        def drawn(key: str) -> Any:
            value, is_whole = given[key], key in _WHOLE
            if not isinstance(value, dict):
                return _drawn(value, is_whole, rng)
            by_axis = (value.get(axis, usual[key]) for axis in ("x", "y"))
            return np.array([_drawn(one, is_whole, rng) for one in by_axis])

        return transform(image, points, drawn, rng)


def read_sections(transforms: Mapping[str, Any]) -> tuple[ImgaugTransform, ...]:
    """Return the transforms of a section.

    Raises
    ------
    ValueError
        A transform or a parameter is not known here; the message names it.
    """
    sections = []
    for name, options in transforms.items():
        if name not in TRANSFORMS:
            known = ", ".join(sorted(TRANSFORMS))
            raise ValueError(f"there is no transform {name!r} here; known are {known}")
        options = options or {}
        is_mapping = isinstance(options, dict)
        odd = set(options) - {"p", "kwargs", "args"} if is_mapping else {options}
        if odd or options.get("args"):
            raise ValueError(f"{name}: expected p and kwargs")
        kwargs, p = options.get("kwargs") or {}, options.get("p", MOST)
        if not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ValueError(f"{name}: p = {p}: expected a number from 0 to 1")
        for key, value in kwargs.items():
            usual = TRANSFORMS[name][1]
            if key not in usual:
                raise ValueError(
                    f"{name}: {key} has no effect here; known are {', '.join(usual)}"
                )
            by_axis = name == "Affine" and key in _BY_AXIS
            if not _is_range(value, by_axis):
                raise ValueError(f"{name}: {key} = {value}: expected numbers")
        sections.append(ImgaugTransform(name, float(p), tuple(sorted(kwargs.items()))))
    return tuple(sections)


def _is_range(value: Any, by_axis: bool) -> bool:
    if isinstance(value, dict) and by_axis:
        axes = value.values()
        return set(value) <= {"x", "y"} and all(_is_range(it, False) for it in axes)
    flat = value if isinstance(value, list) else [value]
    nested = (item if isinstance(item, list) else [item] for item in flat)
    numbers = [number for items in nested for number in items]
    return bool(numbers) and all(isinstance(it, int | float) for it in numbers)


def _drawn(value: Any, is_whole: bool, rng: np.random.Generator) -> Any:
    """Return a number of a parameter."""
    if not isinstance(value, list | tuple):
        return value
    if len(value) == 1 and isinstance(value[0], list):
        return value[0][rng.integers(len(value[0]))]
    if len(value) == 2:
        low, high = sorted(value)
        if is_whole and isinstance(low, int) and isinstance(high, int):
            return int(rng.integers(low, high + 1))
        return rng.uniform(low, high)
    return value[rng.integers(len(value))]


def _moved(
    image: ImageArray, points: Points, linear: NDArray[Any], shift: NDArray[Any]
) -> tuple[ImageArray, Points]:
    """Apply a linear map about the centre, then a shift in px; what is uncovered is black."""
    size = image.shape[1], image.shape[0]
    middle = (np.array(size) - 1) / 2
    matrix = np.column_stack([linear, middle + shift - linear @ middle])
    out = np.asarray(cv2.warpAffine(image, matrix, size), np.uint8)
    return out, (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _turn(degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def _affine(
    image: ImageArray, points: Points, of: Drawn, rng: np.random.Generator
) -> tuple[ImageArray, Points]:
    size = np.array([image.shape[1], image.shape[0]])
    lean = np.array([[1, np.tan(np.radians(of("shear")))], [0, 1]])
    scale = np.diag(np.broadcast_to(of("scale"), 2))
    shift = of("translate_percent") * size + of("translate_px")
    return _moved(image, points, _turn(of("rotate")) @ lean @ scale, shift)


def _rot90(
    image: ImageArray, points: Points, of: Drawn, rng: np.random.Generator
) -> tuple[ImageArray, Points]:
    """Turn by quarters, stretched to the same size."""
    size = np.array([image.shape[1], image.shape[0]], float)
    quarter = np.round(_turn(90 * int(of("k"))))
    stretch = size / (np.abs(quarter) @ size)
    return _moved(image, points, stretch[:, None] * quarter, np.zeros(2))


def _flip(axis: int) -> Transform:
    def flip(
        image: ImageArray, points: Points, of: Drawn, rng: np.random.Generator
    ) -> tuple[ImageArray, Points]:
        if rng.random() >= of("p"):
            return image, points
        points = points.copy()
        points[:, axis] = image.shape[1 - axis] - 1 - points[:, axis]
        return np.ascontiguousarray(np.flip(image, 1 - axis)), points

    return flip


def _crop_and_pad(
    image: ImageArray, points: Points, of: Drawn, rng: np.random.Generator
) -> tuple[ImageArray, Points]:
    """Crop (negative) or pad each side by a share; the size stays, as the network's does."""
    size = np.array([image.shape[1], image.shape[0]], float)
    left, top, right, bottom = (of("percent") for _ in range(4))
    before, after = np.array([left, top]), np.array([right, bottom])
    scale = 1 / np.maximum(0.1, 1 + before + after)
    shift = scale * (before - after) / 2 * size
    return _moved(image, points, np.diag(scale), shift)


def _elastic(
    image: ImageArray, points: Points, of: Drawn, rng: np.random.Generator
) -> tuple[ImageArray, Points]:
    height, width = image.shape[:2]
    alpha, sigma = of("alpha"), max(0.1, of("sigma"))
    noise = rng.uniform(-1, 1, (height, width, 2)).astype(np.float32)
    away = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma)) * np.float32(alpha)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    out = cv2.remap(image, x + away[..., 0], y + away[..., 1], cv2.INTER_LINEAR)
    labelled = np.isfinite(points).all(axis=1)
    place = np.nan_to_num(points).round().astype(int)
    inside = labelled & (place >= 0).all(axis=1) & (place < [width, height]).all(axis=1)
    moved = points.copy()
    moved[inside] -= away[place[inside, 1], place[inside, 0]]
    return np.asarray(out, np.uint8), moved


Light: TypeAlias = Callable[[ImageArray, Drawn, np.random.Generator], NDArray[Any]]


def _light(change: Light) -> Transform:
    """Return a transform that leaves points where they are."""

    def transform(
        image: ImageArray, points: Points, of: Drawn, rng: np.random.Generator
    ) -> tuple[ImageArray, Points]:
        changed = change(image, of, rng)
        return np.asarray(np.clip(changed, 0, 255)).astype(np.uint8), points

    return transform


def _motion_blur(
    image: ImageArray, of: Drawn, rng: np.random.Generator
) -> NDArray[Any]:
    side = max(3, int(of("k")) | 1)
    line = np.zeros((side, side), np.float32)
    line[side // 2] = 1
    middle = (side // 2, side // 2)
    turned = cv2.warpAffine(
        line, cv2.getRotationMatrix2D(middle, float(of("angle")), 1), (side, side)
    )
    return np.asarray(cv2.filter2D(image, -1, turned / turned.sum()))


def _coarse(low: int, high: int) -> Light:
    """Return what replaces cells of a coarse grid by values from `low` to `high`."""

    def coarse(image: ImageArray, of: Drawn, rng: np.random.Generator) -> NDArray[Any]:
        height, width = image.shape[:2]
        share = of("size_percent")
        rows, columns = (max(1, round(side * share)) for side in (height, width))
        chosen = (rng.random((rows, columns)) < of("p")).astype(np.uint8)
        values = rng.integers(low, high + 1, (rows, columns)).astype(np.uint8)
        mask, value = (
            cv2.resize(it, (width, height), interpolation=cv2.INTER_NEAREST)
            for it in (chosen, values)
        )
        return np.where(mask[..., None] > 0, value[..., None], image)

    return coarse


def _emboss(image: ImageArray, of: Drawn, rng: np.random.Generator) -> NDArray[Any]:
    by, share = of("strength"), of("alpha")
    kernel = np.array([[-1 - by, -by, 0], [-by, 1, by], [0, by, 1 + by]], np.float32)
    return np.asarray((1 - share) * image + share * cv2.filter2D(image, -1, kernel))


def _equalised(image: ImageArray, of: Drawn, rng: np.random.Generator) -> NDArray[Any]:
    return np.dstack(
        [cv2.equalizeHist(np.ascontiguousarray(it)) for it in _channels(image)]
    )


def _clahe(image: ImageArray, of: Drawn, rng: np.random.Generator) -> NDArray[Any]:
    tool = cv2.createCLAHE(float(of("clip_limit")), (8, 8))
    return np.dstack([tool.apply(np.ascontiguousarray(it)) for it in _channels(image)])


def _channels(image: ImageArray) -> list[ImageArray]:
    return [image[..., channel] for channel in range(image.shape[2])]


_COARSE = {"p": 0.02, "size_percent": 0.1, "per_channel": 0}
TRANSFORMS: Mapping[str, tuple[Transform, Mapping[str, Any]]] = {
    "Affine": (
        _affine,
        {
            "rotate": 0,
            "scale": 1,
            "translate_percent": 0,
            "translate_px": 0,
            "shear": 0,
        },
    ),
    "Rot90": (_rot90, {"k": 1}),
    "Fliplr": (_flip(0), {"p": 1}),
    "Flipud": (_flip(1), {"p": 1}),
    "CropAndPad": (_crop_and_pad, {"percent": 0, "keep_size": 0}),
    "ElasticTransformation": (_elastic, {"alpha": [0, 40], "sigma": [4, 8]}),
    "MotionBlur": (_light(_motion_blur), {"k": [3, 7], "angle": [0, 360]}),
    "GaussianBlur": (
        _light(
            lambda image, of, rng: np.asarray(
                cv2.GaussianBlur(image, (0, 0), max(0.05, of("sigma")))
            )
        ),
        {"sigma": [0.0, 3.0]},
    ),
    "CoarseDropout": (_light(_coarse(0, 0)), _COARSE),
    "CoarseSalt": (_light(_coarse(128, 255)), _COARSE),
    "CoarsePepper": (_light(_coarse(0, 127)), _COARSE),
    "Multiply": (
        _light(lambda image, of, rng: image * float(of("mul"))),
        {"mul": [0.8, 1.2]},
    ),
    "Add": (
        _light(lambda image, of, rng: image + float(of("value"))),
        {"value": [-20, 20]},
    ),
    "LinearContrast": (
        _light(lambda image, of, rng: (image - 127.0) * of("alpha") + 127),
        {"alpha": [0.6, 1.4]},
    ),
    "GammaContrast": (
        _light(lambda image, of, rng: 255 * (image / 255.0) ** of("gamma")),
        {"gamma": [0.7, 1.7]},
    ),
    "AdditiveGaussianNoise": (
        _light(lambda image, of, rng: image + rng.normal(0, of("scale"), image.shape)),
        {"scale": [0, 15]},
    ),
    "AllChannelsHistogramEqualization": (_light(_equalised), {}),
    "AllChannelsCLAHE": (_light(_clahe), {"clip_limit": [0.1, 8.0]}),
    "Emboss": (_light(_emboss), {"alpha": [0.0, 1.0], "strength": [0.25, 1.0]}),
}
"""Each transform, and the defaults of its parameters."""
