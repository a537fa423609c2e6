"""Errors of trained networks in frames that were kept back, by kind, for changed settings.

    python benchmarks/accuracy.py --json accuracy.json
    python benchmarks/accuracy.py --changes network.sigma=1.5 --sets lips --json lips.json
    python benchmarks/accuracy.py --changes batch=4+steps=1500 --steps 750 --json batches.json
    python benchmarks/accuracy.py --ways live best --json accuracy.json --networks networks

Each data set is divided into folds: whole clips where there are five or more, else blocks of
time; frames next to a block are not trained on. Each fold is predicted by a network that was
trained on the others with the settings that TrainNetwork chooses; each `--changes` changes one
of them, or several that `+` joins. Changes are compared with the unchanged settings on the same
folds, seeds and steps: the ratio of the mean errors, with a 95 % interval (images resampled).
Finished trainings in the JSON file are not repeated. With `--networks` one that was interrupted
continues from its last checkpoint, and ends as if it had not been interrupted.

`--ways` also predicts the images that were kept back as files with the networks that
`--networks` keeps: `live` as a rig does, `highest` the same without the relative positions of
body parts, `best` as `PredictVideos --best` does without the frames beside them.

The confidence from which a point is asserted is chosen on all predictions together, none of
which is of a network that was trained on its image.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.atomic_replace import write_json

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("openfield", "mirror-mouse", "lips")
UNCHANGED = "unchanged"
WAYS = ("highest", "live", "best")
"""Ways to predict with the same network; the others are compared with the first."""
CLIPS = 5
"""Fewest clips of a data set of which whole ones are kept back."""
MARGIN = 2
"""Frames on each side of a block of time that are not trained on."""
RESAMPLED = 2000
"""Bootstrap samples of the images."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Labelled images, and the settings with which TrainNetwork trains on them."""

    name: str
    data: Any
    settings: Any
    images: tuple[Path, ...]

    def folds(self, count: int) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the images to train on and those that are kept back, of each fold."""
        from deeplabstream.training.data.dataset import image_order

        order = sorted(
            range(len(self.data)), key=lambda at: image_order(self.images[at])
        )
        clips = sorted(set(self.data.clips))
        if len(clips) >= CLIPS:
            mixed = np.random.default_rng(0).permutation(clips)
            for some in np.array_split(mixed, count):
                kept = [at for at in order if self.data.clips[at] in some]
                yield [at for at in order if at not in kept], kept
            return
        for block in np.array_split(np.arange(len(order)), count):
            first, last = block[0] - MARGIN, block[-1] + MARGIN
            train = [at for n, at in enumerate(order) if not first <= n <= last]
            yield train, [order[n] for n in block]

    def image(self, place: int) -> NDArray[np.uint8]:
        """Return an image as a camera gives it; simulated ones have the network's size."""
        from deeplabstream.pose.image_files import read_image

        image = read_image(self.images[place])
        return self.data.images[place] if image is None else image


def open_set(name: str, folder: Path, made: Path) -> LabelledSet:
    """Return a data set as TrainNetwork opens it; `simulated`: images of a simulated mouse."""
    from deeplabstream.training.run_preparation import run_from_labels
    from deeplabstream.training.train_config import TrainConfig

    if name == "simulated":
        from benchmarks.support.drawn import dataset
        from deeplabstream.training.fit_settings import FitSettings

        data = dataset(24)
        images = tuple(Path(f"{number}.png") for number in range(24))
        return LabelledSet(name, data, FitSettings(), images)
    config = TrainConfig(data=folder / name, output=made / name)
    run = run_from_labels(config, folder / name, lambda _: None)
    return LabelledSet(name, run.data, run.settings, run.labels.images)


def changed(settings: Any, change: str) -> Any:
    """Return settings with `NAME=VALUE`, `PART.NAME=VALUE`, or several joined by `+`.

    ValueError: there is no such setting.
    """
    if change == UNCHANGED:
        return settings
    one, _, others = change.partition("+")
    if others:
        return changed(changed(settings, one), others)
    name, _, text = change.partition("=")
    first, _, rest = name.partition(".")
    if first not in {field.name for field in fields(settings)}:
        raise ValueError(f"{change}: no setting {first}")
    present = getattr(settings, first)
    if is_dataclass(present):
        return replace(settings, **{first: changed(present, f"{rest}={text}")})
    value = text if isinstance(present, str) else json.loads(text)
    return replace(
        settings, **{first: tuple(value) if isinstance(value, list) else value}
    )


