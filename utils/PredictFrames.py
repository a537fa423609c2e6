"""Predict body parts in images, or in all images of a label file.

    python utils/PredictFrames.py --model runs/one labels/CollectedData_new.csv images/

The tables have the format of Lightning Pose: `MODEL/image_preds/NAME/predictions.csv`, and
for label files also `predictions_pixel_error.csv`. For videos use `utils/PredictVideos.py`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import os
import tempfile
from collections.abc import Sequence

import numpy as np

from deeplabstream.startup.arguments import ProgramParser, at_least, quoted
from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_files import SUFFIXES
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.training.evaluation.animal_matching import (
    check_animals,
    matched,
    recall_sentence,
)
from deeplabstream.training.data.labels import Labels, has_labels
from deeplabstream.training.data.projects import DLC_CONFIG, VIDEOS, open_project
from deeplabstream.training.evaluation.image_prediction import (
    find_images,
    predict_images,
)
from deeplabstream.training.lightning_pose.result_tables import (
    PREDICTIONS,
    write_metric,
    write_predictions,
)

ERRORS = "predictions_pixel_error.csv"


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Predict."""
    arguments = _parser().parse_args(argv)
    _check_names(arguments.input)
    folder = arguments.output or find_model(arguments.model) / "image_preds"
    tables = [
        folder / path.name / name
        for path in arguments.input
        for name in (PREDICTIONS, ERRORS)
    ]
    check_free(tables, arguments.overwrite)
    estimator = open_estimator(arguments.model, arguments.device, arguments.threads)
    for path in arguments.input:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
            labels = _labels(path, Path(unpacked))
            _predict(estimator, path, labels, folder / path.name)
    return 0


def _check_names(paths: Sequence[Path]) -> None:
    """Raise DeepLabStreamError where the tables of two inputs would have the same folder."""
    by_name: dict[str, Path] = {}
    for path in paths:
        other = by_name.setdefault(os.path.normcase(path.name), path)
        if other is not path:
            raise DeepLabStreamError(
                f"{other} and {path} have the same name, and so the same folder for their "
                "tables: predict one after the other, each with its own --output"
            )


def _labels(path: Path, unpacked: Path) -> Labels | None:
    """Return the labels that `path` names; None: an image, or a folder of images."""
    if path.suffix.lower() in VIDEOS and path.is_file():
        raise DeepLabStreamError(
            f"{path} is a video: python utils/PredictVideos.py {quoted(path)} --model MODEL"
        )
    if path.is_dir():
        files = list(path.iterdir())
        is_images = any(file.suffix.lower() in SUFFIXES for file in files) or not (
            has_labels(path) or path / DLC_CONFIG in files
        )
    else:
        is_images = path.suffix.lower() in SUFFIXES
    return None if is_images else open_project(path, unpacked, several=True).labels


def _predict(
    estimator: PoseEstimator, path: Path, labels: Labels | None, folder: Path
) -> None:
    parts = estimator.skeleton.bodyparts
    if labels is None:
        images = find_images(path)
        names: Sequence[str] = [image.name for image in images]
    else:
        images, names = labels.images, labels.names
    found = predict_images(estimator, images, names)
    if labels is not None:
        check_animals(found, labels)
    written = folder / PREDICTIONS
    write_predictions(
        written, "heatmap_tracker", parts, names, found.points, found.confidence,
        animals=found.animals,
    )  # fmt: skip
    print(f"{counted(len(images), 'image')}: {written}")
    if labels is not None and found.animals > 1:
        print(f"  {recall_sentence(matched(found, labels, estimator.threshold))}")
    elif labels is not None:
        distance = found.distance(labels)
        write_metric(folder / ERRORS, parts, names, distance)
        if np.isfinite(distance).any():
            print(f"  median error {np.nanmedian(distance):.2f} px")
        else:
            print("  no labelled body part is one of the network's: no error")


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="PredictFrames", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("input", type=Path, nargs="+", help="image, folder of images, or labels")
    add("--model", required=True, help="model folder, or its name in models/")
    add(
        "--output",
        type=Path,
        help="folder for the tables (default: in the model folder)",
    )
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
