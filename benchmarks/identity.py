"""Whether animals that meet keep their names, and what it takes to tell.

Drawn animals that walk through each other, as a fair network would find them: in no order,
1.5 px of noise, 3 % of body parts and of animals missing, four in five of the parts that
lie below another animal too, and two animals whose middles are nearer than 16 px found as
one, half of each. Then two simulated flies that pass each other legs upon legs, and SLEAP's
two flies where its clip is there: labels with noise, gaps and parts that are assigned to the
wrong animal; a plain tracker takes the nearest animal of the frame before. Nothing is asserted.
The time is that of the CPU, of one frame.

    python benchmarks/identity.py --quick --json it.json
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.simulation.arena import Arena
from tests.pose.crowd import (
    SLEAP,
    THRESHOLD,
    Crowd,
    Found,
    Nearest,
    flies,
    followed,
    skeleton,
    sleap_flies,
)

SHAPE = (480, 640, 3)


class Timed(IdentityTracker):
    """An identity that is timed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.spent_ms: list[float] = []

    def update(self, image: Image, pose: Pose, time_s: float) -> Pose:
        """Return what it says, and keep how long that took."""
        began = time.process_time()
        told = super().update(image, pose, time_s)
        self.spent_ms.append((time.process_time() - began) * 1e3)
        return told


def measure(
    animals: int, alike: bool, believe_s: float, seeds: int, pictures: int
) -> dict[str, Any]:
    """Return what became of the names on several walks."""
    row: dict[str, Any] = {
        "animals": animals,
        "alike": alike,
        "believe_after_s": believe_s,
        "pictures": seeds * pictures,
    }
    counts = dict.fromkeys(
        ("told", "doubted", "wrong", "silent", "exchanged", "believed", "covered"), 0
    )
    spent: list[float] = []
    for seed in range(seeds):
        arena = Arena(SHAPE, seed, shelter=False, animals=animals, alike=alike)
        crowd = Crowd(arena, seed)
        rules = IdentitySettings(believe_after_s=believe_s)
        identity = Timed(skeleton(animals), THRESHOLD, rules)
        tally = followed(crowd, identity, pictures)
        spent += identity.spent_ms
        counts["covered"] += crowd.covered
        for name in counts.keys() - {"covered"}:
            counts[name] += getattr(tally, name)
    p50, p99 = np.percentile(spent, (50, 99))
    return {**row, **counts, "p50_ms": float(p50), "p99_ms": float(p99)}


def measure_flies(found: Found, frames: int) -> dict[str, Any]:
    """Return how two animals keep their names, and how with a plain tracker."""
    named = replace(found.skeleton, animals=("female", "male"))
    tally = followed(found, IdentityTracker(named, THRESHOLD), frames)
    plain = followed(found, Nearest(2), frames)
    return {**asdict(tally), "plain_switches": plain.switches}


def print_flies() -> list[dict[str, Any]]:
    """Print the second table, and return its rows."""
    hard: dict[str, Any] = {"mixed": 0.3, "dropouts": 0.15, "noise_px": 4.0}
    cases = {"simulated": flies(1500), "simulated, noisy": flies(1500, **hard)}
    if SLEAP.exists():
        cases["SLEAP's clip"] = sleap_flies()
        cases["SLEAP's clip, noisy"] = sleap_flies(**hard)
    print("\nflies                 named at   ambiguous   switches   corrected   plain")
    rows = []
    for name, found in cases.items():
        row = measure_flies(found, len(found.truth))
        rows.append({"flies": name, **row})
        print(
            f"{name:<20} {row['named']:>9} {row['frames'] / len(found.truth):>11.1%} "
            f"{row['switches']:>10} {row['exchanged']:>11} {row['plain_switches']:>7}",
            flush=True,
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two walks of 30 s each")
    parser.add_argument("--walks", type=int, help="of each kind (5, quick: 2)")
    parser.add_argument("--frames", type=int, help="of a walk (1800, quick: 900)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    asked = parser.parse_args(argv)
    seeds, pictures = (2, 900) if asked.quick else (5, 1800)
    seeds, pictures = asked.walks or seeds, asked.frames or pictures
    print(
        "           believed             in      wrong,  wrong,  mended    ms a frame"
    )
    print(
        "animals    after s   told    doubt   in doubt  unsaid  exchanges  p50    p99"
    )
    rows = []
    for animals in (2, 4):
        for alike, believe_s in ((False, 0.0), (True, 0.0), (True, 1.0)):
            row = measure(animals, alike, believe_s, seeds, pictures)
            rows.append(row)
            kind = "alike" if alike else "unlike"
            print(
                f"{animals} {kind:<8} {believe_s:>6g} {row['told']:>8} "
                f"{row['doubted'] / max(1, row['told']):>7.1%} {row['wrong']:>9} "
                f"{row['silent']:>8} {row['exchanged']:>8} "
                f"{row['p50_ms']:>9.3f} {row['p99_ms']:>6.3f}",
                flush=True,
            )
    rows += print_flies()
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
