"""Say how far a network's points are from labels, per set and body part.

    python utils/EvaluateNetwork.py --model runs/one
    python utils/EvaluateNetwork.py --model openfield --data labels/ --csv errors.csv
    python utils/EvaluateNetwork.py --model runs/one --data one.csv two.csv --report two.html
    python utils/EvaluateNetwork.py --model runs/one --report one.html --poses mouse.csv

Without `--data`, the labels that the network was trained with are looked at; each picture
belongs to the set (train, validation, test) that training put it in. `--report` writes one
HTML file that shows all figures as plots and every picture with its points, and the same as
CSV beside it; `--ensemble` adds how far several networks are apart, `--poses` what can be told
of a video without labels: how far points jump, and how far from a pose that occurs they are.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.program import ending, prepare

prepare()

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import DeepLabStreamError
from offline.metrics import temporal_norm
from offline.tables import read_poses
from pose.model_folder import load_model_folder
from pose.opening import find_model, open_estimator
from pose.runtimes import RUNTIMES
from pose.several import members
from training.found_animals import by_part, check_animals, matched, told
from training.label_sets import ALL, read_label_sets
from training.labels import Labels, LabelsError, known_of
from training.lightning_pose import read_pose_project
from training.predict import Found, predict_pictures, spread, together
from training.tables import PREDICTIONS, read_sets

if TYPE_CHECKING:
    from training.report import Film, Poses

COLUMNS = ("set", "bodypart", "labels", "median_px", "mean_px", "p95_px", "within")


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print the errors."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if (arguments.ensemble or arguments.poses) and not arguments.report:
        parser.error("--ensemble and --poses are for the page: give --report FILE.html")
    _evaluate(arguments)
    return 0


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.evaluate import reliability, share_within
    from training.report import TRAINED, figures

    folder = find_model(arguments.model)
    if arguments.data:
        labels, given = read_label_sets(arguments.data, folder / "labels")
    else:
        labels = _own_labels(folder)
        table = next(iter(members(folder)), folder) / PREDICTIONS
        known = read_sets(table) if table.is_file() else {}
        given = tuple(known.get(name, ALL) for name in labels.names)
    folders = members(folder) or (folder,)
    opened = [
        open_estimator(each, arguments.device, arguments.threads) for each in folders
    ]
    every = [predict_pictures(each, labels.images, labels.names) for each in opened]
    for each in every:
        check_animals(each, labels)
    found = together(every)
    confidence, many = found.confidence, None
    if found.animals > 1:
        if arguments.report:
            raise LabelsError(["--report is for one animal; --csv tells of several"])
        many = matched(found, labels, opened[0].threshold)
        distance, confidence = by_part(many.distance), by_part(many.confidence)
    else:
        distance = found.distance(labels)
    sets = np.array(given)
    sets = np.repeat(sets, found.animals)
    rows: list[tuple[object, ...]] = []
    for name in sorted(set(sets)):
        own = distance[sets == name]
        for part, away in zip(found.bodyparts, own.T, strict=True):
            rows.append((name, part, *figures(away, arguments.within)))
        rows.append((name, "together", *figures(own, arguments.within)))
    print("  ".join(f"{column:>10}" for column in COLUMNS))
    for row in rows:
        print("  ".join(f"{_short(cell):>10}" for cell in row))
    print(f"within: share of labelled points within {arguments.within:g} px")
    if many is not None:
        print(told(many))
    out = ~np.isin(sets, TRAINED)
    within = arguments.within
    asked = None if many is not None else known_of(labels, found.bodyparts)[out]
    sure = reliability(distance[out], confidence[out], asked, within)
    print(
        f"calibration error of the confidence {sure.error():.3f} (a point is right within "
        f"{within:g} px), {share_within(distance[out], within):.1%} right"
    )
    if len(every) > 1:
        _compare_members(every, labels, out)
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])
    if arguments.report:
        _report(arguments, folder, labels, sets.tolist(), found, every)


def _own_labels(folder: Path) -> Labels:
    """Return the labels that a run's `config.yaml` names."""
    file = next(iter(members(folder)), folder) / "config.yaml"
    if not file.is_file():
        raise LabelsError([f"{folder} does not tell its labels; give --data"])
    project = read_pose_project(file)
    labels = project.labels(several=True)
    if project.config.training.uniform_heatmaps_for_nan_keypoints:
        return labels
    known = labels.known & np.isfinite(labels.points).all(axis=2)
    return replace(labels, known=known)


