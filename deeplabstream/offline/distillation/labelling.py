"""Labels from a teacher: frames of videos are selected, labelled, and written as a label folder."""

import csv
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.checked_points import frame_numbers
from deeplabstream.offline.distillation.agreement import Agreement, agreement
from deeplabstream.offline.distillation.teacher import Teacher, Teachers
from deeplabstream.offline.frame_selection import (
    candidates,
    image_path,
    pick,
    write_images,
)
from deeplabstream.offline.video_inference import PartialRows
from deeplabstream.startup.progress import progress
from deeplabstream.training.data.dataset import split
from deeplabstream.training.data.label_files import with_visibility, write_labels
from deeplabstream.training.data.labels import LABELED_DATA, TABLE, Labels
from deeplabstream.training.data.projects import open_project
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.video_reader import VideoCursor, VideoReader

ORIGINS = "origins.csv"
"""File with the source of each image's labels, and the spread of the predictions."""
LABELS, HELD_OUT, HAND = f"{TABLE}.csv", f"{TABLE}_test.csv", f"{TABLE}_new.csv"
"""Label files: training; held-out frames of the teacher; held-out manual labels."""
LOOKED_AT = 1.5
"""Frames that the teacher predicts per selected frame."""
KEPT_AWAY = 5
"""Frames around a manually labelled one that are not labelled."""
FEWEST = 10
"""Fewest usable frames for training a student."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Frames of one video that the teacher labelled."""

    rows: VideoReader
    chosen: NDArray[np.int64]
    """Frame numbers, growing."""
    points: NDArray[np.float32]
    """(frame, body part, 2), px; NaN: not visible, or unknown."""
    known: NDArray[np.bool_]
    """(frame, body part)"""
    apart_px: NDArray[np.float64]
    """(frame, body part)"""

    def names(self) -> list[str]:
        """Return the names of the images, relative to the label folder."""
        folder = Path(LABELED_DATA, self.rows.path.stem)
        return [
            image_path(self.rows, row, folder).as_posix()
            for row in self.chosen.tolist()
        ]


def label_video(
    rows: VideoReader,
    teacher: Teacher,
    count: int,
    agree_px: float,
    seed: int,
    apart: NDArray[np.int64],
    hand: Labels | None,
    partial: Path,
    report: Callable[[str], object],
) -> Labelled:
    """Return `count` frames of a video on which the teacher's predictions agree.

    More than `count` frames that look different are shown to the teacher; of those on which it
    agrees, `count` of different postures are kept. Frames near those in `apart` are left out.
    Predictions are stored in `partial`: a repeated command continues there.
    """
    near = (apart[:, None] + np.arange(-KEPT_AWAY, KEPT_AWAY + 1)).ravel()
    free = np.setdiff1d(candidates(rows), near)
    if not len(free):
        raise DeepLabStreamError(
            f"{rows.path}: every frame is within {KEPT_AWAY} frames of one with points placed "
            "by hand (--check, or held out of --labels); no frame is left to label"
        )
    looked_at = pick(rows, round(LOOKED_AT * count), seed, free)
    opinions = _opinions(rows, looked_at, teacher, partial)
    thresholds = np.array([network.threshold for network in teacher.networks])
    labels = None if hand is None else _of_parts(hand, teacher.skeleton)
    found = agreement(opinions, thresholds, teacher.skeleton, agree_px, labels)
    chosen = _chosen(rows, looked_at, found, count, seed)
    _report(rows, looked_at, found, len(chosen), report)
    places = np.searchsorted(looked_at, chosen)
    return Labelled(
        rows,
        chosen,
        found.points[places],
        found.known[places],
        found.apart_px[places],
    )


