"""ONNX's operations, each as a small network, in torch and in ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from tests.training.torch_network import TorchNetwork

F32, I64 = np.float32, np.int64
RNG = np.random.default_rng(0)
NODE = helper.make_node
FIVE = numpy_helper.from_array(np.array([5], I64))


def model_of(file: Path, nodes: list[Any], held: dict[str, Any], opset: int) -> Path:
    """Write a network: `x`, of four channels, is made of its pictures; it gives `y`."""
    first = [
        NODE("Cast", ["images"], ["whole"], to=TensorProto.FLOAT),
        NODE("Transpose", ["whole"], ["three"], perm=[0, 3, 1, 2]),
        NODE("Gather", ["three", "channels"], ["four"], axis=1),
        NODE("Sub", ["four", "middle"], ["about"]),
        NODE("Div", ["about", "spread"], ["x"]),
    ]
    spread = np.array([[[50]], [[60]], [[70]], [[80]]], F32)
    held = held | {"middle": np.array(120.3, F32), "spread": spread}
    held |= {"channels": np.array([0, 1, 2, 0], I64)}
    images = helper.make_tensor_value_info(
        "images", TensorProto.UINT8, ["n", "h", "w", 3]
    )
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(values, name) for name, values in held.items()]
    graph = helper.make_graph([*first, *nodes], "one", [images], [y], weights)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(file))
    return file


def both(
    folder: Path,
    nodes: list[Any],
    held: dict[str, Any],
    shape: tuple[int, int, int] = (6, 7, 3),
    opset: int = 17,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what torch and what ONNX Runtime give for a picture."""
    file = model_of(folder / "network.onnx", nodes, held, opset)
    pictures = np.random.default_rng(1).integers(0, 256, (1, *shape), np.uint8)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(
        str(file), options, providers=["CPUExecutionProvider"]
    )
    ours = TorchNetwork(file).run(pictures)
    (theirs,) = session.run(None, {"images": pictures})
    return ours, np.asarray(theirs, F32)


