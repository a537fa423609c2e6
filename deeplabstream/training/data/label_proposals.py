"""Labels that a network or tracks propose for images, until they are reviewed."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.tracking.pose_matching import match_animals
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.training.data.label_book import LabelBook, open_book
from deeplabstream.training.data.label_folder import write_uncertain
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.evaluation.image_prediction import (
    disagreement,
    predict_by_network,
    together,
)

Points = NDArray[np.float32]
SURE = 0.5
"""Confidence from which a point of a table of poses is proposed."""
_NUMBER = re.compile(r"(\d+)$")


def propose(folder: Path, estimator: PoseEstimator) -> int:
    """Propose the points that a network finds in all images that are not yet reviewed.

    Images in which a user has placed points or changed a proposal stay as they are.
    Points below its threshold are left out. A folder without labels gets the network's
    body parts, and as many animals as it finds in an image at most. Several animals get
    the places of those nearest to them in the frame before. Of an ensemble, images in
    which its networks differ most come first in the book. Returns the number of images
    with a proposal; LabelsError when the network finds none of the body parts.
    """
    skeleton = estimator.skeleton
    book = open_book(folder, skeleton.bodyparts)
    waiting = _waiting(book, skeleton.bodyparts)
    if not len(waiting):
        return 0

    paths = [book.path(int(image)) for image in waiting]
    names = [book.names[p] for p in waiting]
    predictions = predict_by_network(estimator, paths, names)
    found = together(predictions)
    shape = len(waiting), found.animals, len(skeleton.bodyparts)
    sure = found.confidence.reshape(shape) >= estimator.threshold
    points = np.where(sure[..., None], found.points.reshape(*shape, 2), np.nan)

    # Only a book without labels may change its animals: tables have a column for each.
    most = int(np.isfinite(points).any(axis=(2, 3)).sum(axis=1).max())
    if most > 1 and not book.individuals and not book.project and not book.done.any():
        book.name_animals([f"animal{number}" for number in range(1, most + 1)])
        if book.fault:
            raise LabelsError([book.fault])

    # In the order of the video: each frame takes the places of the one before it.
    for _, image, own in sorted(
        zip(names, waiting.tolist(), points, strict=True), key=lambda item: item[0]
    ):
        _set_points(
            book,
            image,
            skeleton.bodyparts,
            _ordered(book, image, skeleton.bodyparts, own),
        )

    if len(predictions) > 1:
        apart = disagreement(predictions)
        reasons = {
            names[place]: f"{len(predictions)} networks differ by {apart[place]:.1f} px"
            for place in np.argsort(-apart, kind="stable").tolist()
        }
        write_uncertain(folder, reasons)
    return _propose(book, waiting)


def propose_tracks(
    folder: Path, video: str, poses: PoseTable, threshold: float = SURE
) -> int:
    """Propose the animals of a video's poses, by name, in its images that are not reviewed.

    The images are those of the folder `labeled-data/VIDEO`, whose names end with the number
    of the frame. Animals are matched by name, or by their order where the book does not
    have these names; a folder without labels gets the body parts and the names of the
    poses. Points below `threshold` are left out. Returns the number of images with a
    proposal; LabelsError: no image is of these poses.
    """
    parts = poses.skeleton.bodyparts
    names = poses.animals if poses.points.shape[1] > 1 else ()
    book = open_book(folder, parts, individuals=names)
    waiting = _waiting(book, parts)

    rows = {int(number): row for row, number in enumerate(poses.frames)}
    of = {
        image: rows[int(number[1])]
        for image in waiting.tolist()
        if book.path(image).parent.name == video
        and (number := _NUMBER.search(book.path(image).stem))
        and int(number[1]) in rows
    }
    if not of:
        raise LabelsError(
            [
                f"{folder} has no frame of {video} that waits for labels and is in "
                f"{poses.source}: pick frames of that video first"
            ]
        )

    # By name only if the book has all of the names: half of them could be other animals.
    points = poses.seen(threshold).astype(np.float32)
    named = set(names) <= set(book.individuals)
    order = [
        book.individuals.index(name) if named else n for n, name in enumerate(names)
    ]

    for image, row in of.items():
        own = np.full((book.animals, len(parts), 2), np.nan, np.float32)
        for place, track in zip(order or [0], points[row], strict=False):
            if place < book.animals:
                own[place] = track
        _set_points(book, image, parts, own)
    return _propose(book, np.array(list(of)))


def _waiting(book: LabelBook, bodyparts: Sequence[str]) -> NDArray[np.intp]:
    """Return the images that may get proposals; LabelsError: no body part is known."""
    if not set(book.bodyparts) & set(bodyparts):
        raise LabelsError(
            [
                "the network has none of the body parts "
                f"{', '.join(book.bodyparts)}, but {', '.join(bodyparts)}"
            ]
        )
    waiting = ~book.done & ~book.unfinished
    waiting[list(book.edited)] = False
    return np.flatnonzero(waiting)


def _ordered(
    book: LabelBook, image: int, bodyparts: Sequence[str], found: Points
) -> Points:
    """Return found animals (animal, bodypart, 2) in the order of the previous frame.

    With as many animals as the book has: those with the highest confidence come first,
    and are kept.
    """
    own = np.full((book.animals, *found.shape[1:]), np.nan, np.float32)
    animals = found[np.isfinite(found).any(axis=(1, 2))][: book.animals]
    own[: len(animals)] = animals
    before = book.frame_before(image)
    if book.animals == 1 or before is None or bodyparts != book.bodyparts:
        return own
    ordered = np.full_like(own, np.nan)
    for animal, place in enumerate(match_animals(own, book.of_animals(before))):
        ordered[place] = own[animal]
    return ordered


def _set_points(
    book: LabelBook, image: int, bodyparts: Sequence[str], points: Points
) -> None:
    """Set the points (animal, bodypart, 2) of an image, of the body parts of the book."""
    for name in set(bodyparts) & set(book.bodyparts):
        place = book.bodyparts.index(name)
        book.of_animals(image)[:, place] = points[:, bodyparts.index(name)]


def _propose(book: LabelBook, images: NDArray[np.intp]) -> int:
    """Save the points of images as proposals; return the new number of proposals."""
    book.proposed[images] = np.isfinite(book.points[images]).any(axis=(1, 2))
    book.predicted.update(images.tolist())
    book.save_proposals()
    return int(book.proposed.sum())
