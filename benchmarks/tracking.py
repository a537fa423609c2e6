"""Identities of several animals: our tracker beside plain Hungarian matching and SLEAP-NN's.

All get the same detections: true poses without identity, shuffled; with noise, missing parts
and animals, and animals found as one; and what a quick detector (background subtraction,
connected components) finds of eight fish. Each half of a video is tracked alone, from its own
first frame: settings may be chosen on the first, never on the second. HOTA, IDF1 and identity
switches are those of `deeplabstream evaluate-tracking`. Ours and plain matching see one frame
after another; of SLEAP-NN, trackers that join tracks afterwards (`linked`) stand too. Nothing
is asserted.

    python benchmarks/tracking.py --quick --json it.json
    python benchmarks/tracking.py --sleap-nn SLEAP_ENVIRONMENT/bin/python
    python benchmarks/tracking.py --sets three-mice --only poor --half first
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.fish import fish
from benchmarks.support.tracking_sets import (
    DISTURBANCES,
    Found,
    Truth,
    recorded_sets,
    simulated_mice,
)
from benchmarks.support.training_programs import existing
from deeplabstream.numerics.assignment import assign
from deeplabstream.offline.tracking_evaluation import TOLERANCE, evaluate_tracks
from deeplabstream.pose.tracking.identity_tracker import IdentityTracker
from deeplabstream.pose.tracking.pose_matching import distances

WORKER = Path(__file__).parent / "rivals/tracking_worker.py"
THRESHOLD = 0.5
HALVES = ("first", "second")
Points = NDArray[np.float64]
Row = dict[str, Any]


def ours(truth: Truth, found: Found, first: int, last: int) -> dict[str, Points]:
    """Return the points (frame, animal, body part, 2) under each name, and the known ones."""
    animals = truth.points.shape[1]
    skeleton = replace(truth.skeleton, animals=truth.skeleton.named(animals))
    tracker = IdentityTracker(skeleton, THRESHOLD)
    named = np.full((last - first, *truth.points.shape[1:]), np.nan)
    known = named.copy()
    images = truth.images(first, last)
    for row, image in enumerate(images):
        pose = found.pose(first + row, truth.skeleton, animals)
        out = tracker.update(image, pose, (first + row) / truth.rate)
        for animal in range(animals):
            named[row, animal] = out.points[animal]
            if not out.is_ambiguous(animal):
                known[row, animal] = out.points[animal]
    return {"ours": named, "ours, known identity": known}


def hungarian(found: Found, animals: int, first: int, last: int) -> Points:
    """Return tracks of plain matching: the least sum of distances to the last positions.

    As many tracks as animals; the first detections begin them, nothing is gated.
    """
    parts = found.points[first].shape[1]
    tracks = np.full((last - first, animals, parts, 2), np.nan)
    latest = np.full((animals, parts, 2), np.nan, np.float32)
    for row, points in enumerate(found.points[first:last]):
        now = points.astype(np.float32)
        pairs = assign(distances(latest, now))
        taken = {detection for _, detection in pairs}
        new = [track for track in range(animals) if np.isnan(latest[track]).all()]
        others = [one for one in range(len(now)) if one not in taken]
        for track, detection in (*pairs, *zip(new, others, strict=False)):
            tracks[row, track] = points[detection]
            there = np.isfinite(now[detection])
            latest[track] = np.where(there, now[detection], latest[track])
    return tracks


def sleap_nn(
    python: str, truth: Truth, found: Found, first: int, last: int
) -> Iterator[tuple[str, Points]]:
    """Yield the tracks of each of SLEAP-NN's trackers."""
    given, scores = found.points[first:last], found.confidence[first:last]
    most = max(map(len, given))
    shape = last - first, most, *given[0].shape[1:]
    points, sure = np.full(shape, np.nan), np.zeros(shape[:3])
    for row, (one, certain) in enumerate(zip(given, scores, strict=True)):
        points[row, : len(one)], sure[row, : len(one)] = one, certain

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        np.savez(
            folder / "detections.npz",
            points=points, scores=sure, animals=truth.points.shape[1],
        )  # fmt: skip
        command = [python, str(WORKER), made]
        if truth.video is not None:
            command += [str(truth.video), str(first)]
        subprocess.run(command, check=True)
        failed = json.loads((folder / "failed.json").read_text("utf-8"))
        for name, why in failed.items():
            print(f"SLEAP-NN, {name}: no result: {why}", flush=True)
        for file in sorted(folder.glob("*.npy")):
            numbers = np.load(file)
            tracks = np.full((len(points), numbers.max() + 1, *shape[2:]), np.nan)
            for frame, row in zip(*np.nonzero(numbers >= 0), strict=True):
                tracks[frame, numbers[frame, row]] = points[frame, row]
            yield f"SLEAP-NN, {file.stem}", tracks


def measure(
    truth: Truth, found: Found, python: str, first: int, last: int
) -> Iterator[Row]:
    """Yield the scores of each tracker on the frames from `first` on, before `last`."""
    true = truth.points[first:last]
    scale_px = TOLERANCE * truth.length_px
    tracks = ours(truth, found, first, last)
    tracks["Hungarian"] = hungarian(found, truth.points.shape[1], first, last)
    if python:
        tracks |= dict(sleap_nn(python, truth, found, first, last))
    for name, points in tracks.items():
        yield {"tracker": name, **asdict(evaluate_tracks(points, true, scale_px))}


def print_row(row: Row) -> None:
    """Print a line of the table."""
    shares = "".join(
        f"{row[key]:>7.3f}" for key in ("hota", "deta", "assa", "idf1", "idp", "idr")
    )
    case = f"{row['set']}, {row['detections']}, {row['half']}"
    print(
        f"{case:<30}{row['tracker']:<38}{shares}{row['switches']:>6}",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="120 simulated frames")
    parser.add_argument("--sleap-nn", type=existing, metavar="PYTHON")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these sets")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only detections")
    parser.add_argument("--half", choices=HALVES, help="only this half of each video")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    asked = parser.parse_args(argv)
    python = str(asked.sleap_nn or "")

    cases = list(chosen_cases(asked.quick, asked.sets))
    print(f"{'set, detections, half':<30}{'tracker':<38}{'HOTA':>7}{'DetA':>7}{'AssA':>7}"
          f"{'IDF1':>7}{'IDP':>7}{'IDR':>7}{'sw.':>6}")  # fmt: skip
    rows = []
    for truth, name, found in cases:
        if asked.only and name not in asked.only:
            continue
        middle, end = len(truth.points) // 2, len(truth.points)
        for half, (first, last) in zip(
            HALVES, ((0, middle), (middle, end)), strict=True
        ):
            if asked.half in (None, half):
                for scores in measure(truth, found, python, first, last):
                    rows.append(
                        {"set": truth.name, "detections": name, "half": half} | scores
                    )
                    print_row(rows[-1])
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def chosen_cases(
    quick: bool, names: Sequence[str] | None
) -> Iterator[tuple[Truth, str, Found]]:
    """Yield the truth, the name and the detections of the named sets, or of all."""
    sets = [simulated_mice(120)] if quick else [simulated_mice(), *recorded_sets()]
    for truth in sets:
        if not names or truth.name in names:
            for each in DISTURBANCES:
                yield truth, each.name, each.found(truth)
    if not quick and (not names or "fish-8" in names) and (made := fish()):
        yield made[0], "detected", made[1]


if __name__ == "__main__":
    sys.exit(main())
