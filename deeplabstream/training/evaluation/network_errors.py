"""Errors of a network in labelled images: one evaluation for all programs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.ensemble import members
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.image_copies import open_with_copies
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.pose.network_estimator import ConfidenceScale
from deeplabstream.training.data.labels import Labels, LabelsError, known_of
from deeplabstream.training.data.projects import ALL, read_label_sets
from deeplabstream.training.evaluation.animal_matching import (
    Counted,
    beside,
    by_part,
    check_animals,
    matched,
)
from deeplabstream.training.evaluation.error_kinds import error_kinds
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    alike,
    check_alike,
    predict_images,
    spread,
    together,
)
from deeplabstream.training.evaluation.point_errors import Evidence, Numbers, Poses
from deeplabstream.training.evaluation.second_labels import (
    SecondLabels,
    second_labels,
)
from deeplabstream.training.lightning_pose.project import read_pose_project
from deeplabstream.training.lightning_pose.result_tables import PREDICTIONS, read_sets


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Predictions of a network, and labels."""

    folder: Path
    """The model folder."""
    labels: Labels
    found: tuple[ImagePredictions, ...]
    """Points of the network; of an ensemble, those of each of its networks."""
    threshold: float
    evidence: "Evidence"
    poses: "Poses"
    second: SecondLabels | None
    """Other persons' labels of the same images."""


def evaluate_network(
    model: str | Path,
    data: Sequence[Path] = (),
    ensemble: Sequence[str | Path] = (),
    runtime: str = "auto",
    threads: int = 0,
    second: Sequence[Path] = (),
    *,
    best: bool = False,
    unpacked: Path,
) -> Evaluation:
    """Run a network over labelled images and compare.

    Without `data`, those that the network was trained with. `ensemble` names other
    networks, for the spread; `second` tables of other persons' labels (default: those beside
    the labels). `best` also predicts copies of the images: see `open_with_copies`. Images
    of SLEAP's files are written into the folder `unpacked`, which has to last as long as the
    result is used. LabelsError, ModelError: something can't be used.
    """
    folder = find_model(model)
    labels, sets = labels_of(folder, data, unpacked)
    own = members(folder) or (folder,)
    # Copies are not networks of an ensemble: they share their network's errors.
    open_one: Callable[[Path, str, int], PoseEstimator]
    open_one = open_with_copies if best else open_estimator
    opened = [open_one(network, runtime, threads) for network in own]
    named = [open_estimator(find_model(name), runtime, threads) for name in ensemble]
    found, others = (_predicted(networks, labels) for networks in (opened, named))
    networks = [*found, *others]
    views, single = _pose_columns(own[0], opened[0].skeleton.bodyparts)
    scale = load_model_folder(folder).confidence if len(found) == 1 else None
    threshold, edges = opened[0].threshold, opened[0].skeleton.edges
    several = networks if len(networks) > 1 else []
    evidence, poses = gather(
        labels, sets, together(found), several, views, single, scale, threshold, edges
    )
    alone = len(data) < 2  # with several tables, each is a separate set
    persons = second_labels(labels, second) if alone or second else None
    if persons is not None:
        human = persons.rows(evidence.bodyparts, evidence.animals)
        evidence.measures["human_px"] = human
    return Evaluation(folder, labels, tuple(found), threshold, evidence, poses, persons)


def labels_of(
    folder: Path, data: Sequence[Path], unpacked: Path
) -> tuple[Labels, tuple[str, ...]]:
    """Return labels and the set of each image; without `data`, those of its training.

    Images of SLEAP's files are written into the folder `unpacked`.
    """
    if data:
        return read_label_sets(data, unpacked)
    labels = _own_labels(folder)
    table = next(iter(members(folder)), folder) / PREDICTIONS
    known_sets = read_sets(table) if table.is_file() else {}
    return labels, tuple(known_sets.get(name, ALL) for name in labels.names)


def _predicted(
    networks: Sequence[PoseEstimator], labels: Labels
) -> list[ImagePredictions]:
    """Return the predictions of each network in the labelled images."""
    found = [
        predict_images(network, labels.images, labels.names) for network in networks
    ]
    for predictions in found:
        check_animals(predictions, labels)
    return found


def _own_labels(folder: Path) -> Labels:
    """Return the labels that a run's `config.yaml` names."""
    file = next(iter(members(folder)), folder) / "config.yaml"
    if not file.is_file():
        raise LabelsError(
            [f"{folder} does not contain the path of its labels; use --data"]
        )
    project = read_pose_project(file, trained=True)
    labels = project.labels(several=True)
    if project.config.training.uniform_heatmaps_for_nan_keypoints:
        return labels
    known = labels.known & np.isfinite(labels.points).all(axis=2)
    return replace(labels, known=known)


