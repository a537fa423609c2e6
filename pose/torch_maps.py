"""ONNX's operations on maps, said in torch: convolving, pooling, resizing, padding."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Attributes: TypeAlias = Mapping[str, Any]


def convolution(
    of: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Conv, in two dimensions."""
    strides, dilations = _sides(of, "strides"), _sides(of, "dilations")
    x, padding = _padded(of, x, weight.shape[2:])
    return F.conv2d(x, weight, bias, strides, padding, dilations, of.get("group", 1))


def transposed(
    of: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """ConvTranspose, in two dimensions; uneven pads are cut off afterwards."""
    if of.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in of:
        raise NotImplementedError("ConvTranspose with a size to be padded to")
    top, left, bottom, right = of.get("pads", [0, 0, 0, 0])
    strides, dilations = _sides(of, "strides"), _sides(of, "dilations")
    even = (top, left) == (bottom, right)
    x = F.conv_transpose2d(
        x,
        weight,
        bias,
        strides,
        [top, left] if even else [0, 0],
        of.get("output_padding", [0, 0]),
        of.get("group", 1),
        dilations,
    )
    return x if even else F.pad(x, [-left, -right, -top, -bottom])


def largest(of: Attributes, x: Tensor) -> Tensor:
    """MaxPool."""
    x, padding = _padded(of, x, of["kernel_shape"], float("-inf"))
    return F.max_pool2d(
        x,
        of["kernel_shape"],
        _sides(of, "strides"),
        padding,
        _sides(of, "dilations"),
        bool(of.get("ceil_mode", 0)),
    )


def average(of: Attributes, x: Tensor) -> Tensor:
    """AveragePool. Where pads are uneven, what was padded is counted, too."""
    if _sides(of, "dilations") != [1, 1]:
        raise NotImplementedError("AveragePool with gaps")
    kernel, strides = of["kernel_shape"], _sides(of, "strides")
    ceil, whole = bool(of.get("ceil_mode", 0)), bool(of.get("count_include_pad", 0))
    wider, padding = _padded(of, x, kernel)
    if wider is x:
        return F.avg_pool2d(x, kernel, strides, padding, ceil, whole)
    if ceil:
        raise NotImplementedError("AveragePool with uneven pads, rounded up")
    means = F.avg_pool2d(wider, kernel, strides)
    if whole:
        return means
    covered, _ = _padded(of, torch.ones_like(x), kernel)
    return means / F.avg_pool2d(covered, kernel, strides)


def resized(
    of: Attributes,
    x: Tensor,
    region: object = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Resize, by nearest cells, linear or cubic, to a size or by a scale."""
    mode = of.get("mode", "nearest")
    place = of.get("coordinate_transformation_mode", "half_pixel")
    others = set(of) & {"antialias", "axes", "exclude_outside", "extrapolation_value"}
    if place not in _SOURCES or any(of[name] for name in others):
        raise NotImplementedError(f"Resize with {', '.join((place, *sorted(others)))}")
    old = x.shape[2:]
    if sizes:
        size = [int(side) for side in sizes[2:]]
        times = [new / own for new, own in zip(size, old, strict=True)]
    else:
        times = [float(time) for time in (scales or ())[2:]]
        size = [math.floor(own * time) for own, time in zip(old, times, strict=True)]
    half = place in ("half_pixel", "pytorch_half_pixel") and min(size) > 1
    if mode == "cubic" or (mode == "linear" and (half or place == "align_corners")):
        if mode == "cubic" and of.get("cubic_coeff_a", -0.75) != -0.75:
            raise NotImplementedError("Resize with another cubic curve")
        if not (half or place == "align_corners"):
            raise NotImplementedError(f"cubic Resize with {place}")
        how = {"linear": "bilinear", "cubic": "bicubic"}[mode]
        corners = place == "align_corners"
        if sizes or corners:
            return F.interpolate(x, size, None, how, align_corners=corners)
        return F.interpolate(x, None, times, how, align_corners=corners)
    for axis, (new, time) in enumerate(zip(size, times, strict=True), start=2):
        at = _SOURCES[place](
            torch.arange(new, device=x.device), time, x.shape[axis], new
        )
        x = _taken(x, axis, at, "linear" if mode == "linear" else _rounding(of))
    return x


_SOURCES = {
    "half_pixel": lambda at, time, old, new: (at + 0.5) / time - 0.5,
    "pytorch_half_pixel": lambda at, time, old, new: (
        (at + 0.5) / time - 0.5 if new > 1 else at * 0.0
    ),
    "asymmetric": lambda at, time, old, new: at / time,
    "align_corners": lambda at, time, old, new: at * ((old - 1) / max(new - 1, 1)),
}
"""Where each cell of the result lies among the old ones, by what ONNX calls it."""


_ROUNDED: dict[str, Callable[[Tensor], Tensor]] = {
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
}


def _rounding(of: Attributes) -> str:
    return str(of.get("nearest_mode", "round_prefer_floor"))


def _taken(x: Tensor, axis: int, at: Tensor, how: str) -> Tensor:
    """Return the cells at such places along an axis; beyond the ends, those there."""
    last = x.shape[axis] - 1
    if how != "linear":
        return x.index_select(axis, _ROUNDED[how](at).long().clamp(0, last))
    at = at.clamp(0, last)
    low = at.floor().long()
    share = (at - low).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    near = x.index_select(axis, low)
    far = x.index_select(axis, (low + 1).clamp(max=last))
    return near + (far - near) * share


def padded(
    of: Attributes,
    x: Tensor,
    pads: Sequence[int],
    value: float | None = None,
    axes: Sequence[int] | None = None,
) -> Tensor:
    """Pad by a constant, a reflection or the edge."""
    half = len(pads) // 2
    by = dict.fromkeys(range(x.ndim), (0, 0))
    for place, axis in enumerate(axes or range(half)):
        by[axis % x.ndim] = pads[place], pads[half + place]
    turned = [side for axis in reversed(range(x.ndim)) for side in by[axis]]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        of.get("mode", "constant")
    ]
    if mode != "constant":
        return F.pad(x, turned[:4], mode)
    return F.pad(x, turned, mode, value or 0.0)


def normalised(
    of: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Tensor:
    """BatchNormalization, as it is after training."""
    return F.batch_norm(x, mean, var, scale, bias, eps=of.get("epsilon", 1e-5))


def shuffled(of: Attributes, x: Tensor) -> Tensor:
    """DepthToSpace: in columns, rows and channels, or the other way around."""
    if of.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, of["blocksize"])
    n, channels, height, width = x.shape
    side = of["blocksize"]
    split = x.reshape(n, side, side, channels // side**2, height, width)
    turned = split.permute(0, 3, 4, 1, 5, 2)
    return turned.reshape(n, channels // side**2, height * side, width * side)


def sampled(of: Attributes, x: Tensor, grid: Tensor) -> Tensor:
    """GridSample: values of maps at places from -1 to 1."""
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    mode = str(of.get("mode", "bilinear"))
    return F.grid_sample(
        x,
        grid.to(x.dtype),
        modes.get(mode, mode),
        of.get("padding_mode", "zeros"),
        bool(of.get("align_corners", 0)),
    )


def _sides(of: Attributes, name: str) -> list[int]:
    return list(of.get(name, [1, 1]))


def _padded(
    of: Attributes, x: Tensor, kernel: Sequence[int], value: float = 0.0
) -> tuple[Tensor, list[int]]:
    """Return `x` and symmetric pads; where they are not symmetric, `x` is padded here."""
    top, left, bottom, right = _pads(of, x, kernel)
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, [left, right, top, bottom], value=value), [0, 0]


def _pads(of: Attributes, x: Tensor, kernel: Sequence[int]) -> list[int]:
    """Return how much is put above, left, below and right."""
    auto = of.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        return list(of.get("pads", [0, 0, 0, 0])) if auto == "NOTSET" else [0] * 4
    if _sides(of, "dilations") != [1, 1]:
        raise NotImplementedError(f"auto_pad = {auto} of windows with gaps")
    first, last = [], []
    for side, cells, step in zip(
        x.shape[2:], kernel, _sides(of, "strides"), strict=True
    ):
        in_all = max(0, (-(-side // step) - 1) * step + cells - side)
        less, more = in_all // 2, in_all - in_all // 2
        first.append(less if auto == "SAME_UPPER" else more)
        last.append(more if auto == "SAME_UPPER" else less)
    return [*first, *last]
