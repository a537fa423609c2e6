"""Measure the distance between a network's points and labels, per set and body part.

    python utils/EvaluateNetwork.py --model runs/one
    python utils/EvaluateNetwork.py --model openfield --data labels/ --csv errors.csv
    python utils/EvaluateNetwork.py --model runs/one --data one.csv two.csv --report two.html
    python utils/EvaluateNetwork.py --model runs/one --report one.html --poses mouse.csv
    python utils/EvaluateNetwork.py --model runs/views --calibration calibration.toml

Without `--data`, the labels of the network's training are used, in the sets of its training
(train, validation, test). `--report` writes an HTML file with plots and with all images and
points, and CSV files beside it. `--ensemble` adds the differences between several networks.
`--poses` adds measures of videos without labels: jumps of points, and the distance to usual
poses. Where a second person labelled the same images (`CollectedData_NAME.csv` beside the
labels, or `--second`), the distance between the two persons stands beside each error. Points of
a multi-view network are compared in the images of each view, and with `--calibration` in space:
in mm, with the points that the labels of all views give. So are those of a network of single
images, with a table of each camera in `--data` whose name contains the camera's.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.delimited_text import plain_cell
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.metrics import temporal_norm
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.space_poses import cameras_of_files
from deeplabstream.pose.model.model_opening import find_model, views_of
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import (
    LABELS_FILTER,
    TABLE_FILTER,
    best,
    length_unit,
    model,
    overwrite,
    runtime,
    second_tables,
    threads,
)
from deeplabstream.recording.calibrations.calibration_file import FILTER, read_stored
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.evaluation.animal_matching import matched, recall_sentence
from deeplabstream.training.evaluation.image_prediction import together

if TYPE_CHECKING:
    from deeplabstream.training.evaluation.network_errors import Evaluation
    from deeplabstream.training.evaluation.point_errors import Evidence, VideoMeasures

_COLUMNS = ("set", "bodypart", "labels", "median_px", "mean_px", "p95_px", "within")
_VIEW_COLUMNS = ("set", "view", "bodypart", "labels", "median", "mean", "p95")
_SECOND_COLUMNS = ("human_labels", "human_median_px", "human_p95_px")
"""Columns of the distance between two persons' labels, where there are two."""


@program_options
class EvaluateNetwork:
    """A network, labels, and the files to write."""

    model: str = model("ensemble")
    report: Path | None = option(
        default=None,
        title="Report",
        metavar="FILE.html",
        needed=True,
        editor="save",
        filter="Reports (*.html)",
    )
    """HTML report to write, with CSV files beside it."""
    data: tuple[Path, ...] = option(
        default=(), title="Labels", filter=LABELS_FILTER, folders=True
    )
    """Label files, each a separate set; default: the labels of its training."""
    poses: tuple[Path, ...] = option(
        default=(), title="Poses", metavar="TABLE", advanced=True, filter=TABLE_FILTER
    )
    """More in the report: jumps and PCA errors of the points of videos, as written by
    PredictVideos."""
    ensemble: tuple[str, ...] = option(default=(), metavar="MODEL")
    """More networks in the report."""
    best: bool = best()
    against: str = option(default="", metavar="MODEL")
    """Say only which of the two networks is better, on images that neither learned from."""
    second: tuple[Path, ...] = second_tables()
    within: float = option(
        default=5.0,
        ge=0,
        le=1000,
        title="Correct within",
        advanced=True,
        decimals=1,
        unit="px",
    )
    """Threshold of a correct point in px (PCK)."""
    calibration: Path | None = option(
        default=None, title="Calibration", filter=FILTER, folders=True, advanced=True
    )
    """Calibrated cameras with the names of a multi-view network's views, or of the tables, for
    errors in mm; default: those of the project that a multi-view network was trained with."""
    unit: str = length_unit()
    csv: Path | None = option(default=None)
    """Also write the table to this file."""
    overwrite: bool = overwrite()
    device: str = runtime()
    threads: int = threads()

    def __post_init__(self) -> None:
        """Check the options together."""
        if (self.ensemble or self.poses) and not self.report:
            raise DeepLabStreamError("--ensemble and --poses need --report FILE.html")
        if self.against and (self.report or self.csv or len(self.data) > 1):
            raise DeepLabStreamError(
                "--against takes one --data, and neither --report nor --csv"
            )


