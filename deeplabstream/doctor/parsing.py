"""Parsers of the output of operating systems and drivers; unreadable text gives no values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from deeplabstream.doctor.environment import (
    Library,
    NvidiaGpu,
    System,
    Version,
)

_PLANS = {
    "381b4222-f694-41f0-9685-ff5bb260df2e": "balanced",
    "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c": "high performance",
    "a1841308-3541-4fab-bc81-f71556f20b4a": "power saver",
    "e9a42b02-d5df-448d-aa00-03f14749eb61": "ultimate performance",
}
_LIBRARY = re.compile(
    r"^(?:lib)?(cublasLt|cublas|cudart|cudnn|cufft|curand|nvinfer)"
    r"(?:\.so\.(\d+)|(?:64)?_(\d+)\.dll)",
)
_PNP_ERRORS = {
    1: "it is not configured",
    10: "it cannot start",
    22: "it is disabled",
    28: "its driver is not installed",
    31: "its driver does not work",
    43: "Windows has stopped it because it reported problems",
    45: "it is not connected",
}
"""Meaning of the error codes of Windows' device manager."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^;\s]+)\s*(?:;\s*(.*))?$")
_MARKER = re.compile(r"""^sys_platform\s*(==|!=)\s*["'](\w+)["']$""")
_PLATFORMS: Mapping[System, str] = {
    "linux": "linux",
    "windows": "win32",
    "darwin": "darwin",
}


def version_of(text: str) -> Version | None:
    """Return the numbers of a version such as 580.65.06; None: it is none.

    >>> version_of("580.65.06")
    (580, 65, 6)
    """
    numbers = text.strip().split(".")
    if not all(number.isdigit() for number in numbers):
        return None
    return tuple(map(int, numbers))


def nvidia_smi(text: str) -> tuple[tuple[NvidiaGpu, ...], Version | None]:
    """Return GPUs and driver from lines of name, driver, capability, total, free."""
    gpus, driver = [], None
    for line in text.splitlines():
        values = [word.strip() for word in line.split(",")]
        if len(values) != 5 or version_of(values[1]) is None:
            continue
        name, driver_text, capability, total, free = values
        driver = version_of(driver_text)
        gpus.append(
            NvidiaGpu(name, _capability(capability), _number(total), _number(free))
        )
    return tuple(gpus), driver


def _capability(text: str) -> tuple[int, int] | None:
    found = version_of(text)
    return (found[0], found[1]) if found is not None and len(found) == 2 else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def os_release(text: str) -> dict[str, str]:
    """Return the entries of /etc/os-release."""
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip('"') for key, _, value in lines}


def cpu_features(flags: Iterable[str]) -> frozenset[str]:
    """Return the features that matter, from the flags of /proc/cpuinfo or of macOS."""
    known = {flag.lower() for flag in flags}
    found = {
        "avx2": {"avx2"},
        "avx512": {"avx512f"},
        "avx512_vnni": {"avx512_vnni", "avx512vnni"},
        "amx": {"amx_tile", "amx"},
    }
    return frozenset(name for name, any_of in found.items() if known & any_of)


def memory_info(text: str) -> tuple[float | None, float | None]:
    """Return total and available memory in GB, from /proc/meminfo."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        values = rest.split()
        if values and values[0].isdigit():
            found[key] = int(values[0]) * 1024 / 1e9
    return found.get("MemTotal"), found.get("MemAvailable")


def power_plan(text: str) -> str:
    """Return the name of the plan that `powercfg /getactivescheme` prints.

    The names are translated in other languages of Windows, the identifiers are not.
    """
    low = text.lower()
    for identifier, name in _PLANS.items():
        if identifier in low:
            return name
    found = re.search(r"\(([^)]+)\)\s*$", text.strip())
    return found[1] if found else ""


def file_system(text: str, folder: str) -> str:
    """Return the file system of a folder, from /proc/mounts."""
    best, kind = "", ""
    for line in text.splitlines():
        tokens = line.split()
        if len(tokens) < 3:
            continue
        place = tokens[1].replace("\\040", " ")
        inside = folder == place or folder.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, tokens[2]
    return kind


def cuda_library(file: str, path: str) -> Library | None:
    """Return the CUDA library of a file name; None: it is another file.

    >>> cuda_library("libcudnn.so.9", "there").major
    9
    >>> cuda_library("cublas64_12.dll", "there").name
    'cublas'
    """
    found = _LIBRARY.match(file)
    if found is None:
        return None
    return Library(found[1], int(found[2] or found[3]), path)


def pins(text: str, system: System) -> dict[str, str]:
    """Return the pinned versions of a requirements file that apply to a system."""
    found = {}
    for line in text.splitlines():
        match = _PIN.match(line.partition("#")[0].strip())
        if match is None:
            continue
        name, version, marker = match[1], match[2], (match[3] or "").strip()
        if marker:
            condition = _MARKER.match(marker)
            if condition is None:
                continue
            same = condition[2] == _PLATFORMS[system]
            if same != (condition[1] == "=="):
                continue
        found[canonical(name)] = version
    return found


def canonical(name: str) -> str:
    """Return the name of a package as it is compared: lower case, hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def json_of(text: str) -> dict[str, Any]:
    """Return the JSON object in a text that may have other lines; {}: there is none."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return {}
    try:
        found = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def entries(value: object) -> list[dict[str, Any]]:
    """Return the objects in PowerShell's output, which may be none, one or several."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return [entry for entry in value if isinstance(entry, dict)]
    return []


def pnp_error(code: object) -> str:
    """Return the text for an error code of Windows' device manager; empty: no error."""
    if not isinstance(code, int) or code == 0:
        return ""
    return _PNP_ERRORS.get(code, f"Windows reports the error code {code}")


def exclusions(value: object) -> tuple[str, ...] | None:
    """Return the folders that Windows Defender excludes; None: unknown.

    Windows lists them for administrators only; others get a sentence that begins with N/A.
    """
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        return None
    if any(text.startswith("N/A") for text in texts):
        return None
    return tuple(texts)


def first_error(text: str) -> str:
    """Return the first line in which ONNX Runtime or a driver reports an error."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for line in plain.splitlines():
        found = re.search(r"\[E:onnxruntime[^\]]*\]\s*(.*)", line)
        if found:
            reason = re.search(r"error:\s*(.+)$", found[1])
            return (reason[1] if reason else found[1])[:300]
    return ""