def _opinions(
    rows: VideoReader, chosen: NDArray[np.int64], teacher: Teacher, partial: Path
) -> NDArray[np.float32]:
    """Return (frame, network, view, body part, 3); a frame without an image is NaN."""
    facts = {
        "video": list(map(str, rows.identity)),
        "teacher": teacher.sha256,
        "frames": chosen.tolist(),
    }
    cursor = VideoCursor(rows)
    last = len(rows) - 1
    with PartialRows(partial, facts, teacher.shape) as kept:
        left = chosen[kept.rows :].tolist()
        for row in progress(left, f"labelling {rows.path.name}", len(left)):
            beside = [cursor.read(max(0, row - 1)), cursor.read(row)]
            beside.append(cursor.read(min(last, row + 1)))
            before, image, after = (
                None if image.image is None or image.damaged else as_bgr(image.image)
                for image in beside
            )
            opinions = np.full(teacher.shape, np.nan, np.float32)
            if image is not None:
                opinions = teacher.look(
                    image, before if row else None, after if row < last else None
                )
            kept.append(opinions[None])
        values = kept.read().copy()
    cursor.close()
    return values


def _chosen(
    rows: VideoReader,
    looked_at: NDArray[np.int64],
    found: Agreement,
    count: int,
    seed: int,
) -> NDArray[np.int64]:
    """Return the rows to label: of different postures, among those that are usable."""
    points = np.full((len(rows), 1, *found.points.shape[1:]), np.nan)
    points[looked_at, 0] = found.points
    return pick(rows, count, seed, looked_at[found.usable], points)


def _report(
    rows: VideoReader,
    looked_at: NDArray[np.int64],
    found: Agreement,
    chosen: int,
    report: Callable[[str], object],
) -> None:
    rejected = [f"{why} {n}" for why, n in found.rejected.items() if n]
    report(
        f"{rows.path.name}: {chosen} frames labelled of {len(looked_at)} looked at; "
        f"{int((~found.known).sum())} of {found.known.size} points unknown"
        f"{' (' + ', '.join(rejected) + ')' if rejected else ''}"
    )
    for view, usual in found.unused.items():
        report(
            f"{rows.path.name}: copies {view!r} are not compared: the teacher finds most "
            f"points {usual:.1f} px elsewhere in them"
        )


def _of_parts(labels: Labels, skeleton: Skeleton) -> NDArray[np.float32]:
    """Return the points (image, body part, 2) in the skeleton's order; NaN for missing."""
    own = labels.skeleton.bodyparts
    points = np.full(
        (len(labels.images), len(skeleton.bodyparts), 2), np.nan, np.float32
    )
    for place, name in enumerate(skeleton.bodyparts):
        if name in own:
            points[:, place] = labels.points[:, own.index(name)]
    return points


def read_hand_labels(path: Path, skeleton: Skeleton, unpacked: Path) -> Labels:
    """Return labels made by hand; DeepLabStreamError: they share no body part."""
    labels = open_project(path, unpacked).labels
    if not set(labels.skeleton.bodyparts) & set(skeleton.bodyparts):
        raise DeepLabStreamError(
            f"--labels {path}: its body parts are {', '.join(labels.skeleton.bodyparts)}, "
            f"the teacher's {', '.join(skeleton.bodyparts)}"
        )
    return labels


def held_out_frames(
    hand: Labels, video: Path, held_out: float, seed: int
) -> NDArray[np.int64]:
    """Return the frames of a video with manual labels that are only used for measurements.

    The folder of an image is the name of its video, and its name ends with the frame's
    number. LabelsError: a name in that folder does not.
    """
    parted = split(_hand_names(hand), held_out, seed)
    own = [at for at in parted.validation if hand.images[at].parent.name == video.stem]
    return np.array(frame_numbers(hand.of_images(own)), np.int64)