def evaluate_network(options: EvaluateNetwork) -> int:
    """Print the errors, or which of two networks is better."""
    check_free(_files(options), options.overwrite)
    if views_of(options.model):
        _evaluate_views(options)
        return 0
    if options.calibration is not None:
        _evaluate_views(options, _cameras_of_tables(options.data, options.calibration))
        return 0
    if options.unit:
        raise DeepLabStreamError("--unit is that of --calibration: give both")
    with TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        if options.against:
            _compare_networks(options, Path(unpacked))
        else:
            _evaluate(options, Path(unpacked))
    return 0


def _files(options: EvaluateNetwork) -> list[Path]:
    """Return the files that are written."""
    files = [options.csv] if options.csv else []
    if options.report:
        from deeplabstream.training.evaluation.point_errors import table_files

        files += [options.report, *table_files(options.report)]
    return files


def _compare_networks(options: EvaluateNetwork, unpacked: Path) -> None:
    from deeplabstream.training.evaluation.comparison import compare
    from deeplabstream.training.evaluation.network_errors import labels_of

    labels, _ = labels_of(find_model(options.model), options.data, unpacked)
    comparison = compare(
        options.model, options.against, labels, options.device, options.threads
    )
    print(comparison.verdict)


def _cameras_of_tables(tables: Sequence[Path], calibration: Path) -> tuple[str, ...]:
    """Return the calibrated camera of each label table."""
    if len(tables) < 2:
        raise DeepLabStreamError(
            "--calibration: this network finds points in single images, so give the labels of "
            "two calibrated cameras or more, a table of each: --data left.csv right.csv"
        )
    known = [camera.name for camera in read_stored(calibration).cameras]
    remedy = "Rename a table or the cameras"
    return cameras_of_files(tables, known, remedy=remedy)


def _evaluate_views(options: EvaluateNetwork, cameras: Sequence[str] = ()) -> None:
    """Print the errors in the images of several cameras, and in space.

    `cameras`: those of the tables, for a network of single images.
    """
    from deeplabstream.training.evaluation.view_errors import evaluate_views

    if options.report or options.against or options.best or options.second:
        raise DeepLabStreamError(
            "--report, --against, --best and --second are for errors in single images: "
            "leave them out"
        )
    errors = evaluate_views(
        options.model,
        options.data,
        options.calibration,
        options.unit,
        options.device,
        options.threads,
        cameras,
    )
    table = [_VIEW_COLUMNS, *errors.rows()]
    for row in table:
        cells = (f"{it:.2f}" if isinstance(it, float) else str(it) for it in row)
        print("  ".join(f"{cell:>10}" for cell in cells))
    print(errors.sentence)
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as lines:
            rows = csv.writer(lines, lineterminator="\n")
            rows.writerows(map(plain_cell, row) for row in table)


def _evaluate(options: EvaluateNetwork, unpacked: Path) -> None:
    from deeplabstream.training.evaluation import network_errors
    from deeplabstream.training.evaluation.ensemble_comparison import (
        ensemble_sentences,
    )
    from deeplabstream.training.evaluation.learned_images import learned_before

    evaluation = network_errors.evaluate_network(
        options.model,
        options.data,
        options.ensemble,
        options.device,
        options.threads,
        options.second,
        best=options.best,
        unpacked=unpacked,
    )
    table = list(_table(evaluation, options.within))
    for row in table:
        cells = (
            f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row
        )
        widths = (max(10, len(str(column))) for column in table[0])
        print(
            "  ".join(
                f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)
            )
        )
    for sentence in _sentences(evaluation, options.within):
        print(sentence)
    for line in _kinds(evaluation.evidence):
        print(line)

    warning = ""
    if "all" not in evaluation.evidence.sets:
        warning = learned_before(evaluation.folder)
    if warning:
        print(warning)
    if len(evaluation.found) > 1:
        for sentence in ensemble_sentences(evaluation):
            print(sentence)

    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as lines:
            rows = csv.writer(lines, lineterminator="\n")
            rows.writerows(map(plain_cell, row) for row in table)
    if options.report:
        _report(options.report, options, evaluation, warning)


