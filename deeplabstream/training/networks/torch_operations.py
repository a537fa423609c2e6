"""ONNX operations in torch: one function for each operation that pose networks use."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Attributes: TypeAlias = Mapping[str, Any]


def conv(
    of: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Conv, in two dimensions."""
    strides, dilations = _sides(of, "strides"), _sides(of, "dilations")
    x, padding = _padded(of, x, weight.shape[2:])
    return F.conv2d(x, weight, bias, strides, padding, dilations, of.get("group", 1))


def conv_transpose(
    of: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """ConvTranspose, in two dimensions; uneven padding is cut off afterwards."""
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


def max_pool(of: Attributes, x: Tensor) -> Tensor:
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


def average_pool(of: Attributes, x: Tensor) -> Tensor:
    """AveragePool. With uneven padding, padded cells count."""
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


def resize(
    of: Attributes,
    x: Tensor,
    region: object = None,
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Resize, by nearest cells, linear or cubic, to a size or by a scale."""
    mode = of.get("mode", "nearest")
    place = of.get("coordinate_transformation_mode", "half_pixel")
    smooth = bool(of.get("antialias"))
    others = {"axes", "extrapolation_value", *([] if smooth else ["exclude_outside"])}

    # Variants that no known network uses raise an error instead of being approximated.
    rule = mode, place, of.get("exclude_outside", 0)
    if smooth and rule != ("linear", "half_pixel", 1):
        others.add("antialias")
    others = {name for name in others if of.get(name)}
    if place not in _SOURCES or others:
        raise NotImplementedError(f"Resize with {', '.join((place, *sorted(others)))}")

    old = x.shape[2:]
    if sizes:
        size = [int(side) for side in sizes[2:]]
        times = [new / own for new, own in zip(size, old, strict=True)]
    else:
        times = [float(time) for time in (scales or ())[2:]]
        size = [math.floor(own * time) for own, time in zip(old, times, strict=True)]
    if smooth:
        rows, columns = (
            _triangles(*sides, x) for sides in zip(old, size, times, strict=True)
        )
        return rows @ x @ columns.T

    # Use torch's own function where it is equivalent: it is many times as fast.
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


def _triangles(old: int, new: int, time: float, like: Tensor) -> Tensor:
    """Return the weights (new, old) of a linear Resize with antialiasing along an axis."""
    cells = torch.arange(old, device=like.device) + 0.5
    centres = (torch.arange(new, device=like.device) + 0.5) / time
    away = (cells[None] - centres[:, None]).abs() * min(time, 1.0)
    weights = (1 - away).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).to(like.dtype)


_SOURCES = {
    "half_pixel": lambda at, time, old, new: (at + 0.5) / time - 0.5,
    "pytorch_half_pixel": lambda at, time, old, new: (
        (at + 0.5) / time - 0.5 if new > 1 else at * 0.0
    ),
    "asymmetric": lambda at, time, old, new: at / time,
    "align_corners": lambda at, time, old, new: at * ((old - 1) / max(new - 1, 1)),
}
"""Positions of the result's cells in the input, by ONNX's coordinate mode."""


_ROUNDED: dict[str, Callable[[Tensor], Tensor]] = {
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
}


def _rounding(of: Attributes) -> str:
    return str(of.get("nearest_mode", "round_prefer_floor"))


def _taken(x: Tensor, axis: int, at: Tensor, how: str) -> Tensor:
    """Return the cells at positions along an axis, limited to the ends."""
    last = x.shape[axis] - 1
    if how != "linear":
        return x.index_select(axis, _ROUNDED[how](at).long().clamp(0, last))
    at = at.clamp(0, last)
    low = at.floor().long()
    share = (at - low).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    near = x.index_select(axis, low)
    far = x.index_select(axis, (low + 1).clamp(max=last))
    return near + (far - near) * share


def pad(
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


def batch_normalization(
    of: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Tensor:
    """BatchNormalization, as it is after training."""
    return F.batch_norm(x, mean, var, scale, bias, eps=of.get("epsilon", 1e-5))


def depth_to_space(of: Attributes, x: Tensor) -> Tensor:
    """DepthToSpace: in columns, rows and channels, or the other way around."""
    if of.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, of["blocksize"])
    n, channels, height, width = x.shape
    side = of["blocksize"]
    split = x.reshape(n, side, side, channels // side**2, height, width)
    turned = split.permute(0, 3, 4, 1, 5, 2)
    return turned.reshape(n, channels // side**2, height * side, width * side)


def grid_sample(of: Attributes, x: Tensor, grid: Tensor) -> Tensor:
    """GridSample: values of maps at positions from -1 to 1."""
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
    """Return `x` and symmetric padding; where it is not symmetric, `x` is padded here."""
    top, left, bottom, right = _pads(of, x, kernel)
    if (top, left) == (bottom, right):
        return x, [top, left]
    return F.pad(x, [left, right, top, bottom], value=value), [0, 0]


def _pads(of: Attributes, x: Tensor, kernel: Sequence[int]) -> list[int]:
    """Return the padding above, left, below and right."""
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


Operation: TypeAlias = Callable[..., Any]


def clip(
    of: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    """Clip, to limits that may be missing."""
    return x if low is None and high is None else torch.clamp(x, low, high)


def slice_axes(
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
        else:  # indices are created on the device of x
            last = first + count * step
            x = x.index_select(axis, torch.arange(first, last, step, device=x.device))
    return x


def gather(of: Attributes, x: Tensor, places: Tensor) -> Tensor:
    """Gather: along an axis, in any order; a scalar index removes the axis."""
    axis = of.get("axis", 0) % x.ndim
    taken = x.index_select(axis, _from_the_end(places, x.shape[axis]).flatten())
    return taken.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def gather_elements(of: Attributes, x: Tensor, places: Tensor) -> Tensor:
    """GatherElements: for each element of the result, its place along an axis."""
    axis = of.get("axis", 0) % x.ndim
    return x.gather(axis, _from_the_end(places, x.shape[axis]))


def scatter_nd(of: Attributes, x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """ScatterND: a copy with some values put into it."""
    if of.get("reduction", "none") != "none":
        raise NotImplementedError(f"ScatterND with {of['reduction']}")
    return x.index_put(places.long().unbind(-1), values.to(x.dtype))


def _from_the_end(places: Tensor, size: int) -> Tensor:
    """Return indices with negative ones counted from the end."""
    return torch.where(places < 0, places + size, places).long()


def gemm(of: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Gemm."""
    a = a.T if of.get("transA") else a
    b = b.T if of.get("transB") else b
    result: Tensor = of.get("alpha", 1.0) * (a @ b)
    return result if c is None else torch.add(result, c, alpha=of.get("beta", 1.0))


def div(of: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Div; integers stay integers."""
    whole = not a.is_floating_point()
    return torch.div(a, b, rounding_mode="trunc" if whole else None)


def layer_normalization(
    of: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    """LayerNormalization."""
    axis = of.get("axis", -1) % x.ndim
    sides = [int(side) for side in x.shape[axis:]]  # integers, also during the export
    return F.layer_norm(x, sides, scale, bias, of.get("epsilon", 1e-5))


def split(
    of: Attributes, x: Tensor, sizes: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    """Split, into parts of these sizes, else of equal ones."""
    axis = of.get("axis", 0)
    if sizes is None:
        return tuple(x.tensor_split(of["num_outputs"], axis))
    return tuple(torch.split_with_sizes(x, list(sizes), axis))


def top_k(of: Attributes, x: Tensor, count: Sequence[int]) -> tuple[Tensor, Tensor]:
    """TopK: the largest (or smallest) values, and their places."""
    largest_ones = bool(of.get("largest", 1))
    (k,) = count
    found = x.topk(int(k), of.get("axis", -1), largest_ones, bool(of.get("sorted", 1)))
    return found.values, found.indices


def arg_max(of: Attributes, x: Tensor) -> Tensor:
    """ArgMax."""
    if of.get("select_last_index"):
        raise NotImplementedError("ArgMax of the last of equals")
    return x.argmax(of.get("axis", 0), bool(of.get("keepdims", 1)))


def expand(of: Attributes, x: Tensor, shape: Sequence[int]) -> Tensor:
    """Expand: repeat along axes of length one, or new ones."""
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape)))


def squeeze(of: Attributes, x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Squeeze: remove axes of length one."""
    return x.squeeze(tuple(axes)) if axes else x.squeeze()


def unsqueeze(of: Attributes, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Unsqueeze: insert axes of length one, by their places in the result."""
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def reshape(of: Attributes, x: Tensor, shape: Sequence[int]) -> Tensor:
    """Reshape; 0 keeps a side."""
    if of.get("allowzero"):
        return x.reshape(tuple(shape))
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])


def constant_of_shape(of: Attributes, shape: Sequence[int]) -> Tensor:
    """ConstantOfShape: float32 zeros by default."""
    value: Tensor = of.get("value", torch.zeros(1))
    return value.reshape(()).expand(tuple(shape))


def _reduced(how: Callable[..., Tensor]) -> Operation:
    def reduce(of: Attributes, x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
        along = tuple(axes or of.get("axes") or ())
        if not along and of.get("noop_with_empty_axes"):
            return x
        return how(x, along or tuple(range(x.ndim)), bool(of.get("keepdims", 1)))

    return reduce


def _gelu(of: Attributes, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=of.get("approximate", "none"))


OPERATIONS: dict[str, Operation] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": lambda of, x: x.mean(dim=(2, 3), keepdim=True),
    "GlobalMaxPool": lambda of, x: x.amax(dim=(2, 3), keepdim=True),
    "Resize": resize,
    "Pad": pad,
    "GridSample": grid_sample,
    "DepthToSpace": depth_to_space,
    "Gemm": gemm,
    "MatMul": lambda of, a, b: a @ b,
    "Einsum": lambda of, *parts: torch.einsum(of["equation"], *parts),
    "Add": lambda of, a, b: a + b,
    "Sub": lambda of, a, b: a - b,
    "Mul": lambda of, a, b: a * b,
    "Div": div,
    "Mod": lambda of, a, b: torch.fmod(a, b) if of.get("fmod") else a % b,
    "Pow": lambda of, a, b: torch.pow(a, b).to(a.dtype),
    "Min": lambda of, first, *others: _folded(torch.minimum, first, others),
    "Max": lambda of, first, *others: _folded(torch.maximum, first, others),
    "Neg": lambda of, x: -x,
    "Abs": lambda of, x: torch.abs(x),
    "Exp": lambda of, x: torch.exp(x),
    "Log": lambda of, x: torch.log(x),
    "Sqrt": lambda of, x: torch.sqrt(x),
    "Reciprocal": lambda of, x: torch.reciprocal(x),
    "Erf": lambda of, x: torch.erf(x),
    "Floor": lambda of, x: torch.floor(x),
    "Ceil": lambda of, x: torch.ceil(x),
    "Round": lambda of, x: torch.round(x),
    "Clip": clip,
    "Relu": lambda of, x: F.relu(x),
    "LeakyRelu": lambda of, x: F.leaky_relu(x, of.get("alpha", 0.01)),
    "Elu": lambda of, x: F.elu(x, of.get("alpha", 1.0)),
    "PRelu": lambda of, x, slope: torch.where(x < 0, x * slope, x),
    "Gelu": _gelu,
    "Sigmoid": lambda of, x: torch.sigmoid(x),
    "HardSigmoid": lambda of, x: torch.clamp(
        of.get("alpha", 0.2) * x + of.get("beta", 0.5), 0, 1
    ),
    "HardSwish": lambda of, x: F.hardswish(x),
    "Softplus": lambda of, x: F.softplus(x),
    "Tanh": lambda of, x: torch.tanh(x),
    "Softmax": lambda of, x: torch.softmax(x, of.get("axis", -1)),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMin": _reduced(torch.amin),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "ReduceL2": _reduced(
        lambda x, axes, keep: torch.linalg.vector_norm(x, dim=axes, keepdim=keep)
    ),
    "ArgMax": arg_max,
    "TopK": top_k,
    "Equal": lambda of, a, b: a == b,
    "Less": lambda of, a, b: a < b,
    "LessOrEqual": lambda of, a, b: a <= b,
    "Greater": lambda of, a, b: a > b,
    "GreaterOrEqual": lambda of, a, b: a >= b,
    "And": lambda of, a, b: torch.logical_and(a, b),
    "Or": lambda of, a, b: torch.logical_or(a, b),
    "Not": lambda of, x: torch.logical_not(x),
    "IsNaN": lambda of, x: torch.isnan(x),
    "Where": lambda of, condition, a, b: torch.where(condition, a, b),
    "Transpose": lambda of, x: x.permute(*of.get("perm", reversed(range(x.ndim)))),
    "Concat": lambda of, *parts: torch.cat(parts, of["axis"]),
    "Split": split,
    "Flatten": lambda of, x: x.reshape(x.shape[: of.get("axis", 1)].numel(), -1),
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": lambda of, x, times: x.repeat(*times),
    "Slice": slice_axes,
    "Gather": gather,
    "GatherElements": gather_elements,
    "ScatterND": scatter_nd,
    "Range": lambda of, *limits: torch.arange(*limits),
    "ConstantOfShape": constant_of_shape,
    "Cast": lambda of, x: x.to(of["to"]),
    "Identity": lambda of, x: x,
    "Dropout": lambda of, x, *_: x,
}
"""Operations by ONNX name: a function of a node's attributes and tensors, which returns
its result or a tuple of them."""
_SECOND = ["Squeeze", "Unsqueeze", "Split", "Expand", "Tile", "TopK", "Reshape"]
_SECOND += [name for name in OPERATIONS if name.startswith("Reduce")]
CONSTANT_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_SECOND, (1,)), "Resize": (1, 2, 3), "Pad": (1, 2, 3), "Slice": (1, 2, 3, 4),
    "ConstantOfShape": (0,), "Range": (0, 1, 2),
}  # fmt: skip
"""Inputs, by index, that must be Python numbers known when the network is loaded.
Reading them from the GPU would stall it, and is not possible in a CUDA graph."""


def _folded(
    how: Callable[[Tensor, Tensor], Tensor], first: Tensor, others: Sequence[Tensor]
) -> Tensor:
    for other in others:
        first = how(first, other)
    return first
