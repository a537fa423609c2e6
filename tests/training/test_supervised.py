import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.numerics.pose_pca import (
    fit_pose_pca,
    multi_view_rows,
    single_view_rows,
)
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.training.data.augmentation import Augmentation, apply, augment_clip
from deeplabstream.training.losses.soft_argmax import (
    decode,
    decode_with_centroid_gradient,
)
from deeplabstream.training.losses.supervised import (
    as_mass,
    heatmap_js,
    heatmap_kl,
    heatmap_loss,
    heatmap_mse,
    regression_loss,
    supervised_loss,
)
from deeplabstream.training.losses.unsupervised import (
    PcaLoss,
    TemporalLoss,
    back_to_camera,
)

MAPS = Heatmaps(4, 1.25)


def gaussians(*points: tuple[float, float]) -> torch.Tensor:
    """Return maps (1, len(points), 12, 16) of height 1."""
    return torch.from_numpy(MAPS.gaussians(np.array([points]), 12, 16))


@pytest.mark.parametrize("kind", ["cross_entropy", "mse", "kl", "js"])
def test_the_target_itself_has_the_least_loss(kind: str) -> None:
    target = gaussians((20.3, 17.8), (40.0, 30.5))
    exact = torch.logit(target.clamp(1e-6, 1 - 1e-6))
    if kind != "cross_entropy":
        exact = target.clamp(min=1e-9).log()
    best = supervised_loss(kind, exact, target)
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(0))
    assert supervised_loss(kind, exact + 0.3 * noise, target) > best
    if kind != "cross_entropy":
        assert best < 1e-4


def test_losses_of_maps_are_their_formulas() -> None:
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).view(1, 1, 2, 2)
    q = torch.tensor([0.25, 0.25, 0.25, 0.25], dtype=torch.float64).view(1, 1, 2, 2)
    assert heatmap_mse(p, q) == pytest.approx(0.05)
    kl = sum(0.25 * math.log(0.25 / a) for a in (0.1, 0.2, 0.3, 0.4))
    assert float(heatmap_kl(p, q)) == pytest.approx(kl, abs=1e-6)
    assert float(heatmap_js(p, q)) == pytest.approx(float(heatmap_js(q, p)))
    assert float(heatmap_js(p, p)) == pytest.approx(0, abs=1e-9)


def test_what_is_not_known_teaches_nothing() -> None:
    target = gaussians((20, 20), (40, 30))
    logits = torch.zeros_like(target, requires_grad=True)
    weight = torch.tensor([[1.0, 0.0]])
    for kind in ("cross_entropy", "mse", "kl", "js"):
        (gradient,) = torch.autograd.grad(
            supervised_loss(kind, logits, target, weight), logits
        )
        assert gradient[0, 0].abs().max() > 0
        assert gradient[0, 1].abs().max() == 0


def test_who_is_absent_has_a_target() -> None:
    nothing = gaussians((float("nan"), float("nan")))
    assert float(heatmap_loss(torch.full_like(nothing, -20.0), nothing)) < 1e-5
    assert torch.equal(as_mass(nothing), torch.full_like(nothing, 1 / (12 * 16)))
    found = torch.tensor([[[0.3, 0.7, 5.0]]], requires_grad=True)
    missing = torch.full((1, 1, 2), float("nan"))
    regression_loss(found, missing, torch.ones(1, 1)).backward()
    assert found.grad is not None
    assert found.grad[0, 0, :2].abs().max() == 0
    assert found.grad[0, 0, 2] > 0


@given(st.floats(0, 63), st.floats(0, 47))
def test_points_are_read_off_as_live_and_without_bias(x: float, y: float) -> None:
    maps = gaussians((x, y))
    points, confidence = decode(maps, 4, 1.25)
    live, sure = MAPS.peaks(maps[0].numpy())
    np.testing.assert_allclose(points[0].numpy(), live, atol=1e-3)
    np.testing.assert_allclose(confidence[0].numpy(), sure)
    assert math.dist(points[0, 0].tolist(), (x, y)) < 0.05


def test_noisy_maps_are_read_off_as_live_too() -> None:
    noisy = torch.rand(7, 2, 9, 11, generator=torch.Generator().manual_seed(1))
    points, _ = decode(noisy, 4, 1.25)
    live, _ = MAPS.peaks(noisy.view(14, 9, 11).numpy())
    np.testing.assert_allclose(points.view(14, 2).numpy(), live, atol=1e-3)


def test_a_loss_moves_the_point_where_it_should_go() -> None:
    logits = torch.logit(gaussians((24.0, 20.0)).clamp(1e-4, 0.9)).requires_grad_()
    for _ in range(20):
        points, _ = decode(torch.sigmoid(logits), 4, 1.25)
        (gradient,) = torch.autograd.grad((points[..., 0] - 26.0).abs().sum(), logits)
        logits = (logits - gradient).detach().requires_grad_()
    points, _ = decode(torch.sigmoid(logits), 4, 1.25)
    assert abs(float(points[0, 0, 0].detach()) - 26.0) < 0.5


def test_a_loss_on_video_moves_the_point_from_hill_to_hill() -> None:
    wrong, right = gaussians((12.0, 12.0)), gaussians((48.0, 32.0))
    maps = (0.6 * wrong + 0.5 * right).clamp(1e-4, 0.9)
    there = torch.tensor([48.0, 32.0])
    ends = {}
    for read in (decode, decode_with_centroid_gradient):
        logits = torch.logit(maps).requires_grad_()
        for _ in range(40):
            points, _ = read(torch.sigmoid(logits), 4, 1.25)
            away = torch.linalg.vector_norm(points[0, 0] - there)
            (gradient,) = torch.autograd.grad(away, logits)
            logits = (logits - 0.05 * gradient).detach().requires_grad_()
        ends[read] = float(away.detach())
    assert ends[decode] > 30  # stays on its hill, and distorts it
    assert ends[decode_with_centroid_gradient] < 1