def measure(
    case: LabelledSet,
    settings: Any,
    train: Sequence[int],
    kept: Sequence[int],
    folder: Path | None,
) -> dict[str, Any]:
    """Train a network; return its points in the images that were kept back.

    With a `folder` the network is written there as a model folder; an interrupted training
    left its checkpoint in it. The times are those since the last start.
    """
    from deeplabstream.training.data.animal_targets import training_decoder
    from deeplabstream.training.data.learned_relations import with_relations
    from deeplabstream.training.evaluation.evaluate import held_out_error
    from deeplabstream.training.fit import fit

    began = time.perf_counter(), time.process_time()
    labelled = case.data.pick(train)
    unfinished = folder and folder / "unfinished"
    network = fit(
        labelled, settings, lambda _: None, folder=unfinished, resume=bool(folder)
    )
    spent = time.perf_counter() - began[0], time.process_time() - began[1]
    decoder = training_decoder(case.data, settings.network)
    decoder = with_relations(decoder, labelled, settings.augmentation)
    found = held_out_error(network, case.data.pick(kept), decoder)
    if folder is not None:
        write_network(network, case, decoder, settings, folder)
        shutil.rmtree(folder / "unfinished")
    return {
        "images": list(kept),
        "points": np.round(found.points, 3).tolist(),
        "confidence": np.round(found.confidence, 5).tolist(),
        "seconds": round(spent[0], 1),
        "cpu_seconds": round(spent[1], 1),
    }


def write_network(
    network: Any, case: LabelledSet, decoder: Any, settings: Any, folder: Path
) -> None:
    """Write a network as a model folder."""
    from deeplabstream.training.model_export import ModelMetadata, export

    about = {"settings": {"augmentation": asdict(settings.augmentation)}}
    metadata = ModelMetadata(case.data.skeleton, case.data.fitting, decoder, 0.5, about)
    folder.mkdir(parents=True, exist_ok=True)
    export(network, metadata, case.data.images[:8], folder)


def all_trainings(
    cases: Sequence[LabelledSet], options: argparse.Namespace
) -> dict[str, Any]:
    """Train what is not yet in the JSON file; return all trainings by their names."""
    done: dict[str, Any] = {}
    if options.json and options.json.is_file():
        done = json.loads(options.json.read_text("utf-8"))
    for seed in range(options.seeds):
        for case in cases:
            for fold, (train, kept) in enumerate(case.folds(options.folds)):
                for change in (UNCHANGED, *options.changes):
                    name = key(case.name, options, change, seed, fold)
                    if name in done or fold >= (options.some or options.folds):
                        continue
                    settings = replace(
                        case.settings,
                        steps=options.steps or case.settings.steps,
                        seed=seed,
                    )
                    settings = changed(settings, change)
                    if options.labels:
                        rng = np.random.default_rng((seed, fold))
                        train = rng.permutation(train)[: options.labels].tolist()
                    folder = options.networks and options.networks / name
                    done[name] = measure(case, settings, train, kept, folder)
                    if options.json:
                        write_json(options.json, done)
    return done


