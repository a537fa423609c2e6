"""Conversion of labels to projects of Lightning Pose and DeepLabCut, and to SLEAP's files."""

import shutil
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deeplabstream.files.overwriting import check_new
from deeplabstream.recording.exporters.slp import write_slp_labels
from deeplabstream.training.data.label_files import (
    with_visibility,
    write_dlc_video,
    write_labels,
)
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.projects import Project
from deeplabstream.video.video_reader import open_video

TABLE = "CollectedData.csv"
CONFIG = "config.yaml"

THEIR_TRAINING: dict[str, Any] = {
    "val_batch_size": 16,
    "test_batch_size": 16,
    "train_frames": 1,
    "num_gpus": 1,
    "log_every_n_steps": 10,
    "early_stopping": False,
    "rng_seed_data_pt": 0,
    "rng_seed_model_pt": 0,
}
"""Settings that Lightning Pose requires, with the values that are used here."""
THEIRS: dict[str, Any] = {
    "dali": {
        "base": {"train": {"sequence_length": 16}, "predict": {"sequence_length": 96}},
        "context": {"train": {"batch_size": 16}, "predict": {"sequence_length": 96}},
    },
    "losses": {
        "pca_multiview": {"log_weight": 5.0, "components_to_keep": 3, "epsilon": None},
        "pca_singleview": {
            "log_weight": 5.0, "components_to_keep": 0.99, "epsilon": None,
        },
        "temporal": {"log_weight": 5.0, "epsilon": 20.0, "prob_threshold": 0.05},
    },
    "callbacks": {
        "anneal_weight": {
            "attr_name": "total_unsupervised_importance",
            "init_val": 0.0,
            "increase_factor": 0.01,
            "final_val": 1.0,
            "freeze_until_epoch": 0,
        }
    },
    "eval": {
        "predict_vids_after_training": False,
        "save_vids_after_training": False,
        "test_videos_directory": None,
        "colormap": "cool",
        "confidence_thresh_for_vid": 0.9,
    },
}  # fmt: skip
"""Default sections of a Lightning Pose file; `losses_to_use=[temporal]` needs no others."""
_DEEPLABCUT: dict[str, Any] = {
    "start": 0, "stop": 1, "numframes2pick": 20,
    "skeleton_color": "black", "pcutoff": 0.6, "dotsize": 12, "alphavalue": 0.7,
    "colormap": "rainbow",
    "TrainingFraction": [0.95], "iteration": 0, "default_net_type": "resnet_50",
    "default_augmenter": "albumentations", "snapshotindex": -1, "batch_size": 8,
    "cropping": False, "x1": 0, "x2": 640, "y1": 277, "y2": 624,
    "corner2move2": [50, 50], "move2corner": True,
}  # fmt: skip
"""Settings that DeepLabCut requires, with its own values."""


def convert(project: Project, folder: Path, advice: dict[str, Any]) -> Path:
    """Write the project into `folder`, which must be new or empty; return its YAML file.

    Images and videos are copied. `advice` are settings by their dotted keys. LabelsError:
    there are several animals, or two files would get one name.
    """
    labels = project.labels
    if labels.animals > 1:
        raise LabelsError(["Lightning Pose projects have one animal per image"])
    check_new(folder)
    names, videos = _copied(project, folder)
    parts = labels.skeleton.bodyparts
    points = labels.points
    if not labels.known.all():
        points = with_visibility(points, labels.known)
    write_labels(folder / TABLE, "scorer", parts, names, points)
    places = {"data.data_dir": str(folder.resolve()), "data.csv_file": TABLE}
    places["data.video_dir"] = str(videos.resolve())
    return write_config(folder / CONFIG, parts, {**advice, **places})


