"""Measure the distance between a network's points and labels, per set and body part.

    python utils/EvaluateNetwork.py --model runs/one
    python utils/EvaluateNetwork.py --model openfield --data labels/ --csv errors.csv
    python utils/EvaluateNetwork.py --model runs/one --data one.csv two.csv --report two.html
    python utils/EvaluateNetwork.py --model runs/one --report one.html --poses mouse.csv

Without `--data`, the labels of the network's training are used, in the sets of its training
(train, validation, test). `--report` writes an HTML file with plots and with all images and
points, and CSV files beside it. `--ensemble` adds the differences between several networks.
`--poses` adds measures of videos without labels: jumps of points, and the distance to usual
poses. Where a second person labelled the same images (`CollectedData_NAME.csv` beside the
labels, or `--second`), the distance between the two persons stands beside each error.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import csv
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.offline.metrics import temporal_norm
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.training.data.labels import Labels
from deeplabstream.training.evaluation.animal_matching import matched, recall_sentence
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    together,
)
from deeplabstream.training.evaluation.comparison import compare, learned_before
from deeplabstream.training.evaluation.network_errors import (
    evaluate_network,
    labels_of,
)
from deeplabstream.training.evaluation.second_labels import add_second

if TYPE_CHECKING:
    from deeplabstream.training.evaluation.point_errors import (
        Evidence,
        Poses,
        VideoMeasures,
    )

COLUMNS = ("set", "bodypart", "labels", "median_px", "mean_px", "p95_px", "within")
HUMAN = ("human_labels", "human_median_px", "human_p95_px")
"""Columns of the distance between two persons' labels, where there are two."""


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print the errors."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if (arguments.ensemble or arguments.poses) and not arguments.report:
        parser.error("--ensemble and --poses need --report FILE.html")
    several = arguments.report or arguments.csv or len(arguments.data) > 1
    if arguments.against and several:
        parser.error("--against takes one --data, and neither --report nor --csv")
    with TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        if arguments.against:
            _compare_networks(arguments, Path(unpacked))
        else:
            _evaluate(arguments, Path(unpacked))
    return 0


def _evaluate(arguments: argparse.Namespace, unpacked: Path) -> None:
    from deeplabstream.training.evaluation.evaluate import share_within
    from deeplabstream.training.evaluation.point_errors import figure_rows, table_files

    files = [arguments.csv] if arguments.csv else []
    if arguments.report:
        files += [arguments.report, *table_files(arguments.report)]
    check_free(files, arguments.overwrite)
    done = evaluate_network(
        arguments.model,
        arguments.data,
        arguments.ensemble,
        arguments.device,
        arguments.threads,
        arguments.second,
        unpacked=unpacked,
    )
    labels, every, evidence = done.labels, done.found, done.evidence
    within = arguments.within
    figures: dict[tuple[object, ...], list[object]] = {
        (name, part, measure): cells
        for name, part, measure, *cells in figure_rows(evidence, within)
    }
    columns = COLUMNS + (HUMAN if done.second else ())
    rows: list[Sequence[object]] = []
    for (own, part, measure), cells in figures.items():
        if measure == "error_px":
            human = figures.get((own, part, "human_px"), [])
            rows.append((own, part, *cells, *human[:2], *human[3:4]))
    print("  ".join(f"{column:>10}" for column in columns))
    for row in rows:
        print(
            "  ".join(
                f"{_short(cell):>{max(10, len(column))}}"
                for cell, column in zip(row, columns, strict=True)
            )
        )
    print(f"within: share of labelled points within {within:g} px")
    if done.second:
        tables = ", ".join(file.name for file in done.second.files)
        print(f"human: distance between two persons' labels ({tables})")
        for problem in done.second.problems:
            print(f"not compared: {problem}")
    if evidence.counted is not None:
        print(recall_sentence(matched(together(every), labels, done.threshold)))
    sure = evidence.reliability(within)
    right = share_within(_held_out(evidence, "error_px"), within)
    print(
        f"confidence calibration error {sure.error():.3f} (a point is right "
        f"within {within:g} px), {right:.1%} right"
    )
    warning = "" if "all" in evidence.sets else learned_before(done.folder)
    if warning:
        print(warning)
    if len(every) > 1:
        _compare_members(every, labels, evidence, done.threshold)
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows([columns, *rows])
    if arguments.report:
        _report(arguments, done.folder, evidence, done.poses, warning)


def _compare_networks(arguments: argparse.Namespace, unpacked: Path) -> None:
    """Say which of two networks is better on images that neither learned from."""
    labels, _ = labels_of(find_model(arguments.model), arguments.data, unpacked)
    words = arguments.device, arguments.threads
    print(compare(arguments.model, arguments.against, labels, *words).verdict)