@given(st.floats(0, 63), st.floats(0, 47))
def test_points_on_video_are_those_that_are_read_off(x: float, y: float) -> None:
    maps = gaussians((x, y))
    points, confidence = decode_with_centroid_gradient(maps, 4, 1.25)
    exact, sure = decode(maps, 4, 1.25)
    torch.testing.assert_close(points, exact)
    torch.testing.assert_close(confidence, sure)


def test_a_map_without_a_hill_has_a_gradient_that_is_a_number() -> None:
    maps = torch.zeros(1, 1, 12, 16, requires_grad=True)
    decode_with_centroid_gradient(maps, 4, 1.25)[0].sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_only_long_steps_of_sure_points_cost() -> None:
    points = torch.zeros(4, 2, 2)
    points[2:, 0] = torch.tensor([30.0, 40.0])  # one step of 50 px
    sure = torch.ones(4, 2)
    loss = TemporalLoss(epsilon=20.0)
    assert float(loss(points, sure)) == pytest.approx(30 / 6)
    assert float(TemporalLoss(epsilon=(60.0, 0.0))(points, sure)) == 0
    sure[1, 0] = 0.01
    assert float(loss(points, sure)) == 0
    points.requires_grad_()
    loss(points, torch.ones(4, 2)).backward()
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()


def poses(count: int = 200, seed: int = 0) -> np.ndarray:
    """Return (count, 4, 2): a stiff square that moves and grows: 3 dimensions."""
    rng = np.random.default_rng(seed)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    sizes = rng.uniform(10, 30, (count, 1, 1))
    return np.asarray(rng.uniform(50, 150, (count, 1, 2)) + sizes * square)


def test_poses_in_the_plane_cost_nothing_and_others_their_distance() -> None:
    rows = single_view_rows(poses(), range(4))
    plane = fit_pose_pca(rows, 0.9999)
    assert len(plane.components) == 3
    assert plane.epsilon < 1e-6
    loss = PcaLoss(plane, ((0, 1, 2, 3),))
    others = torch.from_numpy(poses(10, seed=1))
    sure = torch.ones(10, 4)
    assert float(loss(others, sure)) < 1e-6
    others[:, 2, 0] += 12.0
    expected = plane.error(others.flatten(1).numpy()).mean()
    assert float(loss(others, sure)) == pytest.approx(expected, rel=1e-6)
    assert expected > 2


def test_missing_labels_do_not_spoil_the_plane() -> None:
    whole = poses()
    some = whole.copy()
    some[np.random.default_rng(2).random(some.shape[:2]) < 0.2] = np.nan
    plane = fit_pose_pca(single_view_rows(some, range(4)), 3)
    assert plane.error(single_view_rows(whole, range(4))).mean() < 2.0


def test_epsilon_is_the_percentile_of_the_labelled_rows() -> None:
    noisy = poses() + np.random.default_rng(3).normal(0, 1, (200, 4, 2))
    rows = single_view_rows(noisy, range(4))
    plane = fit_pose_pca(rows, 3, percentile=90, multiplier=2)
    errors = fit_pose_pca(rows, 3, epsilon=0).error(rows)
    assert plane.epsilon == pytest.approx(2 * np.percentile(errors, 90))


def test_two_views_of_points_in_space_have_three_dimensions() -> None:
    rng = np.random.default_rng(4)
    space = rng.normal(0, 20, (100, 2, 3))
    cameras = rng.normal(0, 1, (2, 3, 2))
    views = np.concatenate([space @ camera + 100 for camera in cameras], axis=1)
    rows = multi_view_rows(views, ((0, 1), (2, 3)))
    assert rows.shape == (200, 4)
    plane = fit_pose_pca(rows, 3)
    assert plane.error(rows).max() < 1e-6
    loss = PcaLoss(plane, ((0, 1), (2, 3)))
    points = torch.from_numpy(views)
    assert float(loss(points, torch.ones(100, 4))) < 1e-6
    points[:, 3] += 9
    assert float(loss(points, torch.ones(100, 4))) > 0.5


def test_too_few_labels_for_a_plane_are_told() -> None:
    with pytest.raises(
        DeepLabStreamError, match="PCA of 8 coordinates needs 8 labelled rows"
    ):
        fit_pose_pca(single_view_rows(poses(7), range(4)), 3)
    empty = poses(20)
    empty[:, 1] = np.nan
    with pytest.raises(DeepLabStreamError, match="every body part"):
        fit_pose_pca(single_view_rows(empty, range(4)), 3)


@given(st.integers(0, 2**31))
def test_augmentation_is_undone_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 60, (5, 3, 2))
    how = Augmentation(rotation_deg=180, light=0)
    _, matrix = augment_clip(how, np.zeros((1, 48, 64, 3), np.uint8), None, rng)
    scale = (0.25, 0.4)
    inputs = (points + 0.5) * scale - 0.5
    moved = apply(matrix, inputs).astype(np.float64)
    back = back_to_camera(torch.from_numpy(moved), torch.from_numpy(matrix), scale)
    np.testing.assert_allclose(back.numpy(), points, atol=1e-3)
