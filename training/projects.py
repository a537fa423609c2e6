"""A lab's project as it is: Lightning Pose's, DeepLabCut's or SLEAP's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.pose import Skeleton
from training.labels import Labels, LabelsError, read_labels

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v")
DLC_CONFIG = "config.yaml"


@dataclass(frozen=True, slots=True)
class Project:
    """What there is to learn from."""

    labels: Labels
    videos: tuple[Path, ...] = ()
    """Unlabelled ones."""


def open_project(path: Path, unpacked: Path) -> Project:
    """Return the project at `path`.

    That is a folder with `CollectedData.csv` and `videos/` as Lightning Pose has it, the
    `.csv` itself, a DeepLabCut project (`config.yaml` and `labeled-data/`), or a SLEAP
    `.pkg.slp`, whose pictures are written into the folder `unpacked`.
    """
    if path.suffix == ".slp" and path.is_file():
        from training.sleap import unpack_sleap

        skeleton = unpack_sleap(path, unpacked)
        labels = read_labels(unpacked)
        return Project(replace(labels, skeleton=skeleton))
    folder = path if path.is_dir() else path.parent
    config = folder / DLC_CONFIG
    if path.is_dir() and not list(path.glob("CollectedData*.csv")) and config.is_file():
        return _open_dlc(path, read_yaml(config))
    return Project(read_labels(path), find_videos(folder / "videos"))


def find_videos(folder: Path) -> tuple[Path, ...]:
    """Return the videos of a folder, or the one file that `folder` is."""
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        return ()
    return tuple(f for f in sorted(folder.iterdir()) if f.suffix.lower() in VIDEOS)


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; LabelsError says why there is none."""
    import yaml

    try:
        words = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError([f"{file} can't be read: {error}"]) from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise LabelsError([f"{file} is no YAML: {reason}"]) from error
    if not isinstance(words, dict):
        raise LabelsError([f"{file} holds no settings"])
    return words


def _open_dlc(folder: Path, words: dict[str, Any]) -> Project:
    """Return a DeepLabCut project: all its clips as one table."""
    if words.get("multianimalproject"):
        raise LabelsError(
            [f"{folder} labels several animals; one per picture is needed"]
        )
    files = sorted(folder.glob("labeled-data/*/CollectedData*.csv"))
    if not files:
        raise LabelsError(
            [f"{folder} holds no labels: labeled-data/*/CollectedData_NAME.csv"]
        )
    parts: list[Labels] = []
    problems: list[str] = []
    for file in files:
        try:
            parts.append(read_labels(file, root=folder))
        except LabelsError as error:
            problems += error.problems
    scorer = str(words.get("scorer", ""))
    for clip in {file.parent for file in files}:
        own = [file.name for file in files if file.parent == clip]
        if len(own) > 1 and f"CollectedData_{scorer}.csv" in own:
            problems.append(f"{clip} holds the labels of several scorers: {own}")
    names = tuple(str(name) for name in words.get("bodyparts") or ())
    names = names or (parts[0].skeleton.bodyparts if parts else ())
    for part in parts:
        unlike = set(part.skeleton.bodyparts) ^ set(names)
        if unlike:
            problems.append(
                f"{part.file} and {DLC_CONFIG} do not name the same body parts: "
                + ", ".join(sorted(unlike))
            )
    if problems:
        raise LabelsError(problems)
    bones = tuple(
        (str(a), str(b))
        for a, b in words.get("skeleton") or ()
        if {str(a), str(b)} <= set(names)
    )
    labels = _joined(parts, Skeleton(names, bones))
    videos = [Path(str(video)) for video in words.get("video_sets") or {}]
    there = tuple(video for video in videos if video.is_file())
    return Project(labels, there or find_videos(folder / "videos"))


def _joined(parts: Sequence[Labels], skeleton: Skeleton) -> Labels:
    orders = [part.skeleton.indices(skeleton.bodyparts) for part in parts]
    pairs = list(zip(parts, orders, strict=True))
    return Labels(
        parts[0].file,
        skeleton,
        tuple(image for part in parts for image in part.images),
        np.concatenate([part.points[:, order] for part, order in pairs]),
        np.concatenate([part.known[:, order] for part, order in pairs]),
        tuple(name for part in parts for name in part.names),
        parts[0].root,
    )
