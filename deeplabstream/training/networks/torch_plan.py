"""The operations that torch runs for images of one shape.

Networks compute with shapes. These are known before the first image, and are worked out
here on torch's `meta` device, where tensors have shapes and no values. The remaining
operations need pixels, and never read a number back from the GPU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeplabstream.core.errors import ModelError
from deeplabstream.training.networks.torch_operations import (
    CONSTANT_INPUTS,
    OPERATIONS,
    Operation,
)

_SHAPES = ("Shape", "Size", "Constant")
"""Operations without effect once a shape is known."""


@dataclass(frozen=True, slots=True)
class GraphStep:
    """One operation."""

    run: Operation
    attributes: Mapping[str, Any]
    """Its attributes."""
    given: tuple[Any, ...]
    """Names of values, Python numbers, or None for omitted inputs."""
    results: tuple[str, ...]
    spent: tuple[str, ...] = ()
    """Values that no later operation needs: their memory is freed."""


@dataclass(frozen=True, slots=True)
class GraphPlan:
    """All operations in order, and the constants that they take."""

    steps: tuple[GraphStep, ...]
    constants: Mapping[str, NDArray[Any]]


class Graph:
    """The operations of a network's file; ModelError when some are unknown.

    `advice` gives the remedy.
    """

    def __init__(
        self,
        network: Path,
        graph: onnx.GraphProto,
        advice: str = "start from another network",
    ) -> None:
        unknown = {node.op_type for node in graph.node} - {*OPERATIONS, *_SHAPES}
        if unknown:
            raise ModelError(
                f"{network}: torch has no operation {', '.join(sorted(unknown))} here; "
                f"{advice}"
            )
        self.network, self._advice = network, advice
        self.result: str = graph.output[0].name
        self.weights = {it.name: _tensor(it) for it in graph.initializer}
        self._nodes = tuple((node, _attributes(node)) for node in graph.node)

    def planned(self, shape: Sequence[int], precision: torch.dtype) -> GraphPlan:
        """Return the operations for images (n, height, width, 3) of this shape.

        ModelError names the operation that torch cannot run.
        """
        known = dict(self.weights)
        shapes = {"images": torch.empty(tuple(shape), dtype=torch.uint8, device="meta")}
        used: dict[str, NDArray[Any]] = {}
        steps = []
        for node, attributes in self._nodes:
            try:
                if node.op_type in _SHAPES:
                    known[node.output[0]] = _shape(node, attributes, known | shapes)
                    continue
                if all(name in known for name in node.input if name):
                    step = self._step(node, attributes, known, None)
                    known |= computed(step, known)
                    continue
                step = self._step(node, attributes, known, precision)
                for name in step.given:
                    if isinstance(name, str) and name in known and name not in used:
                        used[name] = _array(known[name])
                        shapes[name] = _as_shape(known[name], precision)
                shapes |= computed(step, shapes)
            except (RuntimeError, TypeError, ValueError, LookupError) as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                raise ModelError(
                    f"{self.network}: torch can't compute its {node.op_type} {node.name}: "
                    f"{reason}; {self._advice}"
                ) from error
            steps.append(step)
        return GraphPlan(_with_what_is_spent(steps, {self.result, *used}), used)

    def _step(
        self,
        node: Any,
        attributes: Mapping[str, Any],
        known: Mapping[str, Tensor],
        precision: torch.dtype | None,
    ) -> GraphStep:
        """Return one operation; floating-point values are in a precision, None: unchanged."""
        given: list[Any] = []
        for place, name in enumerate(node.input):
            if name and place in CONSTANT_INPUTS.get(node.op_type, ()):
                if name not in known:
                    raise ValueError("an operation depends on the image")
                given.append(known[name].tolist())
            else:
                given.append(name or None)
        values = dict(attributes)
        if node.op_type == "Cast":
            to: torch.dtype = values["to"]
            values["to"] = precision if precision and to.is_floating_point else to
        elif node.op_type == "Split":
            values.setdefault("num_outputs", len(node.output))
        return GraphStep(
            OPERATIONS[node.op_type], values, tuple(given), tuple(node.output)
        )


def computed(step: GraphStep, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the results of an operation, by name."""
    given = [values[it] if isinstance(it, str) else it for it in step.given]
    found = step.run(step.attributes, *given)
    several = found if isinstance(found, tuple) else (found,)
    # optional results may be omitted
    return dict(zip(step.results, several, strict=False))


def _with_what_is_spent(
    steps: Sequence[GraphStep], kept: set[str]
) -> tuple[GraphStep, ...]:
    """Return the steps, each with the values that are last used in it."""
    later, steps_with_uses = set(kept), []
    for step in reversed(steps):
        names = {it for it in (*step.given, *step.results) if isinstance(it, str)}
        steps_with_uses.append(replace(step, spent=tuple(sorted(names - later))))
        later |= names
    return tuple(reversed(steps_with_uses))


def _shape(
    node: Any, attributes: Mapping[str, Any], values: Mapping[str, Tensor]
) -> Tensor:
    """Return a number, or numbers, known beforehand."""
    if node.op_type == "Constant":
        (value,) = attributes.values()
        return value if isinstance(value, Tensor) else torch.tensor(value)
    shape = values[node.input[0]].shape
    if node.op_type == "Size":
        return torch.tensor(shape.numel())
    first, last = attributes.get("start", 0), attributes.get("end")
    return torch.tensor(shape[first:last], dtype=torch.int64)


def _attributes(node: Any) -> dict[str, Any]:
    attributes = {
        attribute.name: onnx.helper.get_attribute_value(attribute)
        for attribute in node.attribute
    }
    for name, value in attributes.items():
        if isinstance(value, bytes):
            attributes[name] = value.decode()
        elif isinstance(value, onnx.TensorProto):
            attributes[name] = _tensor(value)
    if node.op_type == "Cast":
        kind = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
        attributes["to"] = torch.tensor(np.empty(0, kind)).dtype
    return attributes


def _tensor(weight: Any) -> Tensor:
    array = onnx.numpy_helper.to_array(weight)
    if array.dtype.kind not in "biuf":  # bfloat16, which numpy does not have
        array = array.astype(np.float32)
    return torch.tensor(array)


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.contiguous().numpy()


def _as_shape(tensor: Tensor, precision: torch.dtype) -> Tensor:
    kind = precision if tensor.is_floating_point() else tensor.dtype
    return torch.empty_like(tensor, dtype=kind, device="meta")
