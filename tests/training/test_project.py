import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.evaluation.network_errors import evaluate_network
from deeplabstream.training.fit import fit
from deeplabstream.training.lightning_pose.overrides import overridden
from deeplabstream.training.lightning_pose.project import (
    NO_CHANGE,
    backbone,
    read_pose_project,
)
from deeplabstream.training.lightning_pose.result_tables import read_sets
from deeplabstream.training.losses.configured import losses_on_video
from deeplabstream.training.losses.unsupervised import PcaLoss, TemporalLoss
from deeplabstream.training.networks.resnet import ResNet
from deeplabstream.training.run_preparation import run_from_config
from deeplabstream.training.train_config import TrainConfig
from deeplabstream.video.video_reader import open_video
from tests.training.configurations import PROJECT_CONFIG
from utils import TrainNetwork


@pytest.fixture
def project(labelled: Path, tmp_path: Path) -> Path:
    """Return the configuration of a project of eight pictures and a video."""
    folder = tmp_path / "project"
    shutil.copytree(labelled, folder)
    (folder / "videos").mkdir()
    writer = cv2.VideoWriter(
        str(folder / "videos" / "dots.avi"),
        cv2.VideoWriter.fourcc(*"MJPG"), 30, (128, 96),
    )  # fmt: skip
    for picture in sorted(labelled.glob("*/*.png")):
        frame = cv2.imread(str(picture))
        assert frame is not None
        writer.write(frame)
    writer.release()
    (folder / "config.yaml").write_text(PROJECT_CONFIG, encoding="utf-8")
    return folder / "config.yaml"


def test_the_file_decides_how_is_trained(project: Path) -> None:
    read = read_pose_project(
        project, ["training.max_epochs=3", "+model.head=heatmap_cnn"]
    )
    assert read.remarks == (
        "config.yaml: keys without effect here: training.profiler, model.model_name, "
        "eval.fiftyone",
    )
    settings = read.settings(10)
    assert (settings.steps, settings.batch, settings.loss) == (9, 4, "mse")
    assert settings.schedule.milestones == (3,)
    assert settings.schedule.unfreeze_at == 3
    assert settings.network.scale == "mass"
    assert settings.network.head == "deconvolution"
    assert settings.missing == "unknown"
    assert settings.clip_length == 0
    assert (settings.least_steps, settings.augmentation.mirror) == (0, False)
    assert read.labels().names[0] == "clip0/img00.png"
    assert read.videos() == ()


def test_every_key_without_effect_is_named_once_at_the_start(project: Path) -> None:
    words = [
        "+training.optimizer_params.weight_decay=0.1",
        "+training.pin_memory=true",
        "+eval.colormap=cool",
        "+losses.unimodal_mse.log_weight=3",
        "+losses.temporal.floor=1",
        "+callbacks.anneal_weight.attr_name=total_unsupervised_importance",
        "+callbacks.checkpoints.keep=3",
        "+dali.base.predict.sequence_length=96",
        "+data.image_resize_dims.depth=3",
        "+hydra.run=now",
    ]
    said: list[str] = []
    config = TrainConfig(config=project, output=project.parent / "m", overrides=words)
    run_from_config(config, project, said.append)
    (sentence,) = [each for each in said if "without effect" in each]
    assert set(sentence.partition("here: ")[2].split(", ")) == {
        "data.image_resize_dims.depth",
        "training.profiler",
        "training.pin_memory",
        "eval.colormap",
        "training.optimizer_params.weight_decay",
        "model.model_name",
        "losses.unimodal_mse",
        "losses.temporal.floor",
        "callbacks.anneal_weight.attr_name",
        "callbacks.checkpoints",
        "dali.base.predict",
        "eval.fiftyone",
        "hydra",
    }


