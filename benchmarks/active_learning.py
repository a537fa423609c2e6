"""Error against the number of labels: uncertain frames labelled, and frames at random.

The bundled network of the simulated arena meets a real mouse. In each round frames of the
pool are chosen, their labels are added, and the network is trained from `arena` with all
labels so far. *uncertain* chooses as `PickFrames --unsure` does, with the network of the round
before, in the first round with `arena`. Of a seed, both have the same steps and random numbers.

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

from deeplabstream.offline.uncertain_frames import FrameUncertainty, uncertainty
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.training.data.label_files import write_labels
from deeplabstream.training.data.labels import Labels, read_labels
from deeplabstream.training.evaluation.image_prediction import predict_images
from deeplabstream.training.training_job import TrainConfig, train
from deeplabstream.video.video_reader import VideoReader, open_video
from utils.DrawLabels import draw

LAST = 0.2
"""Share of the pool, the end of its recording, that is never trained on."""

KINDS = ("median_px", "mean_px", "p95_px")


@dataclass(frozen=True)
class Plan:
    """Numbers of labels after each round, and the training of one round."""

    counts: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    size: str
    batch: int = 4


FULL = Plan((5, 10, 20, 40), (0, 1, 2, 3, 4), 80, "128x96")
QUICK = Plan((2, 4), (0,), 1, "64x48")
START = "arena"


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


def learned(data: Path, output: Path, plan: Plan, seed: int) -> Path:
    """Train a network; return its folder."""
    train(
        TrainConfig(
            data=data, output=output, size=plan.size, seed=seed, threads=1,
            steps=plan.steps, batch=plan.batch, start_from=find_model(START), held_out=0,
            rotation=180, mirror=True, progress="none",
        ),
        lambda told: None,
    )  # fmt: skip
    return output


def picked(
    rows: VideoReader, pool: Labels, labelled: list[int], network: Path, count: int
) -> list[int]:
    """Return the rows that `PickFrames --unsure` would choose beside those labelled."""
    found = predict_images(open_estimator(network, "cpu", 1), pool.images, pool.names)
    every = np.arange(len(pool.names))
    doubt = uncertainty(found.points, found.confidence, 2 * every)  # no neighbours
    there = np.array(labelled, np.int64)
    chosen = FrameUncertainty(rows.path, every, doubt).pick(rows, count, there)
    return [int(row) for row in chosen]


def rounds(
    how: str, plan: Plan, seed: int, pool: Labels,
    rows: VideoReader, tests: dict[str, Labels], into: Path,
) -> list[dict[str, object]]:  # fmt: skip
    """Return the errors after each round."""
    rng = np.random.default_rng(seed)
    network, told = find_model(START), []
    labelled: list[int] = []
    data = into / "labels"
    images = data / "labeled-data" / "pool"
    images.mkdir(parents=True)
    for count in plan.counts:
        new = count - len(labelled)
        if how == "random":
            free = np.setdiff1d(np.arange(len(pool.names)), labelled)
            more = rng.choice(free, new, replace=False).tolist()
        else:
            more = picked(rows, pool, labelled, network, new)
        labelled = sorted([*labelled, *more])
        names = [f"labeled-data/pool/img{row:04}.png" for row in labelled]
        for row, name in zip(labelled, names, strict=True):
            (data / name).write_bytes(pool.images[row].read_bytes())
        write_labels(
            data / "CollectedData.csv", "me", pool.skeleton.bodyparts, names,
            pool.points[labelled],
        )  # fmt: skip
        network = learned(data, into / f"at{count}", plan, seed)
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
    add("--seeds", type=int, nargs="+", default=FULL.seeds, metavar="SEED")
    add("--labels", type=int, nargs="+", default=FULL.counts, help="after each round")
    add("--json", type=Path, help="write everything there, after each seed")
    options = parser.parse_args(argv)
    given = replace(FULL, seeds=tuple(options.seeds), counts=tuple(options.labels))
    plan = QUICK if options.quick else given
    told: list[dict[str, object]] = []
    with TemporaryDirectory() as folder:
        into = Path(folder)
        pool, tests = sets_of(options, into)
        rows = filmed(pool, into)
        for seed in plan.seeds:
            for how in ("random", "uncertain"):
                place = into / f"{how}{seed}"
                told += rounds(how, plan, seed, pool, rows, tests, place)
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
    """Print means over the seeds, and in how many seeds uncertain frames gave less error."""
    print(f"error in px, mean of {len(plan.seeds)} seeds: median, mean, 95 % below")
    for test in tests:
        for count in plan.counts:
            each = {}
            for how in ("random", "uncertain"):
                key = {"picking": how, "labels": count, "test": test}
                rows = [row for row in told if key.items() <= row.items()]
                each[how] = np.array(
                    [[float(str(row[kind])) for kind in KINDS] for row in rows]
                )
                numbers = " ".join(f"{error:6.1f}" for error in each[how].mean(axis=0))
                print(f"{test:<16}{how:<10}{count:>4} labels:{numbers}")
            less = (each["uncertain"] < each["random"]).sum(axis=0).tolist()
            print(f"{'':<16}less in   {less[0]:>16} {less[1]:>6} {less[2]:>6} seeds")


if __name__ == "__main__":
    raise SystemExit(main())
