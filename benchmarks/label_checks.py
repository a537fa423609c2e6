"""Share of planted label errors that the label check finds, and its false alarms.

In one image of twenty two body parts are swapped (a left and a right one where the names
tell, else any two); in as many others one point is moved by half an animal's length to one and a
half. What the check lists in the unchanged labels is printed first, and is no false alarm later.

    python benchmarks/label_checks.py
    python benchmarks/label_checks.py --data openfield lips --trials 10 --json checks.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.body_sides import mirrored
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.simulation.arena import Arena
from deeplabstream.training.data.label_checks import unusual_points
from deeplabstream.training.data.projects import open_project

SHARE = 0.05
"""Share of the poses with a swap, and as many with a moved point."""
Points = NDArray[np.float32]


def simulated(count: int) -> tuple[Points, Skeleton]:
    """Return poses (pose, body part, 2) of the simulated mouse, with 1 px of noise."""
    arena = Arena((480, 640, 3), 0, shelter=False)
    points = np.stack([arena.truth(float(second))[0] for second in range(count)])
    noise = np.random.default_rng(0).normal(0, 1, points.shape)
    skeleton = Skeleton(("snout", "leftear", "rightear", "tailbase"))
    return (points + noise).astype(np.float32), skeleton


def labelled(path: Path, most: int) -> tuple[Points, Skeleton]:
    """Return labelled poses, each animal for itself; `most` of them, spread evenly."""
    with TemporaryDirectory() as unpacked:
        labels = open_project(path, Path(unpacked), several=True).labels
    points = labels.points.reshape(-1, len(labels.skeleton.bodyparts), 2)
    points = points[np.isfinite(points).any(axis=(1, 2))]
    count = min(most, len(points))
    chosen = np.unique(np.linspace(0, len(points) - 1, count).round().astype(int))
    return points[chosen], labels.skeleton


def trial(points: Points, skeleton: Skeleton, seed: int) -> dict[str, float]:
    """Plant errors, and return which share was found, and what else was listed."""
    rng = np.random.default_rng(seed)
    usual = {
        (pose, part)
        for pose, parts, *_ in unusual_points(points, skeleton)
        for part in parts
    }
    planted = points.copy()
    count = max(2, round(SHARE * len(points)))
    poses = rng.permutation(len(points))[: 2 * count].tolist()
    pairs = [(a, b) for a, b in enumerate(mirrored(skeleton)) if a < b]
    swapped: dict[int, set[int]] = {}
    moved: dict[int, int] = {}
    for pose in poses[:count]:
        there = np.flatnonzero(np.isfinite(points[pose]).all(axis=1)).tolist()
        sides = [pair for pair in pairs if {*pair} <= {*there}]
        if len(there) < 2:
            continue
        one, other = (
            sides[rng.integers(len(sides))] if sides else rng.choice(there, 2, False)
        )
        planted[pose, [one, other]] = points[pose, [other, one]]
        swapped[pose] = {int(one), int(other)}
    length = animal_length(points)
    for pose in poses[count:]:
        there = np.flatnonzero(np.isfinite(points[pose]).all(axis=1)).tolist()
        if not there:
            continue
        part, angle = int(rng.choice(there)), rng.uniform(0, 2 * np.pi)
        way = length * rng.uniform(0.5, 1.5) * np.array([np.cos(angle), np.sin(angle)])
        planted[pose, part] += way.astype(np.float32)
        moved[pose] = part
    found = [(pose, {*parts}) for pose, parts, *_ in unusual_points(planted, skeleton)]
    false = [
        1
        for pose, parts in found
        if not parts & (swapped.get(pose, set()) | {moved.get(pose, -1)})
        and not any((pose, part) in usual for part in parts)
    ]
    right = [(pose, parts) for pose, parts in swapped.items() if (pose, parts) in found]
    far = [pose for pose, part in moved.items() if (pose, {part}) in found]
    return {
        "swapped_found": len(right) / len(swapped),
        "moved_found": len(far) / len(moved),
        "false_per_100": 100 * len(false) / int(np.isfinite(points).all(axis=2).sum()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(
        description="Planted label errors that the label check finds."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one trial on 60 simulated poses")
    add(
        "--data",
        nargs="+",
        type=Path,
        default=[],
        help="labels, as TrainNetwork reads them",
    )
    add("--trials", type=int, default=5, help="per set of labels")
    add("--poses", type=int, default=300, help="of a set at most")
    add("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    count, trials = (60, 1) if options.quick else (options.poses, options.trials)
    sets = [("simulated", *simulated(min(count, 120)))]
    sets += [(path.stem, *labelled(path, count)) for path in options.data]
    rows = []
    print(
        "labels          poses  listed  swapped found  moved found  false per 100 labels"
    )
    for name, points, skeleton in sets:
        listed = len(list(unusual_points(points, skeleton)))
        each = [trial(points, skeleton, seed) for seed in range(trials)]
        row = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        rows.append({"labels": name, "poses": len(points), "listed": listed} | row)
        print(
            f"{name:<15}{len(points):>6}{listed:>8}{row['swapped_found']:>17.0%}"
            f"{row['moved_found']:>13.0%}{row['false_per_100']:>22.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
