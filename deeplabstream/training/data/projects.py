"""Projects of Lightning Pose, DeepLabCut and SLEAP: labels and videos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.labels import Labels, LabelsError, read_labels

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v")
DLC_CONFIG = "config.yaml"


@dataclass(frozen=True, slots=True)
class Project:
    """Labels and videos of a project."""

    labels: Labels
    videos: tuple[Path, ...] = ()
    """Unlabelled videos."""


def open_project(path: Path, unpacked: Path, several: bool = False) -> Project:
    """Return the project at `path`.

    That is a folder with `CollectedData.csv` and `videos/` as Lightning Pose has it, the
    `.csv` itself, a DeepLabCut project (`config.yaml` and `labeled-data/`), or SLEAP's
    labels (`.slp`, `.pkg.slp`), whose images are written into the folder `unpacked`. With
    `several`, images may have several animals; otherwise LabelsError says that they have.
    """
    if path.suffix == ".slp" and path.is_file():
        from deeplabstream.training.data.sleap_packages import unpack_sleap

        skeleton, videos = unpack_sleap(path, unpacked)
        labels = read_labels(unpacked, several=True)
        if labels.animals > 1 and not several:
            raise LabelsError([_several(path)])
        return Project(replace(labels, skeleton=skeleton), videos)
    folder = path if path.is_dir() else path.parent
    config = folder / DLC_CONFIG
    if path.is_dir() and not list(path.glob("CollectedData*.csv")) and config.is_file():
        return _open_dlc(path, read_yaml(config), several)
    return Project(read_labels(path, several=several), find_videos(folder / "videos"))


def _several(path: Path) -> str:
    return f"{path} labels several animals; one per image is needed"


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
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a 13th month
        reason = " ".join(str(error).split())
        raise LabelsError([f"{file} is not valid YAML: {reason}"]) from error
    except Exception as error:  # from tags that do not fit what they stand before
        reason = f"{type(error).__name__}: {error}"
        raise LabelsError([f"{file} is not valid YAML: {reason}"]) from error
    if not isinstance(words, dict):
        raise LabelsError([f"{file} holds no settings"])
    return words


def _open_dlc(folder: Path, words: dict[str, Any], several: bool) -> Project:
    """Return a DeepLabCut project: all its clips as one table."""
    grouped = bool(words.get("multianimalproject"))
    if grouped and not several:
        raise LabelsError([_several(folder)])
    files = sorted(folder.glob("labeled-data/*/CollectedData*.csv"))
    tables = sorted(folder.glob("labeled-data/*/CollectedData*.h5"))
    told = {file.parent for file in files}
    files += [table for table in tables if table.parent not in told]
    if not files:
        raise LabelsError(
            [f"{folder} holds no labels: labeled-data/*/CollectedData_NAME.csv"]
        )
    parts: list[Labels] = []
    problems: list[str] = []
    for file in files:
        try:
            parts.append(read_labels(file, root=folder, several=several))
        except LabelsError as error:
            problems += error.problems
    scorer = str(words.get("scorer", ""))
    for clip in {file.parent for file in files}:
        own = [file.name for file in files if file.parent == clip]
        if len(own) > 1 and f"CollectedData_{scorer}.csv" in own:
            problems.append(f"{clip} holds the labels of several scorers: {own}")
    key = "multianimalbodyparts" if grouped else "bodyparts"
    listed = words.get(key)  # of several animals `bodyparts` says MULTI!
    names = tuple(str(name) for name in listed) if isinstance(listed, list) else ()
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
        (a, b) for a, b in _bones(folder / DLC_CONFIG, words) if {a, b} <= set(names)
    )
    labels = _joined(parts, Skeleton(names, bones))
    said = words.get("video_sets") or {}
    if not isinstance(said, dict | list):
        raise LabelsError(
            [f"{folder / DLC_CONFIG}: video_sets is {said!r}, and no list of videos"]
        )
    videos = [Path(str(video)) for video in said]
    there = tuple(
        video for video in videos if video.is_file() and video.suffix.lower() in VIDEOS
    )
    return Project(labels, there or find_videos(folder / "videos"))


def _bones(config: Path, words: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of body parts that `skeleton` names."""
    said = words.get("skeleton") or ()
    pairs = said if isinstance(said, list | tuple) else (said,)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise LabelsError(
                [f"{config}: skeleton holds {pair!r}, and not a pair of body parts"]
            )
    return [(str(a), str(b)) for a, b in pairs]


def _joined(parts: Sequence[Labels], skeleton: Skeleton) -> Labels:
    """Return all clips as one table, with as many animals as any of them has."""
    animals = max(part.animals for part in parts)
    count = len(skeleton.bodyparts)
    points, known = [], []
    for part in parts:
        order = part.skeleton.indices(skeleton.bodyparts)
        pictures = len(part.images)
        own = np.full((pictures, animals, count, 2), np.nan, np.float32)
        own[:, : part.animals] = part.points.reshape(pictures, -1, count, 2)[
            :, :, order
        ]
        told = np.ones((pictures, animals, count), np.bool_)
        told[:, : part.animals] = part.known.reshape(pictures, -1, count)[:, :, order]
        points.append(own.reshape(pictures, -1, 2))
        known.append(told.reshape(pictures, -1))
    return Labels(
        parts[0].file,
        skeleton,
        tuple(image for part in parts for image in part.images),
        np.concatenate(points),
        np.concatenate(known),
        tuple(name for part in parts for name in part.names),
        parts[0].root,
        animals,
    )


ALL = "all"
"""The set of images without a stated use."""


def read_label_sets(
    files: Sequence[Path], unpacked: Path
) -> tuple[Labels, tuple[str, ...]]:
    """Return all labels as one table, and the set of each image.

    Of several files the set is the file's name, of one it is `ALL`. LabelsError: they do
    not label the same body parts.
    """
    parts = [open_project(file, unpacked, several=True).labels for file in files]
    first = parts[0]
    for part in parts[1:]:
        same = part.skeleton.bodyparts == first.skeleton.bodyparts
        if not same or part.animals != first.animals:
            raise LabelsError(
                [f"{part.file} and {first.file} do not label the same body parts"]
            )
    names = [path.stem if path.is_file() else path.name for path in files]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.stem}" for path in files]
    if len(set(names)) < len(names):
        raise LabelsError(["two of the label files have the same name"])
    if len(parts) == 1:
        return first, (ALL,) * len(first.names)
    labels = replace(
        first,
        images=tuple(image for part in parts for image in part.images),
        points=np.concatenate([part.points for part in parts]),
        known=np.concatenate([part.known for part in parts]),
        names=tuple(name for part in parts for name in part.names),
    )
    counted = zip(names, parts, strict=True)
    return labels, tuple(name for name, part in counted for _ in part.names)
