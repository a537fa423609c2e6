"""ONNX's operations said in torch: those that pose networks are made of."""

from collections.abc import Callable, Mapping
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
    region: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Resize, by nearest cells or linear, to a size or by a scale."""
    mode = of.get("mode", "nearest")
    place = of.get("coordinate_transformation_mode", "half_pixel")
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    size = None if sizes is None else [int(n) for n in sizes.tolist()[2:]]
    scale = None
    if size is None and scales is not None:
        scale = [float(n) for n in scales.tolist()[2:]]
    if mode == "nearest":
        return F.interpolate(x, size, scale, "nearest")
    corners = place == "align_corners"
    return F.interpolate(x, size, scale, names[mode], align_corners=corners)


def padded(
    of: Attributes, x: Tensor, pads: Tensor, value: Tensor | None = None, *_: Tensor
) -> Tensor:
    """Pad by a constant, a reflection or the edge."""
    amounts = [int(n) for n in pads.tolist()]
    half = len(amounts) // 2
    turned = []
    for axis in reversed(range(half)):
        turned += [amounts[axis], amounts[half + axis]]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        of.get("mode", "constant")
    ]
    if mode != "constant":
        return F.pad(x, turned[:4], mode)
    return F.pad(x, turned, mode, float(value) if value is not None else 0.0)


def sliced(
    of: Attributes,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Slice along axes, backwards too."""
    begin, end = starts.tolist(), ends.tolist()
    along = axes.tolist() if axes is not None else list(range(len(begin)))
    by = steps.tolist() if steps is not None else [1] * len(begin)
    for start, stop, axis, step in zip(begin, end, along, by, strict=True):
        places = range(x.shape[axis])[start:stop:step]
        x = x.index_select(axis, torch.tensor(list(places), device=x.device))
    return x


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
    "Softmax": lambda of, x: torch.softmax(x, of.get("axis", -1)),
    "GlobalAveragePool": lambda of, x: x.mean(dim=(2, 3), keepdim=True),
    "Transpose": lambda of, x: x.permute(*of["perm"]),
    "Concat": lambda of, *parts: torch.cat(parts, of["axis"]),
    "Flatten": lambda of, x: x.flatten(of.get("axis", 1)),
    "Reshape": lambda of, x, shape: x.reshape(
        [x.shape[i] if n == 0 else n for i, n in enumerate(shape.tolist())]
    ),
    "Identity": lambda of, x: x,
    "Dropout": lambda of, x, *_: x,
    "Gather": lambda of, x, places: x.index_select(of.get("axis", 0), places.flatten()),
    "DepthToSpace": lambda of, x: F.pixel_shuffle(x, of["blocksize"]),
}
"""By ONNX's name: what takes a node's attributes and tensors, and gives its result."""


def _padded(of: Attributes, x: Tensor, value: float = 0.0) -> tuple[Tensor, list[int]]:
    """Return `x` and symmetric pads; where they are not symmetric, `x` is padded here."""
    if of.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET", b"VALID", "VALID"):
        raise NotImplementedError(f"auto_pad {of['auto_pad']}")
    top, left, bottom, right = of.get("pads", [0, 0, 0, 0])
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, [left, right, top, bottom], value=value), [0, 0]
