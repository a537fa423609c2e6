"""Recall and error of cropzoom networks of several animals, beside bottom-up networks.

Both learn from the same labelled images with the settings of TrainNetwork; the last part of
the images is held out. Rows:

bottom-up      a network that finds all animals in whole images
  … twice      the same with twice the steps: as many as both networks of cropzoom together
detector       cropzoom's first network, in whole images: it finds centres
true windows   cropzoom's second network in windows around the labels
cropzoom       both together, as in PredictVideos
  … followed   both, with windows around the points of the first look, as in the second frame
               of a rig; the animals stand still

*covered*: the share of labelled animals for which a window of the detector shows at least 80 %
of the points. Errors are those of the animals found, px of the original images; *seen*: the
share of the labelled points of all animals that is found, with the animal.

    python benchmarks/cropzoom_animals.py --mice 160 --size 128x96 --steps 150
    python benchmarks/cropzoom_animals.py --data clip.slp --every 10 --shrink 2 --steps 150
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.image_fitting import zoomed

COVERED = 0.8
Row = dict[str, Any]
Points = NDArray[np.float32]


def some_of(chosen: argparse.Namespace, folder: Path) -> Path:
    """Write every so many of the labelled images, shrunk, and their labels; return the folder."""
    import cv2

    from deeplabstream.pose.image_files import read_image
    from deeplabstream.training.data.label_files import write_labels
    from deeplabstream.training.data.projects import open_project

    labels = open_project(chosen.data, folder / "all", several=True).labels
    times, names = chosen.shrink, []
    (folder / "some").mkdir()
    for place in range(0, len(labels.images), chosen.every):
        image = read_image(labels.images[place])
        if image is None:
            raise SystemExit(f"{labels.images[place]} can't be read")
        size = image.shape[1] // times, image.shape[0] // times
        names.append(f"img{place:06}.png")
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / "some" / names[-1]), small)
    points = (labels.points[:: chosen.every] + 0.5) / times - 0.5
    animals = labels.individuals or [f"animal{n}" for n in range(labels.animals)]
    write_labels(
        folder / "some" / "CollectedData.csv", "all", labels.skeleton.bodyparts, names,
        points, individuals=animals, digits=3,
    )  # fmt: skip
    return folder / "some"


def trained(folder: Path, chosen: argparse.Namespace, steps: int, crop: bool) -> Path:
    """Train a network in `folder`, unless it is there; return it."""
    from deeplabstream.training.train_config import TrainConfig
    from deeplabstream.training.training_job import train

    if (folder / "predictions.csv").is_file():
        return folder
    config = TrainConfig(
        output=folder, data=chosen.data, cropzoom=crop, size=chosen.size, steps=steps,
        stages=4, held_out=chosen.held_out, seed=chosen.seed, threads=chosen.threads,
        batch=chosen.batch, imagenet=not chosen.quick, progress="none", overwrite=True,
        backbone="unet" if chosen.quick else None,
    )  # fmt: skip
    train(config, lambda sentence: None)
    return folder


def held_out(network: Path, names: Sequence[str]) -> list[int]:
    """Return the places of the images that the network did not learn from."""
    with (network / "predictions.csv").open(newline="") as lines:
        rows = [row for row in csv.reader(lines) if row][4:]
    sets = {row[0]: row[-1] for row in rows}
    return [place for place, name in enumerate(names) if sets[name] != "train"]


def figures(
    points: Points,
    sure: Points,
    truth: Points,
    threshold: float,
    near_px: float | None = None,
) -> Row:
    """Return recall, precision and errors of animals (image, animal, bodypart, 2)."""
    from deeplabstream.training.evaluation.animal_matching import match

    room = max(points.shape[1], truth.shape[1])
    widths = [(0, 0), (0, room - points.shape[1]), (0, 0)]
    points = np.pad(points, [*widths, (0, 0)], constant_values=np.nan)
    more = [(0, 0), (0, room - truth.shape[1]), (0, 0), (0, 0)]
    truth = np.pad(truth, more, constant_values=np.nan)
    ordered = match(points, np.pad(sure, widths), truth, threshold, near_px)
    labelled = np.isfinite(truth).all(axis=3)
    kept = (ordered.confidence >= threshold) & np.isfinite(ordered.distance)
    animals, rows = np.nonzero((ordered.rows >= 0) & ordered.right)
    right = np.zeros(labelled.shape[:2], bool)
    right[animals, ordered.rows[animals, rows]] = True
    away = ordered.distance[kept & right[..., None]]
    median, p95 = np.percentile(away, [50, 95]) if len(away) else (np.nan, np.nan)
    return {
        "recall": ordered.counted.recall,
        "precision": ordered.counted.precision,
        "median_px": float(median),
        "p95_px": float(p95),
        "seen": len(away) / max(1, int(labelled.sum())),
    }


def covered(detector: Any, images: Sequence[Any], truth: Points, network: Any) -> float:
    """Return for which share of animals a window shows most of the labelled points."""
    from deeplabstream.pose.filters.live_crop import MARGIN, detected

    good = count = 0
    for image, animals in zip(images, truth, strict=True):
        (pose,) = detector.estimate([image])
        windows = [
            zoomed(low, high, image.shape, network.model.fitting)
            for low, high in detected(detector, pose, MARGIN)
        ]
        for own in animals:
            there = own[np.isfinite(own).all(axis=1)]
            if len(there) < 2:
                continue
            count += 1
            shown = [window.shows(there).mean() for window in windows]
            good += bool(max(shown, default=0) >= COVERED)
    return good / max(1, count)


def in_true_windows(network: Any, images: Sequence[Any], truth: Points) -> Any:
    """Return points and confidences of a network that sees each labelled animal's window."""
    from deeplabstream.pose.filters.live_crop import look
    from deeplabstream.training.cropzoom import boxes

    points = np.full_like(truth, np.nan)
    sure = np.zeros(truth.shape[:3], np.float32)
    for place, (image, animals) in enumerate(zip(images, truth, strict=True)):
        for row, box in enumerate(boxes(animals)):
            if np.isfinite(animals).all(axis=2)[row].sum() < 2:
                continue
            window = zoomed(*box, image.shape, network.model.fitting)
            (pose,) = look(network, [(image, window)])
            points[place, row], sure[place, row] = pose.points[0], pose.confidence[0]
    return points, sure


