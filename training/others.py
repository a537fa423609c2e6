"""Pictures that were set apart: predicted after training, never trained on."""

from pathlib import Path

from pose.opening import open_estimator
from training.labels import Labels, read_labels
from training.predict import predict_pictures
from training.tables import write_metric, write_predictions

SUFFIXES = ("_new", "_test")
"""Of label files beside the one trained on, as Lightning Pose names them."""


def predict_others(labels: Labels, folder: Path) -> list[Path]:
    """Predict `<labels>_new.csv` and `<labels>_test.csv`, if they are there.

    Errors are written of one animal alone: several are told in no order.

    Returns the tables that were written into `folder`.
    """
    written = []
    for suffix in SUFFIXES:
        file = labels.file.with_name(f"{labels.file.stem}{suffix}.csv")
        if not file.is_file():
            continue
        own = read_labels(file, root=labels.root, several=True)
        found = predict_pictures(open_estimator(folder), own.images, own.names)
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