def key(
    name: str, options: argparse.Namespace, change: str, seed: int, fold: int
) -> str:
    """Return the name of a training in the JSON file."""
    labels = options.labels or "all"
    return (
        f"{name} {labels} labels {options.steps or 'usual'} steps {change} seed {seed} "
        f"fold {fold} of {options.folds}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Points of the networks of all folds and seeds, a row for each image and seed."""

    points: NDArray[np.float32]
    labels: NDArray[np.float32]
    confidence: NDArray[np.float32]
    images: NDArray[np.intp]

    @property
    def error(self) -> NDArray[np.float32]:
        """(row, bodypart): distance to the label, px; NaN: no label."""
        return np.asarray(np.linalg.norm(self.points - self.labels, axis=2))


def predictions(case: LabelledSet, found: Sequence[Mapping[str, Any]]) -> Predictions:
    """Return the predictions of several trainings as one."""
    images = np.concatenate([one["images"] for one in found]).astype(np.intp)
    labels = case.data.in_camera_px(case.data.points)[images]
    points, confidence = (
        np.concatenate([one[name] for one in found]).astype(np.float32)
        for name in ("points", "confidence")
    )
    return Predictions(points, labels, confidence, images)


def trainings(
    case: LabelledSet, done: Mapping[str, Any], options: argparse.Namespace, change: str
) -> dict[str, Any]:
    """Return the finished trainings of a change, by name."""
    names = [
        key(case.name, options, change, seed, fold)
        for seed in range(options.seeds)
        for fold in range(options.some or options.folds)
    ]
    return {name: done[name] for name in names if name in done}


def predicted_by(
    way: str, case: LabelledSet, images: Sequence[int], folder: Path
) -> dict[str, Any]:
    """Return the points that a network folder gives in images, and their confidences."""
    from deeplabstream.pose.image_copies import open_with_copies
    from deeplabstream.pose.model.model_folder import load_model_folder
    from deeplabstream.pose.model.model_opening import open_estimator, opened
    from deeplabstream.pose.runtimes.runtime_list import REFERENCE

    if way == "highest":
        model = load_model_folder(folder)
        model = replace(model, decoder=replace(model.decoder, relations=None))
        estimator = opened(model, REFERENCE, 1)
    else:
        open_network = open_with_copies if way == "best" else open_estimator
        estimator = open_network(folder, REFERENCE, 1)
    poses = [estimator.estimate([case.image(place)])[0] for place in images]
    points = np.stack([pose.points.reshape(-1, 2) for pose in poses])
    if not case.images[0].is_file():
        points = case.data.pick(images).in_camera_px(points)
    return {
        "images": list(images),
        "points": points,
        "confidence": [pose.confidence.ravel() for pose in poses],
    }


def report(
    case: LabelledSet, done: Mapping[str, Any], options: argparse.Namespace
) -> Iterator[str]:
    """Yield the lines of one data set."""
    unchanged = trainings(case, done, options, UNCHANGED)
    base = predictions(case, [*unchanged.values()])
    yield from error_lines(case.name, UNCHANGED, base)
    for change in options.changes:
        own = predictions(case, [*trainings(case, done, options, change).values()])
        yield from error_lines(case.name, change, own, base)

    first = None
    for way in options.ways:
        found = [
            predicted_by(way, case, one["images"], options.networks / name)
            for name, one in unchanged.items()
        ]
        own = predictions(case, found)
        yield from error_lines(case.name, way, own, first)
        first = first or own


def error_lines(
    name: str, what: str, own: Predictions, base: Predictions | None = None
) -> Iterator[str]:
    """Yield the errors of predictions, compared with `base`, and their kinds."""
    from deeplabstream.training.evaluation.error_kinds import error_kinds
    from deeplabstream.training.evaluation.evaluate import choose_threshold

    error = own.error
    labelled = error[np.isfinite(error)]
    median, p95 = np.percentile(labelled, [50, 95])
    line = (
        f"{name:<13}{what:<28}{len(labelled):>7}{labelled.mean():>8.2f}"
        f"{median:>8.2f}{p95:>8.1f}{labelled.max():>8.0f}"
    )
    if base is not None:
        low, high = ratio_interval(base, own)
        ratio = labelled.mean() / np.nanmean(base.error)
        line += f"{ratio:>8.3f} ({low:.3f} to {high:.3f})"
    yield line

    threshold = choose_threshold(error, own.confidence)
    kinds = error_kinds(own.points, own.labels, own.confidence, threshold)
    yield (
        f"    near: within {kinds.near_px:.1f} px; asserted: confidence from "
        f"{threshold:g}"
    )
    for kind, points, share, squared, asserted in kinds.rows(
        error, np.ones(len(error), bool)
    ):
        yield (
            f"    {kind:<10}{points:>6} points{share:>8.1%}{squared:>8.1%} of the "
            f"squared error{asserted:>6} asserted"
        )


def ratio_interval(base: Predictions, other: Predictions) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of the mean errors; images are resampled."""
    images = np.unique(base.images)
    sums = np.array(
        [
            [np.nansum(one.error[one.images == image]) for image in images]
            for one in (base, other)
        ]
    )
    drawn = np.random.default_rng(0).integers(0, len(images), (RESAMPLED, len(images)))
    ratios = sums[1][drawn].sum(axis=1) / sums[0][drawn].sum(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and print the errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="two steps each, simulated images")
    add("--data", type=Path, default=SHARED, help="folder with the data sets")
    add("--sets", nargs="+", choices=(*SETS, "simulated"), default=list(SETS))
    add("--changes", nargs="*", default=[], metavar="NAME=VALUE")
    add("--folds", type=int, default=3)
    add("--some", type=int, default=0, help="only the first folds")
    add("--seeds", type=int, default=2)
    add("--labels", type=int, default=0, help="labelled frames to train on; 0: all")
    add("--steps", type=int, default=0, help="0: as TrainNetwork")
    add("--threads", type=int, default=0)
    add("--json", type=Path, help="file of the predictions; it is continued")
    add("--networks", type=Path, help="folder in which the networks are kept")
    add("--ways", nargs="*", choices=WAYS, default=[], help="needs --networks")
    options = parser.parse_args(argv)
    if options.ways and not options.networks and not options.quick:
        parser.error("--ways needs --networks FOLDER, which keeps the networks")
    if options.quick:
        options.sets, options.folds, options.seeds, options.steps = (
            ["simulated"], 2, 1, 2,
        )  # fmt: skip
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    with TemporaryDirectory() as made:
        if options.quick:
            options.ways, options.networks = WAYS, Path(made, "networks")
        cases = [open_set(name, options.data, Path(made)) for name in options.sets]
        done = all_trainings(cases, options)
        print(
            f"{'set':<13}{'settings':<28}{'points':>7}{'mean':>8}{'median':>8}{'p95':>8}"
            f"{'max':>8}   mean / unchanged or first way"
        )
        for case in cases:
            for line in report(case, done, options):
                print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
