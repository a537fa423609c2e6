"""Projects of Lightning Pose, DeepLabCut, SLEAP and COCO: labels and videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import is_file
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.data.labels import (
    LABELED_DATA,
    TABLE,
    Labels,
    LabelsError,
    has_labels,
    other_images,
    read_labels,
)

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v")
YAML = (".yaml", ".yml")
COCO = ".json"
DLC_CONFIG = "config.yaml"
_MOST_NAMED = 20
"""Files that a message names."""


@dataclass(frozen=True, slots=True)
class Project:
    """Labels and videos of a project."""

    labels: Labels
    videos: tuple[Path, ...] = ()
    """Unlabelled videos."""


def open_project(path: Path, unpacked: Path, several: bool = False) -> Project:
    """Return the project at `path`.

    That is a folder with `CollectedData.csv` and `videos/` as Lightning Pose has it, the
    `.csv` itself, a DeepLabCut project (its folder, `config.yaml`, `labeled-data`; or one
    video in it), COCO's keypoints (`.json`), or SLEAP's labels (`.slp`, `.pkg.slp`, or a
    folder with one), whose images are written into the folder `unpacked`. With `several`,
    images may have several animals; otherwise LabelsError says that they have.
    """
    if (sleap := _sleap_file(path)) is not None:
        from deeplabstream.training.data.sleap_packages import unpack_sleap

        skeleton, videos = unpack_sleap(sleap, unpacked)
        labels = read_labels(unpacked, several=True)
        if labels.animals > 1 and not several:
            raise LabelsError([_several(sleap)])
        return Project(replace(labels, skeleton=skeleton), videos)
    if path.is_file() and path.suffix.lower() == COCO:
        return _open_coco(path, unpacked, several)
    if path.is_file() and path.suffix.lower() in YAML:
        config = read_yaml(path)
        if yaml_kind(config) != "deeplabcut":
            raise LabelsError([_other_yaml(path, config)])
        return _open_dlc(path.parent, config, several)
    folder = path if path.is_dir() else path.parent
    project, video = _dlc_project(folder)
    if path.is_dir() and project is not None:
        file = project / DLC_CONFIG
        config = read_yaml(file)
        if yaml_kind(config) in ("", "deeplabcut"):
            return _open_dlc(project, config, several, video or "*")
        if project == path:
            raise LabelsError([_other_yaml(file, config)])
    labels = read_labels(path, several=several, empty=project is None)
    return Project(
        _with_images(labels, labels.unlabelled), find_videos(folder / "videos")
    )


def _open_coco(path: Path, unpacked: Path, several: bool) -> Project:
    from deeplabstream.training.data.coco_labels import convert_coco

    table = unpacked / f"{TABLE}.csv"
    skeleton, root = convert_coco(path, table)
    labels = read_labels(table, root=root, several=True)
    if labels.animals > 1 and not several:
        raise LabelsError([_several(path)])
    return Project(replace(labels, skeleton=skeleton))


def _with_images(labels: Labels, unlabelled: int) -> Labels:
    """Return the labels; LabelsError: all frames of a DeepLabCut project are unlabelled."""
    if labels.images:
        return labels
    raise LabelsError(
        [
            f"{labels.file}: none of {unlabelled} extracted frames is labelled. Label them in "
            "DeepLabCut, or on the page Network of the window"
        ]
    )


def _sleap_file(path: Path) -> Path | None:
    """Return the SLEAP file at `path`, or the only one in this folder."""
    if path.is_file():
        return path if path.suffix.lower() == ".slp" else None
    found = sorted(path.glob("*.slp"))
    if not found or has_labels(path) or (path / DLC_CONFIG).is_file():
        return None
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED} more" * (len(found) > _MOST_NAMED)
        raise LabelsError(
            [f"{path} holds {len(found)} files of SLEAP: name one ({names}{more})"]
        )
    return found[0]


def _dlc_project(folder: Path) -> tuple[Path | None, str]:
    """Return the DeepLabCut project of a folder or its parent, and the video."""
    inside = folder.resolve()
    if (
        inside.parent.name == LABELED_DATA
        and (inside.parents[1] / DLC_CONFIG).is_file()
    ):
        return inside.parents[1], folder.resolve().name
    if has_labels(folder):
        return None, ""
    for project in (folder, inside.parent if inside.name == LABELED_DATA else folder):
        if (project / DLC_CONFIG).is_file():
            return project, ""
    return None, ""


def yaml_kind(config: Mapping[str, Any]) -> str:
    """Return the program of a YAML file, in lower case; empty: unknown."""
    if "data_config" in config and "model_config" in config:
        return "sleap-nn"
    if isinstance(config.get("data"), dict) and {"training", "model"} & set(config):
        return "lightning pose"
    if {"bodyparts", "multianimalbodyparts", "video_sets"} & set(config):
        return "deeplabcut"
    if "net_type" in config or "all_joints_names" in config:
        return "deeplabcut network"
    return ""


def pose_config_at(path: Path, folders: bool) -> Path | None:
    """Return the Lightning Pose configuration that `path` is; None: it holds labels.

    With `folders`, `config.yaml` of a folder counts. A YAML file of an unknown program is
    read as a configuration: the reader names the missing keys.
    """
    file = path / DLC_CONFIG if folders and path.is_dir() else path
    if file.suffix.lower() not in YAML or path.is_dir() > file.is_file():
        return None
    known = yaml_kind(read_yaml(file))
    return file if known == "lightning pose" or (not known and file == path) else None


def _other_yaml(file: Path, config: Mapping[str, Any]) -> str:
    """Return the kind of a YAML file without labels, and the file to use instead."""
    kind = yaml_kind(config)
    if kind == "lightning pose":
        return (
            f"{file} is a Lightning Pose configuration: train with python "
            f"utils/TrainNetwork.py {quoted(file)}, or name the file of its labels (.csv)"
        )
    if kind == "sleap-nn":
        given = config["data_config"]
        files = given.get("train_labels_path") if isinstance(given, dict) else None
        named = ", ".join(map(str, files)) if isinstance(files, list) else ""
        named = named or "a .slp file"
        return f"{file} is a SLEAP-NN configuration; name the labels instead: {named}"
    if kind == "deeplabcut network":
        return (
            f"{file} describes a network of DeepLabCut; name the project folder, with "
            f"{DLC_CONFIG} and {LABELED_DATA}, instead"
        )
    return f"{file} is not a configuration of DeepLabCut or Lightning Pose"


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
    """Return the mapping in a YAML file; LabelsError: it has none, or can't be read."""
    import yaml

    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError([f"{file} can't be read: {error}"]) from error
    # for example month 13
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise LabelsError([f"{file} is not valid YAML: {reason}"]) from error
    except Exception as error:  # tags that do not match their values
        reason = f"{type(error).__name__}: {error}"
        raise LabelsError([f"{file} is not valid YAML: {reason}"]) from error
    if not isinstance(config, dict):
        raise LabelsError([f"{file} holds no settings"])
    return config


