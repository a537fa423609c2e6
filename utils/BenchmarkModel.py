"""Measure the speed and accuracy of a network in each available runtime.

    python utils/BenchmarkModel.py --model arena

The results are remembered: RUNTIME = auto uses the fastest accepted runtime.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from deeplabstream.startup.progress import progress_bar
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.pose.runtimes.runtime_selection import (
    RuntimeMeasurement,
    choose,
    measure,
    remember,
)
from deeplabstream.pose.runtimes.runtime_comparison import images_of
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.runtimes.onnx_runtime import nvidia_gpu_name
from deeplabstream.pose.model.model_opening import TOLERANCE_PX, find_model
from deeplabstream.pose.runtimes.runtime_list import (
    REFERENCE,
    RUNTIMES,
    check_runtime,
    present,
)


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    options = _parser().parse_args(argv)
    check_free([options.json] if options.json else [], options.overwrite)
    _benchmark(options)
    return 0


def _benchmark(options: argparse.Namespace) -> None:
    model = load_model_folder(find_model(options.model))
    runtimes = present(model)
    if options.runtimes:
        runtimes = tuple(check_runtime(name) for name in options.runtimes)
    _, own = images_of(model)
    with progress_bar("measuring", unit="steps") as bar:
        rows = measure(
            model,
            runtimes,
            options.threads,
            options.tolerance,
            patient=True,
            seconds=options.seconds,
            watch=bar.show,
        )
    size = f"{model.fitting.width}x{model.fitting.height}"
    print(f"{model.path.name}, {size}, one frame at a time, network only;")
    if nvidia_gpu_name():
        print(f"on {nvidia_gpu_name()};")
    print("difference of points to full precision, in px of the input,")
    print(
        "on "
        f"{('its own images' if own else 'simulated images, because it has none of its own')}"
    )
    print(
        f"{'runtime':<16}{'p50 ms':>8}{'best':>8}{'times':>7} | {'median':>7}{'p95':>8}"
        f"{'max':>8}{'with changed visibility':>16} |"
    )
    reference = next(row for row in rows if row.runtime == REFERENCE)
    for row in rows:
        print(_line(row, reference))
    chosen = choose(rows)
    print(
        f"RUNTIME = auto uses {chosen} (TOLERANCE_PX = {options.tolerance:g})", end=""
    )
    if options.runtimes:
        print("; not remembered, because not all runtimes were measured")
    else:
        remember(model, options.threads, options.tolerance, rows)
        print()
    for row in rows:
        if (needed := _would_pass(row, own)) is not None:
            print(f"TOLERANCE_PX = {needed:g} would permit {row.runtime}")
    if options.json:
        text = json.dumps([asdict(row) for row in rows], indent=2)
        options.json.write_text(text, "utf-8")


def _line(row: RuntimeMeasurement, reference: RuntimeMeasurement) -> str:
    if row.problem:
        return f"{row.runtime:<16}{row.problem}"
    words = f"{row.runtime:<16}{row.p50_ms:8.2f}{row.best_ms:8.2f}"
    words += f"{reference.best_ms / row.best_ms:7.2f} | "
    far = row.difference
    if far is None or math.isnan(far.median_px):
        words += f"{'-':>7}{'-':>8}{'-':>8}{'-':>16}"
    else:
        words += f"{far.median_px:7.3f}{far.p95_px:8.3f}{far.max_px:8.3f}"
        words += f"{far.seen_otherwise:16.1%}"
    how = "" if row.accepted else "refused: "
    return f"{words} | {how}{row.provider}"


def _would_pass(row: RuntimeMeasurement, own: bool) -> float | None:
    """Return the TOLERANCE_PX with which a refused runtime is accepted; None: with none."""
    far = row.difference
    if row.accepted or far is None or not math.isfinite(far.p95_px):
        return None
    needed = math.ceil(far.p95_px * 100) / 100
    return needed if needed <= 1 and far.within(needed, own) else None


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="BenchmarkModel", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", required=True, help="model folder, or its name in models/")
    add("--threads", type=at_least(0), default=0, help="CPU threads; 0: all cores")
    add(
        "--tolerance",
        type=float,
        default=TOLERANCE_PX,
        help="TOLERANCE_PX of the settings",
    )
    add("--seconds", type=float, default=3.0, help="duration of each measurement")
    add(
        "--runtimes",
        nargs="*",
        metavar="NAME",
        help=f"runtimes to measure: {', '.join(RUNTIMES)}",
    )
    add("--json", type=Path, help="file for the rows")
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
