"""View errors: points of a network against labels, in the image of each view and in space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import (
    find_model,
    open_estimator,
    open_for_views,
)
from deeplabstream.recording.calibrations.calibration_file import read_calibration
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.triangulation import LIMIT_PX, triangulate
from deeplabstream.startup.progress import progress
from deeplabstream.training.data.labels import Labels, LabelsError, read_labels
from deeplabstream.training.data.projects import ALL
from deeplabstream.training.lightning_pose.project import read_pose_project
from deeplabstream.training.lightning_pose.result_tables import read_sets

SPACE = "space"
"""Stands in place of a view for the errors in mm."""
ErrorRow = tuple[str, str, str, int, float, float, float]
"""Set, view, body part, number of labels, median, mean and 95th percentile."""


@dataclass(frozen=True, slots=True, eq=False)
class ViewErrors:
    """Distances of a network's points from labels of several views.

    Attributes
    ----------
    views, bodyparts : tuple of str
        Names.
    sets : tuple of str
        Set of each moment.
    px : numpy.ndarray of float64, shape (view, moment, bodypart)
        In the images. NaN: not labelled.
    mm : numpy.ndarray of float64, shape (moment, bodypart), or None
        In space, from the point that the labels of all views give. NaN: these give no point,
        or the network's points give none. None: no calibration.
    labelled : numpy.ndarray of bool, shape (moment, bodypart)
        Whether the labels give a point in space.
    """

    views: tuple[str, ...]
    bodyparts: tuple[str, ...]
    sets: tuple[str, ...]
    px: NDArray[np.float64]
    mm: NDArray[np.float64] | None
    labelled: NDArray[np.bool_]

    def rows(self) -> Iterator[ErrorRow]:
        """Yield the errors of each set, view and body part; those in space last, in mm."""
        errors = dict(zip(self.views, self.px, strict=True))
        if self.mm is not None:
            errors[SPACE] = self.mm
        for name in dict.fromkeys(self.sets):
            chosen = np.array([one == name for one in self.sets])
            for view, away in errors.items():
                for place, part in enumerate(self.bodyparts):
                    known = away[chosen, place]
                    known = known[np.isfinite(known)]
                    if len(known):
                        median, p95 = np.percentile(known, (50, 95)).tolist()
                        mean = float(known.mean())
                        yield name, view, part, len(known), median, mean, p95

    @property
    def sentence(self) -> str:
        """Say how many of the labelled points in space were found."""
        if self.mm is None:
            return "errors in px: without --calibration there are none in mm"
        found, all_ = int(np.isfinite(self.mm).sum()), int(self.labelled.sum())
        return (
            f"errors in px, of {SPACE} in mm; {found} of {all_} labelled points in space "
            "were found"
        )


def evaluate_views(
    model: str | Path,
    data: Sequence[Path] = (),
    calibration: Path | None = None,
    unit: str = "",
    runtime: str = "auto",
    threads: int = 0,
    cameras_of_data: Sequence[str] = (),
) -> ViewErrors:
    """Run a network over labelled images of several views and compare.

    `data`: a table for each view, in their order; default: those that it was trained with,
    in their sets. `calibration`: of cameras with the names of the views; default: that of
    the project it was trained with. `cameras_of_data`: the views, for a network of single
    images. LabelsError, DeepLabStreamError: something can't be used.
    """
    folder = find_model(model)
    views = tuple(cameras_of_data) or load_model_folder(folder).views
    tables, sets = _labels(folder, views, data)
    if calibration is None and not data:
        calibration = _own_calibration(folder)
    cameras = None
    if calibration is not None:
        cameras = read_calibration(calibration, unit, views)

    opened = open_estimator if cameras_of_data else open_for_views
    estimator = opened(folder, runtime, threads)
    if estimator.skeleton.count > 1:
        raise DeepLabStreamError(
            f"{folder} finds several animals, and errors in mm are those of one"
        )
    parts = estimator.skeleton.bodyparts
    truth = np.stack([_in_order(table, parts) for table in tables])
    found, sure = np.full(truth.shape, np.nan), np.zeros(truth.shape[:3])
    moments = list(zip(*(table.images for table in tables), strict=True))
    for place, files in enumerate(progress(moments, "predicting", len(moments))):
        poses = estimator.estimate([_image(file) for file in files])
        found[:, place] = np.stack([pose.points[0] for pose in poses])
        sure[:, place] = np.stack([pose.confidence[0] for pose in poses])

    away = np.linalg.norm(found - truth, axis=-1)
    mm, labelled = None, np.zeros(away.shape[1:], np.bool_)
    if cameras is not None:
        mm, labelled = _errors_in_space(cameras, truth, found, sure)
    return ViewErrors(views, parts, sets, away, mm, labelled)


def _errors_in_space(
    cameras: CameraGroup,
    truth: NDArray[np.float64],
    found: NDArray[np.float64],
    sure: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return distances (moment, bodypart) in mm, and where labels give a point."""
    labels = triangulate(cameras, truth, limit_px=LIMIT_PX, leave_out=False).points
    points = triangulate(cameras, found, sure, LIMIT_PX, leave_out=False).points
    labelled: NDArray[np.bool_] = np.asarray(np.isfinite(labels).all(axis=-1))
    if not labelled.any():
        raise DeepLabStreamError(
            "the labels of the views give no point in space: the calibration does not fit "
            "them, or is of other views"
        )
    return np.linalg.norm(points - labels, axis=-1), labelled


def _labels(
    folder: Path, views: Sequence[str], data: Sequence[Path]
) -> tuple[tuple[Labels, ...], tuple[str, ...]]:
    """Return the labels of each view, and the set of each moment."""
    sets: dict[str, str] = {}
    if data:
        if len(data) != len(views):
            raise LabelsError(
                [
                    f"the views are {', '.join(views)}: enter a table for "
                    f"each, in this order, not {len(data)}"
                ]
            )
        tables = tuple(read_labels(file) for file in data)
    else:
        project = read_pose_project(_config(folder), trained=True)
        tables = project.labels_of_views()
        predictions = folder / f"predictions_{views[0]}.csv"
        sets = read_sets(predictions) if predictions.is_file() else {}
    counts = {len(table.images) for table in tables}
    if len(counts) > 1:
        numbers = ", ".join(f"{table.file}: {len(table.images)}" for table in tables)
        raise LabelsError([f"all views need the same number of images ({numbers})"])
    return tables, tuple(sets.get(name, ALL) for name in tables[0].names)


def _own_calibration(folder: Path) -> Path | None:
    """Return the calibration of the project that a network was trained with."""
    project = read_pose_project(_config(folder), trained=True)
    name = project.config.data.camera_params_file or "calibration.toml"
    file = project.root / name
    return file if file.is_file() else None


def _config(folder: Path) -> Path:
    file = folder / "config.yaml"
    if not file.is_file():
        raise LabelsError(
            [f"{folder} does not contain the path of its labels; use --data"]
        )
    return file


def _in_order(labels: Labels, parts: Sequence[str]) -> NDArray[np.float64]:
    """Return labelled points (image, bodypart, 2) in the network's order; NaN: no label."""
    points = np.full((len(labels.images), len(parts), 2), np.nan)
    for place, name in enumerate(parts):
        if name in labels.skeleton.bodyparts:
            points[:, place] = labels.points[:, labels.skeleton.bodyparts.index(name)]
    return points


def _image(file: Path) -> Image:
    image = read_image(file)
    if image is None:
        raise LabelsError([f"the image {file} can't be read"])
    return image
