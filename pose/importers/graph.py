"""Operations put before and after a foreign network's own, in one ONNX graph."""

from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelError
from pose.importers.description import Description

OLDEST = 13
"""The oldest operator set that what is added fits into."""
GREY = (0.114, 0.587, 0.299)
"""Of blue, green and red, as OpenCV has it."""


def wrap(network: Path, words: Description) -> bytes:
    """Return the network with uint8 BGR pictures as input and one output to read.

    ModelError says what of the description does not fit the network.
    """
    onnx = _onnx()
    try:
        model = onnx.load(str(network))
        onnx.checker.check_model(model)
    except OSError as error:
        raise ModelError(f"{network} can't be read: {error.strerror}") from error
    except Exception as error:  # of protobuf and of the checker
        reason = str(error).splitlines()[0]
        raise ModelError(f"{network} is no sound ONNX network: {reason}") from error
    opset = next((o.version for o in model.opset_import if not o.domain), 0)
    if opset < OLDEST:
        try:
            model = onnx.version_converter.convert_version(model, OLDEST)
        except Exception as error:  # the converter's own
            raise ModelError(
                f"{network} has operator set {opset}; export it with {OLDEST} or newer"
            ) from error
    graph = onnx.compose.add_prefix_graph(model.graph, "theirs/")
    held = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    if len(inputs) != 1:
        raise ModelError(f"{network} has {len(inputs)} inputs; only one can be filled")
    building = _Building(graph, [value.name for value in graph.output], str(network))
    building.before(inputs[0], words)
    last, shape = building.after(words)
    return _finished(model, graph, words, last, shape)


def _finished(
    model: Any, graph: Any, words: Description, last: str, shape: list[int]
) -> bytes:
    onnx = _onnx()
    graph.node.append(onnx.helper.make_node("Identity", [last], ["output"]))
    size = ["n", words.input.height, words.input.width, 3]
    kinds = onnx.TensorProto
    given = onnx.helper.make_tensor_value_info("images", kinds.UINT8, size)
    out = onnx.helper.make_tensor_value_info("output", kinds.FLOAT, ["n", *shape])
    held = {weight.name for weight in graph.initializer}
    kept = [value for value in graph.input if value.name in held]
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.extend([given, *kept])
    graph.output.append(out)
    model.graph.CopyFrom(graph)
    return bytes(model.SerializeToString())


class _Building:
    """A graph that grows at both ends."""

    def __init__(self, graph: Any, outputs: list[str], network: str) -> None:
        self.graph = graph
        self.outputs = outputs
        self.network = network
        self.count = 0

    def before(self, first: Any, words: Description) -> None:
        """Put the preparation of pictures before the network's own operations."""
        own, self_nodes = words.input, list(self.graph.node)
        del self.graph.node[:]
        x = self.add("Cast", ["images"], to=1)
        if own.colour == "RGB":
            order = self.hold(np.array([2, 1, 0], np.int64))
            x = self.add("Gather", [x, order], axis=3)
        elif own.colour == "GREY":
            x = self.add("MatMul", [x, self.hold(np.array(GREY, np.float32)[:, None])])
        x = self.add("Sub", [x, self.hold(np.array(own.mean, np.float32))])
        x = self.add("Div", [x, self.hold(np.array(own.std, np.float32))])
        if own.layout == "NCHW":
            x = self.add("Transpose", [x], perm=[0, 3, 1, 2])
        if first.type.tensor_type.elem_type == 10:  # half precision
            x = self.add("Cast", [x], to=10)
        self.graph.node.append(_onnx().helper.make_node("Identity", [x], [first.name]))
        self.graph.node.extend(self_nodes)

    def after(self, words: Description) -> tuple[str, list[int]]:
        """Put the arrangement of the output behind; return its name and shape."""
        parts = len(words.bodyparts)
        height, width = words.input.height, words.input.width
        if it := words.offsets:
            scores = self.channels_first(self.named(it.scores), it.layout)
            if it.values == "logits":
                scores = self.add("Sigmoid", [scores])
            moved = self.channels_first(self.named(it.offsets), it.layout)
            order = [*range(0, 2 * parts, 2), *range(1, 2 * parts, 2)]
            places = self.hold(np.array(order, np.int64))
            moved = self.add("Gather", [moved, places], axis=1)
            last = self.add("Concat", [scores, moved], axis=1)
            return last, [3 * parts, height // it.stride, width // it.stride]
        if maps := words.heatmaps:
            x = self.channels_first(self.named(maps.output), maps.layout)
            if maps.values == "logits":
                x = self.add("Sigmoid", [x])
            elif maps.values == "mass":
                mass = np.array(2 * np.pi * maps.sigma**2, np.float32)
                x = self.add("Mul", [x, self.hold(mass)])
            low, high = (self.hold(np.array(v, np.float32)) for v in (0, 1))
            last = self.add("Clip", [x, low, high])
            return last, [parts, height // maps.stride, width // maps.stride]
        say = words.coordinates
        if say is None:
            raise ModelError("the description says no way to read points")
        shape = self.hold(np.array([-1, parts, 2], np.int64))
        x = self.add("Reshape", [self.named(say.output), shape])
        x = self.add("Mul", [x, self.hold(np.array(say.scale, np.float32))])
        x = self.add("Add", [x, self.hold(np.array(say.origin, np.float32))])
        one = self.hold(np.array([0], np.int64)), self.hold(np.array([1], np.int64))
        axis = self.hold(np.array([2], np.int64))
        sure = self.add("Slice", [x, *one, axis])
        zero = self.hold(np.array(0, np.float32))
        sure = self.add("Add", [self.add("Mul", [sure, zero]), self.hold(_ONE)])
        return self.add("Concat", [x, sure], axis=2), [parts, 3]

    def named(self, name: str) -> str:
        """Return the output of that name; the first when it is empty."""
        known = [output.removeprefix("theirs/") for output in self.outputs]
        if name and name not in known:
            raise ModelError(
                f"{self.network} has no output {name}; it has {', '.join(known)}"
            )
        output = f"theirs/{name}" if name else self.outputs[0]
        return self.add("Cast", [output], to=1)

    def channels_first(self, name: str, layout: str) -> str:
        """Return it with channels first."""
        if layout == "NCHW":
            return name
        return self.add("Transpose", [name], perm=[0, 3, 1, 2])

    def add(self, kind: str, inputs: list[str], **said: object) -> str:
        """Append an operation; return its output's name."""
        self.count += 1
        result = f"ours/{kind}{self.count}"
        node = _onnx().helper.make_node(kind, inputs, [result], name=result, **said)
        self.graph.node.append(node)
        return result

    def hold(self, values: Any) -> str:
        """Keep numbers in the graph; return their name."""
        self.count += 1
        name = f"ours/held{self.count}"
        self.graph.initializer.append(_onnx().numpy_helper.from_array(values, name))
        return name


_ONE = np.array(1, np.float32)


def _onnx() -> Any:
    try:
        import onnx
        import onnx.compose
        import onnx.version_converter
    except ImportError as error:
        raise ModelError(
            "importing networks needs the package onnx: pip install onnx"
        ) from error
    return onnx
