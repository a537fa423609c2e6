"""Say how far a network's points are from labels, per set and body part.

    python utils/EvaluateNetwork.py --model runs/one
    python utils/EvaluateNetwork.py --model openfield --data labels/ --csv errors.csv
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

import argparse
import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.errors import DeepLabStreamError
from offline.metrics import temporal_norm
from offline.tables import read_poses
from pose.opening import find_model, open_estimator
from pose.runtimes import RUNTIMES
from training.found_animals import by_part, check_animals, matched, told
from training.labels import Labels, LabelsError
from training.lightning_pose import read_pose_project
from training.predict import Found, predict_pictures
from training.projects import open_project
from training.tables import PREDICTIONS, read_sets

if TYPE_CHECKING:
    from training.report import Film, Poses

COLUMNS = ("set", "bodypart", "labels", "median_px", "mean_px", "p95_px", "within")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the errors; return 0, or 1 after a sentence that says why not."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if (arguments.ensemble or arguments.poses) and not arguments.report:
        parser.error("--ensemble and --poses are for the page: give --report FILE.html")
    try:
        _evaluate(arguments)
    except DeepLabStreamError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        out = error.filename or arguments.report or arguments.csv
        print(f"{out} can't be written: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.evaluate import reliability, share_within
    from training.report import figures

    folder = find_model(arguments.model)
    labels = (
        open_project(arguments.data, folder / "labels", several=True).labels
        if arguments.data
        else _own_labels(folder)
    )
    estimator = open_estimator(folder, arguments.device, arguments.threads)
    found = predict_pictures(estimator, labels.images, labels.names)
    check_animals(found, labels)
    confidence, many = found.confidence, None
    if found.animals > 1:
        if arguments.report:
            raise LabelsError(["--report is for one animal; --csv tells of several"])
        many = matched(found, labels, estimator.threshold)
        distance, confidence = by_part(many.distance), by_part(many.confidence)
    else:
        distance = found.distance(labels)
    table = folder / PREDICTIONS
    known = read_sets(table) if not arguments.data and table.is_file() else {}
    sets = np.array([known.get(name, "all") for name in found.names])
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
    out = np.isin(sets, ["validation", "test", "all"])
    sure = reliability(distance[out], confidence[out])
    print(
        f"calibration error of the confidence {sure.error():.3f} (a point is right within "
        f"{sure.radius_px:.1f} px), {share_within(distance[out], sure.radius_px):.1%} right"
    )
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])
    if arguments.report:
        _report(arguments, folder, labels, sets.tolist(), found)


def _own_labels(folder: Path) -> Labels:
    """Return the labels that a run's `config.yaml` names."""
    file = folder / "config.yaml"
    if not file.is_file():
        raise LabelsError([f"{folder} does not tell its labels; give --data"])
    return read_pose_project(file).labels(several=True)


def _report(
    arguments: argparse.Namespace,
    folder: Path,
    labels: Labels,
    sets: list[str],
    found: Found,
) -> None:
    """Write the page and its tables."""
    from training.report import gather, write_tables
    from training.report_page import write_page

    others = []
    for model in arguments.ensemble:
        member = open_estimator(find_model(model), arguments.device, arguments.threads)
        others.append(predict_pictures(member, labels.images, labels.names))
    views, single = _pose_columns(folder)
    evidence, poses = gather(labels, sets, found, others, views, single)
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
    add("--data", type=Path, help="labelled frames; default: those it learned from")
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
