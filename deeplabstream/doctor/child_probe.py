"""Probes that load foreign libraries, each run in a process of its own.

    python -m deeplabstream.doctor.child_probe onnxruntime

A driver or a library that hangs or crashes ends this process, not the diagnosis. The last
line of the output is the answer, as JSON.
"""

from __future__ import annotations

import base64
import ctypes
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from fractions import Fraction
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

ANSWER = "ANSWER "
_RUNS = 20
_MODULES = {
    "PyQt5": "PyQt5.QtWidgets",
    "opencv-python": "cv2",
    "av": "av",
    "h5py": "h5py",
    "numpy": "numpy",
    "pydantic": "pydantic",
    "pyserial": "serial",
    "pyrealsense2": "pyrealsense2",
    "sounddevice": "sounddevice",
}
"""By package: the module whose import needs its system libraries."""
NETWORK = base64.b64decode("""
CAgSADraAgoiCgF4CgF3EgFjIgRDb252KhEKBHBhZHNAAUABQAFAAaABBwoMCgFjEgF5IgRSZWx1
EgFuKugBCAIIAwgDCAMQAUIBd0rYAQAAQMAAAADAAACAvwAAAAAAAIA/AAAAQAAAQEAAAEDAAAAA
wAAAgL8AAAAAAACAPwAAAEAAAEBAAABAwAAAAMAAAIC/AAAAAAAAgD8AAABAAABAQAAAQMAAAADA
AACAvwAAAAAAAIA/AAAAQAAAQEAAAEDAAAAAwAAAgL8AAAAAAACAPwAAAEAAAEBAAABAwAAAAMAA
AIC/AAAAAAAAgD8AAABAAABAQAAAQMAAAADAAACAvwAAAAAAAIA/AAAAQAAAQEAAAEDAAAAAwAAA
gL8AAAAAAACAP1obCgF4EhYKFAgBEhAKAggBCgIIAwoCCBAKAggQYhsKAXkSFgoUCAESEAoCCAEK
AggCCgIIEAoCCBBCBAoAEA0=
""")
"""An ONNX file: one convolution of 3 by 3, rectified; x (1, 3, 16, 16) to y."""


def main(name: str) -> None:
    """Run a probe and print its answer."""
    with redirect_stdout(sys.stderr):  # libraries may print to stdout
        answer = _PROBES[name]()
    print(ANSWER + json.dumps(answer))  # noqa: T201


def _imports() -> dict[str, str]:
    """Return the error of each package that is installed and cannot be imported."""
    broken = {}
    for package, module in _MODULES.items():
        try:
            version(package)
        except PackageNotFoundError:
            continue
        try:
            import_module(module)
        except Exception as error:  # a library can raise any exception
            broken[package.lower()] = str(error).splitlines()[0] if str(error) else ""
    return broken


def _driver() -> dict[str, Any]:
    """Return whether the CUDA driver library loads, and the GPUs that it reports."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return {"loads": False, "gpus": []}
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return {"loads": True, "gpus": []}
    gpus = []
    for index in range(count.value):
        device, number = ctypes.c_int(0), ctypes.c_int(0)
        text = ctypes.create_string_buffer(100)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(text, len(text), device)
        capability = []
        for attribute in (75, 76):  # compute capability, major and minor
            driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
            capability.append(number.value)
        gpus.append([text.value.decode(errors="replace"), capability])
    return {"loads": True, "gpus": gpus}


def _onnxruntime() -> dict[str, Any]:
    """Run a small network on each provider that may work here."""
    import numpy as np

    from deeplabstream.core.errors import ModelError
    from deeplabstream.pose.runtimes.compute_packages import package
    from deeplabstream.pose.runtimes.onnx_runtime import cuda_driver

    ort = package("onnxruntime", "running the network in ONNX Runtime")
    providers = list(ort.get_available_providers())
    providers_to_try = ["CPUExecutionProvider"]
    if "DmlExecutionProvider" in providers:
        providers_to_try.insert(0, "DmlExecutionProvider")
    if "CUDAExecutionProvider" in providers and cuda_driver():
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        providers_to_try.insert(0, "CUDAExecutionProvider")
    x = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    trials: list[dict[str, Any]] = []
    expected: Any = None
    # reversed, because the CPU, the last one, gives the reference result
    for provider in reversed(providers_to_try):
        trial, result = _tried(ort, provider, x)
        expected = result if expected is None else expected
        if result is not None and expected is not None:
            trial["right"] = bool(np.allclose(result, expected, atol=0.1))
        trials.append(trial)
    try:
        info = package("onnxruntime.capi.build_and_package_info", "finding its CUDA")
        cuda = str(getattr(info, "cuda_version", "") or "")
    except ModelError:
        cuda = ""
    found = {"version": str(ort.__version__), "cuda": cuda}
    return {**found, "providers": providers, "trials": trials}


def _tried(ort: Any, provider: str, x: Any) -> tuple[dict[str, Any], Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if provider == "DmlExecutionProvider":
        options.enable_mem_pattern = False
    names = [*dict.fromkeys([provider, "CPUExecutionProvider"])]
    trial: dict[str, Any] = {"asked": provider, "used": "", "ms": None, "error": ""}
    try:
        session = ort.InferenceSession(NETWORK, sess_options=options, providers=names)
        trial["used"] = str(session.get_providers()[0])
        (result,) = session.run(None, {"x": x})
        times = []
        for _ in range(_RUNS):
            began = perf_counter()
            session.run(None, {"x": x})
            times.append(perf_counter() - began)
        trial["ms"] = round(sorted(times)[_RUNS // 2] * 1e3, 4)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        trial["error"] = " ".join(str(error).split())[:300]
        return trial, None
    return trial, result


def _openvino() -> dict[str, Any]:
    from deeplabstream.pose.runtimes.compute_packages import package

    openvino = package("openvino", "running the network in OpenVINO")
    devices = openvino.Core().available_devices
    number = str(openvino.__version__).partition("-")[0]
    return {"version": number, "devices": [str(device) for device in devices]}


def _torch() -> dict[str, Any]:
    torch = import_module("torch")
    return {"available": bool(torch.cuda.is_available())}


def _nvenc() -> dict[str, Any]:
    """Encode a few frames with NVIDIA's encoder."""
    av = import_module("av")
    try:
        encoder = av.CodecContext.create("h264_nvenc", "w")
        encoder.width, encoder.height, encoder.pix_fmt = 640, 480, "yuv420p"
        encoder.time_base = Fraction(1, 30)
        frame = av.VideoFrame(640, 480, "yuv420p")
        for index in range(3):
            frame.pts = index
            encoder.encode(frame)
        encoder.encode(None)
    except Exception as error:  # PyAV raises many types of exceptions
        return {"works": False, "error": " ".join(str(error).split())[:200]}
    return {"works": True, "error": ""}


_PROBES: dict[str, Callable[[], dict[str, Any]]] = {
    "imports": _imports,
    "driver": _driver,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
    "nvenc": _nvenc,
}
PROBES = tuple(_PROBES)
FOLDER = Path(__file__).resolve().parents[2]
"""Working directory in which the module is started."""

if __name__ == "__main__":
    main(sys.argv[1])
