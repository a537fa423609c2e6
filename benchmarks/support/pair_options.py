"""Options of the benchmarks on pairs of animals, and their file of results."""

import argparse
import json
import platform
from collections.abc import Mapping
from pathlib import Path


def pair_parser(
    name: str, description: str, noise: float, unit: str
) -> argparse.ArgumentParser:
    """Return a parser of the options `quick`, `noise` and `json` of the benchmark `name`.

    `noise`: default standard deviation of each coordinate, in `unit`.
    """
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--quick", action="store_true", help="fewer encounters")
    parser.add_argument(
        "--noise",
        type=float,
        default=noise,
        metavar=unit,
        help=f"standard deviation of each coordinate (default: {noise:g})",
    )
    parser.add_argument("--json", type=Path, help="write everything there")
    return parser


def write_results(path: Path | None, name: str, results: Mapping[str, object]) -> None:
    """Write the results under `name`, and on what they were measured; None: write nothing."""
    if path is None:
        return
    about = {"python": platform.python_version(), "machine": platform.machine()}
    text = json.dumps({"about": about, name: results}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
