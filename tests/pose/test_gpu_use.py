"""RUNTIME = auto never leaves a GPU unused without a sentence."""

import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.files import user_cache
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.network_estimator import Network
from deeplabstream.pose.runtimes import gpu_use, runtime_selection
from deeplabstream.pose.runtimes.gpu_use import (
    gpu_remark,
    gpu_remarks,
    gpu_without_driver,
    note_gpu_use,
)
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.pose.runtimes.runtime_comparison import Difference
from deeplabstream.pose.runtimes.runtime_list import Runtime, load_network, present
from deeplabstream.pose.runtimes.runtime_selection import (
    FastestNetwork,
    RuntimeMeasurement,
    measure,
    network_key,
    open_fastest,
    remember,
)

ROOT = Path(__file__).resolve().parents[2]
CPU = "CPUExecutionProvider"
GPU = "NVIDIA GeForce RTX 4070"
HOW = 1, 0.02
RIGHT = Difference(10, 10, 0.0, 0.0, 0.0, 0.0, 0.0)
CPU_ROW = RuntimeMeasurement("cpu", CPU, 9.0, 8.5, 0.1, RIGHT, accepted=True)
MISSING = "its libraries are missing or do not fit"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFolder:
    """A network on a computer where nothing was measured yet."""
    monkeypatch.setenv(user_cache.VARIABLE, str(tmp_path))
    return load_model_folder(ROOT / "models/arena")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have networks that are opened find a GPU; what was said of others is left out."""
    monkeypatch.setattr(gpu_use, "nvidia_gpu_name", lambda: GPU)
    monkeypatch.setattr(gpu_use, "_remarks", {})


def fastest(provider: str = CPU, on_gpu: bool = False) -> FastestNetwork:
    network = SimpleNamespace(provider=provider, on_gpu=on_gpu)
    return FastestNetwork(network, "")  # type: ignore[arg-type]


def remark(
    model: ModelFolder, chosen: FastestNetwork | None = None, gpu: str = GPU
) -> str:
    """Return what is said of a network on a computer with a GPU, the CPU's by default."""
    return gpu_remark(model, chosen or fastest(), *HOW, gpu, driver=True)


def test_libraries_that_are_missing_are_told(model: ModelFolder) -> None:
    remember(model, *HOW, [CPU_ROW, RuntimeMeasurement("cuda", problem=MISSING)])
    told = remark(model)
    assert told.startswith(
        "RUNTIME = auto computes arena on the CPU (CPUExecutionProvider), although this "
        "computer has NVIDIA GeForce RTX 4070: cuda: "
    )
    assert MISSING in told
    assert "deeplabstream doctor" in told


def test_a_gpu_that_is_slower_is_told_with_both_times(model: ModelFolder) -> None:
    slow = RuntimeMeasurement(
        "cuda", "CUDAExecutionProvider", 13.0, 12.0, 1.0, RIGHT, accepted=True
    )
    remember(model, *HOW, [CPU_ROW, slow])
    assert "cuda takes 12.00 ms and cpu 8.50 ms" in remark(model)
    assert "doctor" not in remark(model)


def test_poses_that_differ_are_told(model: ModelFolder) -> None:
    off = RuntimeMeasurement(
        "tensorrt", "TensorrtExecutionProvider", 2.0, 2.0, 1.0, RIGHT, accepted=False
    )
    remember(model, *HOW, [CPU_ROW, off])
    assert "tensorrt: its poses differ by more than TOLERANCE_PX" in remark(model)


def test_a_measurement_that_did_not_end_is_told(model: ModelFolder) -> None:
    assert "the runtimes could not be measured" in remark(model)


@pytest.mark.parametrize("fails", ["loading", "running"])
def test_a_gpu_that_fails_now_is_tried_once_and_its_error_is_told(
    model: ModelFolder, fails: str
) -> None:
    fast = RuntimeMeasurement(
        "cuda", "CUDAExecutionProvider", 2.0, 2.0, 1.0, RIGHT, accepted=True
    )
    remember(model, *HOW, [CPU_ROW, fast])
    loaded: list[str] = []

    def failing(*_: object) -> None:
        raise ModelError("out of memory")

    def load(model: ModelFolder, runtime: Runtime, threads: int = 0) -> Network:
        loaded.append(runtime)
        if runtime == "cpu":
            return load_network(model, "cpu", threads)
        if fails == "loading":
            failing()
        return SimpleNamespace(run=failing)  # type: ignore[return-value]

    opened = open_fastest(model, *HOW, load=load)
    assert opened.network.provider == CPU
    assert loaded == ["cuda", "cpu"]
    told = remark(model, opened)
    assert "cuda was the fastest here and cannot be used now: out of memory" in told


