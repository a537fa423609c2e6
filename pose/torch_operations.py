"""ONNX's operations said in torch: those that pose networks are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Attributes: TypeAlias = Mapping[str, Any]
Operation: TypeAlias = Callable[..., Tensor]


def convolution(
    of: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Conv, in two dimensions."""
    x, padding = _padded(of, x)
    strides, dilations = of.get("strides", [1, 1]), of.get("dilations", [1, 1])
    return F.conv2d(x, weight, bias, strides, padding, dilations, of.get("group", 1))


def transposed(
    of: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """ConvTranspose, in two dimensions."""
    top, left, bottom, right = of.get("pads", [0, 0, 0, 0])
    extra = of.get("output_padding", [0, 0])
    pads = [top, left]
    if (top, left) != (bottom, right):
        extra = [extra[0] + top - bottom, extra[1] + left - right]
    strides, dilations = of.get("strides", [1, 1]), of.get("dilations", [1, 1])
    return F.conv_transpose2d(
        x, weight, bias, strides, pads, extra, of.get("group", 1), dilations
    )


def normalised(
    of: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Tensor:
    """BatchNormalization, as it is after training."""
    return F.batch_norm(x, mean, var, scale, bias, eps=of.get("epsilon", 1e-5))


def clipped(
    of: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    """Clip; the limits are numbers that were known beforehand."""
    return torch.clamp(x, low, high)


def largest(of: Attributes, x: Tensor) -> Tensor:
    """MaxPool."""
    x, padding = _padded(of, x, float("-inf"))
    ceil = bool(of.get("ceil_mode", 0))
    return F.max_pool2d(
        x, of["kernel_shape"], of.get("strides"), padding, ceil_mode=ceil
    )


def average(of: Attributes, x: Tensor) -> Tensor:
    """AveragePool."""
    top, left, bottom, right = of.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        raise NotImplementedError("AveragePool with uneven pads")
    return F.avg_pool2d(
        x,
        of["kernel_shape"],
        of.get("strides"),
        [top, left],
        bool(of.get("ceil_mode", 0)),
        bool(of.get("count_include_pad", 0)),
    )


def resized(
    of: Attributes,
    x: Tensor,
    region: object = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Resize, by nearest cells or linear, to a size or by a scale."""
    mode = of.get("mode", "nearest")
    place = of.get("coordinate_transformation_mode", "half_pixel")
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    size = list(sizes[2:]) if sizes else None
    scale = list(scales[2:]) if scales and size is None else None
    if mode == "nearest":
        return F.interpolate(x, size, scale, "nearest")
    if place == "asymmetric" and scale is not None and mode == "linear":
        return _from_the_corner(x, scale)
    corners = place == "align_corners"
    return F.interpolate(x, size, scale, names[mode], align_corners=corners)


def _from_the_corner(x: Tensor, scale: list[float]) -> Tensor:
    """Enlarge linearly by whole numbers; the first cell stays where it is."""
    sides = [int(side * times) for side, times in zip(x.shape[2:], scale, strict=True)]
    inner = [
        int((n - 1) * times) + 1 for n, times in zip(x.shape[2:], scale, strict=True)
    ]
    x = F.interpolate(x, inner, mode="bilinear", align_corners=True)
    below, right = (side - own for side, own in zip(sides, inner, strict=True))
    return F.pad(x, (0, right, 0, below), mode="replicate")


def padded(
    of: Attributes, x: Tensor, pads: Sequence[int], value: float | None = None, *_: None
) -> Tensor:
    """Pad by a constant, a reflection or the edge."""
    half = len(pads) // 2
    turned: list[int] = []
    for axis in reversed(range(half)):
        turned += [pads[axis], pads[half + axis]]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        of.get("mode", "constant")
    ]
    if mode != "constant":
        return F.pad(x, turned[:4], mode)
    return F.pad(x, turned, mode, value or 0.0)


def sliced(
    of: Attributes,
    x: Tensor,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Tensor:
    """Slice along axes, backwards too."""
    along, by = axes or range(len(starts)), steps or [1] * len(starts)
    for start, stop, axis, step in zip(starts, ends, along, by, strict=True):
        places = range(x.shape[axis])[start:stop:step]
        first, count = places.start, len(places)
        if step == 1:
            x = x.narrow(axis, first, count)
        else:  # made where they are needed: nothing goes to the card
            last = first + count * step
            x = x.index_select(axis, torch.arange(first, last, step, device=x.device))
    return x


def gathered(of: Attributes, x: Tensor, places: Tensor) -> Tensor:
    """Gather: along an axis, in any order; a single place takes the axis away."""
    axis = of.get("axis", 0) % x.ndim
    taken = x.index_select(axis, places.flatten())
    return taken.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def product(of: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Gemm."""
    a = a.T if of.get("transA") else a
    b = b.T if of.get("transB") else b
    result: Tensor = of.get("alpha", 1.0) * (a @ b)
    return result if c is None else torch.add(result, c, alpha=of.get("beta", 1.0))


OPERATIONS: dict[str, Operation] = {
    "Conv": convolution,
    "ConvTranspose": transposed,
    "BatchNormalization": normalised,
    "Clip": clipped,
    "MaxPool": largest,
    "AveragePool": average,
    "Resize": resized,
    "Pad": padded,
    "Slice": sliced,
    "Gemm": product,
    "Add": lambda of, a, b: a + b,
    "Sub": lambda of, a, b: a - b,
    "Mul": lambda of, a, b: a * b,
    "Div": lambda of, a, b: a / b,
    "MatMul": lambda of, a, b: a @ b,
    "Relu": lambda of, x: F.relu(x),
    "LeakyRelu": lambda of, x: F.leaky_relu(x, of.get("alpha", 0.01)),
    "PRelu": lambda of, x, slope: torch.where(x < 0, x * slope, x),
    "Sigmoid": lambda of, x: torch.sigmoid(x),
    "HardSigmoid": lambda of, x: torch.clamp(
        of.get("alpha", 0.2) * x + of.get("beta", 0.5), 0, 1
    ),
    "HardSwish": lambda of, x: F.hardswish(x),
    "Tanh": lambda of, x: torch.tanh(x),
    "Exp": lambda of, x: torch.exp(x),
    "Erf": lambda of, x: torch.erf(x),
    "Floor": lambda of, x: torch.floor(x),
    "Softmax": lambda of, x: torch.softmax(x, of.get("axis", -1)),
    "GlobalAveragePool": lambda of, x: x.mean(dim=(2, 3), keepdim=True),
    "Transpose": lambda of, x: x.permute(*of["perm"]),
    "Concat": lambda of, *parts: torch.cat(parts, of["axis"]),
    "Flatten": lambda of, x: x.flatten(of.get("axis", 1)),
    "Reshape": lambda of, x, shape: x.reshape(
        [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    ),
    "Identity": lambda of, x: x,
    "Dropout": lambda of, x, *_: x,
    "Gather": gathered,
    "DepthToSpace": lambda of, x: F.pixel_shuffle(x, of["blocksize"]),
}
"""By ONNX's name: what takes a node's attributes and tensors, and gives its result."""
SAID: dict[str, tuple[int, ...]] = {
    "Resize": (1, 2, 3), "Pad": (1, 2, 3), "Slice": (1, 2, 3, 4), "Reshape": (1,),
}  # fmt: skip
"""Inputs, by their places, that say how: numbers of Python's, known when the network is
loaded. Asking a card for them would hold it up, and can't be part of a CUDA graph."""


def _padded(of: Attributes, x: Tensor, value: float = 0.0) -> tuple[Tensor, list[int]]:
    """Return `x` and symmetric pads; where they are not symmetric, `x` is padded here."""
    if of.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET", b"VALID", "VALID"):
        raise NotImplementedError(f"auto_pad {of['auto_pad']}")
    top, left, bottom, right = of.get("pads", [0, 0, 0, 0])
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, [left, right, top, bottom], value=value), [0, 0]
