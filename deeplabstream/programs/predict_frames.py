"""Predict body parts in images, or in all images of a label file.

    python utils/PredictFrames.py --model runs/one labels/CollectedData_new.csv images/

The tables have the format of Lightning Pose: `MODEL/image_preds/NAME/predictions.csv`, and
for label files also `predictions_pixel_error.csv`. For videos use `utils/PredictVideos.py`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.files.overwriting import check_free
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_files import SUFFIXES
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import model, overwrite, runtime, threads
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.data.labels import Labels, has_labels
from deeplabstream.training.data.projects import DLC_CONFIG, VIDEOS, open_project
from deeplabstream.training.evaluation.animal_matching import (
    check_animals,
    matched,
    recall_sentence,
)
from deeplabstream.training.evaluation.image_prediction import (
    find_images,
    predict_images,
)
from deeplabstream.training.lightning_pose.result_tables import (
    PREDICTIONS,
    write_metric,
    write_predictions,
)

_ERRORS = "predictions_pixel_error.csv"


@program_options
class PredictFrames:
    """Images or labels, a network, and the folder of the tables."""

    input: tuple[Path, ...] = option(positional=True)
    """Image, folder of images, or labels."""
    model: str = model()
    output: Path | None = option(default=None)
    """Folder for the tables; default: in the model folder."""
    overwrite: bool = overwrite()
    device: str = runtime()
    threads: int = threads()

    def __post_init__(self) -> None:
        """Raise where the tables of two inputs would have the same folder."""
        by_name: dict[str, Path] = {}
        for path in self.input:
            other = by_name.setdefault(os.path.normcase(path.name), path)
            if other is not path:
                raise DeepLabStreamError(
                    f"{other} and {path} have the same name, and so the same folder for "
                    "their tables: predict one after the other, each with its own --output"
                )


def predict_frames(options: PredictFrames) -> int:
    """Predict and write the tables of each input."""
    folder = options.output or find_model(options.model) / "image_preds"
    tables = [
        folder / path.name / name
        for path in options.input
        for name in (PREDICTIONS, _ERRORS)
    ]
    check_free(tables, options.overwrite)

    estimator = open_estimator(options.model, options.device, options.threads)
    for path in options.input:
        with TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
            labels = _labels(path, Path(unpacked))
            _predict(estimator, path, labels, folder / path.name)
    return 0


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

    table = folder / PREDICTIONS
    write_predictions(
        table, "heatmap_tracker", parts, names, found.points, found.confidence,
        animals=found.animals,
    )  # fmt: skip
    print(f"{counted(len(images), 'image')}: {table}")

    if labels is None:
        return
    if found.animals > 1:
        print(f"  {recall_sentence(matched(found, labels, estimator.threshold))}")
        return
    distance = found.distance(labels)
    write_metric(folder / _ERRORS, parts, names, distance)
    if np.isfinite(distance).any():
        print(f"  median error {np.nanmedian(distance):.2f} px")
    else:
        print("  no labelled body part is one of the network's: no error")


PROGRAM = Program(PredictFrames, predict_frames, __doc__, "PredictFrames")
