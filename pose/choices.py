"""What was found out about runtimes on this computer, and for which networks it holds."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.errors import ModelError
from core.replacing import replace
from pose.caching import cache_folder
from pose.comparing import PICTURES
from pose.model_folder import ModelFolder
from pose.onnx_graph import layers
from pose.runtimes import Runtime, check_runtime


def keep(entries: dict[str, dict[str, object]]) -> None:
    """Add to the memory; a cache that can't be written is done without."""
    file = _memory()
    known = _read(file) | entries
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        draft.write_text(json.dumps(known, indent=1), "utf-8")
        replace(draft, file)
    except OSError:
        draft.unlink(missing_ok=True)


def chosen(key: str) -> Runtime | None:
    """Return the runtime that was kept under a key; None: none was."""
    known = _read(_memory()).get(key)
    try:
        return check_runtime(str(known["runtime"])) if known else None
    except (ModelError, KeyError, TypeError):
        return None


def _memory() -> Path:
    return cache_folder() / "runtimes.json"


def _read(file: Path) -> dict[str, dict[str, object]]:
    try:
        known = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def own_key(model: ModelFolder, threads: int, tolerance_px: float) -> str:
    """Return what the choice depends on, in one line."""
    marks = [f"{mark.name} {mark.stat().st_size}" for mark in _marks(model)]
    return ", ".join([model.sha256, *_circumstances(threads, tolerance_px), *marks])


def sisters_key(model: ModelFolder, threads: int, tolerance_px: float) -> str:
    """Return it for all networks of the same layers; ModelError: they can't be told."""
    names = [mark.name for mark in _marks(model)]
    alike = f"layers {layers(model.network)}"
    return ", ".join([alike, *_circumstances(threads, tolerance_px), *names])


def _marks(model: ModelFolder) -> list[Path]:
    """Return the files beside the network on which it depends what is right."""
    files = [model.path / name for name in ("int8.json", PICTURES)]
    return [file for file in files if file.is_file()]


def _circumstances(threads: int, tolerance_px: float) -> list[str]:
    words = [f"threads {threads}", f"tolerance {tolerance_px:g}"]
    words += [platform.processor() or platform.machine(), _processor()]
    words += [f"{os.cpu_count()} cores", platform.system()]
    for package in ("onnxruntime-gpu", "onnxruntime", "openvino", "MNN", "torch"):
        try:
            words.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return words


def _processor() -> str:
    """Return the processor's name where the system tells it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.node()
    return next((x.partition(":")[2].strip() for x in lines if "model name" in x), "")