def alone(name: str, *inputs: Any, **said: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return an operation upon x, and the arrays that it takes behind it, None: none."""
    held = {f"in{n}": it for n, it in enumerate(inputs) if it is not None}
    names = [f"in{n}" if it is not None else "" for n, it in enumerate(inputs)]
    return [NODE(name, ["x", *names], ["y"], **said)], held


def reckoned(name: str, *words: str) -> tuple[list[Any], dict[str, Any]]:
    """Return an operation of truth upon x and its own middle, as numbers."""
    nodes = [
        NODE("Greater", ["x", "in0"], ["high"]),
        NODE("Less", ["x", "in1"], ["low"]),
        NODE(name, ["high", "low"][: 1 if name == "Not" else 2], ["found"]),
        NODE("Cast", ["found"], ["y"], to=1),
    ]
    return nodes, {"in0": np.array(-0.5, F32), "in1": np.array(0.5, F32)}


def as_number(name: str, *inputs: Any, **said: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return an operation whose result is made a number."""
    nodes, held = alone(name, *inputs, **said)
    nodes[0].output[0] = "found"
    return [*nodes, NODE("Cast", ["found"], ["y"], to=1)], held


def in_rows(name: str, *inputs: Any, **said: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return an operation with several results, which are put one behind the other."""
    nodes, held = alone(name, *inputs, **said)
    nodes[0].output[:] = ["one", "two"]
    nodes.append(NODE("Cast", ["two"], ["too"], to=1))
    return [*nodes, NODE("Concat", ["one", "too"], ["y"], axis=1)], held


def upon_shapes() -> tuple[list[Any], dict[str, Any]]:
    """Return sums of what is known before the first picture."""
    nodes = [
        NODE("Shape", ["x"], ["shape"]),
        NODE("Size", ["x"], ["size"]),
        NODE("Gather", ["shape", "two"], ["rows"], axis=0),
        NODE("Div", ["rows", "minus"], ["half"]),
        NODE("Mod", ["half", "two"], ["rest"]),
        NODE("Range", ["zero", "size", "rows"], ["steps"]),
        NODE("ReduceMax", ["steps"], ["most"], keepdims=0),
        NODE("Unsqueeze", ["rows", "first"], ["side"]),
        NODE("ConstantOfShape", ["side"], ["zeros"]),
        NODE("ConstantOfShape", ["side"], ["ones"], value=FIVE),
        NODE("Equal", ["ones", "five"], ["alike"]),
        NODE("Where", ["alike", "ones", "steps_of"], ["fives"]),
        NODE("ReduceSum", ["fives"], ["total"], keepdims=0),
        NODE("Add", ["total", "most"], ["more"]),
        NODE("Sub", ["more", "rest"], ["less"]),
        NODE("Cast", ["less"], ["told"], to=1),
        NODE("Squeeze", ["zeros"], ["row"]),
        NODE("ReduceSum", ["row"], ["nothing"], keepdims=0),
        NODE("Add", ["x", "told"], ["sum"]),
        NODE("Sub", ["sum", "nothing"], ["y"]),
    ]  # fmt: skip
    numbers = {"two": 2, "minus": -4, "zero": 0, "five": 5}
    held = {name: np.array(value, I64) for name, value in numbers.items()}
    held |= {"first": np.array([0], I64), "steps_of": np.arange(6)}
    return nodes, held


AXES = np.array([1, -1], I64)
GRID = RNG.uniform(-1.2, 1.2, (1, 3, 5, 2)).astype(F32)
WEIGHT = RNG.normal(size=(4, 7)).astype(F32)
PLACES = RNG.integers(-3, 3, (1, 4, 6, 3))
CASES: dict[str, Any] = {
    **{
        name: alone(name)
        for name in (
            "Neg",
            "Abs",
            "Exp",
            "Erf",
            "Floor",
            "Ceil",
            "Round",
            "Relu",
            "LeakyRelu",
            "Elu",
            "Sigmoid",
            "HardSigmoid",
            "HardSwish",
            "Softplus",
            "Tanh",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "Flatten",
            "Transpose",
            "Identity",
            "Dropout",
            "Reciprocal",
        )
    },
    **{
        name: alone(name, RNG.normal(size=(4, 1, 7)).astype(F32))
        for name in ("Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu")
    },
    **{
        f"{name} {keep}": alone(name, axes=[-1, 1], keepdims=keep)
        for name in ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceL2")
        for keep in (0, 1)
    },
    **{name: reckoned(name) for name in ("And", "Or", "Not")},
    **{
        name: as_number(name, np.array(0.2, F32))
        for name in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    },
    "ReduceSum": alone("ReduceSum", AXES),
    "ReduceSum of all": alone("ReduceSum"),
    "ReduceSum of none": alone("ReduceSum", noop_with_empty_axes=1),
    "Max of three": alone("Max", np.array(-1, F32), np.array(0.5, F32)),
    "Pow": alone("Pow", np.array(2, I64)),
    "Mod": alone("Mod", np.array(0.7, F32), fmod=1),
    "Sqrt": ([NODE("Mul", ["x", "x"], ["z"]), NODE("Sqrt", ["z"], ["y"])], {}),
    "Log": ([NODE("Exp", ["x"], ["z"]), NODE("Log", ["z"], ["y"])], {}),
    "IsNaN": (
        [
            NODE("Log", ["x"], ["z"]),
            NODE("IsNaN", ["z"], ["n"]),
            NODE("Cast", ["n"], ["y"], to=1),
        ],
        {},
    ),
    "Where": (
        [NODE("Greater", ["x", "o"], ["c"]), NODE("Where", ["c", "x", "o"], ["y"])],
        {"o": np.array(0.3, F32)},
    ),
    "Clip": alone("Clip", np.array(-0.5, F32), np.array(0.7, F32)),
    "Clip above": alone("Clip", None, np.array(0.7, F32)),
    "Clip nothing": alone("Clip"),
    "Softmax": alone("Softmax", axis=1),
    "ArgMax": as_number("ArgMax", axis=2, keepdims=0),
    "TopK": in_rows("TopK", np.array([2], I64), axis=1),
    "TopK smallest": in_rows("TopK", np.array([2], I64), axis=1, largest=0),
    "Split": in_rows("Split", np.array([1, 3], I64), axis=1),
    "Split evenly": in_rows("Split", axis=2),
    "Gemm": (
        [
            NODE("Flatten", ["x"], ["z"], axis=3),
            NODE("Gemm", ["z", "w", "b"], ["y"], transB=1, alpha=0.5, beta=2.0),
        ],
        {"w": WEIGHT, "b": RNG.normal(size=4).astype(F32)},
    ),
    "MatMul": alone("MatMul", WEIGHT.T.copy()),
    "Einsum": alone("Einsum", WEIGHT, equation="nchw,cw->nh"),
    "LayerNormalization": alone(
        "LayerNormalization", WEIGHT[0], WEIGHT[1], axis=-1, epsilon=0.1
    ),
    "BatchNormalization": alone(
        "BatchNormalization", *(np.abs(WEIGHT[:, n]) for n in range(4)), epsilon=0.1
    ),
    "GridSample": alone("GridSample", GRID),
    "GridSample of corners": alone(
        "GridSample", GRID, align_corners=1, padding_mode="border"
    ),
    "GridSample nearest": alone("GridSample", GRID, mode="nearest"),
    "DepthToSpace": alone("DepthToSpace", blocksize=2),
    "DepthToSpace by columns": alone("DepthToSpace", blocksize=2, mode="CRD"),
    "Reshape": alone("Reshape", np.array([0, -1, 7], I64)),
    "Squeeze": (
        [NODE("ReduceMax", ["x"], ["z"], axes=[1]), NODE("Squeeze", ["z", "a"], ["y"])],
        {"a": np.array([1], I64)},
    ),
    "Unsqueeze": alone("Unsqueeze", np.array([1, -1], I64)),
    "Expand": alone("Expand", np.array([3, 1, 4, 6, 1], I64)),
    "Tile": alone("Tile", np.array([1, 2, 1, 3], I64)),
    "Gather": alone("Gather", np.array([[2, -1], [0, -4]], I64), axis=1),
    "Gather one": alone("Gather", np.array(-2, I64), axis=-1),
    "GatherElements": alone("GatherElements", PLACES, axis=3),
    "ScatterND": alone(
        "ScatterND",
        np.array([[0, 1], [0, 3]], I64),
        RNG.normal(size=(2, 6, 7)).astype(F32),
    ),
    "Slice": alone(
        "Slice",
        np.array([-1, 1], I64),
        np.array([-(2**62), 99], I64),
        np.array([3, -3], I64),
        np.array([-2, 1], I64),
    ),
    "Concat": ([NODE("Concat", ["x", "x"], ["y"], axis=-1)], {}),
    "Pad": alone("Pad", np.array([0, 0, 1, 2, 0, 0, -1, 3], I64), np.array(7, F32)),
    "Pad edge": alone("Pad", np.array([0, 0, 1, 2, 0, 0, 2, 3], I64), mode="edge"),
    "Pad reflect": alone(
        "Pad", np.array([0, 0, 1, 2, 0, 0, 2, 3], I64), mode="reflect"
    ),
    "ConvTranspose": alone(
        "ConvTranspose",
        RNG.normal(size=(4, 3, 3, 3)).astype(F32),
        WEIGHT[0, :3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    ),
    "ConvTranspose, uneven": alone(
        "ConvTranspose",
        RNG.normal(size=(4, 2, 4, 3)).astype(F32),
        strides=[2, 3],
        pads=[0, 1, 2, 0],
        group=2,
    ),
    "Shape": upon_shapes(),
}
LATER: dict[str, tuple[int, Any]] = {
    "Pad of axes": (
        18,
        alone("Pad", np.array([1, 2, 0, 3], I64), None, np.array([-1, 1], I64)),
    ),
    "Gelu": (20, alone("Gelu")),
    "Gelu by tanh": (20, alone("Gelu", approximate="tanh")),
    "Split in parts": (18, in_rows("Split", axis=1, num_outputs=2)),
    "ReduceMax of axes": (18, alone("ReduceMax", AXES)),
    "GridSample linear": (20, alone("GridSample", GRID, mode="linear")),
}
"""What older sets of operations do not have: the first that has it."""
