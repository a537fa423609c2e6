"""Runtime selection: the fastest runtime for a network, without its device and batch size.

Each installed runtime runs the same images as the reference. One whose poses differ too
much is refused. The fastest of the others is stored in the user's cache, by the
network's checksum, the computer and the versions.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.files.paths import PACKAGE
from deeplabstream.files.user_cache import add_entries, cache_folder, read_entries
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.network_estimator import Network
from deeplabstream.pose.runtimes.onnx_runtime import layers, nvidia_gpu_name
from deeplabstream.pose.runtimes.runtime_comparison import (
    SAMPLE_IMAGES,
    Difference,
    compare,
    images_of,
    outputs,
)
from deeplabstream.pose.runtimes.runtime_list import (
    REFERENCE,
    Runtime,
    check_runtime,
    load_network,
    present,
)


def store_choices(entries: dict[str, dict[str, object]]) -> None:
    """Store choices of runtimes; a cache that cannot be written is ignored."""
    add_entries(_cache_file(), entries)


def cached_runtime(key: str) -> Runtime | None:
    """Return the runtime stored under a key; None: there is none."""
    known = read_entries(_cache_file()).get(key)
    try:
        return check_runtime(str(known["runtime"])) if known else None
    except (ModelError, KeyError):
        return None


def _cache_file() -> Path:
    return cache_folder() / "runtimes.json"


def network_key(model: ModelFolder, threads: int, tolerance_px: float) -> str:
    """Return the cache key of one network: all that the choice depends on."""
    marks = [f"{mark.name} {mark.stat().st_size}" for mark in _marks(model)]
    return ", ".join([model.sha256, *_circumstances(threads, tolerance_px), *marks])


def architecture_key(model: ModelFolder, threads: int, tolerance_px: float) -> str:
    """Return the cache key of networks with equal layers; ModelError when unreadable."""
    names = [mark.name for mark in _marks(model)]
    alike = f"layers {layers(model.network)}"
    return ", ".join([alike, *_circumstances(threads, tolerance_px), *names])


def _marks(model: ModelFolder) -> list[Path]:
    """Return the files in the model folder that the choice depends on."""
    files = [model.path / name for name in ("int8.json", SAMPLE_IMAGES)]
    return [file for file in files if file.is_file()]


def _circumstances(threads: int, tolerance_px: float) -> list[str]:
    # All that changes speeds or rounding: with another value it is measured again.
    parts = [f"threads {threads}", f"tolerance {tolerance_px:g}"]
    parts += [platform.processor() or platform.machine(), _processor()]
    parts += [f"{os.cpu_count()} cores", platform.system()]
    parts += [name] if (name := nvidia_gpu_name()) else []
    for package in _COMPUTE_PACKAGES:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return parts


def _processor() -> str:
    """Return the CPU's name where the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.node()
    return next((x.partition(":")[2].strip() for x in lines if "model name" in x), "")


_COMPUTE_PACKAGES = (
    *("onnxruntime-gpu", "onnxruntime", "openvino", "onnxruntime-directml"),
    *("nvidia-cublas", "nvidia-cudnn-cu13", "nvidia-cublas-cu12", "nvidia-cudnn-cu12"),
)
"""Packages whose versions invalidate a choice: with new CUDA libraries, `auto` measures again."""
WORTH = 0.95
"""A runtime is chosen when it needs less than this share of the reference's time."""
_ROUNDS = 3
"""Number of rounds for each network."""
SECONDS = 0.4
"""Seconds of measurement for each runtime, at least three calls."""
PATIENCE_S = 120.0
"""Time limit of the first measurement; afterwards the reference is used."""
_SLOW = ("tensorrt",)  # loading takes minutes, so only on request


@dataclass(frozen=True, slots=True)
class RuntimeMeasurement:
    """Measurement of one runtime."""

    runtime: str
    provider: str = ""
    p50_ms: float = np.nan
    """Milliseconds for one image, of the network alone."""
    best_ms: float = np.nan
    loading_s: float = np.nan
    difference: Difference | None = None
    accepted: bool = False
    problem: str = ""
    """Reason why it could not run."""


@dataclass(frozen=True, slots=True)
class FastestNetwork:
    """A network in the fastest runtime that can be used now."""

    network: Network
    failure: str = ""
    """Error of the fastest runtime, for which the reference computes instead."""


def open_fastest(
    model: ModelFolder,
    threads: int,
    tolerance_px: float,
    run: Callable[..., object] = subprocess.run,
    load: Callable[[ModelFolder, Runtime, int], Network] = load_network,
) -> FastestNetwork:
    """Return the network in the fastest runtime; the reference when that one fails.

    The first time on a computer, this measures for some seconds in another process, so
    that nothing a runtime leaves behind stays. Afterwards it looks the choice up. Of
    networks that differ only in weights, as in an ensemble, one is measured. `run` runs
    that process, `load` loads a network in a runtime.
    """
    known = remembered(model, threads, tolerance_px)

    # Unknown: try the choice of an equal network first, and measure only without one.
    if known is None and len(present(model)) > 1:
        if network := _open_by_architecture(model, threads, tolerance_px):
            return FastestNetwork(network)
        _measure_in_child(model, threads, tolerance_px, run)
        known = remembered(model, threads, tolerance_px)

    failure = ""
    if known:
        try:
            network = load(model, known, threads)
            size = model.fitting.height, model.fitting.width
            # fails here if memory is too small
            network.run(np.zeros((1, *size, 3), np.uint8))
            return FastestNetwork(network)
        except ModelError as error:
            failure = str(error)
    return FastestNetwork(load(model, REFERENCE, threads), failure)


