"""ONNX networks with a description, for imports."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PARTS = ["snout", "tailbase"]


INPUT = {"width": 64, "height": 32, "mean": [10, 20, 30], "std": [50, 60, 70]}
HEATMAPS = {"values": "logits", "stride": 8, "sigma": 1.0, "origin": 4}


def network(
    file: Path,
    outputs: dict[str, int],
    last: bool = False,
    opset: int = 17,
    strides: dict[str, int] | None = None,
) -> Path:
    """Write a network of one convolution per output, of stride 8 if not said."""
    rng = np.random.default_rng(0)
    nodes, held = [], []
    source = "picture"
    if last:
        nodes.append(
            helper.make_node("Transpose", ["picture"], ["x"], perm=[0, 3, 1, 2])
        )
        source = "x"
    for name, channels in outputs.items():
        weights = rng.normal(0, 0.2, (channels, 3, 8, 8)).astype(np.float32)
        held.append(numpy_helper.from_array(weights, f"w_{name}"))
        result = f"{name}_first" if last else name
        steps = [(strides or {}).get(name, 8)] * 2
        nodes.append(
            helper.make_node(
                "Conv", [source, f"w_{name}"], [result], strides=steps, name=name
            )
        )
        if last:
            nodes.append(
                helper.make_node("Transpose", [result], [name], perm=[0, 2, 3, 1])
            )
    shape: list[Any] = ["b", 32, 64, 3] if last else ["b", 3, 32, 64]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", "c", "h", "w"])
            for name in outputs
        ],
        held,
    )
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    return file


def described(file: Path, **words: Any) -> Path:
    usual = {"bodyparts": PARTS, "edges": [PARTS], "input": INPUT, "licence": "CC0-1.0"}
    file.write_text(json.dumps(usual | words), "utf-8")
    return file


def identity(file: Path, repeats: int = 1) -> Path:
    """Write a network that gives a part of its input for heat maps: of any height.

    `repeats` times three body parts.
    """
    scale = numpy_helper.from_array(np.array(3.0, np.float32), "three")
    graph = helper.make_graph(
        [
            helper.make_node(
                "MaxPool", ["picture"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]
            ),
            helper.make_node("Mul", ["cells", "three"], ["scaled"]),
            helper.make_node("Concat", ["scaled"] * repeats, ["maps"], axis=1),
        ],
        "foreign",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info(
            "maps", TensorProto.FLOAT, ["n", 3 * repeats, 16, 16]
        )],
        [scale],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    return file
