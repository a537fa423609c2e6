"""Error against the number of labels: uncertain frames labelled first, and frames at random.

A small network learns the simulated arena and then meets a real mouse. In each round frames of
the pool are chosen, their labels are added, and training continues from the network of the round
before. *uncertain* chooses as `PickFrames --unsure` does, with that network. Both start from the
same network and have the same steps.

    python benchmarks/active_learning.py --data openfield --test models/openfield/check/m3v1mp4.csv
        --video openfield/videos/m3v1mp4.mp4

Without `--data` the real mouse is replaced by simulated ones in other light.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.frame_selection import pick
from deeplabstream.offline.uncertain_frames import (
    CHOICE,
    FrameUncertainty,
    uncertainty,
)
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.training.data.label_files import write_labels
from deeplabstream.training.data.labels import Labels, read_labels
from deeplabstream.training.evaluation.image_prediction import predict_images
from deeplabstream.training.training_job import TrainConfig, train
from deeplabstream.video.video_reader import VideoReader, open_video
from utils.DrawLabels import draw

LAST = 0.2
"""Share of the pool, the end of its recording, that is never trained on."""


@dataclass(frozen=True)
class Plan:
    """Numbers of labels after each round, and the training of one round."""

    counts: tuple[int, ...]
    seeds: int
    steps: int
    size: str
    first_steps: int
    first_images: int


FULL = Plan((5, 10, 20, 40), 5, 60, "160x128", 200, 120)
QUICK = Plan((2, 4), 1, 1, "64x48", 1, 8)


def filmed(labels: Labels, into: Path) -> VideoReader:
    """Return the images of labels as rows of a video, without loss."""
    images = [read_image(file) for file in labels.images]
    first = next(image for image in images if image is not None)
    file = into / "pool.mkv"
    size = (first.shape[1], first.shape[0])
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"FFV1"), 30, size)
    for image in images:
        writer.write(image if image is not None else first)
    writer.release()
    return open_video(file)


def extracted(table: Path, video: Path, into: Path) -> Labels:
    """Return labels whose images are frames of a video, by the number in their names."""
    labels = read_labels(table, pictures=False)
    wanted = [int(re.findall(r"\d+", Path(name).stem)[-1]) for name in labels.names]
    files = {row: into / f"{row}.png" for row in wanted}
    for picture in open_video(video).images_at(np.unique(wanted)):
        if picture.image is not None:
            files[picture.row].write_bytes(
                cv2.imencode(".png", picture.image)[1].tobytes()
            )
    return replace(labels, images=tuple(files[row] for row in wanted))


def learned(
    data: Path, output: Path, plan: Plan, seed: int, start: Path | None
) -> Path:
    """Train a network; return its folder."""
    train(
        TrainConfig(
            data=data, output=output, size=plan.size, seed=seed, threads=1,
            steps=plan.steps if start else plan.first_steps, start_from=start,
            stages=None if start else 4, channels=None if start else 16,
            held_out=0, progress="none", rotation=180, mirror=True,
        ),
        lambda told: None,
    )  # fmt: skip
    return output


def picked(
    rows: VideoReader, pool: Labels, free: NDArray[np.int64], network: Path, count: int
) -> list[int]:
    """Return the rows that `PickFrames --unsure` would choose among those not labelled."""
    estimator = open_estimator(network, "cpu", 1)
    some = pool.of_images(free.tolist())
    found = predict_images(estimator, some.images, some.names)
    doubt = uncertainty(found.points, found.confidence, 2 * free)  # no neighbours
    most = FrameUncertainty(rows.path, free, doubt).most(CHOICE * count)
    return pick(rows, count, 0, most).tolist()


def rounds(
    how: str, plan: Plan, seed: int, start: Path, pool: Labels,
    rows: VideoReader, tests: dict[str, Labels], into: Path,
) -> list[dict[str, object]]:  # fmt: skip
    """Return the errors after each round."""
    rng = np.random.default_rng(seed)
    network, labelled, told = start, [], []
    data = into / "labels"
    images = data / "labeled-data" / "pool"
    images.mkdir(parents=True)
    for count in plan.counts:
        free = np.setdiff1d(np.arange(len(pool.names)), labelled)
        new = count - len(labelled)
        if (
            how == "random" or not labelled
        ):  # the first frames: nothing real is known yet
            more = rng.choice(free, new, replace=False).tolist()
        else:
            more = picked(rows, pool, free, network, new)
        labelled = sorted([*labelled, *more])
        names = [f"labeled-data/pool/img{row:04}.png" for row in labelled]
        for row, name in zip(labelled, names, strict=True):
            (data / name).write_bytes(pool.images[row].read_bytes())
        write_labels(
            data / "CollectedData.csv", "me", pool.skeleton.bodyparts, names,
            pool.points[labelled],
        )  # fmt: skip
        network = learned(data, into / f"at{count}", plan, seed, network)
        estimator = open_estimator(network, "cpu", 1)
        for name, test in tests.items():
            found = predict_images(estimator, test.images, test.names)
            away = found.distance(test)
            away = away[np.isfinite(away)]
            told.append(
                {
                    "picking": how, "seed": seed, "labels": count, "test": name,
                    "median_px": float(np.median(away)), "mean_px": float(away.mean()),
                    "p95_px": float(np.percentile(away, 95)),
                }
            )  # fmt: skip
    return told


def sets_of(
    options: argparse.Namespace, into: Path
) -> tuple[Labels, dict[str, Labels]]:
    """Return the pool and the images that errors are measured in."""
    if options.data:
        every = read_labels(options.data)
    else:
        draw(into / "real", (240, 320, 3), 20, 4, 900)
        every = read_labels(into / "real")
    kept = len(every.names) - max(1, round(LAST * len(every.names)))
    tests = {"end of the pool": every.of_images(range(kept, len(every.names)))}
    if options.test and options.video:
        (into / "test").mkdir()
        tests["other video"] = extracted(options.test, options.video, into / "test")
    return every.of_images(range(kept)), tests


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(
        description="Error against labels: uncertain frames first, and at random."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one seed, two rounds, single steps")
    add("--data", type=Path, help="folder of labels: the pool")
    add("--test", type=Path, help="labels of frames of another video")
    add("--video", type=Path, help="that video")
    add("--seeds", type=int, default=FULL.seeds)
    add("--json", type=Path, help="write everything there, after each seed")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else replace(FULL, seeds=options.seeds)
    told: list[dict[str, object]] = []
    with TemporaryDirectory() as folder:
        into = Path(folder)
        draw(into / "arena", (240, 320, 3), plan.first_images, 8, 100)
        start = learned(into / "arena", into / "start", plan, 0, None)
        pool, tests = sets_of(options, into)
        rows = filmed(pool, into)
        for seed in range(plan.seeds):
            # The first frames are the same: they are chosen at random with the same seed.
            for how in ("random", "uncertain"):
                place = into / f"{how}{seed}"
                told += rounds(how, plan, seed, start, pool, rows, tests, place)
                last = told[-1]
                print(
                    f"seed {seed}, {how}: {last['labels']} labels, {last['test']}: median "
                    f"{last['median_px']:.1f} px",
                    flush=True,
                )
                if options.json:
                    options.json.write_text(json.dumps(told, indent=2), "utf-8")
    _print(told, plan, list(tests))
    return 0


def _print(told: Sequence[dict[str, object]], plan: Plan, tests: Sequence[str]) -> None:
    print(f"median error, px, of {plan.seeds} seeds (mean, and each)")
    for test in tests:
        for how in ("random", "uncertain"):
            for count in plan.counts:
                key = {"picking": how, "labels": count, "test": test}
                rows = [row for row in told if key.items() <= row.items()]
                each = [float(str(row["median_px"])) for row in rows]
                tail = float(np.mean([float(str(row["p95_px"])) for row in rows]))
                numbers = " ".join(f"{error:6.1f}" for error in each)
                print(
                    f"{test:<16}{how:<10}{count:>4} labels: median {np.mean(each):6.1f} "
                    f"({numbers}), 95 % below {tail:6.1f}"
                )


if __name__ == "__main__":
    raise SystemExit(main())
