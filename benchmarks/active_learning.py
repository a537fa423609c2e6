"""Error against the number of labels: frames at random, and as PickFrames picks them.

The bundled network of the simulated arena meets a real mouse. In each round frames of the
pool are picked, their labels are added, and the network is trained from `arena` with all
labels so far. Of a seed, the pool (three quarters of the frames, at random), the steps and the
random numbers are the same for both. *uncertain* picks as `PickFrames --unsure` does, with the
network of the round before; in the first round with `arena`, which is uncertain in most frames,
so that the frames only differ.

    python benchmarks/active_learning.py --data openfield --test models/openfield/check/m3v1mp4.csv
        --video openfield/videos/m3v1mp4.mp4

Without `--data` the real mouse is replaced by simulated ones in other light.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from deeplabstream.offline.uncertain_frames import FrameUncertainty, uncertainty
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.training.data.animal_targets import training_decoder
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.dataset import Dataset, load_dataset
from deeplabstream.training.data.labels import Labels, read_labels
from deeplabstream.training.data.simulated_labels import draw_labels
from deeplabstream.training.evaluation.evaluate import held_out_error, predict
from deeplabstream.training.fit import fit
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.networks.pose_network import PoseNetwork, build_network
from deeplabstream.training.start_network import open_start, take_over
from deeplabstream.video.video_reader import VideoReader, open_video

LAST = 0.2
"""Share of the frames, the end of their recording, that is never trained on."""
POOL = 0.75
"""Share of the others that are the pool of a seed."""
KINDS = ("median_px", "mean_px", "p95_px")
HOW = ("random", "uncertain")


@dataclass(frozen=True)
class Plan:
    """Numbers of labels after each round, and the training of one round."""

    counts: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    fitting: Fitting
    batch: int = 4


FULL = Plan((5, 10, 20), (0, 1, 2, 3, 4), 24, Fitting(144, 192))
QUICK = Plan((2, 4), (0,), 1, Fitting(48, 64))
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
    labels = read_labels(table, with_images=False)
    wanted = [int(re.findall(r"\d+", Path(name).stem)[-1]) for name in labels.names]
    files = {row: into / f"{row}.png" for row in wanted}
    for picture in open_video(video).images_at(np.unique(wanted)):
        if picture.image is not None:
            files[picture.row].write_bytes(
                cv2.imencode(".png", picture.image)[1].tobytes()
            )
    return replace(labels, images=tuple(files[row] for row in wanted))


@dataclass(frozen=True)
class Pool:
    """Frames to pick from, at the network's size and as rows of a video."""

    data: Dataset
    rows: VideoReader

    def of_seed(self, seed: int) -> NDArray[np.int64]:
        """Return the rows of the pool of a seed."""
        count = len(self.data)
        rng = np.random.default_rng(seed)
        return np.sort(rng.choice(count, round(POOL * count), replace=False))

    def picked(
        self, how: str, seed: int, labelled: list[int], network: PoseNetwork, count: int
    ) -> list[int]:
        """Return rows to label beside those labelled."""
        own = self.of_seed(seed)
        if how == "random":
            rng = np.random.default_rng((seed, count, len(labelled)))
            free = np.setdiff1d(own, labelled)
            return [int(row) for row in rng.choice(free, count, replace=False)]
        decoder = training_decoder(self.data, network.how)
        found = predict(network, decoder, self.data.images[own])
        points, confidence = (each[:, 0] for each in found)
        apart = 2 * np.arange(len(own))  # no neighbours: nothing jumps
        doubt = uncertainty(points, confidence, apart)
        chosen = FrameUncertainty(self.rows.path, own, doubt, doubt).pick(
            self.rows, count, np.array(labelled, np.int64)
        )
        return [int(row) for row in chosen]


