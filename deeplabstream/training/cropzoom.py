"""Training of cropzoom networks: a detector, and a network for a window around an animal.

Windows (`deeplabstream.pose.image_fitting`) are the same in training, in predictions
and live. Points are always in pixels of the whole image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import get_ident

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.filters.live_crop import MARGIN
from deeplabstream.pose.image_files import image_size
from deeplabstream.pose.image_fitting import Fitting, around
from deeplabstream.pose.model.model_folder import (
    DETECTOR,
    load_model_folder,
    save_description,
)
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.pose.tracking.pose_matching import (
    NEAR,
    animal_length,
    animal_lengths,
    same_animals,
)
from deeplabstream.training.data.dataset import Parts, load_dataset
from deeplabstream.training.data.labels import Labels
from deeplabstream.training.evaluation.animal_matching import (
    LEAST_PARTS,
    match,
    matched,
)
from deeplabstream.training.evaluation.image_prediction import predict_images
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.lightning_pose.result_tables import (
    write_metric,
    write_predictions,
)
from deeplabstream.training.networks.pose_network import Architecture
from deeplabstream.training.start_network import detector_start
from deeplabstream.training.training_run import (
    Run,
    TrainingResult,
    errors_of,
    run_training,
)

IMITATIONS = 3
"""Windows per labelled animal that imitate detections, beside the one around its labels."""
MOST_MEMORY = 1 << 30
"""Bytes of all windows to train on; with more images there are fewer imitations."""
MIXED = 0.2
"""Share of imitated detections with points of a neighbour."""
INEXACT = 0.05
"""Standard deviation of their points, as a share of the animal's length."""
SHIFTED = 0.1
"""Standard deviation of the shift of all points together."""
CENTRE = "centre"
"""The body part of a detector of several animals."""


def run_cropzoom_training(
    run: Run,
    folder: Path,
    step_hook_of: Callable[[int], Callable[..., object]],
    resume: bool,
) -> TrainingResult:
    """Train the detector, then the network on its windows; write one model folder.

    The network is trained in windows around the labels, and evaluated in windows around
    the detector's points. Of several animals the detector finds all, and the network is
    one for a single animal. `step_hook_of` gives the callback for steps of the detector (0) and
    of the network (1).
    """
    # a window is as large as the pose in it, so distances in it say nothing of the animal's
    run = replace(run, learns_relations=False)
    detector = folder / DETECTOR
    several = run.labels.animals > 1
    if not (resume and (detector / "predictions.csv").is_file()):
        settings = replace(_for_detector(run.settings), clip_length=0)
        data = replace(run.data, context=None)
        first = replace(run, settings=settings, data=data, unlabelled=None)
        if several:
            first = detector_run(first)
        run_training(first, detector, step_hook_of(0), resume)
    if several:
        return _train_for_animals(run, folder, step_hook_of(1), resume)

    # Held-out images use the detector's windows, as live: its misses count as errors.
    # Training images use windows around the labels, which do not depend on the
    # detector.
    estimator = open_estimator(detector)
    found = predict_images(estimator, run.labels.images, run.labels.names)
    confident = (found.confidence >= estimator.threshold)[..., None]
    boxed = boxes(np.where(confident, found.points, np.nan).astype(np.float32))
    train = list(run.parts.train)
    boxed[train] = boxes(run.labels.points)[train]

    context = run.data.context is not None
    data = load_dataset(run.labels, run.data.fitting, context, boxed)
    more = run.unlabelled and replace(run.unlabelled, find=Finder(detector))
    closer = replace(run, data=data, unlabelled=more)
    return run_training(closer, folder, step_hook_of(1), resume)


def detector_run(run: Run) -> Run:
    """Return the run of a detector that finds the centre of each of several animals.

    A centre is the mean of an animal's points. It is right within a quarter of an
    animal's length: the window around it has room.
    """
    _, single = one_row_per_animal(run.labels)
    near = NEAR * animal_length(single.points)
    shape = len(run.labels.images), run.labels.animals, -1
    skeleton = Skeleton((CENTRE,))
    centres = centres_of(run.labels.points.reshape(*shape, 2))
    known = run.labels.known.reshape(shape).all(axis=2) | np.isfinite(centres[..., 0])
    labels = replace(run.labels, skeleton=skeleton, points=centres, known=known)
    points = centres_of(run.data.points.reshape(*shape, 2))
    data = replace(run.data, skeleton=skeleton, points=points, known=known)
    how = replace(run.settings.network, edges=())
    return replace(
        run, labels=labels, data=data, right_px=max(run.right_px, near), near_px=near,
        settings=replace(run.settings, network=how),
    )  # fmt: skip