def _compare_members(
    every: Sequence[ImagePredictions],
    labels: Labels,
    evidence: "Evidence",
    threshold: float,
) -> None:
    """Say what the networks' disagreement tells of their error, in held-out images."""
    away, apart = (_held_out(evidence, name) for name in ("error_px", "spread_px"))
    there = np.isfinite(away) & np.isfinite(apart)
    held_out = evidence.held_out[:: evidence.animals]
    if evidence.counted is None:
        alone = [each.distance(labels) for each in every]
    else:
        which = [matched(each, labels, threshold) for each in every]
        alone = [each.distance for each in which]
        shares = [each.counted.of(held_out) for each in which]
        both = evidence.counted.of(held_out)
        print(
            "held-out animals, recall and precision of each: "
            + ", ".join(f"{one.recall:.1%} {one.precision:.1%}" for one in shares)
            + f", of their median {both.recall:.1%} {both.precision:.1%}"
        )
    if not there.any():
        print(f"{len(every)} networks: no animal in common with the labels")
        return
    near, far = np.median(away[there]), np.median(apart[there])
    errors = [_median(each[held_out]) for each in alone]
    print(
        f"{len(every)} networks: median error of each "
        + ", ".join(f"{error:.2f}" for error in errors)
        + f" px, of their median {near:.2f} px"
    )
    differing = there & (apart > far)
    agreed = there & (apart <= far)
    print(
        f"where they differ by more than {far:.2f} px (half of the points), the "
        f"median error is {np.median(away[differing]):.2f} px, elsewhere "
        f"{np.median(away[agreed]):.2f} px"
    )


def _median(distance: NDArray[np.float32]) -> float:
    there = distance[np.isfinite(distance)]
    return float(np.median(there)) if there.size else float("nan")


def _held_out(evidence: "Evidence", measure: str) -> NDArray[np.float32]:
    """Return (row, bodypart) of a measure, of images not trained on."""
    return evidence.measures[measure][evidence.held_out].astype(np.float32)


def _report(
    arguments: argparse.Namespace,
    folder: Path,
    evidence: "Evidence",
    poses: "Poses",
    warning: str,
) -> None:
    """Write the page and its tables."""
    from deeplabstream.training.evaluation.point_errors import write_tables
    from deeplabstream.training.evaluation.report_page import write_page

    videos = [video for file in arguments.poses for video in _videos(file, poses)]
    page: Path = arguments.report
    title = f"{folder.name}: errors of its points"
    write_page(page, title, evidence, videos, arguments.within, warning)
    tables = write_tables(page, evidence, videos, arguments.within)
    print(f"written: {page}, and beside it {', '.join(file.name for file in tables)}")


def _videos(file: Path, poses: "Poses") -> "list[VideoMeasures]":
    """Return what can be recall_sentence of the points of a video, animal by animal."""
    from deeplabstream.training.evaluation.point_errors import VideoMeasures

    rows = read_poses(file)
    parts = poses.bodyparts
    if rows.skeleton.bodyparts != parts:
        raise DeepLabStreamError(f"{file} needs the body parts {', '.join(parts)}")
    videos = []
    for animal, points in enumerate(rows.points.swapaxes(0, 1)):
        measures = {"temporal_px": temporal_norm(points), **poses.errors(points)}
        name = [file.stem, *rows.skeleton.animals[animal : animal + 1]]
        videos.append(VideoMeasures(" ".join(name), parts, measures))
    return videos


def _short(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="EvaluateNetwork", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--model", required=True, help="model folder, or its name in models/")
    add(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        help="label files, each a separate set; default: the labels of its training",
    )
    add(
        "--against",
        metavar="MODEL",
        help="say only which of the two networks is better, on images that neither "
        "learned from",
    )
    add_second(parser)
    add(
        "--within",
        type=float,
        default=5.0,
        help="threshold of a correct point in px (PCK)",
    )
    add("--csv", type=Path, help="also write the table to this file")
    add(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write an HTML report, and CSV files beside it",
    )
    add(
        "--ensemble",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="more networks in the report",
    )
    add("--poses", nargs="+", default=[], type=Path, metavar="TABLE",
        help="more in the report: points of videos, as written by PredictVideos")  # fmt: skip
    add_overwrite(parser)
    add("--device", choices=("auto", *RUNTIMES), default="auto")
    add(
        "--threads",
        type=at_least(0),
        default=0,
        help="CPU threads; 0: one per core",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
