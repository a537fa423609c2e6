"""What it takes to read several animals off a network's maps.

Perfect maps of animals that do not touch, of two that lie across each other in each pair
(where assignments are contested), and noise in which every map is full of peaks. *Peaks* is
finding and placing them, *grouping* the rest. Nothing is asserted.

    python benchmarks/grouping.py --quick --json it.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.pose.decoders.part_affinity_fields import encode_fields

HEIGHT, WIDTH = 48, 64
"""Cells: an image of 256x192 at 4 pixels per cell."""


def how(parts: int, animals: int) -> PafGrouper:
    """Return a chain along the body, and an edge past each part of it."""
    edges = [(a, a + 1) for a in range(parts - 1)]
    edges += [(a, a + 2) for a in range(parts - 2)]
    return PafGrouper(parts, tuple(edges), animals, 4, 1.5)


def output(
    group: PafGrouper, animals: int, crossed: bool, seed: int
) -> NDArray[np.float32]:
    """Return what a perfect network gives for animals at random turns."""
    rng = np.random.default_rng(seed)
    along = np.linspace(-8, 8, group.bodyparts)
    places = [(16, 12), (48, 12), (16, 36), (48, 36)]
    points = []
    for each in range(animals):
        middle = np.array(places[(each // 2 if crossed else each) % 4])
        angle = rng.uniform(0, np.pi) + (each % 2) * np.pi / 2
        heading = np.array([np.cos(angle), np.sin(angle)])
        bend = np.sin(along / 4)[:, None] * heading[::-1] * [-1.5, 1.5]
        points.append(middle + along[:, None] * heading + bend)
    cells = np.array(points, np.float32)
    maps = Heatmaps(4, 1.0).encode_animals(cells * 4 + 1.5, HEIGHT, WIDTH)
    fields = encode_fields(cells, group.edges, HEIGHT, WIDTH, 1.0)
    return np.concatenate([maps, fields])


def measure(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """Return median and 99th percentile of a call, microseconds."""
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    return float(np.median(times)), float(np.percentile(times, 99))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--calls", type=int, help="of each kind (1000, quick: 100)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    calls = arguments.calls or (100 if arguments.quick else 1000)
    heatmaps = Heatmaps(4, 1.0)
    rows = []
    print(
        f"{'animals':>8}{'parts':>6}  {'what':<10}{'peaks':>8}{'all':>8}{'p99':>8}  us"
    )
    for animals in (1, 2, 4):
        for parts in (4, 8):
            for what in ("apart", "crossed", "noise"):
                group = how(parts, animals)
                maps = (
                    np.random.default_rng(0).uniform(
                        0, 1, (parts + 2 * len(group.edges), HEIGHT, WIDTH)
                    )
                    if what == "noise"
                    else output(group, animals, what == "crossed", 0)
                ).astype(np.float32)

                def peaks(group=group, maps=maps, parts=parts):  # type: ignore[no-untyped-def]
                    found = group.peaks(maps[:parts])
                    places = found.maps, found.rows, found.columns
                    return found, heatmaps.locate(maps[:parts], *places)

                def whole(group=group, maps=maps, parts=parts, peaks=peaks):  # type: ignore[no-untyped-def]
                    return group.group(*peaks(), maps[parts:])

                finding, _ = measure(peaks, calls)
                median, worst = measure(whole, calls)
                rows.append(
                    {
                        "animals": animals,
                        "parts": parts,
                        "what": what,
                        "peaks_us": finding,
                        "all_us": median,
                        "all_p99_us": worst,
                    }
                )
                print(
                    f"{animals:>8}{parts:>6}  {what:<10}{finding:>8.0f}{median:>8.0f}"
                    f"{worst:>8.0f}"
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
