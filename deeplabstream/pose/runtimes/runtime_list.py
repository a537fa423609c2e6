"""The runtimes for networks, by their names in the settings."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, TypeAlias, get_args

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import Network
from deeplabstream.pose.runtimes.onnx_runtime import (
    OnnxNetwork,
    cuda_driver,
    directml,
)
from deeplabstream.pose.runtimes.openvino_runtime import OpenVinoNetwork, has_gpu
from deeplabstream.pose.runtimes.quantised_network import INT8, check_quantised

Runtime: TypeAlias = Literal[
    "cpu", "cpu-int8", "openvino", "openvino-bf16", "openvino-int8", "openvino-gpu",
    "cuda", "tensorrt", "directml",
]  # fmt: skip
"""Names of runtimes; cpu, cuda, tensorrt and directml are ONNX Runtime's."""
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
REFERENCE: Runtime = "cpu"
"""The runtime that others are compared with: full precision, always installed."""
FORMER_RUNTIMES = {
    "mnn": "auto",
    "torch": "cpu",
    "torch-bf16": "openvino-bf16",
    "torch-cuda": "cuda",
    "torch-cuda-fp16": "tensorrt",
}
"""Runtimes of earlier versions, and their replacements."""


def load_network(model: ModelFolder, runtime: Runtime, threads: int = 0) -> Network:
    """Return a model's network in a runtime; ModelError gives the reason when it fails."""
    return _LOADERS[runtime](model, threads)


def present(
    model: ModelFolder,
    cuda: Callable[[], bool] = cuda_driver,
    intel: Callable[[], bool] = has_gpu,
) -> tuple[Runtime, ...]:
    """Return the installed runtimes that can run this network here.

    `cuda` and `intel` say whether this computer has an NVIDIA GPU, Intel graphics.
    """
    names = []
    for name in RUNTIMES:
        # OpenVINO's GPU runtime is for Intel graphics: not beside an NVIDIA GPU.
        on_gpu = name in ("cuda", "tensorrt")
        if name.startswith("openvino") and find_spec("openvino") is None:
            continue
        if on_gpu != cuda() and (on_gpu or name == "openvino-gpu"):
            continue
        if name == "openvino-gpu" and not intel():
            continue
        if name == "directml" and not (sys.platform == "win32" and directml()):
            continue
        if name.endswith("int8") and not (model.path / INT8).is_file():
            continue
        names.append(name)
    return tuple(names)


def _onnx(
    device: Literal["cpu", "cuda", "tensorrt", "directml"],
) -> Callable[..., Network]:
    return lambda model, threads: OnnxNetwork(model, device, threads)


def _openvino(precision: str, device: str = "CPU") -> Callable[..., Network]:
    def load(model: ModelFolder, threads: int) -> Network:
        file = str(model.network)
        return OpenVinoNetwork(model, file, threads, precision, device)

    return load


def _int8_in_onnx(model: ModelFolder, threads: int) -> Network:
    return OnnxNetwork(model, "cpu", threads, check_quantised(model))


def _int8_in_openvino(model: ModelFolder, threads: int) -> Network:
    return OpenVinoNetwork(model, str(check_quantised(model)), threads, "f32")


_LOADERS: dict[Runtime, Callable[[ModelFolder, int], Network]] = {
    "cpu": _onnx("cpu"),
    "cuda": _onnx("cuda"),
    "tensorrt": _onnx("tensorrt"),
    "directml": _onnx("directml"),
    "cpu-int8": _int8_in_onnx,
    "openvino": _openvino("f32"),
    "openvino-bf16": _openvino("bf16"),
    "openvino-int8": _int8_in_openvino,
    "openvino-gpu": _openvino("f32", "GPU"),
}


def check_runtime(name: str) -> Runtime:
    """Return the runtime of that name; ModelError lists the known ones."""
    for runtime in RUNTIMES:
        if name == runtime:
            return runtime
    if name in FORMER_RUNTIMES:
        raise ModelError(former_runtime(name))
    raise ModelError(
        f"there is no runtime {name!r}; there are auto, {', '.join(RUNTIMES)}"
    )


def former_runtime(name: str) -> str:
    """Return a sentence with the replacements of a runtime of an earlier version."""
    instead = dict.fromkeys(("auto", FORMER_RUNTIMES[name]))
    return f"{name} is no longer available as a runtime; choose {' or '.join(instead)}"
