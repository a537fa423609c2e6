from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.training.callbacks import StepProgress
from deeplabstream.training.camera_geometry import project, read_calibration
from deeplabstream.training.data.camera_views import join_views
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.fit import fit
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.lightning_pose.project import read_pose_project
from deeplabstream.training.lightning_pose.result_tables import read_sets
from deeplabstream.training.losses.configured import losses_of_cameras
from deeplabstream.training.networks.multiview import MultiviewNetwork, hide_patches
from deeplabstream.training.networks.pose_network import Architecture
from utils import EvaluateNetwork, TrainNetwork

CONFIG = """
data:
  image_resize_dims: {height: 64, width: 64}
  data_dir: .
  csv_file: [left.csv, right.csv]
  view_names: [left, right]
  num_keypoints: 2
training:
  imgaug: dlc-mv
  train_batch_size: 2
  train_prob: 0.5
  val_prob: 0.25
  max_epochs: 2
  check_val_every_n_epoch: 1
  unfreezing_epoch: 0
  patch_mask: {init_epoch: 0, final_epoch: 1, init_ratio: 0.2, final_ratio: 0.2}
model:
  losses_to_use: []
  backbone: vits_dinov2
  backbone_pretrained: false
  model_type: heatmap_multiview_transformer
losses:
  supervised_pairwise_projections: {log_weight: 0.5}
  supervised_reprojection_heatmap_mse: {log_weight: 3.0}
callbacks:
  anneal_weight: {init_val: 1.0, freeze_until_epoch: 0}
"""
CAMERAS = """
[cam_0]
name = "left"
matrix = [[200.0, 0.0, 64.0], [0.0, 200.0, 48.0], [0.0, 0.0, 1.0]]
rotation = [0.0, 0.3, 0.0]
translation = [0.0, 0.0, 100.0]

[cam_1]
name = "right"
matrix = [[200.0, 0.0, 64.0], [0.0, 200.0, 48.0], [0.0, 0.0, 1.0]]
rotation = [0.0, -0.3, 0.0]
translation = [0.0, 0.0, 100.0]
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Two calibrated cameras that see the same two dots, eight times."""
    (tmp_path / "calibration.toml").write_text(CAMERAS, encoding="utf-8")
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    space = torch.from_numpy(np.random.default_rng(0).uniform(-12, 12, (8, 2, 3)))
    cameras = read_calibration(tmp_path / "calibration.toml", ("left", "right"))
    for camera in cameras:
        rows = ["scorer,me,me,me,me", "bodyparts,ear,ear,tail,tail", "coords,x,y,x,y"]
        (tmp_path / camera.name).mkdir()
        for index, points in enumerate(project(camera, space).numpy()):
            picture = np.full((96, 128, 3), 120, np.uint8)
            for (x, y), level in zip(points, (10, 245), strict=True):
                cv2.circle(picture, (round(x), round(y)), 6, (level,) * 3, -1)
            name = f"{camera.name}/img{index}.png"
            cv2.imwrite(str(tmp_path / name), picture)
            rows.append(",".join([name, *(f"{v:.3f}" for v in points.ravel())]))
        text = "\n".join(rows)
        (tmp_path / f"{camera.name}.csv").write_text(text, encoding="utf-8")
    return tmp_path / "config.yaml"


def test_every_view_hears_of_the_others() -> None:
    how = Architecture(kind="multiview", channels=8, views=2)
    network = MultiviewNetwork(4, how).eval()
    pictures = torch.randint(0, 255, (1, 2, 32, 48, 3), dtype=torch.uint8)
    other = pictures.clone()
    other[:, 1] = 255 - other[:, 1]
    with torch.inference_mode():
        one, two = network(pictures), network(other)
    assert one.shape == (1, 4, 8, 12)
    assert (one[:, :2] - two[:, :2]).abs().max() > 1e-6


def test_hidden_patches_are_whole_and_as_many_as_asked() -> None:
    rng = np.random.default_rng(0)
    hidden = hide_patches(torch.ones(8, 3, 160, 160), 0.3, rng)
    patches = hidden.unfold(2, 16, 16).unfold(3, 16, 16)
    each = patches.flatten(4).std(dim=-1)
    assert each.max() == 0
    assert abs(float((patches.amax(dim=(-1, -2)) == 0).float().mean()) - 0.3) < 0.05


def test_views_are_joined_and_what_cameras_see_agrees(rig: Path) -> None:
    read = read_pose_project(rig)
    labels, data = join_views(read.labels_of_views(), read.views, read.fitting())
    assert labels.skeleton.bodyparts == (
        "ear_left",
        "tail_left",
        "ear_right",
        "tail_right",
    )
    assert data.context is not None
    assert data.context.shape == (8, 2, 64, 64, 3)
    np.testing.assert_allclose(data.in_camera_px(data.points), labels.points, atol=1e-3)
    part = data.pick([3, 5])
    np.testing.assert_allclose(
        part.in_camera_px(part.points), labels.points[[3, 5]], atol=1e-3
    )
    losses = losses_of_cameras(read, data)
    assert losses is not None
    exact = torch.from_numpy(data.points)
    assert float(losses.pairwise_loss(exact, exact)) < 0.01
    assert float(losses.pairwise_loss(exact + torch.tensor([3.0, 0.0]), exact)) > 0.5


