"""DeepLabCut's and SLEAP's projects as Lightning Pose has them: a folder and a YAML file."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.behaviours import check_new
from training.label_files import write_labels
from training.labels import LabelsError
from training.projects import Project

TABLE = "CollectedData.csv"
CONFIG = "config.yaml"


def convert(project: Project, folder: Path, advice: dict[str, Any]) -> Path:
    """Write the project into `folder`, which must be new or empty; return its YAML file.

    Pictures and videos are copied. `advice` are settings by their dotted keys.
    """
    labels = project.labels
    if labels.animals > 1:
        raise LabelsError(["Lightning Pose's projects have one animal in each picture"])
    check_new(folder)
    names = [_place(file) for file in labels.images]
    if len(set(names)) < len(names):
        raise LabelsError(["two pictures have the same folder and name"])
    for file, name in zip(labels.images, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    videos = folder / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    for video in project.videos:
        shutil.copyfile(video, videos / video.name)
    parts = labels.skeleton.bodyparts
    write_labels(folder / TABLE, "scorer", parts, names, labels.points)
    places = {"data.data_dir": str(folder.resolve()), "data.csv_file": TABLE}
    places["data.video_dir"] = str(videos.resolve())
    return write_config(folder / CONFIG, parts, {**advice, **places})


def write_config(
    file: Path, bodyparts: Sequence[str], settings: dict[str, Any]
) -> Path:
    """Write a project's YAML file, settings by their dotted keys, and return it."""
    import yaml

    words: dict[str, Any] = {
        "data": {
            "num_keypoints": len(bodyparts),
            "keypoint_names": list(bodyparts),
            "mirrored_column_matches": None,
            "columns_for_singleview_pca": None,
        },
        "training": {"imgaug": "dlc", "train_prob": 0.9, "val_prob": 0.1},
        "model": {"model_type": "heatmap"},
    }
    for key, value in settings.items():
        *path, last = key.split(".")
        place = words
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    text = yaml.safe_dump(words, sort_keys=False, allow_unicode=True)
    file.write_text(text, encoding="utf-8")
    return file


def _place(file: Path) -> str:
    return f"labeled-data/{file.parent.name}/{file.name}"