@pytest.mark.parametrize(
    "provider",
    [
        "CUDAExecutionProvider",
        "TensorrtExecutionProvider",
        "DmlExecutionProvider",
    ],
)
def test_a_gpu_that_computes_needs_no_sentence(
    model: ModelFolder, provider: str
) -> None:
    assert remark(model, fastest(provider, on_gpu=True)) == ""


@pytest.mark.usefixtures("gpu")
def test_a_remark_ends_when_the_network_is_on_the_gpu(model: ModelFolder) -> None:
    note_gpu_use(model, fastest(), *HOW)
    assert gpu_remarks() == (remark(model),)
    note_gpu_use(model, fastest("CUDAExecutionProvider", on_gpu=True), *HOW)
    assert gpu_remarks() == ()


def test_a_computer_without_a_gpu_needs_no_sentence(model: ModelFolder) -> None:
    assert remark(model, gpu="") == ""


def test_a_gpu_without_a_driver_is_told(model: ModelFolder, tmp_path: Path) -> None:
    devices = tmp_path / "devices"
    for name, vendor, kind in (
        ("0000:00:02.0", "0x8086", "0x030000"),
        ("0000:01:00.0", "0x10de", "0x030000"),
        ("0000:01:00.1", "0x10de", "0x040300"),
    ):
        (devices / name).mkdir(parents=True)
        (devices / name / "vendor").write_text(f"{vendor}\n", "utf-8")
        (devices / name / "class").write_text(f"{kind}\n", "utf-8")
    found = gpu_without_driver(devices)
    assert found == "an NVIDIA GPU without a working driver"
    assert gpu_without_driver(tmp_path / "none") == ""
    told = gpu_remark(model, fastest(), *HOW, found, driver=False)
    assert "no NVIDIA driver answers" in told


@pytest.mark.usefixtures("gpu")
def test_auto_keeps_the_remark_when_it_loads_a_network(
    model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(model, *HOW, [CPU_ROW])
    open_estimator("arena", "auto", *HOW)
    assert len(gpu_remarks()) == 1
    monkeypatch.setattr(gpu_use, "_remarks", {})
    open_estimator("arena", "cpu", *HOW)
    assert gpu_remarks() == ()  # the CPU was asked for


def test_an_error_while_a_network_runs_is_a_sentence(model: ModelFolder) -> None:
    """GPU memory that is full, say: without it the measuring process would end."""
    network = load_network(model, "cpu", 1)
    assert isinstance(network, OnnxNetwork)

    def full(*given: object) -> None:
        raise RuntimeError("CUDA failure 2: out of memory\nmore lines")

    network.session = SimpleNamespace(run=full)  # type: ignore[assignment]
    fitting = model.fitting
    images = np.zeros((1, fitting.height, fitting.width, 3), np.uint8)
    with pytest.raises(
        ModelError, match=r"by CPUExecutionProvider: CUDA failure 2: out"
    ):
        network.run(images)


def test_a_runtime_that_fails_while_it_runs_is_measured_as_a_problem(
    model: ModelFolder,
) -> None:
    def failing(model: ModelFolder, name: Runtime, threads: int) -> Network:
        network = load_network(model, "cpu", threads)
        if name == "cuda":
            network.session = SimpleNamespace(run=1 / np.ones(1))  # type: ignore[attr-defined]
        return network

    rows = measure(model, ["cpu", "cuda"], *HOW, seconds=0.01, load=failing)
    remember(model, *HOW, rows)
    assert "can't be run" in rows[1].problem
    assert "cuda: " in remark(model)


def test_a_choice_is_made_anew_when_cuda_libraries_come(
    model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = network_key(model, *HOW)

    def version(name: str) -> str:
        return (
            "9.20.0.48" if name.startswith("nvidia-cudnn") else metadata.version(name)
        )

    monkeypatch.setattr(runtime_selection, "version", version)
    assert network_key(model, *HOW) != before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows may have DirectML")
def test_directml_where_there_is_none(model: ModelFolder) -> None:
    assert "directml" not in present(model)
    with pytest.raises(ModelError, match="install onnxruntime-directml"):
        load_network(model, "directml", 1)


@pytest.mark.parametrize("there", [True, False])
def test_auto_measures_intel_graphics_where_openvino_finds_them(
    model: ModelFolder, there: bool
) -> None:
    runtimes = present(model, cuda=lambda: False, intel=lambda: there)
    assert ("openvino-gpu" in runtimes) is there


def test_beside_an_nvidia_gpu_intel_graphics_are_not_measured(
    model: ModelFolder,
) -> None:
    runtimes = present(model, cuda=lambda: True, intel=lambda: True)
    assert "openvino-gpu" not in runtimes
    assert "cuda" in runtimes
