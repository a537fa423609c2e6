"""Train a behaviour classifier from runs and a table of observed behaviours.

LABELS is a table with the columns start_s, end_s and behaviour, or BORIS' aggregated events
(times of the video); all other times are ignored. With --pair it also has the columns actor and
target; a row without both is of every pair that has no other row at that time. SOURCE is a run
folder (with the poses that the triggers got), or poses of a video: DeepLabCut's .csv or .h5, or
.parquet, with --rate.
"""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deeplabstream.core.errors import (
    DeepLabStreamError,
    SettingsError,
    check_packages,
)
from deeplabstream.core.pose import Pose
from deeplabstream.engine.replay.rerun import filtered_poses
from deeplabstream.files.overwriting import check_new
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.run_import import settings_of
from deeplabstream.pose.behaviour.classifier_folder import save_features
from deeplabstream.pose.behaviour.pair_features import (
    pose_of_pair,
    scale_of_pair,
    usual_of_pair,
)
from deeplabstream.pose.behaviour.pose_features import FeatureSet, usual
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import CommaList
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.behaviour_classifier import (
    BehaviourInterval,
    Examples,
    examples,
    fit,
    intervals_of_pair,
    joined,
    read_intervals,
    split,
    write_classifier,
)

BLOCK_S = 4.0
"""Length of the blocks of time; every fourth block is for the test."""


@program_options
class TrainClassifier:
    """Training data of a behaviour classifier, and its features."""

    into: Path = option(positional=True)
    """Folder to create."""
    of: tuple[tuple[Path, Path], ...] = option(
        repeated=True, metavar=("SOURCE", "LABELS")
    )
    """Training data; may be given several times."""
    camera: str = option(default="")
    """Camera, if the run has several."""
    animal: str = option(default="1")
    """Name or number of the animal, if there are several."""
    pair: bool = option(default=False)
    """Classify what one animal does to another, from features of both; needs --chain."""
    bodyparts: CommaList = option(default=(), separator=",")
    """Body parts to use, separated by commas; default: all."""
    chain: CommaList = option(default=(), separator=",")
    """Body parts in order along the body, for angles. With --pair the foremost is the first,
    and the distance of the first and the last is the unit of lengths."""
    window_s: float = option(default=0.5, gt=0)
    """Window of the features in s."""
    moments: float = option(default=20.0, gt=0)
    """Samples per second in the window."""
    max_gap_s: float = option(default=0.2, gt=0)
    """Longest gap without the animal in s."""
    unit: Literal["px", "mm"] = option(default="px")
    """Unit of lengths."""
    trees: int = option(default=50, gt=0)
    """Number of trees of the forest."""
    seed: int = option(default=0)
    """Seed of the forest."""
    rate: float | None = option(default=None, gt=0)
    """Frames per second of a table of poses."""
    threshold: float = option(default=0.5)
    """Confidence threshold of a table of poses."""
    features_only: bool = option(default=False)
    """Write the features (features.csv, features.json) without training, for your own
    model; convert it with utils/ConvertClassifier.py."""
    command: str = option(default="", internal=True)
    """Command line."""


def train_classifier(options: TrainClassifier) -> int:
    """Train the classifier, test it on parts of the data, and write it."""
    needed = ("pandas",) if options.features_only else ("sklearn", "skl2onnx")
    check_packages("training", needed)
    check_new(options.into)
    if options.pair and len(options.chain) < 2:
        raise DeepLabStreamError(
            "--pair needs --chain: two or more body parts in order along the body, the "
            "foremost first, for directions and the length of the body"
        )
    sources = [list(_poses(source, options)) for source, _ in options.of]
    features = _features(sources, options)
    labelled = [
        examples(subject, intervals, features)
        for poses, (source, labels) in zip(sources, options.of, strict=True)
        for subject, intervals in _subjects(
            poses, _intervals(source, labels, options), source, options
        )
    ]
    everything = joined(labelled)
    names, counts = np.unique(everything.behaviours, return_counts=True)
    found = ", ".join(f"{n} of {name}" for name, n in zip(names, counts, strict=True))
    print(f"{len(everything)} examples: {found or 'none'}")
    if options.features_only:
        _write_features(everything, features, options.into)
        return 0

    block_s = max(BLOCK_S, 4 * options.window_s)
    parts = [split(data, block_s, options.window_s) for data in labelled]
    training, test = (joined([part[n] for part in parts]) for n in (0, 1))
    model = fit(training, options.trees, options.seed)
    about = {
        "command": options.command,
        "learned from": len(training),
        "tested on": len(test),
        **_test(model, test),
    }
    classes = [str(name) for name in model.classes_]
    write_classifier(model, classes, features, options.into, about, training.numbers)

    print(f"written: {options.into}\n")
    print(f"[Classifier {options.into.name}]\nFOLDER = {options.into.as_posix()}\n")
    kind = "PairBehaviour" if options.pair else "Behaviour"
    print(f"[Trigger {classes[0]}]\nKIND = {kind}\nBEHAVIOUR = {classes[0]}")
    print("THRESHOLD = 0.7")
    return 0


_Poses = list[tuple[float, Pose]]
_Subject = list[tuple[float, Pose | None]]
"""Times and poses of one animal or pair; None: the identity is unknown."""