def _table(evaluation: "Evaluation", within: float) -> Iterator[Sequence[object]]:
    """Yield the names of the columns, then a row per set and body part."""
    from deeplabstream.training.evaluation.point_errors import figure_rows

    figures: dict[tuple[object, ...], list[object]] = {
        (name, part, measure): cells
        for name, part, measure, *cells in figure_rows(evaluation.evidence, within)
    }
    yield _COLUMNS + (_SECOND_COLUMNS if evaluation.second else ())
    for (name, part, measure), cells in figures.items():
        if measure == "error_px":
            human = figures.get((name, part, "human_px"), [])
            yield (name, part, *cells, *human[:2], *human[3:4])


def _sentences(evaluation: "Evaluation", within: float) -> Iterator[str]:
    """Yield sentences on the table, on the animals found and on the confidences."""
    from deeplabstream.training.evaluation.evaluate import share_within

    yield f"within: share of labelled points within {within:g} px"
    if evaluation.second:
        tables = ", ".join(file.name for file in evaluation.second.files)
        yield f"human: distance between two persons' labels ({tables})"
        for problem in evaluation.second.problems:
            yield f"not compared: {problem}"

    evidence = evaluation.evidence
    if evidence.counted is not None:
        found = together(evaluation.found)
        yield recall_sentence(matched(found, evaluation.labels, evaluation.threshold))
    calibration = evidence.reliability(within).error()
    errors = evidence.measures["error_px"][evidence.held_out].astype(np.float32)
    yield (
        f"confidence calibration error {calibration:.3f} (a point is right within "
        f"{within:g} px), {share_within(errors, within):.1%} right"
    )


def _kinds(evidence: "Evidence") -> Iterator[str]:
    """Yield the table of the kinds of error in images not trained on."""
    from deeplabstream.training.evaluation.error_kinds import KIND_COLUMNS, KINDS
    from deeplabstream.training.evaluation.point_errors import kind_rows

    if evidence.kinds is None or not evidence.held_out.any():
        return
    near = f"{evidence.kinds.near_px:.1f} px"
    yield f"kinds of error, images not trained on (near: within {near})"
    yield "".join(f"{column:>15}" for column in KIND_COLUMNS)
    for kind, points, share, squared, asserted in kind_rows(evidence):
        yield (
            f"{kind:>15}{points:>15}{share:>15.1%}{squared:>15.1%}{asserted:>15}"
            f"   {KINDS[str(kind)]}"
        )


def _report(
    page: Path, options: EvaluateNetwork, evaluation: "Evaluation", warning: str
) -> None:
    """Write the page and its tables."""
    from deeplabstream.training.evaluation.point_errors import write_tables
    from deeplabstream.training.evaluation.report_page import write_page

    evidence, within = evaluation.evidence, options.within
    videos = [video for file in options.poses for video in _videos(file, evaluation)]
    title = f"{evaluation.folder.name}: errors of its points"
    write_page(page, title, evidence, videos, within, warning)
    tables = write_tables(page, evidence, videos, within)
    print(f"written: {page}, and beside it {', '.join(file.name for file in tables)}")


def _videos(file: Path, evaluation: "Evaluation") -> "Iterator[VideoMeasures]":
    """Yield the measures of a video without labels, animal by animal."""
    from deeplabstream.training.evaluation.point_errors import VideoMeasures

    table, parts = read_poses(file), evaluation.poses.bodyparts
    if table.skeleton.bodyparts != parts:
        raise DeepLabStreamError(f"{file} needs the body parts {', '.join(parts)}")
    for animal, points in enumerate(table.points.swapaxes(0, 1)):
        measures = {
            "temporal_px": temporal_norm(points),
            **evaluation.poses.errors(points),
        }
        name = [file.stem, *table.skeleton.animals[animal : animal + 1]]
        yield VideoMeasures(" ".join(name), parts, measures)


PROGRAM = Program(EvaluateNetwork, evaluate_network, __doc__, "EvaluateNetwork")