def _open_dlc(
    folder: Path, config: dict[str, Any], several: bool, video: str = "*"
) -> Project:
    """Return a DeepLabCut project: all its clips, or those of one video, as one table.

    Frames without any label are left out, as DeepLabCut does.
    """
    grouped = bool(config.get("multianimalproject"))
    if grouped and not several:
        raise LabelsError([_several(folder)])
    clips = sorted((folder / LABELED_DATA).glob("*"))
    clips = [clip for clip in clips if video in ("*", clip.name)]
    files = [file for clip in clips for file in sorted(clip.glob(f"{TABLE}*.csv"))]
    tables = [file for clip in clips for file in sorted(clip.glob(f"{TABLE}*.h5"))]
    with_csv = {file.parent for file in files}
    files += [table for table in tables if table.parent not in with_csv]
    if not files:
        raise LabelsError(
            [
                f"{folder} holds no labels: {LABELED_DATA}/{video}/{TABLE}_NAME.csv. Label "
                "frames in DeepLabCut, or on the page Network of the window"
            ]
        )
    parts: list[Labels] = []
    problems: list[str] = []
    scorer = str(config.get("scorer", ""))
    # Several tables of a clip are either second labels of the same images, or labels of
    # different images by several scorers. Of second labels, those of the project's
    # scorer are used.
    for clip in {file.parent for file in files}:
        of_clip = [file for file in files if file.parent == clip]
        first = clip / f"{TABLE}_{scorer}.csv"
        if len(of_clip) == 1 or first not in of_clip:
            continue
        if other_images(first, of_clip):
            names = [file.name for file in of_clip]
            problems.append(f"{clip} holds the labels of several scorers: {names}")
        else:
            files = [file for file in files if file == first or file not in of_clip]

    for file in files:
        try:
            parts.append(read_labels(file, root=folder, several=several, empty=False))
        except LabelsError as error:
            problems += error.problems
    bodyparts = body_parts(folder / DLC_CONFIG, config)
    bodyparts = bodyparts or (parts[0].skeleton.bodyparts if parts else ())
    for part in parts:
        unlike = set(part.skeleton.bodyparts) ^ set(bodyparts)
        if unlike:
            problems.append(
                f"{part.file} and {DLC_CONFIG} do not name the same body parts: "
                + ", ".join(sorted(unlike))
            )
    if problems:
        raise LabelsError(problems)
    edges = tuple(
        (a, b)
        for a, b in _edges(folder / DLC_CONFIG, config)
        if {a, b} <= set(bodyparts)
    )

    unlabelled = sum(part.unlabelled for part in parts)
    _with_images(max(parts, key=lambda part: len(part.images)), unlabelled)
    labelled = [part for part in parts if part.images]
    labels = replace(
        _joined(labelled, Skeleton(bodyparts, edges)), unlabelled=unlabelled
    )
    # Paths in `video_sets` are often those of another computer.
    listed = config.get("video_sets") or {}
    if not isinstance(listed, dict | list):
        raise LabelsError(
            [f"{folder / DLC_CONFIG}: video_sets is {listed!r}, and no list of videos"]
        )
    videos = [Path(str(video)) for video in listed]
    existing = tuple(
        video for video in videos if is_file(video) and video.suffix.lower() in VIDEOS
    )
    return Project(labels, existing or find_videos(folder / "videos"))