def _pose_columns(
    folder: Path, names: Sequence[str]
) -> tuple[list[list[str]], list[str] | None]:
    """Return the body parts of each view, and those of the pose, of a run's file.

    `names` are the network's body parts, in the order of the labels that it was trained
    with: columns count in it, and not in that of `keypoint_names`, which may differ.
    """
    file = folder / "config.yaml"
    if not file.is_file():
        return [], None
    data = read_pose_project(file, trained=True).config.data

    def parts(key: str, columns: Sequence[int]) -> list[str]:
        if wrong := [column for column in columns if not 0 <= column < len(names)]:
            raise LabelsError([f"{file}: data.{key}: no column {wrong[0]}"])
        return [names[column] for column in columns]

    views = [
        parts("mirrored_column_matches", view)
        for view in data.mirrored_column_matches or []
        if isinstance(view, list)
    ]
    columns = data.columns_for_singleview_pca
    return views, parts("columns_for_singleview_pca", columns) if columns else None


def gather(
    labels: Labels,
    sets: Sequence[str],
    found: ImagePredictions,
    members: Sequence[ImagePredictions] = (),
    views: Sequence[Sequence[str]] = (),
    single: Sequence[str] | None = None,
    scale: ConfidenceScale | None = None,
    threshold: float = 0.0,
    edges: Sequence[tuple[str, str]] = (),
) -> tuple[Evidence, Poses]:
    """Return the errors and other measures of a network's points, and the labelled poses.

    `members` are the predictions of all networks of an ensemble for the same images;
    `scale` calibrated the network's confidences. `views` and `single` name body parts:
    see `Poses`. Poses are those of the training images, where these are known. Of
    several animals, points below `threshold` are ignored. LabelsError: an ensemble of
    networks with other body parts.
    """
    parts = found.bodyparts
    points, truth, sure, known, counted = _rows(labels, found, threshold)
    animals = len(points) // max(1, len(found.names))

    # Reference poses from the held-out images would lower the errors of these images.
    seen = np.repeat(np.array(sets) == "train", animals)
    labelled = (
        np.isfinite(truth).any(axis=(1, 2)) if animals > 1 else np.ones_like(seen)
    )
    ours = [tuple(parts.index(n) for n in view if n in parts) for view in views]
    as_long = len({len(view) for view in ours}) == 1 and all(ours)
    poses = Poses(
        parts,
        truth[seen & labelled] if seen.any() else truth[labelled],
        tuple(i for i, n in enumerate(parts) if single is None or n in single),
        tuple(ours) if as_long else (),
    )

    away = np.linalg.norm(points - truth, axis=2).astype(np.float64)
    measures = {"error_px": away}
    if members:
        check_alike(found, members)
        measures["spread_px"] = _spread(labels, members, threshold)
    measures |= poses.errors(points)
    kinds = error_kinds(points, truth, sure, threshold, ours, measures.get("spread_px"))

    evidence = Evidence(
        parts, found.names, labels.images, tuple(sets), points, truth, sure, measures,
        known, None if scale is None else scale.raw(sure), animals, counted,
        tuple((parts.index(a), parts.index(b)) for a, b in edges), kinds,
    )  # fmt: skip
    return evidence, poses


def _rows(
    labels: Labels, found: ImagePredictions, threshold: float
) -> tuple[
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.bool_],
    Counted | None,
]:
    """Return points, labels, confidences and known flags by row, and the animals."""
    if found.animals == 1:
        truth, _ = beside(found, labels, 1)
        known = known_of(labels, found.bodyparts)
        return found.points, truth[:, 0], found.confidence, known, None
    which = matched(found, labels, threshold)
    _, known = beside(found, labels, which.points.shape[1])
    known &= np.isfinite(which.points).all(axis=3)
    shape = -1, len(found.bodyparts), 2
    return (
        which.points.reshape(shape),
        which.labels.reshape(shape),
        by_part(which.confidence),
        known.reshape(shape[:2]),
        which.counted,
    )


def _spread(
    labels: Labels, members: Sequence[ImagePredictions], threshold: float
) -> Numbers:
    """Return (row, bodypart): spread of the networks, px.

    Of several animals, of those that they found together; the other rows are NaN.
    """
    networks = alike(members)
    apart = spread(networks)
    if networks[0].animals == 1:
        return apart
    which = matched(together(members), labels, threshold)
    placed = which.placed(apart.reshape(len(apart), networks[0].animals, -1))
    placed[~np.isfinite(which.labels).all(axis=3)] = np.nan
    return placed.reshape(-1, placed.shape[2])
