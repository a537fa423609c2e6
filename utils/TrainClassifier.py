"""Train a behaviour classifier from runs and a table of observed behaviours."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.files.overwriting import check_new
from deeplabstream.core.pose import Pose
from deeplabstream.engine.replay.rerun import filtered_poses
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.run_import import settings_of
from deeplabstream.pose.behaviour.classifier_folder import save_features
from deeplabstream.pose.behaviour.pose_features import FeatureSet, usual
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.training.behaviour_classifier import (
    Examples,
    BehaviourInterval,
    examples,
    fit,
    joined,
    read_intervals,
    split,
    write_classifier,
)

BLOCK_S = 4.0
"""Blocks of time of which every fourth is for the test."""
EPILOG = (
    "LABELS is a table with the columns start_s, end_s and behaviour, or BORIS' "
    "aggregated events (times of the video); all other times are ignored.\n"
    "SOURCE is a run folder (with the poses that the triggers got), or poses of a video:\n"
    "DeepLabCut's .csv or .h5, or .parquet, with --rate.\n"
)


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, or 2 when something that the user can mend is wrong."""
    asked = _parser().parse_args(argv)
    _train(asked)
    return 0


def _parser() -> ProgramParser:
    options = ProgramParser(
        prog="TrainClassifier.py", description=__doc__, epilog=EPILOG
    )
    options.add_argument("into", type=Path, help="folder to create")
    options.add_argument(
        "--of",
        nargs=2,
        action="append",
        required=True,
        type=Path,
        metavar=("SOURCE", "LABELS"),
        help="training data; may be given several times",
    )
    options.add_argument("--camera", default="", help="camera, if the run has several")
    options.add_argument(
        "--animal",
        default="1",
        help="name or number of the animal, if there are several (default: 1)",
    )
    options.add_argument(
        "--bodyparts",
        default="",
        help="body parts to use, separated by commas (default: all)",
    )
    options.add_argument(
        "--chain", default="", help="body parts in order along the body, for angles"
    )
    options.add_argument("--window-s", type=float, default=0.5, help="(default: 0.5)")
    options.add_argument(
        "--moments",
        type=float,
        default=20.0,
        help="samples per second in the window (20)",
    )
    options.add_argument(
        "--max-gap-s",
        type=float,
        default=0.2,
        help="longest gap without the animal in s (0.2)",
    )
    options.add_argument(
        "--unit",
        choices=["px", "mm"],
        default="px",
        help="unit of lengths (default: px)",
    )
    options.add_argument(
        "--trees", type=int, default=50, help="number of trees of the forest (50)"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--rate", type=float, help="frames per second of a table of poses"
    )
    options.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="confidence threshold of a table of poses",
    )
    options.add_argument(
        "--features-only",
        action="store_true",
        help=(
            "write the features (features.csv, features.json) without training, "
            "for your own model; convert it with utils/ConvertClassifier.py"
        ),
    )
    return options


def _train(asked: argparse.Namespace) -> None:
    check_new(asked.into)
    if min(asked.window_s, asked.moments, asked.max_gap_s, asked.trees) <= 0:
        raise DeepLabStreamError(
            "--window-s, --moments, --max-gap-s and --trees must be above 0"
        )
    sources = [list(_of_animal(source, asked)) for source, _ in asked.of]
    features = _features(sources, asked)
    found = [
        examples(poses, _intervals(source, labels, asked.camera), features)
        for poses, (source, labels) in zip(sources, asked.of, strict=True)
    ]
    everything = joined(found)
    _print_counts(everything)
    if asked.features_only:
        _write_features(everything, features, asked.into)
        return
    block_s = max(BLOCK_S, 4 * asked.window_s)
    parts = [split(each, block_s, asked.window_s) for each in found]
    learn, test = (joined([part[n] for part in parts]) for n in (0, 1))
    model = fit(learn, asked.trees, asked.seed)
    classes = [str(name) for name in model.classes_]
    about = {
        "command": " ".join(["utils/TrainClassifier.py", *map(str, sys.argv[1:])]),
        "learned from": len(learn),
        "tested on": len(test),
    }
    about |= _tested(model, test)
    write_classifier(model, classes, features, asked.into, about, learn.numbers)
    print(f"written: {asked.into}\n\n{_section(asked.into, classes)}")