def test_references_in_the_file_are_resolved(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Lightning Pose's example, which lies in scripts/configs of its repository."""
    example = tmp_path / "repository" / "scripts" / "configs" / "example.yaml"
    example.parent.mkdir(parents=True)
    place = tmp_path / "repository" / "data" / "dots"
    text = project.read_text("utf-8")
    text = text.replace("data_dir: .", "data_dir: ${LP_ROOT_PATH:}/data/dots")
    text = text.replace("video_dir: videos", "video_dir: ${data.data_dir}/videos")
    text = text.replace("max_epochs: 2", "max_epochs: ${training.train_batch_size}")
    example.write_text(text, "utf-8")
    with pytest.raises(LabelsError, match=r"data.data_dir = \$\{LP_ROOT_PATH:\}/data"):
        read_pose_project(example)
    shutil.copytree(project.parent, place)
    read = read_pose_project(example, ["model.losses_to_use=[temporal]"])
    assert read.root.resolve() == place.resolve()
    assert read.config.training.max_epochs == 4
    assert [video.parent for video in read.videos()] == [place / "videos"]
    assert read.content["data"]["video_dir"] == str(place / "videos")
    assert len(read.labels().names) == 8
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(text, "utf-8")
    monkeypatch.setenv("LP_ROOT_PATH", str(tmp_path / "repository"))
    assert read_pose_project(elsewhere).root.resolve() == place.resolve()
    named = ["data.data_dir=${oc.env:LP_ROOT_PATH}/data/dots"]
    assert read_pose_project(elsewhere, named).root.resolve() == place.resolve()
    loop = ["data.data_dir=${data.video_dir}"]
    with pytest.raises(LabelsError, match="write the path"):
        read_pose_project(elsewhere, loop)


def test_pca_errors_are_written_whenever_columns_are_named(project: Path) -> None:
    config = TrainConfig(
        config=project,
        output=project.parent / "model",
        overrides=[
            "+data.columns_for_singleview_pca=[0, 1]",
            "training.train_prob=0.7",
        ],
    )
    said: list[str] = []
    run = run_from_config(config, project, said.append)
    assert run.unlabelled is None
    assert set(run.pca) == {"pca_singleview", "pca_multiview"}
    few = TrainConfig(
        config=project,
        output=project.parent / "model",
        overrides=["training.train_prob=0.2"],
    )
    said.clear()
    assert not run_from_config(few, project, said.append).pca
    assert "no predictions_pca_multiview_error.csv: PCA of 4" in said[-1]


def test_pictures_are_mirrored_and_stopping_waits_if_the_file_says_so(
    project: Path,
) -> None:
    words = ["+training.imgaug_hflip=true", "+training.min_epochs=2"]
    settings = read_pose_project(project, words).settings(10)
    assert (settings.least_steps, settings.augmentation.mirror) == (6, True)
    assert settings.augmentation.rotation_deg == 25


@pytest.mark.parametrize(
    ("device", "given", "devices"),
    [("cuda", 0, 3), ("cuda", 2, 2), ("cpu", 0, 1), ("cpu", 2, 2)],
)
def test_the_file_says_how_many_gpus_train_unless_the_user_does(
    project: Path, device: str, given: int, devices: int
) -> None:
    config = TrainConfig(
        config=project,
        output=project.parent / "model",
        overrides=["+training.num_gpus=3"],
        device=device,
        devices=given,
    )
    run = run_from_config(config, project, lambda text: None)
    assert run.settings.devices == devices


@pytest.mark.parametrize(
    ("key", "given", "workers"),
    [("training", 0, 3), ("data", 0, 3), ("training", 2, 2)],
)
def test_the_file_says_how_many_threads_prepare_batches_unless_the_user_does(
    project: Path, key: str, given: int, workers: int
) -> None:
    config = TrainConfig(
        config=project,
        output=project.parent / "model",
        overrides=[f"+{key}.num_workers=3"],
        workers=given,
    )
    run = run_from_config(config, project, lambda text: None)
    assert run.settings.workers == workers


def test_videos_are_predicted_and_rendered_after_training(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project.parent / "run"
    shutil.copy(
        project.parent / "CollectedData.csv", project.parent / "CollectedData_new.csv"
    )
    words = [str(project), "--output", str(folder), "--quiet", "--threads", "1"]
    words += ["--overrides", "+eval.predict_vids_after_training=true"]
    assert TrainNetwork.main(words) == 2
    assert "needs eval.test_videos_directory" in capsys.readouterr().err
    words.append("+eval.test_videos_directory=nowhere")
    assert TrainNetwork.main(words) == 2
    assert "there is no video in nowhere" in capsys.readouterr().err
    assert not folder.exists()
    words[-1] = "+eval.test_videos_directory=videos"
    words.append("+eval.save_vids_after_training=true")
    assert TrainNetwork.main(words) == 0
    poses = read_poses(folder / "video_preds" / "dots.csv")
    assert poses.points.shape == (8, 1, 2, 2)
    assert (folder / "video_preds" / "dots_temporal_norm.csv").is_file()
    film = open_video(folder / "video_preds" / "labeled_videos" / "dots_labeled.mp4")
    assert len(film) == 8
    places = {"CollectedData.csv": "", "CollectedData_new.csv": "_new"}
    for labels, mark in places.items():
        for metric in ("", "_pixel_error"):
            copy = folder / "image_preds" / labels / f"predictions{metric}.csv"
            table = folder / f"predictions{mark}{metric}.csv"
            assert copy.read_bytes() == table.read_bytes()


def test_losses_on_video_are_made_of_the_training_frames(project: Path) -> None:
    names = "[temporal, pca_singleview, pca_multiview]"
    read = read_pose_project(project, [f"model.losses_to_use={names}"])
    labels = read.labels()
    losses = losses_on_video(read, labels.skeleton, labels.points)
    temporal, single, multi = losses.values()
    assert isinstance(temporal, TemporalLoss)
    assert temporal.epsilon == 20
    assert isinstance(single, PcaLoss)
    assert single.subspace.epsilon == 3
    assert len(single.subspace.components) == 2
    assert isinstance(multi, PcaLoss)
    assert multi.columns == ((0,), (1,))
    assert multi.errors(labels.points).shape == (8, 2)
    settings = read.settings(10)
    assert (settings.clip_length, settings.epoch_steps(10)) == (4, 10)
    assert settings.anneal(0) == 0.5
    assert [video.name for video in read.videos()] == ["dots.avi"]


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (["training.max_epoch=3"], ["no training.max_epoch to change; did you mean"]),
        (
            ["training.train_prob=2", "+training.optimizer=SGD"],
            ["training.train_prob: Input should be less", "training.optimizer"],
        ),
        (["data.num_keypoints=3"], ["keypoint_names has 2"]),
        (["+training.max_steps=9"], ["can't be mixed with max_epochs"]),
        (["model.backbone=resnet19"], ["there is no 'resnet19'; known are effic"]),
        (["model.head=light"], ["no model.head to change; +model.head=… would add"]),
        (["=3", "a.b.c=1", "training=["], ["KEY=VALUE", "no a.b.c", "can't be read"]),
    ],
)
def test_all_that_is_wrong_is_told(
    project: Path, overrides: list[str], sentences: list[str]
) -> None:
    with pytest.raises(LabelsError) as refusal:
        read_pose_project(project, overrides)
    for sentence in sentences:
        assert sentence in str(refusal.value)