def estimated(estimator: Any, images: Sequence[Any], looks: int = 1) -> Any:
    """Return points and confidences; with several `looks` at a frame, those of the last."""
    poses = []
    for number, image in enumerate(images):
        camera = [f"camera{number}"] if looks > 1 else ()
        for _ in range(looks):
            (pose,) = estimator.estimate([image], camera)
        poses.append(pose)
    return np.stack([p.points for p in poses]), np.stack([p.confidence for p in poses])


def measure(chosen: argparse.Namespace, made: Path) -> list[Row]:
    """Train all networks and return a row for each."""
    from deeplabstream.pose.image_files import read_image
    from deeplabstream.pose.model.model_opening import open_estimator
    from deeplabstream.pose.tracking.pose_matching import NEAR, animal_length
    from deeplabstream.training.cropzoom import centres_of
    from deeplabstream.training.data.projects import open_project

    labels = open_project(chosen.data, made / "labels", several=True).labels
    flat = trained(made / "bottom-up", chosen, chosen.steps, crop=False)
    twice = trained(made / "twice", chosen, 2 * chosen.steps, crop=False)
    both = trained(made / "cropzoom", chosen, chosen.steps, crop=True)
    at = held_out(flat, labels.names)
    images = [read_image(labels.images[place]) for place in at]
    parts = len(labels.skeleton.bodyparts)
    truth = labels.points.reshape(len(labels.images), -1, parts, 2)[at]
    rows: list[Row] = []

    def add(name: str, found: Any, threshold: float, **more: Any) -> None:
        rows.append({"name": name, **figures(*found, truth, threshold), **more})

    for name, folder in (("bottom-up", flat), ("bottom-up, twice", twice)):
        network = open_estimator(folder, "cpu", chosen.threads)
        add(name, estimated(network, images), network.threshold)
    crops: Any = open_estimator(both, "cpu", chosen.threads)
    detector = open_estimator(both / "detector", "cpu", chosen.threads)
    share = covered(detector, images, truth, crops.estimator)
    middles, near = centres_of(truth)[:, :, None], NEAR * animal_length(truth)
    found = figures(
        *estimated(detector, images), middles, detector.threshold, float(near)
    )
    rows.append({"name": "detector (centres)", **found, "covered": share})
    inside = in_true_windows(crops.estimator, images, truth)
    add("true windows", inside, crops.threshold)
    add("cropzoom", estimated(crops, images), crops.threshold)
    add("cropzoom, followed", estimated(crops, images, 3), crops.threshold)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    head = (
        f"{'':<20}{'recall':>8}{'precision':>11}{'median px':>11}{'95 %':>8}{'seen':>7}"
    )
    lines = [f"{head}{'covered':>9}"]
    for row in rows:
        share = f"{row['covered']:.0%}" if "covered" in row else ""
        lines.append(
            f"{row['name']:<20}{row['recall']:>8.0%}{row['precision']:>11.0%}"
            f"{row['median_px']:>11.1f}{row['p95_px']:>8.1f}{row['seen']:>7.0%}{share:>9}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="a few steps with a few drawn images")
    add("--data", type=Path, help="labels of several animals")
    add("--every", type=int, default=1, help="take every so many of the images")
    add("--shrink", type=int, default=1, help="divide the sides of the images by this")
    add("--mice", type=int, default=160, help="drawn images, without --data")
    add("--size", default="128x128", help="input of all networks")
    add("--steps", type=int, default=150, help="of each network")
    add("--batch", type=int, default=8)
    add("--held-out", type=float, default=0.3, help="share of the images")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add(
        "--keep", type=Path, help="folder for the networks; what is in it is used again"
    )
    add("--json", type=Path, help="write the rows there")
    chosen = parser.parse_args(argv)
    with TemporaryDirectory() as temporary:
        made = chosen.keep or Path(temporary)
        if chosen.quick:
            chosen.mice, chosen.steps, chosen.size, chosen.batch = 16, 2, "64x48", 2
            chosen.every = 2
        if chosen.data is None:
            from deeplabstream.training.data.simulated_labels import draw_labels

            chosen.data = Path(temporary) / "mice"
            draw_labels(chosen.data, (480, 640, 3), chosen.mice, max(1, chosen.mice // 8), 100,
                 (2, 3))  # fmt: skip
        if chosen.every > 1 or chosen.shrink > 1:
            chosen.data = some_of(chosen, Path(temporary))
        rows = measure(chosen, made)
        if chosen.json:
            chosen.json.write_text(json.dumps(rows, indent=1), "utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
