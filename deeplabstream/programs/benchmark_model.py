"""Measure the speed and accuracy of a network in each available runtime.

    python utils/BenchmarkModel.py --model arena

The results are remembered: RUNTIME = auto uses the fastest accepted runtime.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from deeplabstream.files.overwriting import check_free
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import TOLERANCE_PX, find_model
from deeplabstream.pose.runtimes.onnx_runtime import nvidia_gpu_name
from deeplabstream.pose.runtimes.runtime_comparison import images_of
from deeplabstream.pose.runtimes.runtime_list import (
    REFERENCE,
    RUNTIMES,
    check_runtime,
    present,
)
from deeplabstream.pose.runtimes.runtime_selection import (
    RuntimeMeasurement,
    choose,
    measure,
    remember,
)
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import model, overwrite, threads
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import progress_bar


@program_options
class BenchmarkModel:
    """A network, and how it is measured."""

    model: str = model()
    seconds: float = option(
        default=3.0, ge=0.01, le=600, title="Duration", decimals=1, unit="s"
    )
    """Duration of each measurement."""
    threads: int = threads()
    tolerance: float = option(default=TOLERANCE_PX, ge=0)
    """TOLERANCE_PX of the settings."""
    runtimes: tuple[str, ...] = option(
        default=(),
        description=f"runtimes to measure: {', '.join(RUNTIMES)}; default: all of this "
        "computer",
        metavar="NAME",
    )
    json: Path | None = option(default=None)
    """File for the rows."""
    overwrite: bool = overwrite()


def benchmark_model(options: BenchmarkModel) -> int:
    """Measure the runtimes, print them as a table and remember the fastest."""
    check_free([options.json] if options.json else [], options.overwrite)
    model = load_model_folder(find_model(options.model))
    runtimes = tuple(map(check_runtime, options.runtimes)) or present(model)
    threads, tolerance_px = options.threads, options.tolerance
    with progress_bar("measuring", unit="steps") as bar:
        rows = measure(
            model,
            runtimes,
            threads,
            tolerance_px,
            patient=True,
            seconds=options.seconds,
            watch=bar.show,
        )

    _, own_images = images_of(model)
    size = f"{model.fitting.width}x{model.fitting.height}"
    print(f"{model.path.name}, {size}, one frame at a time, network only;")
    if gpu := nvidia_gpu_name():
        print(f"on {gpu};")
    images = "its own images"
    if not own_images:
        images = "simulated images, because it has none of its own"
    print(f"difference of points to full precision, in px of the input,\non {images}")
    for line in _table(rows):
        print(line)

    chosen = f"RUNTIME = auto uses {choose(rows)} (TOLERANCE_PX = {tolerance_px:g})"
    if options.runtimes:
        print(f"{chosen}; not stored, because not all runtimes were measured")
    else:
        remember(model, threads, tolerance_px, rows)
        print(chosen)
    for row in rows:
        if (needed := _needed_tolerance(row, own_images)) is not None:
            print(f"TOLERANCE_PX = {needed:g} would permit {row.runtime}")

    if options.json:
        text = json.dumps([asdict(row) for row in rows], indent=2)
        options.json.write_text(text, "utf-8")
    return 0


def _table(rows: Sequence[RuntimeMeasurement]) -> Iterator[str]:
    yield (
        f"{'runtime':<16}{'p50 ms':>8}{'best':>8}{'times':>7} | {'median':>7}{'p95':>8}"
        f"{'max':>8}{'with changed visibility':>16} |"
    )
    reference = next(row for row in rows if row.runtime == REFERENCE)
    for row in rows:
        if row.problem:
            yield f"{row.runtime:<16}{row.problem}"
            continue
        difference = row.difference
        if difference is None or math.isnan(difference.median_px):
            points = f"{'-':>7}{'-':>8}{'-':>8}{'-':>16}"
        else:
            points = (
                f"{difference.median_px:7.3f}{difference.p95_px:8.3f}"
                f"{difference.max_px:8.3f}{difference.seen_otherwise:16.1%}"
            )
        yield (
            f"{row.runtime:<16}{row.p50_ms:8.2f}{row.best_ms:8.2f}"
            f"{reference.best_ms / row.best_ms:7.2f} | {points} | "
            f"{'' if row.accepted else 'refused: '}{row.provider}"
        )


def _needed_tolerance(row: RuntimeMeasurement, own_images: bool) -> float | None:
    """Return the TOLERANCE_PX with which a refused runtime is accepted; None: with none."""
    difference = row.difference
    if row.accepted or difference is None or not math.isfinite(difference.p95_px):
        return None
    needed = math.ceil(difference.p95_px * 100) / 100
    return needed if needed <= 1 and difference.within(needed, own_images) else None


PROGRAM = Program(BenchmarkModel, benchmark_model, __doc__, "BenchmarkModel")
