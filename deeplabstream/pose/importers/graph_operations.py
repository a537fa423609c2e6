"""Operations added before and after a foreign network in one ONNX graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.importers.network_description import (
    NetworkDescription,
    no_outputs,
)
from deeplabstream.pose.runtimes.compute_packages import package

OLDEST = 13
"""Oldest operator set with the added operations."""
GREY = (0.114, 0.587, 0.299)
"""Weights of blue, green and red, as in OpenCV."""

HALF = 0.5005
"""Added before rounding down: the grey of integer blue, green and red is then never close
to an integer, so every program rounds it to the same value."""
_BYTE, _HALF_PRECISION = 2, 10  # as ONNX numbers them


def wrap(network: Path, description: NetworkDescription) -> Any:
    """Return the network with uint8 BGR images as input and one output to read.

    The output's shape is set later: `give_shape`.

    ModelError: the description does not fit the network.
    """
    onnx = onnx_package()
    model = load_graph(network)
    opset = next((o.version for o in model.opset_import if not o.domain), 0)
    if opset < OLDEST:
        try:
            model = onnx.version_converter.convert_version(model, OLDEST)
        except Exception as error:  # the converter raises its own exceptions
            raise ModelError(
                f"{network} has operator set {opset}; export it with {OLDEST} or newer"
            ) from error

    # The prefix keeps the network's names apart from those that are added.
    graph = onnx.compose.add_prefix_graph(model.graph, "theirs/")
    held = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    if len(inputs) != 1:
        raise ModelError(f"{network} has {len(inputs)} inputs; only one can be filled")

    building = _Building(graph, [value.name for value in graph.output], str(network))
    building.before(inputs[0], description)
    last = building.after(description)
    return _finished(model, graph, description, last)


def give_shape(model: Any, shape: Sequence[int]) -> bytes:
    """Return the file's content, with the shape of the output for one image added."""
    onnx = onnx_package()
    out = onnx.helper.make_tensor_value_info(
        model.graph.output[0].name, onnx.TensorProto.FLOAT, ["n", *shape]
    )
    model.graph.output[0].CopyFrom(out)
    return bytes(model.SerializeToString())


def load_graph(network: Path) -> Any:
    """Return the ONNX file's content; ModelError: it is not ONNX, or damaged."""
    onnx = onnx_package()
    try:
        model = onnx.load(str(network))
        onnx.checker.check_model(model)
    except OSError as error:
        raise ModelError(f"{network} can't be read: {error.strerror}") from error
    except Exception as error:  # exceptions of protobuf and of the checker
        reason = str(error).splitlines()[0]
        raise ModelError(f"{network} is not a valid ONNX network: {reason}") from error
    return model


def _finished(
    model: Any, graph: Any, description: NetworkDescription, last: str
) -> Any:
    onnx = onnx_package()
    graph.node.append(onnx.helper.make_node("Identity", [last], ["output"]))
    _prune(graph)
    size = ["n", description.input.height, description.input.width, 3]
    kinds = onnx.TensorProto
    given = onnx.helper.make_tensor_value_info("images", kinds.UINT8, size)
    out = onnx.helper.make_tensor_value_info("output", kinds.FLOAT, ["n"])
    held = {weight.name for weight in graph.initializer}
    kept = [value for value in graph.input if value.name in held]
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.extend([given, *kept])
    graph.output.append(out)
    model.graph.CopyFrom(graph)
    return model


def _prune(graph: Any) -> None:
    """Remove operations and weights on which the output does not depend.

    Subgraphs may use any value, so a graph with subgraphs is not changed.
    """
    if any(attribute.HasField("g") for n in graph.node for attribute in n.attribute):
        return
    needed, kept = {"output"}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    kept.reverse()
    del graph.node[:]
    graph.node.extend(kept)
    weights = [it for it in graph.initializer if it.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)


class GraphBuilder:
    """Appends operations and constants to a graph."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.count = 0

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """Append an operation; return its output's name."""
        self.count += 1
        result = f"ours/{kind}{self.count}"
        node = onnx_package().helper.make_node(
            kind, inputs, [result], name=result, **attributes
        )
        self.graph.node.append(node)
        return result

    def hold(self, values: Any) -> str:
        """Add constants to the graph, those in a list as int64; return their name."""
        if isinstance(values, list):
            values = np.array(values, np.int64)
        self.count += 1
        name = f"ours/held{self.count}"
        self.graph.initializer.append(
            onnx_package().numpy_helper.from_array(np.asarray(values), name)
        )
        return name