def _of_animal(source: Path, asked: argparse.Namespace) -> Iterator[tuple[float, Pose]]:
    """Yield times and poses of one animal; NaN while its identity is ambiguous."""
    for time_s, pose in _poses(source, asked):
        place = pose.animal(asked.animal)
        if place is None:
            there = ", ".join(pose.skeleton.named(len(pose.points)))
            raise DeepLabStreamError(
                f"{source} has no animal {asked.animal!r}; available: {there}"
            )
        one = pose.of(place)
        yield time_s, one.unknown() if pose.is_ambiguous(place) else one


def _poses(source: Path, asked: argparse.Namespace) -> Iterator[tuple[float, Pose]]:
    """Yield times and poses, NaN where nothing was seen."""
    if source.is_dir():
        folder = open_run_folder(source, print)
        try:
            rig = settings_of(folder)
        except SettingsError as error:
            raise DeepLabStreamError(f"{source} is not a run: {error}") from error
        camera = asked.camera or rig.deciding_camera
        if not folder.table_path(camera).exists():
            raise DeepLabStreamError(f"{source} has no poses of the camera {camera}")
        if asked.unit == "mm" and camera not in rig.calibrations:
            raise DeepLabStreamError(
                f"{source}: [Camera {camera}] has no MM_PER_PIXEL and no MARKS"
            )
        for time_s, sight in filtered_poses(rig, folder, camera):
            yield time_s, sight.in_unit(asked.unit)
        return
    table = read_poses(source)
    if not asked.rate or asked.unit == "mm":
        raise DeepLabStreamError(
            f"{source} contains neither times nor millimetres: use --rate, and "
            "--unit px"
        )
    for row in range(len(table)):
        yield row / asked.rate, table.pose(row).seen(asked.threshold)


def _intervals(source: Path, labels: Path, camera: str) -> list[BehaviourInterval]:
    if not source.is_dir():
        return read_intervals(labels)
    run = RunFolder(source)
    return read_intervals(labels, run, camera or settings_of(run).deciding_camera)


def _features(
    sources: list[list[tuple[float, Pose]]], asked: argparse.Namespace
) -> FeatureSet:
    named = [set(poses[0][1].names) for poses in sources if poses]
    if not named:
        raise DeepLabStreamError("no poses")
    first = next(poses for poses in sources if poses)[0][1].names
    known = [part for part in first if all(part in names for names in named)]
    chosen, chain = _words(asked.bodyparts) or known, _words(asked.chain)
    for part in (*chosen, *chain):
        if part not in known:
            raise DeepLabStreamError(
                f"not every pose has {part!r}; available: {', '.join(known)}"
            )
    return FeatureSet(
        usual(chosen, chain),
        asked.window_s,
        asked.moments,
        asked.max_gap_s,
        asked.unit,
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _print_counts(data: Examples) -> None:
    names, counts = np.unique(data.behaviours, return_counts=True)
    found = ", ".join(f"{n} of {name}" for name, n in zip(names, counts, strict=True))
    print(f"{len(data)} examples: {found or 'none'}")


def _tested(model: object, test: Examples) -> dict[str, object]:
    """Print and return how often each behaviour is found, and how often it is right."""
    told = model.predict(test.numbers) if len(test) else test.behaviours  # type: ignore[attr-defined]
    shares: dict[str, object] = {}
    for name in sorted(set(test.behaviours.tolist())):
        was, said = test.behaviours == name, told == name
        found = float((was & said).sum() / was.sum())
        right = float((was & said).sum() / max(said.sum(), 1))
        shares[f"found {name}"], shares[f"right {name}"] = found, right
        print(f"{name}: recall {found:.1%}, precision {right:.1%}")
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


def _section(into: Path, classes: list[str]) -> str:
    return (
        f"[Classifier {into.name}]\nFOLDER = {into.as_posix()}\n\n"
        f"[Trigger {classes[0]}]\nKIND = Behaviour\nBEHAVIOUR = {classes[0]}\n"
        "THRESHOLD = 0.7"
    )


if __name__ == "__main__":
    sys.exit(main())