def _compare_members(
    every: Sequence[Found], labels: Labels, out: NDArray[np.bool_]
) -> None:
    """Say what the networks' disagreement tells of their error, in held-out pictures."""
    away = together(every).distance(labels)[out]
    apart = spread(every)[out]
    there = np.isfinite(away)
    near, far = np.median(away[there]), np.median(apart[there])
    alone = [float(np.nanmedian(each.distance(labels)[out])) for each in every]
    print(
        f"{len(every)} networks: median error of each "
        + ", ".join(f"{error:.2f}" for error in alone)
        + f" px, of their median {near:.2f} px"
    )
    doubtful = there & (apart > far)
    agreed = there & (apart <= far)
    print(
        f"where they are further apart than {far:.2f} px (half of the points) the median "
        f"error is {np.median(away[doubtful]):.2f} px, elsewhere "
        f"{np.median(away[agreed]):.2f} px"
    )


def _report(
    arguments: argparse.Namespace,
    folder: Path,
    labels: Labels,
    sets: list[str],
    found: Found,
    every: Sequence[Found],
) -> None:
    """Write the page and its tables."""
    from training.report import gather, write_tables
    from training.report_page import write_page

    others = list(every)
    for model in arguments.ensemble:
        member = open_estimator(find_model(model), arguments.device, arguments.threads)
        others.append(predict_pictures(member, labels.images, labels.names))
    folders = members(folder) or (folder,)
    views, single = _pose_columns(folders[0])
    scale = load_model_folder(folder).confidence if len(every) == 1 else None
    several = others if len(others) > 1 else []
    evidence, poses = gather(labels, sets, found, several, views, single, scale)
    films = [_film(file, poses) for file in arguments.poses]
    page: Path = arguments.report
    title = f"{folder.name}: how far off its points are"
    write_page(page, title, evidence, films, arguments.within)
    tables = write_tables(page, evidence, films, arguments.within)
    print(f"{page} written, {', '.join(file.name for file in tables)} beside it")


def _pose_columns(folder: Path) -> tuple[list[list[str]], list[str] | None]:
    """Return the body parts of each view, and those of the pose, as a run's file says."""
    file = folder / "config.yaml"
    if not file.is_file():
        return [], None
    data = read_pose_project(file).config.data
    names = data.keypoint_names or []
    matches = data.mirrored_column_matches or []
    views = [[names[i] for i in view] for view in matches if isinstance(view, list)]
    columns = data.columns_for_singleview_pca
    return views, [names[i] for i in columns] if columns else None


def _film(file: Path, poses: "Poses") -> "Film":
    """Return what can be told of the points of a video."""
    from training.report import Film

    rows = read_poses(file)
    if rows.skeleton.bodyparts != poses.bodyparts or rows.points.shape[1] != 1:
        raise DeepLabStreamError(
            f"{file} needs one animal with the body parts {', '.join(poses.bodyparts)}"
        )
    points = rows.points[:, 0]
    measures = {"temporal_px": temporal_norm(points), **poses.errors(points)}
    return Film(file.stem, poses.bodyparts, measures)


def _short(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="EvaluateNetwork", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", required=True, help="model folder, or one in models/")
    add(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        help="label files, each a set of its own; default: those it learned from",
    )
    add("--within", type=float, default=5.0, help="px that count as right (PCK)")
    add("--csv", type=Path, help="write the table too")
    add(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page, and CSV beside it",
    )
    add(
        "--ensemble",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="in the report: others",
    )
    add("--poses", nargs="+", default=[], type=Path, metavar="TABLE",
        help="in the report: points of videos, as PredictVideos writes them")  # fmt: skip
    add("--device", choices=("auto", *RUNTIMES), default="auto")
    add("--threads", type=int, default=0, help="of the processor; 0: one per core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