class _Building(GraphBuilder):
    """Builder of a graph with operations before and after a network."""

    def __init__(self, graph: Any, outputs: list[str], network: str) -> None:
        super().__init__(graph)
        self.outputs = outputs
        self.network = network

    def before(self, first: Any, description: NetworkDescription) -> None:
        """Add the preparation of images before the network's operations."""
        own, theirs = description.input, list(self.graph.node)
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
        kind = first.type.tensor_type.elem_type
        if kind == _BYTE:
            half = self.hold(np.array(HALF, np.float32))
            x = self.add("Floor", [self.add("Add", [x, half])])
        if kind in (_BYTE, _HALF_PRECISION):
            x = self.add("Cast", [x], to=kind)
        self.graph.node.append(
            onnx_package().helper.make_node("Identity", [x], [first.name])
        )
        self.graph.node.extend(theirs)

    def after(self, description: NetworkDescription) -> str:
        """Add the arrangement of the output after the network; return its name."""
        parts = len(description.bodyparts)
        if it := description.offsets:
            scores = self.channels_first(self.named(it.scores), it.layout)
            if it.values == "logits":
                scores = self.add("Sigmoid", [scores])
            moved = self.channels_first(self.named(it.offsets), it.layout)
            # From x, y per body part to all x, then all y.
            order = [*range(0, 2 * parts, 2), *range(1, 2 * parts, 2)]
            places = self.hold(np.array(order, np.int64))
            moved = self.add("Gather", [moved, places], axis=1)
            return self.with_fields([scores, moved], description, it.layout, it.stride)

        if maps := description.heatmaps:
            x = self.channels_first(self.named(maps.output), maps.layout)
            if maps.values == "logits":
                x = self.add("Sigmoid", [x])
            elif maps.values == "mass":
                # The height of a Gaussian of sum 1 is 1 / 2πσ².
                mass = np.array(2 * np.pi * maps.sigma**2, np.float32)
                x = self.add("Mul", [x, self.hold(mass)])
            return self.with_fields([x], description, maps.layout, maps.stride)

        for plain in description.others.values():
            outputs = [self.named(name) for name in plain.outputs]
            outputs = [self.channels_first(name, plain.layout) for name in outputs]
            return self.with_fields(outputs, description, plain.layout, 1)
        if (coordinates := description.coordinates) is None:
            raise no_outputs()

        parts *= coordinates.animals
        x = self.shaped(self.named(coordinates.output), [-1, parts, 2])
        x = self.add("Mul", [x, self.hold(np.array(coordinates.scale, np.float32))])
        x = self.add("Add", [x, self.hold(np.array(coordinates.origin, np.float32))])
        zero, one = (self.hold(np.array(v, np.float32)) for v in (0, 1))
        # Outputs must be finite: a point that is not visible is 0 with confidence 0.
        unseen = self.add("IsNaN", [x])
        x = self.add("Where", [unseen, zero, x])
        if coordinates.confidences:
            sure = self.shaped(self.named(coordinates.confidences), [-1, parts, 1])
        else:
            sure = self.add("Where", [unseen, zero, one])
            sure = self.shaped(sure, [-1, parts, 2, 1])
            sure = self.add("ReduceMin", [sure], axes=[2], keepdims=0)
        return self.add("Concat", [x, sure], axis=2)

    def with_fields(
        self, maps: list[str], description: NetworkDescription, layout: str, stride: int
    ) -> str:
        """Concatenate the maps, followed by the fields, if any.

        Fields with cells of another size are resized, linearly: cell 0 stays in place.
        """
        if own := description.animals:
            fields = self.channels_first(self.named(own.fields), layout)
            times = (own.stride or stride) / stride
            if times != 1:
                scales = self.hold(np.array([1, 1, times, times], np.float32))
                fields = self.add(
                    "Resize",
                    [fields, "", scales],
                    mode="linear",
                    coordinate_transformation_mode="asymmetric",
                )
            maps = [*maps, fields]
        return maps[0] if len(maps) == 1 else self.add("Concat", maps, axis=1)

    def shaped(self, name: str, shape: list[int]) -> str:
        """Add a reshape; return the name of its output."""
        return self.add("Reshape", [name, self.hold(np.array(shape, np.int64))])

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
        """Add a transpose to channels first; return the name of its output."""
        if layout == "NCHW":
            return name
        return self.add("Transpose", [name], perm=[0, 3, 1, 2])


def onnx_package() -> Any:
    """Return the package that reads and writes ONNX files."""
    for name in ("onnx.compose", "onnx.version_converter"):
        package(name, "importing networks")
    return package("onnx", "importing networks")