def body_parts(file: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the body parts of a DeepLabCut project's file; empty: it names none."""
    grouped = bool(config.get("multianimalproject"))
    key = "multianimalbodyparts" if grouped else "bodyparts"
    names = listed_names(config, key)  # with several animals `bodyparts` holds MULTI!
    if len(set(names)) < len(names):
        raise LabelsError([f"{file}: {key} names a body part twice"])
    return names


def listed_names(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the names that a project's file lists under a key; empty: none."""
    listed = config.get(key)
    return tuple(str(name) for name in listed) if isinstance(listed, list) else ()


def _edges(file: Path, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of body parts that `skeleton` names."""
    listed = config.get("skeleton") or ()
    pairs = listed if isinstance(listed, list | tuple) else (listed,)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise LabelsError(
                [f"{file}: skeleton holds {pair!r}, and not a pair of body parts"]
            )
    return [(str(a), str(b)) for a, b in pairs]


def _joined(parts: Sequence[Labels], skeleton: Skeleton) -> Labels:
    """Return all clips as one table, with as many animals as any of them has.

    Each animal has the same place in all clips where they name the same animals.
    """
    animals = max(part.animals for part in parts)
    individuals = max((part.individuals for part in parts), key=len)
    points, known = [], []
    for part in parts:
        part_points, part_known = arranged(
            part, skeleton.bodyparts, individuals, animals
        )
        points.append(part_points)
        known.append(part_known)
    return Labels(
        parts[0].file,
        skeleton,
        tuple(image for part in parts for image in part.images),
        np.concatenate(points),
        np.concatenate(known),
        tuple(name for part in parts for name in part.names),
        parts[0].root,
        animals,
        individuals,
        tuple(dict.fromkeys(name for part in parts for name in part.left_out)),
        len(parts),
    )


def arranged(
    labels: Labels, bodyparts: Sequence[str], individuals: Sequence[str], animals: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return points and their known flags in another order of body parts.

    Animals are placed by name, or in their order where `individuals` lack a name.

    Parameters
    ----------
    labels
        With these body parts, perhaps in another order; others are left out.
    bodyparts, individuals
        The names wanted, in their order.
    animals
        Room for animals; at least as many as the labels have.

    Returns
    -------
    points
        (image, animal · bodypart, 2), px; NaN: not labelled.
    known
        (image, animal · bodypart).
    """
    images, count = len(labels.images), len(labels.skeleton.bodyparts)
    rows = list(range(labels.animals))
    if labels.individuals and set(labels.individuals) <= set(individuals):
        rows = [individuals.index(name) for name in labels.individuals]

    pairs = [
        (place, labels.skeleton.bodyparts.index(name))
        for place, name in enumerate(bodyparts)
        if name in labels.skeleton.bodyparts
    ]

    into, out = ([pair[n] for pair in pairs] for n in (0, 1))
    points = np.full((images, animals, len(bodyparts), 2), np.nan, np.float32)
    known = np.ones((images, animals, len(bodyparts)), np.bool_)
    places = np.ix_(range(images), rows, into)
    taken = np.ix_(range(images), range(len(rows)), out)
    points[places] = labels.points.reshape(images, -1, count, 2)[taken]
    known[places] = labels.known.reshape(images, -1, count)[taken]
    return points.reshape(images, -1, 2), known.reshape(images, -1)


ALL = "all"
"""The set of images without a stated use."""


def read_label_sets(
    files: Sequence[Path], unpacked: Path
) -> tuple[Labels, tuple[str, ...]]:
    """Return all labels as one table, and the set of each image.

    Of several files the set is the file's name, of one it is `ALL`. Images of SLEAP's files
    are written into `unpacked`, those of each file into a folder of its own. LabelsError:
    they do not label the same body parts.
    """
    parts = [
        open_project(file, unpacked / str(number), several=True).labels
        for number, file in enumerate(files)
    ]
    first = parts[0]
    for part in parts[1:]:
        same = part.skeleton.bodyparts == first.skeleton.bodyparts
        if not same or part.animals != first.animals:
            raise LabelsError(
                [f"{part.file} and {first.file} do not label the same body parts"]
            )

    # Tables often have the same name in different folders.
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
