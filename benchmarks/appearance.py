"""How well animals are recognised by a learned appearance, in blocks of time that were left out.

Four simulated mice with different coats, with bands on their tails (none, one, two, three), and
alike, found with 1.5 px of noise; each walks for 3 min. Then three mice that look alike, where
the labelled clip of 33 s is there. Networks are trained and cross-validated as
`deeplabstream learn-appearance` does. The time is that of the CPU, of all five networks.

Then the identity tracker follows two and four mice with bands on other walks, which walk through
each other as in `identity.py`, with brightness and colours alone, and with what was learned too.
Asserted: found, and not ambiguous. The time is that of the thread, of one frame.

    python benchmarks/appearance.py --json it.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.pose.tracking.aligned_crops import body_axis
from deeplabstream.pose.tracking.appearance_folder import (
    AppearanceFolder,
    load_appearance_folder,
    open_embedder,
)
from deeplabstream.pose.tracking.embedding_evidence import EmbeddingEvidence
from deeplabstream.pose.tracking.identity_tracker import IdentityTracker
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.simulation.arena import Arena
from deeplabstream.training.appearance.certain_tracks import CropCollector, CropSet
from deeplabstream.training.appearance.embedding_network import EmbeddingFitSettings
from deeplabstream.training.appearance.learning import learn
from deeplabstream.video.video_reader import open_video
from tests.pose.crowd import THRESHOLD, Crowd, skeleton

ANIMALS, SHAPE, RATE, NOISE_PX = 4, (480, 640, 3), 30, 1.5
EVERY_S = 0.5
"""Time between two bursts of five frames."""
CLIP = Path(__file__).resolve().parents[2] / "shared/data/three-mice"
CLIP_RATE = 30
CLIP_EVERY_S = 0.01
"""The clip is short: every frame is used."""
BANDS = "tail bands"
KINDS: dict[str, dict[str, bool]] = {
    "four coats": {"alike": False},
    BANDS: {"bands": True},
    "alike": {},
}


Images = Callable[[NDArray[np.int64]], Iterable[tuple[int, Image]]]
"""Yields rows and their images."""


def crops_of(table: PoseTable, images: Images, every_s: float) -> CropSet:
    """Return the crops of a table of poses."""
    collector = CropCollector(table, 0.5, body_axis(table.skeleton))
    for row, image in images(collector.rows(every_s, len(table))):
        collector.add(row, image)
    return collector.crop_set()


def simulated(kind: dict[str, bool], seconds: float, seed: int) -> CropSet:
    """Return the crops of simulated mice."""
    arena = Arena(SHAPE, seed, animals=ANIMALS, **kind)  # type: ignore[arg-type]
    times_s = np.arange(round(seconds * RATE)) / RATE
    points = np.stack([arena.truth(time_s) for time_s in times_s]).astype(np.float64)
    points += np.random.default_rng(seed).normal(0, NOISE_PX, points.shape)
    sure = np.isfinite(points[..., 0]).astype(np.float64)
    table = pose_table(Path("simulated"), skeleton(ANIMALS), points, sure)

    def images(rows: NDArray[np.int64]) -> Iterator[tuple[int, Image]]:
        image: Image = np.empty(SHAPE, np.uint8)
        for row in rows.tolist():
            arena.draw(image, float(times_s[row]), row)
            yield row, image

    return crops_of(replace(table, times_s=times_s), images, EVERY_S)


def clip() -> CropSet:
    """Return the crops of the labelled clip."""
    table = read_poses(CLIP / "poses.csv")
    table = replace(table, times_s=np.arange(len(table)) / CLIP_RATE)
    reader = open_video(CLIP / "video.mp4")

    def images(rows: NDArray[np.int64]) -> Iterator[tuple[int, Image]]:
        for shown in reader.images_at(rows):
            if shown.image is not None:
                yield shown.row, shown.image

    return crops_of(table, images, CLIP_EVERY_S)


def measure(source: CropSet, steps: int, path: Path) -> dict[str, Any]:
    """Return the scores of one recording; the folder is written to `path`."""
    begun_s = time.process_time()
    axis = "snout", "tailbase"
    learned = learn([source], axis, path, EmbeddingFitSettings(steps), {})
    low, high = learned.scores.precision_interval
    return {
        "crops": len(source),
        **asdict(learned.scores),
        "precision": [learned.scores.precision, low, high],
        "shortfalls": learned.scores.shortfalls(),
        "cpu_s": time.process_time() - begun_s,
    }


@dataclass(slots=True)
class Counts:
    """Animals, summed over frames."""

    found: int = 0
    asserted: int = 0
    """Found under a name that is not ambiguous."""
    right: int = 0


def follow(
    folder: AppearanceFolder | None, animals: int, walks: int, frames: int
) -> dict[str, Any]:
    """Return how mice with tail bands keep their names on walks that were not learned."""
    counts, spent_ms = Counts(), list[float]()
    for seed in range(1, walks + 1):
        arena = Arena(SHAPE, seed, shelter=False, animals=animals, bands=True)
        named, evidence = skeleton(animals), None
        if folder is not None:
            evidence = EmbeddingEvidence(folder, open_embedder(folder), named)
        tracker = IdentityTracker(named, THRESHOLD, embeddings=evidence)

        # The names are those that the animals got first
        owners: list[int] = []
        for time_s, image, raw, whose in Crowd(arena, seed).frames(frames):
            begun_s = time.thread_time()
            pose = tracker.update(image, raw, time_s)
            spent_ms.append((time.thread_time() - begun_s) * 1e3)
            now = owners_of(pose, raw, whose)
            if not owners and None not in now:
                owners = [owner for owner in now if owner is not None]
            counts.found += sum(owner >= 0 for owner in whose)
            for owner, own in zip(now, owners, strict=False):
                if owner is not None and owner >= 0:
                    counts.asserted += 1
                    counts.right += owner == own
    p50, p99 = np.percentile(spent_ms, (50, 99))
    mean = float(np.mean(spent_ms))
    return {**asdict(counts), "ms": mean, "p50_ms": float(p50), "p99_ms": float(p99)}


def owners_of(pose: Pose, raw: Pose, whose: Sequence[int]) -> list[int | None]:
    """Return which animal each name is given to; None: it is not asserted."""
    found: list[int | None] = []
    for animal, points in enumerate(pose.points):
        if np.isnan(points).all() or pose.is_ambiguous(animal):
            found.append(None)
            continue
        same = [np.array_equal(points, row, equal_nan=True) for row in raw.points]
        found.append(whose[same.index(True)])
    return found


def print_tracked(path: Path, walks: int, frames: int) -> list[dict[str, Any]]:
    """Print the second table, and return its rows."""
    folder = load_appearance_folder(path)
    print(
        "\ntail bands, tracked          found  asserted  right of these   "
        "ms: mean    p50    p99"
    )
    rows = []
    for animals in (2, ANIMALS):
        for evidence, given in (("colours", None), ("learned too", folder)):
            row = {"animals": animals, **follow(given, animals, walks, frames)}
            rows.append({"evidence": evidence, **row})
            print(
                f"{animals} mice, {evidence:<15} {row['found']:>8} "
                f"{row['asserted'] / row['found']:>9.1%} "
                f"{row['right'] / max(1, row['asserted']):>15.2%} {row['ms']:>10.2f} "
                f"{row['p50_ms']:>6.2f} {row['p99_ms']:>6.2f}",
                flush=True,
            )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=180.0, help="of each walk")
    parser.add_argument("--steps", type=int, default=400, help="of each network")
    parser.add_argument("--seed", type=int, default=0, help="of the walks")
    parser.add_argument("--walks", type=int, default=2, help="that are tracked")
    parser.add_argument("--frames", type=int, default=1800, help="of these walks")
    parser.add_argument("--bands", action="store_true", help="tail bands alone")
    parser.add_argument("--simulated", action="store_true", help="without the clip")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    asked = parser.parse_args(argv)
    sources: dict[str, CropSet] = {}
    kinds = {BANDS: KINDS[BANDS]} if asked.bands else KINDS
    for kind, changes in kinds.items():
        sources[kind] = simulated(changes, asked.seconds, asked.seed)
    if CLIP.exists() and not (asked.simulated or asked.bands):
        sources["three mice"] = clip()

    print(
        "animals       crops  rank-1  chance   linked   right   precision  used  CPU s"
    )
    rows = []
    with TemporaryDirectory() as folder:
        for kind, source in sources.items():
            row = {
                "animals": kind,
                **measure(source, asked.steps, Path(folder) / kind),
            }
            rows.append(row)
            print(
                f"{kind:<12} {row['crops']:>6} {row['rank1']:>7.3f} "
                f"{row['chance']:>7.3f} {row['links']:>4} of {row['pieces']:<4} "
                f"{row['right']:>4} {row['precision'][1]:>7.3f}-"
                f"{row['precision'][2]:.3f} {'no' if row['shortfalls'] else 'yes':>5} "
                f"{row['cpu_s']:>6.0f}",
                flush=True,
            )
        rows += print_tracked(Path(folder) / BANDS, asked.walks, asked.frames)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
