"""What torch would do on an NVIDIA card, shown without one."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import (
    ModelFolder,
    load_model_folder,
    network_hash,
)
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.runtimes import torch_runtime
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.pose.runtimes.torch_runtime import TorchNetwork


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
    ours = TorchNetwork(model, "cpu", 1).run(pictures)
    assert theirs.shape == (2, 2, 112, 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", ["arena", "arena_animals", "all"])
def test_the_whole_computation_stays_on_the_card(
    no_numbers: None, model: ModelFolder, name: str, precision: Any
) -> None:
    folder = model if name == "all" else load_model_folder(MODELS / name)
    network = TorchNetwork(folder, "cuda", 0, precision)
    size = folder.fitting.height, folder.fitting.width
    images = torch.zeros((1, *size, 3), dtype=torch.uint8, device="cuda")
    maps = network._computed(images)
    assert maps.device.type == "cuda"
    assert maps.dtype == getattr(torch, precision)
    if name != "all":
        assert maps.shape[1:] in folder.output_shapes
    assert "a card of no kind" in network.provider


def test_a_graph_is_recorded_by_one_thread_and_others_may_use_the_gpu(
    model: ModelFolder,
) -> None:
    network = TorchNetwork(model, "cpu", 1)
    options: list[dict[str, object]] = []

    @contextmanager
    def graph(recorded: object, **how: object) -> Iterator[None]:
        assert torch_runtime._RECORDING.locked()
        options.append(how)
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    cuda = SimpleNamespace(
        CUDAGraph=object,
        Stream=lambda: stream,
        current_stream=lambda: stream,
        stream=lambda other: nullcontext(),
        graph=graph,
    )
    network._torch = SimpleNamespace(
        cuda=cuda,
        backends=torch.backends,
        uint8=torch.uint8,
        zeros=lambda shape, dtype, device: torch.zeros(shape, dtype=dtype),
        empty=lambda shape, **how: torch.empty(shape, dtype=how.get("dtype")),
    )
    network._record((1, 16, 16, 3))
    assert options == [{"capture_error_mode": "thread_local"}]
    assert not torch_runtime._RECORDING.locked()
