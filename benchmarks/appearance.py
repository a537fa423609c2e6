"""How well animals are recognised by a learned appearance, in blocks of time that were left out.

Four simulated mice with different coats, with bands on their tails (none, one, two, three), and
alike, found with 1.5 px of noise; each walks for 3 min. Then three mice that look alike, where
the labelled clip of 33 s is there. Networks are trained and cross-validated as
`deeplabstream learn-appearance` does. The time is that of the CPU, of all five networks.

    python benchmarks/appearance.py --json it.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.pose.tracking.aligned_crops import body_axis
from deeplabstream.recording.pose_table import PoseTable, pose_table
from deeplabstream.simulation.arena import Arena
from deeplabstream.training.appearance.certain_tracks import CropCollector, CropSet
from deeplabstream.training.appearance.embedding_network import EmbeddingFitSettings
from deeplabstream.training.appearance.learning import learn
from deeplabstream.video.video_reader import open_video
from tests.pose.crowd import skeleton

ANIMALS, SHAPE, RATE, NOISE_PX = 4, (480, 640, 3), 30, 1.5
EVERY_S = 0.5
"""Time between two bursts of five frames."""
CLIP = Path(__file__).resolve().parents[2] / "shared/data/three-mice"
CLIP_RATE = 30
CLIP_EVERY_S = 0.01
"""The clip is short: every frame is used."""
KINDS: dict[str, dict[str, bool]] = {
    "four coats": {"alike": False},
    "tail bands": {"bands": True},
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


def measure(source: CropSet, steps: int) -> dict[str, Any]:
    """Return the scores of one recording."""
    begun_s = time.process_time()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "learned"
        learned = learn([source], ("", ""), path, EmbeddingFitSettings(steps), {})
    low, high = learned.scores.precision_interval
    return {
        "crops": len(source),
        **asdict(learned.scores),
        "precision": [learned.scores.precision, low, high],
        "shortfalls": learned.scores.shortfalls(),
        "cpu_s": time.process_time() - begun_s,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=180.0, help="of each walk")
    parser.add_argument("--steps", type=int, default=400, help="of each network")
    parser.add_argument("--seed", type=int, default=0, help="of the walks")
    parser.add_argument("--simulated", action="store_true", help="without the clip")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    asked = parser.parse_args(argv)
    sources: dict[str, CropSet] = {}
    for kind, changes in KINDS.items():
        sources[kind] = simulated(changes, asked.seconds, asked.seed)
    if CLIP.exists() and not asked.simulated:
        sources["three mice"] = clip()

    print(
        "animals       crops  rank-1  chance   linked   right   precision  used  CPU s"
    )
    rows = []
    for kind, source in sources.items():
        row = {"animals": kind, **measure(source, asked.steps)}
        rows.append(row)
        print(
            f"{kind:<12} {row['crops']:>6} {row['rank1']:>7.3f} {row['chance']:>7.3f} "
            f"{row['links']:>4} of {row['pieces']:<4} {row['right']:>4} "
            f"{row['precision'][1]:>7.3f}-{row['precision'][2]:.3f} "
            f"{'no' if row['shortfalls'] else 'yes':>5} {row['cpu_s']:>6.0f}",
            flush=True,
        )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