def _open_by_architecture(
    model: ModelFolder, threads: int, tolerance_px: float
) -> Network | None:
    """Return the network in the runtime chosen for the same layers, if its poses agree.

    The speed is the same, but rounding can move the poses of other weights farther.
    None: there is no such choice, or the poses differ.
    """
    try:
        known = cached_runtime(architecture_key(model, threads, tolerance_px))
        if known is None:
            return None

        # Speed depends on the layers alone, rounding also on the weights: compare poses.
        network = load_network(model, known, threads)
        if known != REFERENCE:
            images, own = images_of(model)
            reference = outputs(load_network(model, REFERENCE, threads), images)
            difference = compare(model, reference, outputs(network, images))
            if not difference.within(tolerance_px, own):
                return None
    except ModelError:
        return None
    store_choices({network_key(model, threads, tolerance_px): {"runtime": known}})
    return network


def _measure_in_child(
    model: ModelFolder,
    threads: int,
    tolerance_px: float,
    run: Callable[..., object],
) -> None:
    """Measure in another process and store the result; on failure nothing is stored."""
    parts = [str(model.path.resolve()), str(threads), repr(tolerance_px)]
    with suppress(OSError, subprocess.TimeoutExpired):
        run(
            [sys.executable, "-m", __name__, *parts],
            cwd=PACKAGE.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )


def measure(
    model: ModelFolder,
    runtimes: Sequence[Runtime],
    threads: int,
    tolerance_px: float,
    patient: bool = False,
    seconds: float = SECONDS,
    watch: Callable[[int, int], object] = lambda done, total: None,
    load: Callable[[ModelFolder, Runtime, int], Network] = load_network,
) -> list[RuntimeMeasurement]:
    """Return one row per runtime, the reference's first.

    They are measured in turns, so that other load affects all of them. `watch` gets how
    many steps of how many are done.
    """
    images, own = images_of(model)
    candidates = [name for name in runtimes if name != REFERENCE]
    if not patient:
        candidates = [name for name in candidates if name not in _SLOW]

    # First all are loaded and compared: the reference comes first.
    rows: dict[str, RuntimeMeasurement] = {}
    networks: dict[str, Network] = {}
    reference: NDArray[np.float32] | None = None
    steps = (1 + _ROUNDS) * (1 + len(candidates))
    for done, name in enumerate([REFERENCE, *candidates]):
        watch(done, steps)
        began = time.perf_counter()
        try:
            network = load(model, name, threads)
            given = outputs(network, images)
        except ModelError as error:
            if name == REFERENCE:
                raise
            rows[name] = RuntimeMeasurement(name, problem=str(error))
            continue

        took = time.perf_counter() - began
        reference = given if reference is None else reference
        difference = compare(model, reference, given)
        fine = name == REFERENCE or difference.within(tolerance_px, own)
        rows[name] = RuntimeMeasurement(
            name, network.provider, loading_s=took, difference=difference, accepted=fine
        )
        networks[name] = network

    # Then those that load are timed, in turns.
    turns = steps - len(networks) * _ROUNDS
    taken = _times(networks, images, seconds, lambda turn: watch(turns + turn, steps))
    for measured, times in taken.items():
        p50_ms, best_ms = float(np.median(times)) * 1e3, min(times) * 1e3
        rows[measured] = replace(rows[measured], p50_ms=p50_ms, best_ms=best_ms)
    return list(rows.values())


def choose(rows: Sequence[RuntimeMeasurement]) -> Runtime:
    """Return the fastest accepted runtime; the reference unless another is much faster.

    The shortest times are compared: other load only lengthens times.
    """
    reference = next(row for row in rows if row.runtime == REFERENCE)
    fine = [row for row in rows if row.accepted and row.best_ms > 0]
    best = min(fine, key=lambda row: row.best_ms, default=reference)
    if best.best_ms < WORTH * reference.best_ms:
        return check_runtime(best.runtime)
    return REFERENCE


def remember(
    model: ModelFolder,
    threads: int,
    tolerance_px: float,
    rows: Sequence[RuntimeMeasurement],
) -> None:
    """Store the choice for this network and those of the same layers."""
    found: dict[str, object] = {"runtime": choose(rows)}
    own = network_key(model, threads, tolerance_px)
    entries = {own: found | {"rows": [asdict(row) for row in rows]}}
    with suppress(ModelError):
        entries[architecture_key(model, threads, tolerance_px)] = found
    store_choices(entries)


def remembered(model: ModelFolder, threads: int, tolerance_px: float) -> Runtime | None:
    """Return the runtime that was chosen before; None: there is none."""
    return cached_runtime(network_key(model, threads, tolerance_px))


def _times(
    networks: dict[str, Network],
    images: NDArray[np.uint8],
    seconds: float,
    watch: Callable[[int], object],
) -> dict[str, list[float]]:
    """Return the durations of calls, in turns of a few calls each.

    `watch` gets the number of each turn when it begins.
    """
    times: dict[str, list[float]] = {name: [] for name in networks}
    # Different images in turn, as live: a single one would stay in the CPU's cache.
    singles = cycle([np.ascontiguousarray(one[None]) for one in images])
    for turn in range(_ROUNDS):
        for number, (name, network) in enumerate(networks.items()):
            watch(turn * len(networks) + number)
            spent = 0.0
            while not times[name] or spent < seconds / _ROUNDS:
                began = time.perf_counter()
                network.run(next(singles))
                took = time.perf_counter() - began
                times[name].append(took)
                spent += took
    return times


if __name__ == "__main__":
    _model = load_model_folder(Path(sys.argv[1]))
    _how = int(sys.argv[2]), float(sys.argv[3])
    remember(_model, *_how, measure(_model, present(_model), *_how))