def _hand_names(hand: Labels) -> list[Path]:
    """Return the names of copied images, relative to the label folder."""
    return [
        Path(LABELED_DATA, f"hand_{image.parent.name}", image.name)
        for image in hand.images
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of a table of labels."""

    names: list[str]
    points: NDArray[np.float32]
    known: NDArray[np.bool_]
    origins: list[list[object]]

    @property
    def cells(self) -> NDArray[np.float32]:
        """(image, body part, 3): x, y, and 0 unknown, 1 not visible, 2 visible."""
        return with_visibility(self.points, self.known)


def write_label_folder(
    folder: Path,
    teachers: Teachers,
    videos: Sequence[Labelled],
    hand: Labels | None,
    held_out: float,
    seed: int,
) -> dict[str, int]:
    """Write images, labels and origins; return the number of images by table.

    Labels made by hand are copied and mixed with those of the teacher. The held-out frames
    of both are in tables of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = teachers.skeleton.bodyparts
    for video in videos:
        write_images(
            video.rows, video.chosen, folder / LABELED_DATA / video.rows.path.stem
        )
    own = [_rows_of(video, teachers, folder) for video in videos]
    taught = _joined(own, len(parts))
    if len(taught.names) < FEWEST:
        raise DeepLabStreamError(
            f"the teacher agrees with itself in {len(taught.names)} frames; "
            f"{FEWEST} are needed at least: use other videos, another teacher, or a larger "
            "--agree"
        )
    by_hand = _hand_rows(hand, teachers, folder)
    tables: dict[str, list[tuple[_Rows, Sequence[int]]]] = {LABELS: []}
    for rows, table in ((taught, HELD_OUT), (by_hand, HAND)):
        if rows.names:
            parted = split([PurePath(name) for name in rows.names], held_out, seed)
            tables[LABELS].append((rows, parted.train))
            tables[table] = [(rows, parted.validation)]
    scorer = f"{teachers.name} (network)" if hand is None else "network and hand"
    counts, origins = {}, []
    for table, pieces in tables.items():
        picked = _joined([_taken(rows, at) for rows, at in pieces], len(parts))
        write_labels(folder / table, scorer, parts, picked.names, picked.cells)
        counts[table] = len(picked.names)
        origins += [[*row, table] for row in picked.origins]
    with (
        atomic_file(folder / ORIGINS) as making,
        making.open("w", encoding="utf-8", newline="") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["image", "origin", "labelled by", "apart_px", "table"])
        lines.writerows(origins)
    return counts


def _rows_of(video: Labelled, teachers: Teachers, folder: Path) -> _Rows:
    names = video.names()
    existing = [place for place, name in enumerate(names) if (folder / name).is_file()]
    teacher = teachers.of(video.rows.path)
    origins: list[list[object]] = []
    for place in existing:
        apart = video.apart_px[place]
        apart = apart[np.isfinite(apart)]
        most = f"{apart.max():.2f}" if len(apart) else ""
        who = f"{teacher.name} {teacher.sha256[:8]}"
        origins.append([names[place], "network", who, most])
    return _Rows(
        [names[place] for place in existing],
        video.points[existing],
        video.known[existing],
        origins,
    )


def _hand_rows(hand: Labels | None, teachers: Teachers, folder: Path) -> _Rows:
    """Return the rows of labels made by hand, whose images are copied."""
    parts = teachers.skeleton.bodyparts
    if hand is None:
        return _joined([], len(parts))
    names = []
    for image, name in zip(hand.images, _hand_names(hand), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / name).is_file():
            shutil.copyfile(image, folder / name)
        names.append(name.as_posix())
    double = [name for name, times in Counter(names).items() if times > 1]
    if double:
        raise DeepLabStreamError(
            f"--labels {hand.file}: two images are called {'/'.join(double[0].split('/')[1:])}"
        )
    known = np.zeros((len(names), len(parts)), np.bool_)
    for place, part in enumerate(parts):
        if part in hand.skeleton.bodyparts:
            known[:, place] = hand.known[:, hand.skeleton.bodyparts.index(part)]
    points = _of_parts(hand, teachers.skeleton)
    origins: list[list[object]] = [[name, "hand", hand.file.name, ""] for name in names]
    return _Rows(names, points, known, origins)


def _joined(rows: Sequence[_Rows], parts: int) -> _Rows:
    return _Rows(
        [name for part in rows for name in part.names],
        np.concatenate(
            [np.empty((0, parts, 2), np.float32), *(e.points for e in rows)]
        ),
        np.concatenate(
            [np.empty((0, parts), np.bool_), *(part.known for part in rows)]
        ),
        [row for part in rows for row in part.origins],
    )


def _taken(rows: _Rows, places: Sequence[int]) -> _Rows:
    at = list(places)
    return _Rows(
        [rows.names[n] for n in at],
        rows.points[at],
        rows.known[at],
        [rows.origins[n] for n in at],
    )


def facts_of(videos: Mapping[Path, VideoReader]) -> list[list[object]]:
    """Return data that identify the videos."""
    return [
        [path.name, path.stat().st_size, len(rows)] for path, rows in videos.items()
    ]