def centres_of(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean (…, 2) of points (…, bodypart, 2); NaN: fewer than `LEAST_PARTS`."""
    visible = np.isfinite(points).all(axis=-1, keepdims=True)
    count = visible.sum(axis=-2)
    total = np.where(visible, points, 0).sum(axis=-2)
    middle = np.where(count >= LEAST_PARTS, total / np.maximum(count, 1), np.nan)
    return np.asarray(middle, np.float32)


def _for_detector(settings: FitSettings) -> FitSettings:
    """Return the settings of the detector: a smaller network, or the start network's."""
    own = settings.network
    if settings.start_from is None:
        simple = replace(own, kind="heatmap", stages=min(4, own.stages))
        return replace(settings, network=simple)
    start = detector_start(settings.start_from)
    if start is None:
        simple = Architecture(stages=4, sigma=own.sigma)
        return replace(settings, network=simple, start_from=None, imagenet=True)
    how = replace(start.how, kind="heatmap", edges=())
    return replace(settings, network=how, start_from=start.path, loss=start.loss)


def _train_for_animals(
    run: Run, folder: Path, on_step: Callable[..., object], resume: bool
) -> TrainingResult:
    """Train the network on one window per labelled animal; evaluate all animals.

    The errors are those of whole images: of detector and network together.
    """
    labels, out = run.labels, set(run.parts.validation) | set(run.parts.test)
    images, single = one_row_per_animal(labels)
    fitting = replace(run.data.fitting, window=usual_window(single))

    # The detector's windows are not centred: simulate its errors in the training
    # windows.
    images, single, boxed = with_imitations(
        images, single, run.parts.train, fitting, run.settings.seed
    )

    detector = open_estimator(folder / DETECTOR)
    held_out = [row for row, image in enumerate(images) if image in out]
    seen = seen_by(detector, labels, images, single.points, held_out)
    # An animal that the detector misses gets the window around its labels: the network
    # is evaluated on all animals here; the misses count in `_evaluated`.
    boxed[held_out] = np.where(np.isnan(boxes(seen)), boxed[held_out], boxes(seen))

    parts = Parts(
        *(
            tuple(row for row, image in enumerate(images) if image in own)
            for own in map(set, (run.parts.train, run.parts.validation, run.parts.test))
        )
    )
    # One animal per window needs no part affinity fields.
    usual = Architecture()
    network = replace(
        run.settings.network, edges=(), head=usual.head, scale=usual.scale
    )
    closer = replace(
        run,
        labels=single,
        data=load_dataset(single, fitting, boxes=boxed),
        parts=parts,
        settings=replace(run.settings, network=network),
    )
    outcome = run_training(closer, folder, on_step, resume)
    return _evaluated(run, folder, outcome)


def one_row_per_animal(labels: Labels) -> tuple[list[int], Labels]:
    """Return labels with one row per animal, and the image of each row.

    Animals with fewer than `LEAST_PARTS` points have no row: no window shows them.
    """
    count = len(labels.skeleton.bodyparts)
    points = labels.points.reshape(len(labels.images), -1, count, 2)
    enough = np.isfinite(points).all(axis=3).sum(axis=2) >= LEAST_PARTS
    images, animals = np.nonzero(enough)
    known = labels.known.reshape(points.shape[:3])
    rows = images.tolist()
    single = replace(
        labels.of_images(rows),
        points=points[images, animals],
        known=known[images, animals],
        animals=1,
        individuals=(),
    )
    return rows, single


def usual_window(single: Labels) -> float:
    """Return the side of a window around an animal of median length, with its margin.

    It is a share of the longer side of the images. `single` has one animal in each row.
    Around any body part such a window shows the whole animal.
    """
    sizes = {image: image_size(image) or (1,) for image in set(single.images)}
    longer = np.array([max(sizes[image]) for image in single.images])
    lengths = animal_lengths(single.points)
    return round(min(1.0, float(np.median((1 + 2 * MARGIN) * lengths / longer))), 4)


def with_imitations(
    images: Sequence[int],
    single: Labels,
    train: Sequence[int],
    fitting: Fitting,
    seed: int,
) -> tuple[list[int], Labels, NDArray[np.float32]]:
    """Return rows with the boxes of windows: to train on, more than one for each animal.

    The first is around all labelled points; the others imitate detections.
    """
    own = set(train)

    # All windows are in memory at once, uncompressed.
    rows = [row for row, image in enumerate(images) if image in own]
    memory = max(1, len(rows)) * fitting.height * fitting.width * 3
    copies = max(0, min(IMITATIONS, MOST_MEMORY // memory - 1))

    rng = np.random.default_rng((seed, 3))
    points = single.points
    order = [
        n for n, image in enumerate(images) for _ in range(1 + copies * (image in own))
    ]
    first = np.diff(order, prepend=-1) > 0
    boxed = boxes(points)[order]
    together: dict[int, list[int]] = {}
    for row, image in enumerate(images):
        together.setdefault(image, []).append(row)
    for place in np.flatnonzero(~first).tolist():
        row = order[place]
        others = [n for n in together[images[row]] if n != row]
        boxed[place] = boxes(detection(points[row], points[others], rng)[None])[0]
    return [images[n] for n in order], single.of_images(order), boxed


def detection(
    own: NDArray[np.float32], others: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return simulated points of a weak detector: a subset, inexact, some of a neighbour.

    Parameters
    ----------
    own
        (bodypart, 2), px: the labelled animal; NaN: not visible.
    others
        (animal, bodypart, 2): the other animals of the image.
    rng
        Source of randomness.

    Returns
    -------
    points
        (point, 2), at least one of `own`.
    """
    own = own[np.isfinite(own).all(axis=1)]

    # Detectors often find few of the body parts, but at least one: otherwise nothing is
    # cropped.
    length = float(animal_lengths(own))
    kept = rng.random(len(own)) < rng.uniform(0.1, 1)
    kept[rng.integers(len(own))] = True
    points = own[kept]

    # Two animals in contact are often detected as one.
    beside = others.reshape(-1, 2)
    away = np.linalg.norm(beside - own.mean(axis=0), axis=1)
    beside = beside[away < length]
    if len(beside) and rng.random() < MIXED:
        count = rng.integers(1, max(2, len(points)))
        points = np.concatenate([points, rng.permutation(beside)[:count]])

    noise = rng.normal(0, INEXACT * max(length, 1.0), points.shape)
    shift = rng.normal(0, SHIFTED * max(length, 1.0), 2)
    return np.asarray(points + noise + shift, np.float32)


def seen_by(
    detector: PoseEstimator,
    labels: Labels,
    images: Sequence[int],
    points: NDArray[np.float32],
    rows: Sequence[int],
) -> NDArray[np.float32]:
    """Return the points (row, bodypart, 2) that a detector finds in `rows`; NaN: none.

    `images` and `points` (row, bodypart, 2) are the image and the labels of each row. All
    body parts are in the centre where the detector finds centres.
    """
    seen = np.full((len(rows), *points.shape[1:]), np.nan, np.float32)
    some = sorted({images[row] for row in rows})
    if not some:
        return seen
    files, names = [labels.images[n] for n in some], [labels.names[n] for n in some]
    found, sure = predict_images(detector, files, names).by_animal
    found = np.where((sure >= detector.threshold)[..., None], found, np.float32(np.nan))
    near = NEAR * animal_length(points)
    centres = detector.skeleton.bodyparts == (CENTRE,)
    for place, image in enumerate(some):
        own = [n for n, row in enumerate(rows) if images[row] == image]
        truth = points[[rows[n] for n in own]]
        truth = centres_of(truth)[:, None] if centres else truth
        for animal, n in same_animals(found[place], truth, near):
            seen[own[n]] = found[place, animal]
    return seen


def _evaluated(run: Run, folder: Path, outcome: TrainingResult) -> TrainingResult:
    """Predict all labelled images with the whole model; write tables and figures."""
    labels = run.labels
    estimator = open_estimator(folder)
    found = predict_images(estimator, labels.images, labels.names)
    ordered = matched(found, labels, outcome.threshold)

    room, count = ordered.points.shape[1:3]
    sets = run.parts.sets(len(labels.names))
    flat = len(labels.names), room * count
    parts = labels.skeleton.bodyparts
    columns = [f"animal{n}_{part}" for n in range(1, room + 1) for part in parts]
    write_predictions(
        folder / "predictions.csv", "heatmap_tracker", parts, labels.names,
        ordered.points.reshape(*flat, 2), ordered.confidence.reshape(flat), sets, room,
    )  # fmt: skip
    write_metric(
        folder / "predictions_pixel_error.csv", columns, labels.names,
        ordered.distance.reshape(flat), sets,
    )  # fmt: skip

    # Matched again without the training images, whose animals would affect the distance
    # limit.
    at = list(run.parts.test or run.parts.validation)
    truth, sure = ordered.labels[at], ordered.confidence[at]
    again = match(ordered.points[at], sure, truth, outcome.threshold)
    distance = again.distance.reshape(len(at), -1)
    errors, animals = errors_of(
        again, labels.skeleton, outcome.threshold, distance, sure.reshape(len(at), -1)
    )

    model = load_model_folder(folder)
    changes = {
        "held_out_error": [error.to_json() for error in errors],
        "held_out_animals": animals,
    }
    save_description(replace(model, about={**model.about, **changes}))
    return replace(outcome, errors=errors, animals=animals)


def boxes(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return boxes (image, 2, 2) with the usual margin around `points`.

    They are upper left and lower right corners, px; NaN where there is no point.
    """
    out = np.full((len(points), 2, 2), np.nan, np.float32)
    for place, own in enumerate(points):
        visible = own[np.isfinite(own).all(axis=1)]
        if len(visible):
            low, high = visible.min(axis=0), visible.max(axis=0)
            out[place] = around(low, high, MARGIN)
    return out


@dataclass
class Finder:
    """Finds the animal in a clip; can be pickled."""

    detector: Path
    """Model folder of the detector."""
    _estimators: dict[int, PoseEstimator] = field(
        default_factory=dict, init=False, repr=False
    )
    """One estimator per thread, as each uses its own memory."""

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32] | None:
        """Return one box (2, 2) around all points in the images, or None."""
        thread = get_ident()
        if thread not in self._estimators:
            self._estimators[thread] = open_estimator(self.detector, "cpu", 1)
        finds = self._estimators[thread]
        seen = [
            pose.points[0][pose.confidence[0] >= finds.threshold]
            for pose in finds.estimate(images)
        ]
        return boxes(np.concatenate(seen)[None])[0] if sum(map(len, seen)) else None