@dataclass(frozen=True)
class Trainer:
    """Trains as TrainNetwork does for a mouse seen from above, without the export."""

    plan: Plan

    @cached_property
    def start(self) -> PoseNetwork:
        """The network that each round starts from."""
        return open_start(START).network.eval()

    def trained(self, data: Dataset, seed: int) -> PoseNetwork:
        """Return a network trained with all labels of the data."""
        start, plan = open_start(START), self.plan
        how = start.how_with(data.skeleton.bodyparts)
        trial = build_network(len(data.skeleton.bodyparts), how)
        settings = FitSettings(
            steps=plan.steps, batch=plan.batch, seed=seed, network=how,
            start_from=find_model(START), augmentation=Augmentation(),
            schedule=take_over(trial, data.skeleton, start).schedule(plan.steps),
        )  # fmt: skip
        return fit(data, settings, lambda epoch: None)


def errors(network: PoseNetwork, test: Dataset) -> dict[str, object]:
    """Return median, mean and 95th percentile of the errors of a network, px."""
    decoder = training_decoder(test, network.how)
    away = held_out_error(network, test, decoder).distance
    away = away[np.isfinite(away)]
    told = np.median(away), away.mean(), np.percentile(away, 95)
    return dict(zip(KINDS, map(float, told), strict=True))


def rounds(
    plan: Plan, seed: int, pool: Pool, tests: dict[str, Dataset]
) -> Iterator[dict[str, object]]:
    """Yield the errors after each round; equal labels are trained with once."""
    trainer = Trainer(plan)
    trained: dict[tuple[int, ...], PoseNetwork] = {}
    for how in HOW:
        network = trainer.start
        labelled: list[int] = []
        for count in plan.counts:
            more = pool.picked(how, seed, labelled, network, count - len(labelled))
            labelled = sorted([*labelled, *more])
            if tuple(labelled) not in trained:
                data = pool.data.pick(labelled)
                trained[tuple(labelled)] = trainer.trained(data, seed)
            network = trained[tuple(labelled)]
            for name, test in tests.items():
                told = {"picking": how, "seed": seed, "labels": count, "test": name}
                yield {**told, **errors(network, test)}


def sets_of(
    options: argparse.Namespace, into: Path
) -> tuple[Labels, dict[str, Labels]]:
    """Return the pool and the images that errors are measured in."""
    if options.data:
        every = read_labels(options.data)
    else:
        draw_labels(into / "real", (240, 320, 3), 20, 4, 900)
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
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        into = Path(folder)
        labels, others = sets_of(options, into)
        pool = Pool(load_dataset(labels, plan.fitting), filmed(labels, into))
        tests = {name: load_dataset(it, plan.fitting) for name, it in others.items()}
        for name, test in tests.items():
            before = errors(Trainer(plan).start, test)
            numbers = " ".join(f"{before[kind]:6.1f}" for kind in KINDS)
            print(f"{name:<16}{START:<10}{0:>4} labels:{numbers}", flush=True)
        for seed in plan.seeds:
            for row in rounds(plan, seed, pool, tests):
                told.append(row)
                print(
                    f"seed {seed}, {row['picking']}: {row['labels']} labels, "
                    f"{row['test']}: median {row['median_px']:.1f} px",
                    flush=True,
                )
                if options.json:
                    options.json.write_text(json.dumps(told, indent=2), "utf-8")
    _print(told, plan, list(tests))
    return 0


def _print(told: Sequence[dict[str, object]], plan: Plan, tests: Sequence[str]) -> None:
    """Print means over the seeds, and in how many seeds the error is less than at random."""
    print(f"error in px, mean of {len(plan.seeds)} seeds: median, mean, 95 % below")
    for test in tests:
        for count in plan.counts:
            each = {}
            for how in HOW:
                key = {"picking": how, "labels": count, "test": test}
                rows = [row for row in told if key.items() <= row.items()]
                each[how] = np.array(
                    [[float(str(row[kind])) for kind in KINDS] for row in rows]
                )
                less = (each[how] < each["random"]).sum(axis=0).tolist()
                numbers = " ".join(f"{error:6.1f}" for error in each[how].mean(axis=0))
                print(
                    f"{test:<16}{how:<10}{count:>4} labels:{numbers}"
                    + (f"   less in {less} seeds" if how != "random" else "")
                )


if __name__ == "__main__":
    raise SystemExit(main())
