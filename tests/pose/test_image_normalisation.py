"""Rewritten networks give the values, and so the poses, of the network itself."""

from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplabstream.files.user_cache import VARIABLE
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.network_estimator import Network, NetworkEstimator
from deeplabstream.pose.runtimes.image_normalisation import (
    rewrite_onnx,
    rewritten_for_onnx_runtime,
)
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.pose.runtimes.openvino_runtime import OpenVinoNetwork

ONE_PX = 1e-3
"""Poses may differ by as much, in pixels."""


@pytest.fixture(scope="module", params=["arena", "arena_animals", "openfield"])
def model(request: pytest.FixtureRequest) -> ModelFolder:
    return load_model_folder(MODELS / request.param)


@pytest.fixture(scope="module", params=["cpu", "openvino", "openvino-bf16"])
def both(request: pytest.FixtureRequest, model: ModelFolder) -> tuple[Network, Network]:
    """Return the network as it is, and rewritten."""

    def opened(as_it_is: bool) -> Network:
        if request.param == "cpu":
            return OnnxNetwork(model, "cpu", 1, as_it_is=as_it_is)
        pytest.importorskip("openvino")
        precision = "bf16" if request.param.endswith("bf16") else "f32"
        file = str(model.network)
        return OpenVinoNetwork(model, file, 1, precision, as_it_is=as_it_is)

    return opened(True), opened(False)


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    high=st.integers(60, 700),
    wide=st.integers(60, 900),
    grey=st.booleans(),
)
def test_poses_are_those_of_the_network_as_it_is(
    model: ModelFolder,
    both: tuple[Network, Network],
    seed: int,
    high: int,
    wide: int,
    grey: bool,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (high, wide) if grey else (high, wide, 3)
    image = rng.integers(0, 256, shape, np.uint8)
    one, other = (NetworkEstimator(model, each).estimate([image])[0] for each in both)
    np.testing.assert_allclose(one.points, other.points, rtol=0, atol=ONE_PX)
    np.testing.assert_allclose(one.confidence, other.confidence, rtol=0, atol=1e-5)


def test_a_frame_of_the_input_size_may_be_read_only(
    model: ModelFolder, both: tuple[Network, Network]
) -> None:
    """Cameras' frames are read where they lie in shared memory."""
    shape = model.fitting.height, model.fitting.width, 3
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    estimator = NetworkEstimator(model, both[1])
    (copied, _) = estimator.estimate([image, image])
    image.flags.writeable = False
    (read,) = estimator.estimate([image])
    np.testing.assert_allclose(read.points, copied.points, rtol=0, atol=0.05)
    other = 255 - image
    (again,) = estimator.estimate([other])
    assert not np.array_equal(again.confidence, read.confidence)


def test_shared_memory_can_be_closed_after_a_frame_was_read_from_it(
    model: ModelFolder, both: tuple[Network, Network]
) -> None:
    fitting = model.fitting
    shape = fitting.height, fitting.width, 3
    content = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    estimator = NetworkEstimator(model, both[1])
    (expected,) = estimator.estimate([content])
    block = SharedMemory(create=True, size=content.nbytes)
    try:
        image = np.ndarray(shape, np.uint8, block.buf)
        image[...] = content
        image.flags.writeable = False
        (found,) = estimator.estimate([image])
        assert np.array_equal(found.points, expected.points, equal_nan=True)
        del image
        block.close()  # BufferError: something still holds it
    finally:
        block.unlink()
    (again,) = estimator.estimate([content])
    assert np.array_equal(again.points, expected.points, equal_nan=True)


@pytest.mark.parametrize("mean", [127.0, [103.5, 116.3, 123.7]])
def test_onnx_is_rewritten_whatever_the_mean(
    mean: float | list[float], tmp_path: Path
) -> None:
    file = tmp_path / "network.onnx"
    before = _network(np.reshape(np.array(mean, np.float32), (-1, 1, 1)))
    onnx.save(before, str(file))
    after = onnx.load(str(file))
    assert rewrite_onnx(onnx, after)
    onnx.checker.check_model(after, full_check=True)
    assert len(after.graph.node) < len(before.graph.node)
    image = np.random.default_rng(0).integers(0, 256, (2, 12, 20, 3), np.uint8)
    expected, found = (_run(each, image) for each in (before, after))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(expected).max() > 0.1


def test_a_network_that_begins_otherwise_stays_as_it_is() -> None:
    model = _network(np.full((1, 1, 1), 127, np.float32))
    model.graph.node[0].attribute[0].CopyFrom(
        onnx.helper.make_attribute("perm", [0, 3, 2, 1])
    )
    before = model.SerializeToString()
    assert not rewrite_onnx(onnx, model)
    assert model.SerializeToString() == before


def test_a_changed_file_in_the_cache_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    model = load_model_folder(MODELS / "arena")
    cached = rewritten_for_onnx_runtime(model.network, model.sha256)
    content = cached.read_bytes()
    assert cached != model.network
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 1
    cached.write_bytes(damaged)
    assert rewritten_for_onnx_runtime(model.network, model.sha256) == cached
    assert cached.read_bytes() == content


def test_without_a_cache_the_network_itself_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "DeepLabStream").write_text("no folder")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    model = load_model_folder(MODELS / "arena")
    assert rewritten_for_onnx_runtime(model.network, model.sha256) == model.network
    assert OnnxNetwork(model, "cpu", 1).provider == "CPUExecutionProvider"


def _network(mean: np.ndarray) -> onnx.ModelProto:
    """Return a convolution behind the operations with which exported networks begin."""
    rng = np.random.default_rng(1)
    constants = {
        "mean": mean,
        "deviation": np.full_like(mean, 128 if mean.size == 1 else 57.4),
        "kernels": rng.normal(0, 0.2, (4, 3, 3, 3)).astype(np.float32),
    }
    make = onnx.helper.make_node
    nodes = [
        make("Transpose", ["images"], ["planes"], perm=[0, 3, 1, 2]),
        make("Cast", ["planes"], ["numbers"], to=onnx.TensorProto.FLOAT),
        make("Sub", ["numbers", "mean"], ["centred"]),
        make("Div", ["centred", "deviation"], ["normalised"]),
        make("Conv", ["normalised", "kernels"], ["maps"], pads=[1, 1, 1, 1]),
    ]
    value = onnx.helper.make_tensor_value_info
    images = value("images", onnx.TensorProto.UINT8, ["n", 12, 20, 3])
    maps = value("maps", onnx.TensorProto.FLOAT, ["n", 4, 12, 20])
    graph = onnx.helper.make_graph(
        nodes,
        "network",
        [images],
        [maps],
        [onnx.numpy_helper.from_array(each, name) for name, each in constants.items()],
    )
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def _run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (maps,) = session.run(None, {"images": image})
    return np.asarray(maps)
