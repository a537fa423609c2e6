"""What forward prediction gains: how far points are from where they turn out to be.

On the simulated mouse, whose truth is known, with 1 px of noise; and, with `--video` and
`--model`, on a real animal: there the truth is the network's own pose of the later frame,
so its noise counts twice. *without* is the distance from the last pose to the later place,
*with* the predicted one's. Nothing here depends on how busy the computer is.

    python benchmarks/prediction.py
    python benchmarks/prediction.py --video mouse.mp4 --model openfield
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.filters.motion_prediction import MotionPredictor
from deeplabstream.pose.filters.one_euro import OneEuro
from deeplabstream.simulation.arena import Arena

AHEAD_MS = (10, 20, 33, 50, 67, 100)
Track = NDArray[np.float32]


def simulated(rate: float, seconds: float, seeds: int) -> Iterator[tuple[Track, Track]]:
    """Yield true and seen points (frame, bodypart, 2) of several walks."""
    for seed in range(seeds):
        arena = Arena((480, 640, 3), seed, shelter=False)
        count = round(rate * seconds)
        truth = np.stack([arena.truth(i / rate)[0] for i in range(count)])
        noise = np.random.default_rng(seed).normal(0, 1, truth.shape)
        yield truth, (truth + noise).astype(np.float32)


def filmed(video: Path, model: str, most: int) -> tuple[float, Track]:
    """Return frames per second and the points of a video, NaN where not seen."""
    from deeplabstream.pose.model.model_opening import open_estimator
    from deeplabstream.video.decoding import as_bgr
    from deeplabstream.video.video_reader import open_video

    estimator, reader = open_estimator(model), open_video(video)
    points = []
    for picture in islice(reader.images(), most):
        if picture.image is None:  # keeps its place: the animal was not seen
            bodyparts = len(estimator.skeleton.bodyparts)
            points.append(np.full((bodyparts, 2), np.nan, np.float32))
            continue
        pose = estimator.estimate([as_bgr(picture.image)])[0]
        points.append(pose.seen(estimator.threshold).points[0])
    return reader.rate, np.stack(points)


def gain(truth: Track, seen: Track, rate: float, ahead: int) -> dict[str, float]:
    """Return mean and 95th percentile of the distances, without and with prediction."""
    predict = MotionPredictor(longest_s=1.0)
    smooth = OneEuro(1.0, 0.05)
    predicted, smoothed = np.empty_like(seen), np.empty_like(seen)
    for i, points in enumerate(seen):
        predicted[i] = predict.step(points[None], i / rate, ahead / rate)[0]
        smoothed[i] = smooth.step(points[None], i / rate)[0]
    facts = {}
    for name, points in (
        ("without", seen),
        ("with", predicted),
        ("smoothed", smoothed),
    ):
        away = np.linalg.norm(points[:-ahead] - truth[ahead:], axis=2)
        facts[f"{name}_mean_px"] = float(np.nanmean(away))
        facts[f"{name}_p95_px"] = float(np.nanpercentile(away, 95))
    return facts


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description="What forward prediction gains.")
    add = parser.add_argument
    add("--quick", action="store_true", help="one short walk")
    add("--video", type=Path, help="of a real animal")
    add("--model", default="openfield", help="the network for --video")
    add("--frames", type=int, default=3000, help="of the video at most")
    add("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds, seeds = (10.0, 1) if options.quick else (20.0, 3)
    tracks = [
        (f"simulated, {rate:g}/s", rate, list(simulated(rate, seconds, seeds)))
        for rate in (30.0, 100.0)
    ]
    if options.video:
        rate, points = filmed(options.video, options.model, options.frames)
        tracks.append((f"{options.video.name}, {rate:g}/s", rate, [(points, points)]))
    rows = []
    print(
        f"{'track':<24}{'ahead ms':>9} |  without: mean, p95 px |  with: mean, p95 px"
    )
    for name, rate, pairs in tracks:
        for ahead in sorted({max(1, round(ms * rate / 1e3)) for ms in AHEAD_MS}):
            each = [gain(truth, seen, rate, ahead) for truth, seen in pairs]
            row = {key: float(np.mean([e[key] for e in each])) for key in each[0]}
            rows.append({"track": name, "ahead_ms": 1e3 * ahead / rate} | row)
            print(
                f"{name:<24}{1e3 * ahead / rate:9.1f} | {row['without_mean_px']:14.2f}"
                f"{row['without_p95_px']:9.2f} | {row['with_mean_px']:11.2f}"
                f"{row['with_p95_px']:9.2f}"
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
