"""Rewriting of a network's first operations to make them faster.

Exported networks transpose a uint8 image, convert it to float, subtract the mean and
divide by the standard deviation: four passes over the image before the first convolution.
The rewritten graphs compute the same values up to float32's rounding. A network that
begins otherwise stays as it is.
"""

import hashlib
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.user_cache import cache_folder
from deeplabstream.pose.runtimes.compute_packages import package

_VERSION = 1
"""Part of the names of cached files; increase it when the rewriting changes."""
_TO_PLANES = [0, 3, 1, 2]
"""From (n, height, width, channel) to (n, channel, height, width)."""


def rewritten_for_onnx_runtime(network: Path, sha256: str) -> Path:
    """Return the file to open instead of `network`: from the user's cache, or itself.

    ONNX Runtime runs each operation by itself, so fewer take less time: one
    DequantizeLinear where mean and deviation are whole numbers for all channels, else
    the deviation becomes part of the first convolution's weights. Without the package
    onnx, or where nothing can be written, it is the network itself. A cached file that
    was changed is written again.
    """
    try:
        cached = cache_folder() / "graphs" / f"{sha256}-{_VERSION}.onnx"
        checksum = cached.with_suffix(".sha256")
        # A damaged file would give wrong poses: it must have its checksum.
        if checksum.is_file() and cached.is_file():
            known = checksum.read_text("utf-8")
            if _digest(cached.read_bytes()) == known:
                return cached

        if find_spec("onnx") is None:
            return network
        onnx = package("onnx", "rewriting a network's first operations")
        model = onnx.load(str(network))
        if not rewrite_onnx(onnx, model):
            return network

        content = model.SerializeToString()
        # The checksum is last: without it the file counts as damaged, and is written again.
        cached.parent.mkdir(exist_ok=True)
        _write(cached, content)
        _write(checksum, _digest(content).encode())
    except Exception:  # protobuf's errors have no base class of their own
        return network  # opening the network reports the error
    return cached


def rewrite_onnx(onnx: Any, model: Any) -> bool:
    """Rewrite the first operations of an ONNX model; return whether they were known."""
    graph = model.graph
    weights = {node.name: node for node in graph.initializer}
    weights |= {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }

    # Only the exact chain of our own exports is rewritten; any other graph stays.
    chain = _onnx_chain(graph, ("Transpose", "Cast", "Sub", "Div", "Conv"))
    if not chain:
        return False
    transpose, cast, subtract, divide, convolution = chain
    order = onnx.helper.get_attribute_value(transpose.attribute[0])
    to = onnx.helper.get_attribute_value(cast.attribute[0])
    names = subtract.input[1], divide.input[1], convolution.input[1]
    if [*order] != _TO_PLANES or to != 1 or not all(name in weights for name in names):
        return False
    mean, deviation, kernels = (
        onnx.numpy_helper.to_array(weights[name]) for name in names
    )
    if not (_by_channel(mean) and _by_channel(deviation)):
        return False

    # DequantizeLinear computes (x − zero) · scale in one pass, but its zero is a uint8.
    opset = max(node.version for node in model.opset_import if not node.domain)
    if mean.size == deviation.size == 1 and mean == np.uint8(mean) and opset >= 10:
        scaled = _add(onnx, graph, np.float32(1 / deviation.item()), "deviation")
        zero = _add(onnx, graph, np.uint8(mean.item()), "mean")
        given = [transpose.output[0], scaled, zero]
        node = onnx.helper.make_node("DequantizeLinear", given, [divide.output[0]])
        cast.CopyFrom(node)
        graph.node.remove(subtract)
    else:
        # The division moves into the kernels. The subtraction cannot: the convolution's
        # zero padding would then stand for black instead of the mean.
        folded = kernels / deviation.astype(np.float64).reshape(1, -1, 1, 1)
        name = _add(onnx, graph, folded.astype(np.float32), "kernels")
        convolution.input[1] = name
        convolution.input[0] = subtract.output[0]
    graph.node.remove(divide)
    del graph.value_info[:]
    return True


def rewrite_openvino(openvino: Any, model: Any) -> bool:
    """Rewrite the first operations of an OpenVINO model of one shape; return if known.

    OpenVINO's convolutions on the CPU read images as cameras give them, with the channels
    of a pixel side by side. Normalised before the transpose, images are not copied for
    it; else they are copied twice. Width and channels become one long axis, which is
    computed several values at a time.
    """
    chain = _openvino_chain(model)
    if not chain:
        return False
    ops = openvino.opset8
    parameter, convolution = model.get_parameters()[0], chain[-1]
    count, height, width, channels = parameter.shape

    values = ops.reshape(parameter, np.array([count, height, width * channels]), False)
    values = ops.convert(values, "f32")
    for node in chain[2:-1]:
        constant = np.ravel(node.input_value(1).get_node().data)
        row = np.tile(np.broadcast_to(constant, channels), width).astype(np.float32)
        make = {"Subtract": ops.subtract, "Divide": ops.divide}[node.get_type_name()]
        values = make(values, ops.constant(row))

    images = ops.reshape(values, np.array([count, height, width, channels]), False)
    planes = ops.transpose(images, np.array(_TO_PLANES))
    convolution.input(0).replace_source_output(planes.output(0))
    model.validate_nodes_and_infer_types()
    return True


def _onnx_chain(graph: Any, kinds: Sequence[str]) -> list[Any]:
    """Return operations of these kinds, each the only user of the one before."""
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    results = {value.name for value in graph.output}
    chain: list[Any] = []
    name = "images"
    for kind in kinds:
        found = users.get(name, [])
        # Do not rewrite a value that another operation uses.
        alone = len(found) == 1 and name not in results
        if not alone or found[0].op_type != kind or found[0].input[0] != name:
            return []
        chain.append(found[0])
        name = found[0].output[0]
    return chain


def _openvino_chain(model: Any) -> list[Any]:
    """Return the operations from the transpose to the first convolution; empty: others."""
    kinds = ("Transpose", "Convert", "Subtract", "Divide", "Convolution")
    (node,) = model.get_parameters()
    chain: list[Any] = []
    for kind in kinds:
        users = [*node.output(0).get_target_inputs()]
        if len(users) != 1 or users[0].get_index() != 0:
            return []
        node = users[0].get_node()
        if node.get_type_name() != kind:
            return []
        chain.append(node)

    constants = [node.input_value(1).get_node() for node in (chain[0], *chain[2:4])]
    kind = chain[1].get_output_element_type(0).get_type_name()
    if kind != "f32" or any(x.get_type_name() != "Constant" for x in constants):
        return []
    order, *normalisation = (node.data for node in constants)
    if [*order] != _TO_PLANES or not all(map(_by_channel, normalisation)):
        return []
    return chain


def _write(file: Path, content: bytes) -> None:
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _by_channel(constant: NDArray[Any]) -> bool:
    """Return whether a constant is one number, or one per channel of (n, channel, h, w)."""
    return constant.size == 1 or constant.shape in ((1, 3, 1, 1), (3, 1, 1))


def _add(onnx: Any, graph: Any, array: Any, name: str) -> str:
    """Add a constant to a graph; return its name."""
    own = f"deeplabstream/{name}"
    graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), own))
    return own
