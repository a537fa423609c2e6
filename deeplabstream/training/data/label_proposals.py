"""Labels that a network proposes for images, until they are reviewed."""

from pathlib import Path

import numpy as np

from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.training.data.label_book import open_book, write_uncertain
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.evaluation.image_prediction import (
    disagreement,
    predict_by_each,
    together,
)


def propose(folder: Path, estimator: PoseEstimator) -> int:
    """Propose the points that a network finds in all images that are not yet reviewed.

    Images in which a person has placed points stay as they are. Points below its
    threshold are left out. A folder without labels gets the network's body parts. Of an
    ensemble, images in which its networks differ most come first in the book.
    Returns the number of images with a proposal; LabelsError when the network finds none
    of the body parts.
    """
    book = open_book(folder, estimator.skeleton.bodyparts)
    common = [name for name in book.bodyparts if name in estimator.skeleton.bodyparts]
    if not common:
        raise LabelsError(
            [
                "the network has none of the body parts "
                f"{', '.join(book.bodyparts)}, but {', '.join(estimator.skeleton.bodyparts)}"
            ]
        )
    waiting = np.flatnonzero(~book.done & ~book.unfinished)
    if not len(waiting):
        return 0
    paths = [book.path(int(picture)) for picture in waiting]
    names = [book.names[p] for p in waiting]
    each = predict_by_each(estimator, paths, names)
    found = together(each)
    if found.animals > 1:
        raise LabelsError(
            [
                f"labels can be proposed for one animal per image; the network finds "
                f"{found.animals}"
            ]
        )
    sure = found.confidence >= estimator.threshold
    points = np.where(sure[..., None], found.points, np.nan)
    for picture, own in zip(waiting.tolist(), points, strict=True):
        for name in common:
            place = estimator.skeleton.bodyparts.index(name)
            book.points[picture, book.bodyparts.index(name)] = own[place]
    book.proposed[waiting] = np.isfinite(book.points[waiting]).any(axis=(1, 2))
    book.save_proposals()
    if len(each) > 1:
        apart = disagreement(each)
        reasons = {
            names[place]: f"{len(each)} networks differ by {apart[place]:.1f} px"
            for place in np.argsort(-apart, kind="stable").tolist()
        }
        write_uncertain(folder, reasons)
    return int(book.proposed.sum())