def test_a_project_of_several_views_is_trained_and_evaluated_in_mm(
    rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert TrainNetwork.main([str(rig), "--output", str(folder), "--quiet"]) == 0
    for view in ("left", "right"):
        lines = (folder / f"predictions_{view}.csv").read_text().splitlines()
        assert lines[1].split(",")[:2] == ["bodyparts", "ear"]
        assert len(lines) == 11
        assert (folder / f"predictions_{view}_pixel_error.csv").is_file()
    assert (folder / "weights.pt").is_file()
    model = load_model_folder(folder)
    assert model.views == ("left", "right")
    assert model.skeleton.bodyparts == ("ear", "tail")

    names = read_pose_project(folder / "config.yaml", trained=True).config.data
    assert names.keypoint_names == ["ear", "tail"]

    table = tmp_path / "errors.csv"
    words = ["--model", str(folder), "--csv", str(table), "--device", "cpu"]
    assert EvaluateNetwork.main(words) == 0
    assert "labelled points in space were found" in capsys.readouterr().out
    views = {line.split(",")[1] for line in table.read_text("utf-8").splitlines()}
    assert {"view", "left", "right"} <= views


def test_a_network_of_single_images_learns_from_all_views_and_is_evaluated_in_mm(
    rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = [str(rig), "--output", str(folder), "--quiet", "--overrides"]
    chosen = ["model.model_type=heatmap", "model.backbone=unet"]
    assert TrainNetwork.main([*words, *chosen]) == 0
    model = load_model_folder(folder)
    assert model.views == ()
    assert model.skeleton.bodyparts == ("ear", "tail")

    # both images of a moment are in the same part
    sets = read_sets(folder / "predictions.csv")
    assert len(sets) == 16
    for moment in range(8):
        assert sets[f"left/img{moment}.png"] == sets[f"right/img{moment}.png"]
    assert len({*sets.values()}) > 1

    tables = [str(rig.parent / f"{view}.csv") for view in ("left", "right")]
    words = ["--model", str(folder), "--device", "cpu"]
    assert EvaluateNetwork.main(words) == 0
    assert "validation" in capsys.readouterr().out
    calibration = ["--calibration", str(rig.parent / "calibration.toml")]
    assert EvaluateNetwork.main([*words, *calibration, "--data", *tables]) == 0
    assert "of 16 labelled points in space were found" in capsys.readouterr().out


def test_a_killed_training_hides_the_same_patches_when_it_goes_on(
    rig: Path, tmp_path: Path
) -> None:
    read = read_pose_project(rig)
    _, data = join_views(read.labels_of_views(), read.views, read.fitting())
    how = FitSettings(
        steps=4,
        batch=4,
        network=Architecture(kind="multiview", channels=8, views=2),
        imagenet=False,
        check_epochs=1,
        masked=(0, 1, 0.5, 0.5),
    )
    whole = fit(data, how, lambda epoch: None)

    def killed(progress: StepProgress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(data, how, killed, folder=tmp_path / "run")
    rest = fit(data, how, lambda epoch: None, folder=tmp_path / "run", resume=True)
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, rest.state_dict()[name]), name


def test_views_that_do_not_match_are_told(rig: Path) -> None:
    right = rig.parent / "right.csv"
    lines = right.read_text().splitlines()
    right.write_text("\n".join(lines[:-1]).replace("tail", "nose"))
    read = read_pose_project(rig)
    with pytest.raises(LabelsError) as refusal:
        join_views(read.labels_of_views(), read.views, read.fitting())
    assert "differ in their body parts" in refusal.value.problems[0]
    assert "has 7 images" in refusal.value.problems[1]
    with pytest.raises(LabelsError, match="or heatmap"):
        read_pose_project(rig, ["model.model_type=regression"])
    with pytest.raises(LabelsError, match="differ in their body parts"):
        read_pose_project(rig, ["model.model_type=heatmap"]).labels()
    with pytest.raises(LabelsError, match="needs several files"):
        read_pose_project(rig, ["data.csv_file=left.csv"])


@pytest.mark.parametrize(
    ("left", "right", "wrong"),
    [
        (["img0", "img1", "img2"], ["img0", "img2", "img1"], "row 2: right/img2.png"),
        (["img0", "img1", "img2"], ["img1", "img2", "img3"], "row 1: right/img1.png"),
        (["s1_f7", "s2_f7"], ["s2_f7", "s1_f7"], "row 1: right/s2_f7.png"),
        (["f1_cam1", "f2_cam1"], ["f1_cam2", "f2_cam2"], ""),
        (["f1_cam1", "f2_cam1"], ["f2_cam2", "f1_cam2"], "row 1: right/f2_cam2.png"),
        (["img001", "img2"], ["img1", "img002"], ""),
        (["a", "b"], ["c", "d"], ""),
        (["img3"], ["img4"], ""),
    ],
)
def test_rows_of_all_views_are_of_the_same_moments(
    tmp_path: Path, left: list[str], right: list[str], wrong: str
) -> None:
    parts = []
    for view, names in (("left", left), ("right", right)):
        rows = ["scorer,me,me", "bodyparts,ear,ear", "coords,x,y"]
        (tmp_path / view).mkdir()
        for name in names:
            image = tmp_path / view / f"{name}.png"
            cv2.imwrite(str(image), np.zeros((32, 32, 3), np.uint8))
            rows.append(f"{view}/{name}.png,5,6")
        (tmp_path / f"{view}.csv").write_text("\n".join(rows), encoding="utf-8")
        parts.append(read_labels(tmp_path / f"{view}.csv"))
    if not wrong:
        labels, _ = join_views(parts, ("left", "right"), Fitting(32, 32))
        assert len(labels.images) == len(left)
        return
    with pytest.raises(LabelsError, match=f"right.csv, {wrong} stands beside left/"):
        join_views(parts, ("left", "right"), Fitting(32, 32))
