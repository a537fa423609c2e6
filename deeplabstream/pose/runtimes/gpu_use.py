"""Reports of unused GPUs: the reason why RUNTIME = auto computes on the CPU.

A runtime that is named in the settings either computes or ends with a `ModelError`.
`auto` uses the fastest runtime with correct poses. Where that is the CPU although the
computer has a GPU, the reason is stored here; the engine reports it, also in run.json.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deeplabstream.files.user_cache import cache_folder, read_entries
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.runtimes.onnx_runtime import nvidia_gpu_name
from deeplabstream.pose.runtimes.runtime_list import Runtime
from deeplabstream.pose.runtimes.runtime_selection import (
    FastestNetwork,
    network_key,
    remembered,
)

GPU_RUNTIMES: tuple[Runtime, ...] = (
    "cuda",
    "tensorrt",
    "directml",
)
_HINT = "`deeplabstream doctor` names the command that helps"
_remarks: dict[str, str] = {}
"""Remarks by checksum of the network, for networks loaded in this process."""


def gpu_remarks() -> tuple[str, ...]:
    """Return a sentence for each network in this process that does not use the GPU."""
    return tuple(_remarks.values())


def note_gpu_use(
    model: ModelFolder, fastest: FastestNetwork, threads: int, tolerance_px: float
) -> None:
    """Store the reason why `auto` computes a network on the CPU, where there is a GPU."""
    _remarks.pop(model.sha256, None)
    gpu, driver = nvidia_gpu_name(), True
    if not gpu:
        gpu, driver = gpu_without_driver(), False
    if remark := gpu_remark(model, fastest, threads, tolerance_px, gpu, driver):
        _remarks[model.sha256] = remark


def gpu_remark(
    model: ModelFolder,
    fastest: FastestNetwork,
    threads: int,
    tolerance_px: float,
    gpu: str,
    driver: bool,
) -> str:
    """Return why `auto` computes a network on the CPU, although there is a GPU.

    "": it computes on the GPU, or there is none. `driver`: whether one answers.
    """
    network = fastest.network
    if not gpu or network.on_gpu:
        return ""
    reasons = [f"no NVIDIA driver answers; {_HINT}"]
    if driver:
        reasons = list(_reasons(model, fastest.failure, threads, tolerance_px))
    return (
        f"RUNTIME = auto computes {model.path.name} on the CPU ({network.provider}), "
        f"although this computer has {gpu}: {'; '.join(reasons)}"
    )


def gpu_without_driver(devices: Path = Path("/sys/bus/pci/devices")) -> str:
    """Return an NVIDIA GPU without a working driver, which only Linux lists; "": none."""
    # Linux lists PCI devices without a driver: 0x10de is NVIDIA; these classes are
    # display and 3D controllers.
    for vendor in devices.glob("*/vendor"):
        try:
            kind = vendor.with_name("class").read_text("utf-8")
            found = vendor.read_text("utf-8").strip() == "0x10de"
        except (OSError, ValueError):
            continue
        if found and kind.startswith(("0x0300", "0x0302")):
            return "an NVIDIA GPU without a working driver"
    return ""


def _reasons(
    model: ModelFolder, failure: str, threads: int, tolerance_px: float
) -> Iterator[str]:
    """Yield why each runtime of the GPU was not chosen."""
    known = remembered(model, threads, tolerance_px)
    if known in GPU_RUNTIMES:
        yield f"{known} was the fastest here and cannot be used now: {failure}"
        yield _HINT
        return

    measured = _measured(model, threads, tolerance_px)
    rows = {name: measured[name] for name in GPU_RUNTIMES if name in measured}
    if not rows:
        yield f"the runtimes could not be measured; {_HINT}"
        return

    chosen = _ms(measured.get(known or "cpu", {}))
    for name, row in rows.items():
        if row.get("problem"):
            yield f"{name}: {row['problem']}"
        elif not row.get("accepted"):
            yield f"{name}: its poses differ by more than TOLERANCE_PX"
        else:
            yield f"{name} takes {_ms(row)} and {known or 'cpu'} {chosen}"
    if any(row.get("problem") for row in rows.values()):
        yield _HINT


def _measured(
    model: ModelFolder, threads: int, tolerance_px: float
) -> dict[str, dict[str, Any]]:
    """Return the stored rows of the measurement, by runtime."""
    entries = read_entries(cache_folder() / "runtimes.json")
    rows = entries.get(network_key(model, threads, tolerance_px), {}).get("rows")
    return {
        str(row["runtime"]): row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and "runtime" in row
    }


def _ms(row: dict[str, Any]) -> str:
    taken = row.get("best_ms")
    return f"{taken:.2f} ms" if isinstance(taken, int | float) else "an unknown time"
