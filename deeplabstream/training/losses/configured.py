"""Losses of a Lightning Pose configuration, besides that of the labels."""

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.numerics.pose_pca import (
    fit_pose_pca,
    multi_view_rows,
    single_view_rows,
)
from deeplabstream.training.camera_geometry import read_calibration
from deeplabstream.training.data.camera_views import CameraLosses
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.lightning_pose.config import (
    LOSSES_OF_CAMERAS,
    LOSSES_ON_VIDEO,
    LossConfig,
)
from deeplabstream.training.lightning_pose.project import PoseProject
from deeplabstream.training.losses.unsupervised import (
    PcaLoss,
    TemporalLoss,
    UnsupervisedLoss,
)


def losses_on_video(
    project: PoseProject, skeleton: Skeleton, points: NDArray[np.float32]
) -> dict[str, UnsupervisedLoss]:
    """Return the losses on unlabelled video; `points` are the training frames'.

    They are (image, bodypart, 2) in pixels of the images; the principal components of
    poses are fitted to them.
    """
    given = project.config.losses
    configs = {name: given.get(name, LossConfig()) for name in project.video_losses()}
    unknown = sorted(set(configs) - set(LOSSES_ON_VIDEO))
    if unknown:
        where = f"{project.file}: model.losses_to_use"
        raise LabelsError([f"{where}: there is no loss {name}" for name in unknown])

    return {
        name: _temporal(config)
        if name == "temporal"
        else _pca(project, name, config, skeleton, points)
        for name, config in configs.items()
    }


def pca_of_columns(
    project: PoseProject, skeleton: Skeleton, points: NDArray[np.float32]
) -> tuple[dict[str, PcaLoss], list[str]]:
    """Return the PCA components for which the file names columns, and problems of others.

    They are for the tables of errors, whether the losses are in use or not. `points` are
    those of `losses_on_video`.
    """
    data = project.config.data
    columns = {
        "pca_singleview": data.columns_for_singleview_pca,
        "pca_multiview": data.mirrored_column_matches,
    }

    # A loss that is not in use must not end the training: its problem is a remark.
    found: dict[str, PcaLoss] = {}
    problems = []
    for name in [] if project.views else [n for n, own in columns.items() if own]:
        config = project.config.losses.get(name, LossConfig())
        try:
            found[name] = _pca(project, name, config, skeleton, points)
        except DeepLabStreamError as error:
            problems.append(f"no predictions_{name}_error.csv: {error}")
    return found, problems


def losses_of_cameras(project: PoseProject, data: Dataset) -> CameraLosses | None:
    """Return the losses between calibrated views; None: the file has no such losses."""
    given = project.config.losses
    pair, back = (
        given[name].log_weight if name in given else None for name in LOSSES_OF_CAMERAS
    )
    file = project.root / (project.config.data.camera_params_file or "calibration.toml")
    if not project.views or not file.is_file() or (pair is None and back is None):
        return None

    # Calibrations are in pixels of the images, points in pixels of the network's input.
    cameras = read_calibration(file, project.views)
    scales = []
    for window in data.windows[: len(cameras)]:
        columns, rows = window.fitting.extent((window.height, window.width))
        scales.append((columns / window.width, rows / window.height))
    return CameraLosses(cameras, tuple(scales), pair, back)


def _temporal(config: LossConfig) -> TemporalLoss:
    epsilon = config.epsilon
    return TemporalLoss(
        config.log_weight,
        tuple(epsilon)
        if isinstance(epsilon, list)
        else 20.0
        if epsilon is None
        else epsilon,
        config.prob_threshold,
    )


def _pca(
    project: PoseProject,
    name: str,
    config: LossConfig,
    skeleton: Skeleton,
    points: NDArray[np.float32],
) -> PcaLoss:
    exact, data = points.astype(np.float64), project.config.data
    if name == "pca_multiview":
        matches = data.mirrored_column_matches or []
        views = tuple(
            tuple(view) for view in matches if isinstance(view, list) and view
        )
        if len(views) < 2 or len({len(view) for view in views}) > 1:
            raise LabelsError(
                [f"{project.file}: pca_multiview needs data.mirrored_column_matches, as "
                 "many columns for each view"]
            )  # fmt: skip
    else:
        columns = data.columns_for_singleview_pca
        views = (tuple(columns or range(len(skeleton.bodyparts))),)

    most = len(skeleton.bodyparts)
    wrong = [column for view in views for column in view if not 0 <= column < most]
    if wrong:
        raise LabelsError([f"{project.file}: {name}: there is no column {wrong[0]}"])

    # Points in space have three coordinates, so views of them have three components.
    if len(views) > 1:
        rows, keep = multi_view_rows(exact, views), 3.0
    else:
        rows = single_view_rows(exact, views[0], config.centering_method)
        keep = config.components_to_keep or 0.99
    plane = fit_pose_pca(
        rows,
        keep,
        config.epsilon if isinstance(config.epsilon, float) else None,
        config.empirical_epsilon_percentile,
        config.empirical_epsilon_multiplier,
    )
    return PcaLoss(plane, views, config.log_weight, config.centering_method)