def test_losses_and_names_that_are_not_there_are_refused(project: Path) -> None:
    read = read_pose_project(project, ["model.losses_to_use=[unimodal_mse]"])
    labels = read.labels()
    with pytest.raises(LabelsError, match="there is no loss unimodal_mse"):
        losses_on_video(read, labels.skeleton, labels.points)
    other = read_pose_project(project, ["data.keypoint_names=[leftear, tail]"])
    with pytest.raises(LabelsError, match="keypoint_names differ"):
        other.labels()


def test_overrides_add_and_remove() -> None:
    words = {"a": {"b": 1, "c": [1]}}
    changed = overridden(words, ["++a.b=x", "+a.d={e: 1.5}", "~a.c", "+n.o='null'"])
    assert changed == {"a": {"b": "x", "d": {"e": 1.5}}, "n": {"o": "null"}}
    assert words == {"a": {"b": 1, "c": [1]}}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("resnet50_animal_ap10k", "+model.backbone_checkpoint=FILE"),
        ("resnet34", "install the package timm, which downloads them"),
        ("vits_dinov3", "install the package timm, which downloads them"),
        ("vits_dino", "take model.backbone=efficientnet_lite0"),
        ("vitb_sam", "take model.backbone=efficientnet_lite0"),
        ("unet", "start from random ones"),
    ],
)
def test_weights_that_can_not_be_had_are_refused_before_training(
    project: Path,
    name: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("deeplabstream.training.lightning_pose.project.find_spec", none)
    folder = project.parent / "run"
    words = [str(project), "--output", str(folder), "--overrides"]
    words += [f"model.backbone={name}", "model.backbone_pretrained=true"]
    assert TrainNetwork.main(words) == 2
    told = capsys.readouterr().err
    assert (
        f"model.backbone: the weights of {name} are in no package used here; " in told
    )
    assert advice in told
    assert not folder.exists()


def none(name: str) -> None:
    """Say that a package is not installed."""


def test_weights_come_from_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backbone("efficientnet_lite2", pretrained=True) == (
        "efficientnet_lite2",
        None,
    )
    place = "deeplabstream.training.lightning_pose.project.find_spec"
    monkeypatch.setattr(place, lambda name: object())
    name, told = backbone("vits_dinov3", pretrained=True)
    assert name == "timm:vit_small_patch16_dinov3.lvd1689m"
    assert told is not None
    assert told.startswith(f"vits_dinov3: {name}; timm downloads")
    assert backbone("resnet18", pretrained=True)[0] == "timm:resnet18"
    assert backbone("resnet50", pretrained=False)[0] == "resnet50"
    with pytest.raises(LabelsError, match="ap10k are in no package used here"):
        backbone("resnet50_animal_ap10k", pretrained=True)


def test_weights_come_from_a_file_of_mmpose_or_torchvision(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = ResNet(50).state_dict()
    file = project.parent / "res50_ap10k.pth"
    named = {f"backbone.{key}": it for key, it in theirs.items()}
    head = {"keypoint_head.final_layer.bias": torch.zeros(17)}
    torch.save({"meta": {"epoch": 210}, "state_dict": {**named, **head}}, file)
    words = ["model.backbone=resnet50_animal_ap10k", "model.backbone_pretrained=true"]
    words += ["+model.backbone_checkpoint=res50_ap10k.pth"]
    config = TrainConfig(config=project, output=project.parent / "m", overrides=words)
    run = run_from_config(config, project, lambda text: None)
    assert run.settings.network.backbone == "resnet50"
    assert run.settings.backbone_file == file
    short = replace(run.settings, steps=1, learning_rate=1e-12)
    network = fit(run.data.pick([0, 1]), short, lambda epoch: None)
    own = network.body.state_dict()
    torch.testing.assert_close(own["conv1.weight"].flip(1), theirs["conv1.weight"])
    torch.testing.assert_close(
        own["layer4.0.conv2.weight"], theirs["layer4.0.conv2.weight"]
    )
    torch.save({"state_dict": head}, file)
    with pytest.raises(ModelError, match="does not have the weights of this ResNet"):
        read_pose_project(project, words)
    file.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"res50_ap10k\.pth"):
        read_pose_project(project, words)
    file.unlink()
    with pytest.raises(LabelsError, match=r"there is no file res50_ap10k\.pth"):
        read_pose_project(project, words)


def test_default_is_no_augmentation_as_in_lightning_pose(project: Path) -> None:
    settings = read_pose_project(project, ["training.imgaug=default"]).settings(10)
    assert settings.augmentation == NO_CHANGE


def test_a_run_leaves_lightning_poses_tables_and_a_model_for_the_rig(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = [str(project), "--output", str(folder), "--quiet", "--overrides"]
    assert (
        TrainNetwork.main([*words, "model.losses_to_use=[temporal, pca_singleview]"])
        == 0
    )
    told = capsys.readouterr().out
    assert "keys without effect here: training.profiler" in told
    model = load_model_folder(folder)
    assert model.skeleton.bodyparts == ("leftear", "rightear")
    assert json.loads((folder / "model.json").read_text())["about"]["pictures"] == {
        "trained_on": 6, "held_out": 2
    }  # fmt: skip
    with (folder / "predictions.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[0] == ["scorer", *["heatmap_tracker"] * 6, "set"]
    assert rows[1][:4] == ["bodyparts", "leftear", "leftear", "leftear"]
    assert rows[2] == ["coords", *["x", "y", "likelihood"] * 2, ""]
    assert rows[3][0] == "clip0/img00.png"
    sets = read_sets(folder / "predictions.csv")
    assert sorted(sets.values()) == ["train"] * 6 + ["validation"] * 2
    with (folder / "predictions_pixel_error.csv").open(newline="") as lines:
        errors = list(csv.reader(lines))
    assert errors[0] == ["", "leftear", "rightear", "set"]
    away = np.hypot(*(float(rows[3][i]) - _label(project, i) for i in (1, 2)))
    assert float(errors[1][1]) == pytest.approx(away, rel=1e-3)
    for name in (
        "predictions_pca_singleview_error.csv", "CollectedData.csv", "config.yaml",
        "weights.pt", "reliability.csv", "checkpoints/last.ckpt",
    ):  # fmt: skip
        assert (folder / name).is_file(), name


@pytest.mark.parametrize("named", ["[rightear, leftear]", "null"])
def test_columns_of_pca_count_in_the_order_of_the_labels(
    project: Path, tmp_path: Path, named: str
) -> None:
    folder = tmp_path / "run"
    words = [str(project), "--output", str(folder), "--quiet", "--overrides"]
    words += ["training.max_epochs=1", f"data.keypoint_names={named}"]
    words += ["+data.columns_for_singleview_pca=[0]"]
    assert TrainNetwork.main(words) == 0
    poses = evaluate_network(folder, unpacked=tmp_path).poses
    assert poses.bodyparts == ("leftear", "rightear")
    assert (poses.single, poses.views) == ((0,), ((0,), (1,)))
    file = folder / "config.yaml"
    wrong = file.read_text("utf-8").replace("  - - 1\n", "  - - 7\n")
    assert wrong != file.read_text("utf-8")
    file.write_text(wrong, "utf-8")
    with pytest.raises(LabelsError, match="mirrored_column_matches: no column 7"):
        evaluate_network(folder, unpacked=tmp_path)


def _label(project: Path, column: int) -> float:
    lines = (project.parent / "CollectedData.csv").read_text().splitlines()
    return float(lines[3].split(",")[column])
