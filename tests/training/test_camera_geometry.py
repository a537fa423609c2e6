from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.training.camera_geometry import (
    pairwise,
    pairwise_projection_loss,
    project,
    read_calibration,
    reprojection_heatmap_loss,
    triangulate,
)
from deeplabstream.training.data.camera_views import CameraLosses
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.losses.supervised import as_mass

FILE = """
[cam_0]
name = "left"
size = [640, 480]
matrix = [[800.0, 0.0, 320.0], [0.0, 810.0, 240.0], [0.0, 0.0, 1.0]]
distortions = [-0.2, 0.05, 0.001, -0.002, 0.0]
rotation = [0.0, 0.3, 0.0]
translation = [5.0, 0.0, 100.0]

[cam_1]
name = "right"
matrix = [[780.0, 0.0, 310.0], [0.0, 780.0, 250.0], [0.0, 0.0, 1.0]]
distortions = [0.1]
rotation = [0.1, -0.4, 0.05]
translation = [-8.0, 2.0, 110.0]

[cam_2]
name = "top"
matrix = [[790.0, 0.0, 300.0], [0.0, 790.0, 230.0], [0.0, 0.0, 1.0]]
rotation = [0.8, 0.0, 0.0]
translation = [0.0, 3.0, 120.0]

[metadata]
error = 0.3
"""
VIEWS = ("left", "right", "top")


@pytest.fixture
def cameras(tmp_path: Path) -> tuple[CalibratedCamera, ...]:
    file = tmp_path / "calibration.toml"
    file.write_text(FILE, encoding="utf-8")
    return read_calibration(file, VIEWS)


def space(count: int = 20) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(-15, 15, (count, 2, 3)))


def test_points_are_seen_where_opencv_says(
    cameras: tuple[CalibratedCamera, ...],
) -> None:
    points = space()
    for camera in cameras:
        vector, _ = cv2.Rodrigues(camera.rotation)
        theirs, _ = cv2.projectPoints(
            points.reshape(-1, 3).numpy(), vector, camera.translation,
            camera.matrix, camera.distortion,
        )  # fmt: skip
        ours = project(camera, points).reshape(-1, 2).numpy()
        np.testing.assert_allclose(ours, theirs.reshape(-1, 2), atol=1e-6)


def test_a_lens_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "calibration.toml"
    for old, new in (
        ("[cam_1]\n", "[cam_1]\nfisheye = true\n"),
        ("distortions = [0.1]", "distortions = [0.1, 0, 0, 0, 0, 0.2, 0, 0]"),
    ):
        file.write_text(FILE.replace(old, new), encoding="utf-8")
        with pytest.raises(LabelsError, match="camera right: only lenses with"):
            read_calibration(file, VIEWS)


def test_any_two_views_give_the_point_back(
    cameras: tuple[CalibratedCamera, ...],
) -> None:
    points = space()
    pixels = torch.stack([project(camera, points) for camera in cameras])
    for found in pairwise(cameras, pixels):
        torch.testing.assert_close(found, points, atol=1e-4, rtol=0)
    whole = triangulate(cameras, list(pixels))
    torch.testing.assert_close(whole, points, atol=1e-4, rtol=0)
    pixels[1, 3, 0] = torch.nan
    found = pairwise(cameras, pixels)
    assert torch.isnan(found[0, 3, 0]).all()
    assert torch.isfinite(found[1, 3, 0]).all()
    assert float(pairwise_projection_loss(cameras, pixels, points)) < 1e-4


def test_losses_pull_a_view_to_where_the_others_see_the_point(
    cameras: tuple[CalibratedCamera, ...],
) -> None:
    points = space(4)
    exact = torch.stack([project(camera, points) for camera in cameras])
    maps = Heatmaps(8, 1.25).gaussians(exact.numpy(), 60, 80)
    targets = torch.stack([as_mass(torch.from_numpy(view)) for view in maps]).double()
    wrong = exact.clone()
    wrong[0, ..., 0] += 6.0
    for loss in (
        lambda xy: pairwise_projection_loss(cameras, xy, points),
        lambda xy: reprojection_heatmap_loss(cameras, xy, targets, 8, 1.25),
    ):
        assert loss(wrong) > 10 * loss(exact)
        xy = wrong.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(xy), xy)
        assert torch.isfinite(gradient).all()
        nearer = wrong - 0.5 * gradient / gradient.abs().max()
        assert loss(nearer) < loss(wrong)


def test_reprojection_counts_in_each_views_own_cells(
    cameras: tuple[CalibratedCamera, ...],
) -> None:
    seen = [project(camera, space(4)) for camera in cameras]
    scales = ((0.4, 0.5), (0.8, 1.0), (0.6, 0.4))  # input pixels per camera pixel
    found = [
        (xy + 0.5) * torch.tensor(scale) - 0.5
        for xy, scale in zip(seen, scales, strict=True)
    ]
    points = torch.cat(found, dim=1)
    maps = Heatmaps(4, 1.25).gaussians(points.numpy(), 120, 140)
    targets = torch.from_numpy(maps).double()
    losses = CameraLosses(cameras, scales, None, 1.0)
    exact = float(losses.reprojection_loss(points, targets, 4, 1.25))
    assert exact < 1e-6
    points[:, 0, 0] += 4
    assert float(losses.reprojection_loss(points, targets, 4, 1.25)) > 1e-3


def test_what_a_calibration_lacks_is_told(tmp_path: Path) -> None:
    file = tmp_path / "calibration.toml"
    file.write_text(FILE)
    with pytest.raises(LabelsError, match="has no camera back"):
        read_calibration(file, ("left", "back"))
    file.write_text(FILE.replace("matrix = [[780.0, 0.0,", "matrix = [[780.0,"))
    with pytest.raises(LabelsError, match="camera right"):
        read_calibration(file, VIEWS)
    file.write_text("a = [")
    with pytest.raises(LabelsError, match="can't be read"):
        read_calibration(file, VIEWS)
