"""Predictions of held-out images, which were not used for training."""

from pathlib import Path

from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.runtimes.runtime_list import REFERENCE
from deeplabstream.training.data.labels import APART, Labels, LabelsError, read_labels
from deeplabstream.training.evaluation.image_prediction import predict_images
from deeplabstream.training.lightning_pose.result_tables import (
    write_metric,
    write_predictions,
)


def read_others(labels: Labels) -> dict[str, Labels]:
    """Return the labels of each existing suffix; LabelsError lists all faults."""
    others: dict[str, Labels] = {}
    problems: list[str] = []
    for suffix in APART:
        file = labels.file.with_name(f"{labels.file.stem}{suffix}.csv")
        if not file.is_file():
            continue
        try:
            own = read_labels(file, root=labels.root, several=True)
        except LabelsError as error:
            problems += error.problems
            continue
        if not set(own.skeleton.bodyparts) & set(labels.skeleton.bodyparts):
            problems.append(f"{file} labels no body part that {labels.file.name} does")
        others[suffix] = own
    if problems:
        raise LabelsError(problems)
    return others


def predict_others(labels: Labels, folder: Path) -> list[Path]:
    """Predict `<labels>_new.csv` and `<labels>_test.csv`, if they exist.

    Errors are written for one animal only: several have no order. Returns the tables
    that were written into `folder`.
    """
    written = []
    for suffix, own in read_others(labels).items():
        # Errors must not depend on which runtime is the fastest on this computer
        estimator = open_estimator(folder, REFERENCE)
        found = predict_images(estimator, own.images, own.names)
        table = folder / f"predictions{suffix}.csv"
        write_predictions(
            table, "heatmap_tracker", found.bodyparts, own.names, found.points,
            found.confidence, animals=found.animals,
        )  # fmt: skip
        if found.animals == 1:
            errors = folder / f"predictions{suffix}_pixel_error.csv"
            write_metric(errors, found.bodyparts, own.names, found.distance(own))
        written.append(table)
    return written