def convert_animals(project: Project, folder: Path, scorer: str = "me") -> Path:
    """Write a project of several animals as DeepLabCut's; return its `config.yaml`.

    `folder` must be new or empty; images and videos are copied. Animals without names are
    animal1, animal2 and so on. LabelsError: two files would get one name.
    """
    import yaml

    labels = project.labels
    check_new(folder)
    names, videos = _copied(project, folder)
    parts = labels.skeleton.bodyparts
    individuals = labels.individuals or tuple(
        f"animal{number}" for number in range(1, labels.animals + 1)
    )
    for video in dict.fromkeys(name.rpartition("/")[0] for name in names):
        own = [n for n, name in enumerate(names) if name.rpartition("/")[0] == video]
        write_dlc_video(
            folder / video, scorer, parts, [names[n] for n in own],
            labels.points[own], individuals,
        )  # fmt: skip

    # The keys that DeepLabCut 2 and 3 read of a project of several animals.
    config = {
        "Task": folder.resolve().name,
        "scorer": scorer,
        "date": f"{datetime.now(UTC):%b%d}",
        "multianimalproject": True,
        "identity": False,
        "project_path": str(folder.resolve()),
        "engine": "pytorch",
        "video_sets": {
            str(videos.resolve() / video.name): {"crop": _whole_crop(video)}
            for video in project.videos
        },
        "individuals": list(individuals),
        "uniquebodyparts": [],
        "multianimalbodyparts": list(parts),
        "bodyparts": "MULTI!",
        "skeleton": [list(edge) for edge in labels.skeleton.edges],
        **deepcopy(_DEEPLABCUT),
    }
    file = folder / CONFIG
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    file.write_text(text, encoding="utf-8")
    return file


def convert_to_sleap(project: Project, file: Path) -> int:
    """Write the labels as SLEAP's file (`.slp`); return the number of frames with an animal.

    A package (`.pkg.slp`) contains the images, another file names them where they are.
    Animals with names become tracks. LabelsError: the file exists, or an image can't be read.
    """
    labels = project.labels
    if file.exists():
        raise LabelsError([f"{file} already exists; name another file"])
    shape = len(labels.images), -1, len(labels.skeleton.bodyparts), 2
    points = labels.points.reshape(shape)
    try:
        return write_slp_labels(
            file, labels.skeleton, points, labels.images, labels.individuals
        )
    except ValueError as error:
        raise LabelsError([str(error)]) from error


def _whole_crop(video: Path) -> str:
    """Return DeepLabCut's region of a video: all of its frames."""
    form = open_video(video).form
    return f"0, {form.width}, 0, {form.height}"


def _copied(project: Project, folder: Path) -> tuple[list[str], Path]:
    """Copy images and videos; return the images' new names and the folder of videos.

    LabelsError: two of them would get one name.
    """
    labels = project.labels
    names = [_place(file) for file in labels.images]
    if len(set(names)) < len(names):
        raise LabelsError(["two images have the same folder and name"])
    video_names = [video.name for video in project.videos]
    if twice := next((name for name in video_names if video_names.count(name) > 1), ""):
        raise LabelsError([f"two videos are named {twice}: give one another name"])
    for file, name in zip(labels.images, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    videos = folder / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    for video in project.videos:
        shutil.copyfile(video, videos / video.name)
    return names, videos


def write_config(
    file: Path, bodyparts: Sequence[str], settings: dict[str, Any]
) -> Path:
    """Write a project's YAML file, settings by their dotted keys, and return it."""
    import yaml

    config: dict[str, Any] = {
        "data": {
            "num_keypoints": len(bodyparts),
            "keypoint_names": list(bodyparts),
            "mirrored_column_matches": None,
            "columns_for_singleview_pca": None,
        },
        "training": {
            "imgaug": "dlc",
            "train_prob": 0.9,
            "val_prob": 0.1,
            "check_val_every_n_epoch": 5,
            "lr_scheduler": "multisteplr",
        },
        "model": {"model_type": "heatmap", "model_name": file.stem},
        **deepcopy(THEIRS),
    }
    config["training"] |= THEIR_TRAINING
    for key, value in settings.items():
        *path, last = key.split(".")
        place = config
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    if steps := config["training"].get("max_steps"):
        config["training"]["min_steps"] = steps
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    file.write_text(text, encoding="utf-8")
    return file


def _place(file: Path) -> str:
    return f"labeled-data/{file.parent.name}/{file.name}"
