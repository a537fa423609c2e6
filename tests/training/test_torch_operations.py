"""Each of ONNX's operations gives in torch what ONNX Runtime gives."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import ModelFolder, network_hash
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.training.networks.torch_operations import OPERATIONS
from deeplabstream.training.networks.torch_plan import Graph
from tests.training.operations import (
    CASES,
    F32,
    I64,
    LATER,
    NODE,
    RNG,
    alone,
    as_number,
    both,
)
from tests.training.torch_network import TorchNetwork


@pytest.mark.parametrize("name", [*CASES, *LATER])
def test_an_operation_is_onnx_runtimes(tmp_path: Path, name: str) -> None:
    opset, (nodes, held) = LATER[name] if name in LATER else (17, CASES[name])
    ours, theirs = both(tmp_path, nodes, held, opset=opset)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_value_is_let_go_once_nothing_takes_it() -> None:
    file = MODELS / "arena" / "network.onnx"
    graph = Graph(file, onnx.load(str(file)).graph)
    plan = graph.planned((1, 192, 256, 3), torch.float32)
    there = {"images"}
    most = 1
    for step in plan.steps:
        taken = {it for it in step.given if isinstance(it, str)} - {*plan.constants}
        assert taken <= there
        there |= set(step.results)
        most = max(most, len(there))
        there -= set(step.spent)
    assert there == {graph.result}
    assert most < 8 < len(plan.steps)


def test_every_operation_is_tried() -> None:
    cases = [*CASES.values(), *(case for _, case in LATER.values())]
    tried = {node.op_type for nodes, _ in cases for node in nodes}
    in_shapes = {"Conv", "MaxPool", "AveragePool", "Resize"}  # below
    assert set(OPERATIONS) <= tried | in_shapes


PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.one_of(
    st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]),
    st.tuples(*[st.integers(0, 1)] * 4).map(list),
)
SLOW = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@SLOW
@given(
    kind=st.sampled_from(["Conv", "MaxPool", "AveragePool"]),
    kernel=PAIR, strides=PAIR, gaps=PAIR, pads=PADS, whole=st.booleans(),
)  # fmt: skip
def test_windows_of_any_shape_are_onnx_runtimes(
    tmp_path: Path,
    kind: str,
    kernel: Any,
    strides: Any,
    gaps: Any,
    pads: Any,
    whole: bool,
) -> None:
    said: dict[str, Any] = {"strides": strides}
    said |= {"auto_pad": pads} if isinstance(pads, str) else {"pads": pads}
    if pads in ("SAME_UPPER", "SAME_LOWER"):
        gaps = (1, 1)
        assume(all(one >= by for one, by in zip(kernel, strides, strict=True)))
    if kind == "AveragePool":
        said["count_include_pad"] = int(whole)
        gaps = (1, 1)
    else:
        said["dilations"] = gaps
    if kind == "Conv":
        weight = RNG.normal(size=(4, 2, *kernel)).astype(F32)
        case = alone(kind, weight, group=2, **said)
    else:
        assume(isinstance(pads, str) or max(pads) < min(kernel))
        case = alone(kind, kernel_shape=kernel, **said)
    ours, theirs = both(tmp_path, *case, shape=(9, 8, 3))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


PLACED = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
ROUNDED = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@SLOW
@given(
    mode=st.sampled_from(["nearest", "linear", "cubic"]),
    place=st.sampled_from(PLACED), rounding=st.sampled_from(ROUNDED),
    times=st.tuples(*[st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.6, 4.0])] * 2),
    size=st.one_of(st.none(), st.tuples(st.integers(1, 20), st.integers(1, 20))),
)  # fmt: skip
def test_pictures_are_resized_as_by_onnx_runtime(
    tmp_path: Path, mode: str, place: str, rounding: str, times: Any, size: Any
) -> None:
    said = {"mode": mode, "coordinate_transformation_mode": place}
    if mode == "nearest":
        said["nearest_mode"] = rounding
    scales = np.array([1, 1, *times], F32) if size is None else None
    sizes = np.array([1, 4, *size], I64) if size is not None else None
    assume(mode != "cubic" or place in ("half_pixel", "align_corners"))
    assume(mode != "cubic" or size is None or min(size) > 1)
    last = [sizes] if sizes is not None else []
    case = alone("Resize", None, scales, *last, **said)
    ours, theirs = both(tmp_path, *case)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@SLOW
@given(
    times=st.tuples(*[st.sampled_from([0.25, 0.4, 0.5, 1.0, 1.5, 2.0])] * 2),
    size=st.one_of(st.none(), st.tuples(st.integers(1, 20), st.integers(1, 20))),
)
def test_antialiased_resizes_are_those_of_onnx_runtime(
    tmp_path: Path, times: Any, size: Any
) -> None:
    said = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    scales = np.array([1, 1, *times], F32) if size is None else None
    last = [np.array([1, 4, *size], I64)] if size is not None else []
    case = alone("Resize", None, scales, *last, **said, antialias=1, exclude_outside=1)
    ours, theirs = both(tmp_path, *case, opset=18)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (as_number("NonZero"), "torch has no operation NonZero here; start from another network"),
        (
            (
                [
                    NODE("ReduceMax", ["x"], ["most"], axes=[0, 1, 2, 3], keepdims=0),
                    NODE("Cast", ["most"], ["side"], to=7),
                    NODE("Unsqueeze", ["side", "first"], ["shape"]),
                    NODE("Expand", ["x", "shape"], ["y"]),
                ],
                {"first": np.array([0], I64)},
            ),
            "Expand : an operation depends on the image; start from another",
        ),
        (
            alone("Resize", None, np.array([1, 1, 2, 2], F32), mode="cubic",
                  coordinate_transformation_mode="asymmetric"),
            "cubic Resize with asymmetric; start from another network",
        ),
    ],
)  # fmt: skip
def test_what_torch_cannot_do_is_a_sentence(
    tmp_path: Path, case: Any, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        both(tmp_path, *case)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Every operation whose inputs say how, as imported networks have them."""
    folder = tmp_path_factory.mktemp("model")
    held: list[Any] = []

    def hold(values: Any, kind: type = np.int64) -> str:
        held.append(numpy_helper.from_array(np.array(values, kind), f"w{len(held)}"))
        return str(held[-1].name)

    rng = np.random.default_rng(0)
    weights = hold(rng.normal(size=(2, 3, 3, 3)), np.float32)
    node = helper.make_node
    nodes = [
        node("Cast", ["images"], ["x1"], to=TensorProto.FLOAT),
        node("Gather", ["x1", hold([2, 1, 0])], ["x2"], axis=3),
        node("Transpose", ["x2"], ["x3"], perm=[0, 3, 1, 2]),
        node(
            "Pad", ["x3", hold([0, 0, 1, 1, 0, 0, 1, 1]), hold(7, np.float32)], ["x4"]
        ),
        node("Conv", ["x4", weights], ["x5"]),
        node(
            "Resize", ["x5", "", hold([1, 1, 2, 2], np.float32)], ["x6"], mode="linear"
        ),
        node(
            "Slice",
            ["x6", hold([-1, 30]), hold([-(2**62), 2]), hold([2, 3]), hold([-2, -1])],
            ["x7"],
        ),
        node("Reshape", ["x7", hold([0, 2, -1, 4])], ["x8"]),
        node("Gather", ["x8", hold([1, 0])], ["x9"], axis=1),
        node("Clip", ["x9", hold(0, np.float32), hold(9, np.float32)], ["maps"]),
    ]
    images = helper.make_tensor_value_info(
        "images", TensorProto.UINT8, ["n", 16, 16, 3]
    )
    maps = helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 2, 112, 4])
    graph = helper.make_graph(nodes, "all", [images], [maps], held)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.checker.check_model(made)
    file = folder / "network.onnx"
    file.write_bytes(made.SerializeToString())
    parts = Skeleton(("one", "other"))
    return ModelFolder(
        folder, parts, Fitting(16, 16), Heatmaps(4, 1.0), 0.5, network_hash(file), {}
    )


def test_whatever_is_said_by_inputs_is_onnx_runtimes(
    model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "deeplabstream.pose.runtimes.onnx_runtime._check", lambda *_: None
    )
    pictures = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), np.uint8)
    theirs = OnnxNetwork(model, "cpu", 1).run(pictures)
    ours = TorchNetwork(model.network).run(pictures)
    assert theirs.shape == (2, 2, 112, 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-2)
