import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.onnx_runtime import (
    OnnxNetwork,
    _tensorrt,
    cuda_driver,
    open_onnx,
)

NAMES = sorted(file.parent.name for file in MODELS.glob("*/model.json"))


@pytest.fixture(scope="module", params=NAMES)
def runtime(request: pytest.FixtureRequest) -> NetworkEstimator:
    return open_onnx(load_model_folder(MODELS / request.param), "cpu", threads=1)


def test_there_are_networks_to_test() -> None:
    assert {"arena", "openfield"} <= set(NAMES)


def test_a_batch_gives_what_its_pictures_give_alone(runtime: NetworkEstimator) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 255, (480, 640), np.uint8)
    colour = rng.integers(0, 255, (300, 500, 3), np.uint8)
    together = runtime.estimate([grey, colour])
    alone = [*runtime.estimate([grey]), *runtime.estimate([colour])]
    assert runtime.estimate([]) == []
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.points, other.points, atol=0.05)
        np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-3)
        parts = len(runtime.skeleton.bodyparts)
        assert one.points.shape == (runtime.model.animals, parts, 2)
        assert one.points.dtype == one.confidence.dtype == np.float32
        assert np.isfinite(one.points[one.confidence > 0]).all()


def test_an_even_grey_has_no_animal(runtime: NetworkEstimator) -> None:
    (pose,) = runtime.estimate([np.full((480, 640), 180, np.uint8)])
    assert pose.confidence.max() < runtime.threshold
    assert np.isnan(pose.seen(runtime.threshold).points).all()


def test_it_says_what_computes(runtime: NetworkEstimator) -> None:
    assert runtime.provider == "CPUExecutionProvider"


@pytest.mark.skipif(cuda_driver(), reason="there is a CUDA driver here")
def test_cuda_is_never_replaced_in_silence(runtime: NetworkEstimator) -> None:
    with pytest.raises(ModelError, match="no NVIDIA driver"):
        open_onnx(runtime.model, "cuda")
    assert open_onnx(runtime.model, "auto", 1).provider == "CPUExecutionProvider"


def test_a_network_that_is_none_is_refused(
    runtime: NetworkEstimator, tmp_path: Path
) -> None:
    nonsense = b"no network at all"
    (tmp_path / "network.onnx").write_bytes(nonsense)
    digest = hashlib.sha256(nonsense).hexdigest()
    with pytest.raises(ModelError, match="can't be loaded"):
        open_onnx(replace(runtime.model, path=tmp_path, sha256=digest))


def test_a_description_of_another_network_is_refused(runtime: NetworkEstimator) -> None:
    model = runtime.model
    smaller = replace(model.fitting, height=model.fitting.height - 16)
    with pytest.raises(ModelError, match="does not take the images"):
        open_onnx(replace(model, fitting=smaller), "cpu")
    fewer = replace(model.skeleton, bodyparts=model.skeleton.bodyparts[:-1])
    with pytest.raises(ModelError, match="does not give the output that"):
        open_onnx(replace(model, skeleton=fewer), "cpu")


def test_it_says_how_it_was_made_and_is_small(runtime: NetworkEstimator) -> None:
    about = runtime.model.about
    assert {"command", "data_sha256", "held_out_error", "licence"} <= set(about)
    assert runtime.model.network.stat().st_size < 25e6
    assert (runtime.model.path / "README.md").is_file()


def test_memory_that_is_bound_once_gives_the_maps_of_each_picture() -> None:
    """What runs on a card, with ONNX Runtime's own binding; its memory is the computer's."""
    network = OnnxNetwork(load_model_folder(MODELS / "arena"), "cpu", 1)
    network._gpu_device = "cpu"
    rng = np.random.default_rng(0)
    for shape in [(1, 192, 256, 3), (2, 192, 256, 3), (1, 192, 256, 3), (1, 64, 64, 3)]:
        pictures = rng.integers(0, 256, shape, np.uint8)
        maps = network.run(pictures).copy()
        whole = shape[1:] == (192, 256, 3)
        session = network.session if whole else network._others[True, 1]
        for _ in range(2):
            np.testing.assert_array_equal(
                network._run_on_gpu(session, pictures), maps, strict=True
            )
    assert len(network._bound) == 3


def test_each_network_has_its_own_folder_of_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    model = load_model_folder(MODELS / "arena")
    one, other = (
        _tensorrt(each, any_size=False)
        for each in (model, replace(model, sha256="0" * 64))
    )
    folders = [Path(str(each["trt_engine_cache_path"])) for each in (one, other)]
    assert folders[0] != folders[1]
    assert all(folder.is_dir() for folder in folders)
    assert one["trt_timing_cache_path"] == other["trt_timing_cache_path"]
    assert "trt_cuda_graph_enable" not in one
    windows = _tensorrt(model, any_size=True)
    assert windows["trt_profile_min_shapes"] == "images:1x64x64x3"
    assert windows["trt_profile_max_shapes"] == one["trt_profile_max_shapes"]


def test_tensorrt_has_an_engine_for_single_images_and_one_for_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    model = load_model_folder(MODELS / "arena")
    live, offline = (_tensorrt(model, any_size=False, batch=n) for n in (1, 8))
    height, width = model.fitting.height, model.fitting.width
    for options, n in ((live, 1), (offline, 8)):
        for which in ("opt", "max"):
            shapes = options[f"trt_profile_{which}_shapes"]
            assert shapes == f"images:{n}x{height}x{width}x3"
    assert live["trt_engine_cache_path"] != offline["trt_engine_cache_path"]

    network = OnnxNetwork(model, "cpu", 1)
    opened: list[tuple[type, int]] = []

    def open_session(file: str | bytes, batch: int = 1) -> object:
        opened.append((type(file), batch))
        return object()

    network._open = open_session  # type: ignore[assignment]
    for provider, expected in (
        ("CPUExecutionProvider", [(bytes, 1)]),
        ("TensorrtExecutionProvider", [(str, 8), (bytes, 1), (bytes, 8)]),
    ):
        network.provider = provider
        network._others.clear()
        opened.clear()
        for _ in range(2):
            assert network._session_for((1, height, width, 3)) is network.session
            for shape in ((8, height, width, 3), (1, 64, 64, 3), (2, 64, 64, 3)):
                network._session_for(shape)
        assert opened == expected