def _subjects(
    poses: _Poses,
    intervals: list[BehaviourInterval],
    source: Path,
    options: TrainClassifier,
) -> Iterator[tuple[_Subject, list[BehaviourInterval]]]:
    """Yield the poses and intervals of the animal, or of each directed pair."""
    if not poses:
        return
    first = poses[0][1]
    animals = first.skeleton.named(len(first.points))
    if not options.pair:
        yield _of_animal(poses, animals, source, options.animal), intervals
        return
    unknown = {it.actor for it in intervals} | {it.target for it in intervals}
    unknown -= {"", *animals}
    if unknown or len(animals) < 2:
        raise DeepLabStreamError(
            f"{source} has no animal {min(unknown, default='2')!r}; available: "
            f"{', '.join(animals)}"
        )
    for actor, target in permutations(range(len(animals)), 2):
        yield (
            [(time_s, pose_of_pair(pose, actor, target)) for time_s, pose in poses],
            intervals_of_pair(intervals, animals[actor], animals[target]),
        )


def _of_animal(
    poses: _Poses, animals: tuple[str, ...], source: Path, animal: str
) -> _Subject:
    """Return times and poses of one animal; NaN while its identity is ambiguous."""
    place = poses[0][1].animal(animal)
    if place is None:
        raise DeepLabStreamError(
            f"{source} has no animal {animal!r}; available: {', '.join(animals)}"
        )
    return [
        (
            time_s,
            pose.of(place).unknown() if pose.is_ambiguous(place) else pose.of(place),
        )
        for time_s, pose in poses
    ]


def _poses(source: Path, options: TrainClassifier) -> Iterator[tuple[float, Pose]]:
    """Yield times and poses of all animals, NaN where nothing was seen."""
    return (_run_poses if source.is_dir() else _table_poses)(source, options)


def _run_poses(source: Path, options: TrainClassifier) -> Iterator[tuple[float, Pose]]:
    """Yield times and poses of a run, NaN where nothing was seen."""
    folder = open_run_folder(source, print)
    try:
        rig = settings_of(folder)
    except SettingsError as error:
        raise DeepLabStreamError(f"{source} is not a run: {error}") from error
    camera = options.camera or rig.deciding_camera
    if not folder.table_path(camera).exists():
        raise DeepLabStreamError(f"{source} has no poses of the camera {camera}")
    if options.unit == "mm" and camera not in rig.calibrations:
        raise DeepLabStreamError(
            f"{source}: [Camera {camera}] has no MM_PER_PIXEL and no MARKS"
        )
    for time_s, sight in filtered_poses(rig, folder, camera):
        yield time_s, sight.in_unit(options.unit)


def _table_poses(
    source: Path, options: TrainClassifier
) -> Iterator[tuple[float, Pose]]:
    """Yield times and poses of a table, NaN below the threshold."""
    table = read_poses(source)
    if options.rate is None or options.unit == "mm":
        raise DeepLabStreamError(
            f"{source} contains neither times nor millimetres: use --rate, and --unit px"
        )
    for row in range(len(table)):
        yield row / options.rate, table.pose(row).seen(options.threshold)


def _intervals(
    source: Path, labels: Path, options: TrainClassifier
) -> list[BehaviourInterval]:
    """Return the labelled intervals; those of pairs need --pair."""
    if source.is_dir():
        run = RunFolder(source)
        camera = options.camera or settings_of(run).deciding_camera
        found = read_intervals(labels, run, camera, options.pair)
    else:
        found = read_intervals(labels, pairs=options.pair)
    if not options.pair and any(it.actor for it in found):
        raise DeepLabStreamError(
            f"{labels} names actors and targets: use --pair, or give a table without them"
        )
    if options.pair and found and not any(it.actor for it in found):
        raise DeepLabStreamError(
            f"{labels} names no actor and target, which --pair needs in the columns "
            "actor and target, or in BORIS' Subject and Modifier #1"
        )
    return found


def _features(
    sources: list[list[tuple[float, Pose]]], options: TrainClassifier
) -> FeatureSet:
    """Return the features of body parts that all sources have."""
    named = [poses[0][1].skeleton.bodyparts for poses in sources if poses]
    if not named:
        raise DeepLabStreamError("no poses")
    known = [part for part in named[0] if all(part in names for names in named)]
    chosen = options.bodyparts or tuple(known)
    for part in (*chosen, *options.chain):
        if part not in known:
            raise DeepLabStreamError(
                f"not every pose has {part!r}; available: {', '.join(known)}"
            )
    chain = options.chain
    return FeatureSet(
        usual_of_pair(chosen, chain) if options.pair else usual(chosen, chain),
        options.window_s,
        options.moments,
        options.max_gap_s,
        options.unit,
        options.pair,
        scale_of_pair(chain) if options.pair else (),
    )


def _test(model: Any, test: Examples) -> dict[str, object]:
    """Print and return recall, precision and F1 of each behaviour."""
    predicted = model.predict(test.numbers) if len(test) else test.behaviours
    shares: dict[str, object] = {}
    for name in sorted(set(test.behaviours.tolist())):
        was, is_predicted = test.behaviours == name, predicted == name
        hits = float((was & is_predicted).sum())
        recall, precision = hits / was.sum(), hits / max(is_predicted.sum(), 1)
        f1 = 2 * hits / (was.sum() + is_predicted.sum())
        shares |= {f"found {name}": float(recall), f"right {name}": float(precision)}
        print(f"{name}: recall {recall:.1%}, precision {precision:.1%}, F1 {f1:.2f}")
    if not shares:
        print("not enough data for a test: accuracy unknown")
    return shares


def _write_features(data: Examples, features: FeatureSet, into: Path) -> None:
    import pandas as pd

    into.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(data.numbers, columns=[str(f) for f in features.features])
    table.insert(0, "time_s", data.times_s)
    table.insert(1, "behaviour", data.behaviours)
    table.to_csv(into / "features.csv", index=False, lineterminator="\n")
    save_features(features, into / "features.json")
    print(f"written: {into / 'features.csv'}, {into / 'features.json'}")


PROGRAM = Program(TrainClassifier, train_classifier, __doc__, "TrainClassifier")
