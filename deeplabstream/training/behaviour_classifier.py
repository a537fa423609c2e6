"""Training of a behaviour classifier from poses and labelled intervals.

scikit-learn fits it and skl2onnx writes it; using the classifier needs neither.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.core.pose import Pose
from deeplabstream.files.delimited_text import read_delimited
from deeplabstream.pose.behaviour.classifier import open_model
from deeplabstream.pose.behaviour.classifier_folder import (
    MODEL,
    ClassifierFolder,
    load_classifier_folder,
    save_classifier,
)
from deeplabstream.pose.behaviour.pose_features import FeatureSet, FeatureWindow
from deeplabstream.pose.model.model_folder import network_hash
from deeplabstream.recording.exporters.boris import MODIFIER, NO_SUBJECT, SUBJECT
from deeplabstream.recording.recorded_frames import read_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import IMPORTED
from deeplabstream.video.video_reader import open_video

_COLUMNS = (
    ("start_s", "end_s", "behaviour"),
    ("Start (s)", "Stop (s)", "Behavior"),
)
"""Columns for start, end and behaviour in the program's own tables, and in those of BORIS."""
_POINT = "POINT"
"""BORIS' events without duration."""
_PAIR_COLUMNS = ("actor", "target")
"""Optional columns of the program's own tables."""
LARGEST_ERROR = 1e-4
"""Largest difference of the written classifier's probabilities to scikit-learn's."""


@dataclass(frozen=True, slots=True)
class BehaviourInterval:
    """A behaviour of an animal, or of a pair, from one time to another, in seconds."""

    start_s: float
    end_s: float
    behaviour: str
    actor: str = ""
    """Name of the animal that acts; empty: not given."""
    target: str = ""
    """Name of the animal at which the behaviour is directed; empty: not given."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Moments with a known behaviour."""

    numbers: NDArray[np.float32]
    """(example, feature)."""
    behaviours: NDArray[np.str_]
    """(example,)."""
    times_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times_s)


def read_intervals(
    file: Path, run: RunFolder | None = None, camera: str = "", pairs: bool = False
) -> list[BehaviourInterval]:
    """Read a table with the columns start_s, end_s and behaviour, or aggregated events of BORIS.

    The table may also have the columns actor and target. Of BORIS, state events are read; point
    events have no duration and are left out. Its times count from the start of the video; with
    `run` they become times of the run, by the frames of the camera's video. With `pairs`, its
    subjects are the actors, and the first modifiers their targets; behaviours of a subject
    without a target are of no pair and are left out.
    DeepLabStreamError: it is another table, holds several observations or, without `pairs`,
    subjects, or the run has not one video of the camera.
    """
    try:
        rows = read_delimited(file).rows()
    except OSError as error:
        raise DeepLabStreamError(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise DeepLabStreamError(f"{file} can't be read: {error}") from error

    head = [word.strip() for word in rows[0]] if rows else []
    columns = next((names for names in _COLUMNS if set(names) <= set(head)), None)
    if columns is None:
        raise DeepLabStreamError(
            f"{file} needs the columns {', '.join(_COLUMNS[0])} in its first line, or those "
            f"of BORIS' aggregated events: {', '.join(_COLUMNS[1])}"
        )

    # Rows keep their line numbers in the file, for the messages.
    numbered = (
        (number, dict(zip(head, row, strict=False)))
        for number, row in enumerate(rows[1:], 2)
    )
    named = [
        (number, row)
        for number, row in numbered
        if row.get("Behavior type", "").strip().upper() != _POINT
    ]

    is_of_boris = columns == _COLUMNS[1]
    if is_of_boris and pairs:
        named = [(number, row) for number, row in named if not _is_of_one(row)]

    # Times of several videos, or behaviours of several animals, can't be separated later.
    single = ("Observation id",) if pairs else ("Observation id", SUBJECT)
    for name in single if is_of_boris else ():
        values = sorted({row.get(name, "") for _, row in named})
        if len(values) > 1:
            raise DeepLabStreamError(
                f"{file} has several values of {name} ({', '.join(values)}): export one"
            )
    of_pair = (SUBJECT, MODIFIER) if is_of_boris else _PAIR_COLUMNS
    with_pair = columns if is_of_boris and not pairs else (*columns, *of_pair)
    found = [
        _interval(file, number, [row.get(name, "").strip() for name in with_pair])
        for number, row in named
    ]

    if run is None or not is_of_boris:
        return found
    clock = _video_clock(run, camera)
    return [
        replace(
            interval,
            start_s=float(np.interp(interval.start_s, *clock)),
            end_s=float(np.interp(interval.end_s, *clock)),
        )
        for interval in found
    ]


def _video_clock(
    run: RunFolder, camera: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the times (frame,) of the frames of a video, s: in the video, and in the run."""
    frames = read_frames(run, camera)
    imported = run.facts.get(IMPORTED)
    if isinstance(imported, Mapping):  # its video may be played at another frame rate
        own = imported.get("file")
        file = run.path / own if own else Path(imported["video"])
        played_s = open_video(file).times_ns[: len(frames)] / 1e9
        return played_s, frames.times_s[: len(played_s)]
    videos = [str(name) for name in frames.rows["video"].unique() if name]
    if len(videos) != 1:
        raise DeepLabStreamError(
            f"{run.path} has {len(videos)} videos of the camera {camera}, and times of "
            "BORIS count from the start of one video: give a table with the columns "
            f"{', '.join(_COLUMNS[0])}, with time_s of {run.table_path(camera).name}"
        )
    times_s = frames.of_video(videos[0]).times_s
    return times_s - times_s[:1], times_s


def _is_of_one(row: Mapping[str, str]) -> bool:
    """Return whether a row of BORIS has a subject and no target."""
    subject = row.get(SUBJECT, "").strip()
    return subject not in ("", NO_SUBJECT) and not row.get(MODIFIER, "").strip()


def _interval(file: Path, line: int, cells: Sequence[str]) -> BehaviourInterval:
    try:
        start_s, end_s = float(cells[0]), float(cells[1])
    except ValueError:
        raise DeepLabStreamError(
            f"{file}, line {line}: expected start and end in seconds"
        ) from None
    if not (start_s < end_s and cells[2]):
        raise DeepLabStreamError(
            f"{file}, line {line}: expected the start below the end, and a behaviour"
        )
    actor, target = cells[3:] or ("", "")
    actor = "" if actor == NO_SUBJECT else actor
    if bool(actor) != bool(target):
        raise DeepLabStreamError(
            f"{file}, line {line}: expected an actor and a target, or neither"
        )
    return BehaviourInterval(start_s, end_s, cells[2], actor, target)


def intervals_of_pair(
    intervals: Sequence[BehaviourInterval], actor: str, target: str
) -> list[BehaviourInterval]:
    """Return the intervals of one directed pair.

    Those without actor and target are of all pairs, and come last: they describe the moments
    at which the pair has no interval of its own.
    """
    own = [it for it in intervals if (it.actor, it.target) == (actor, target)]
    return own + [it for it in intervals if not it.actor]


def examples(
    poses: Iterable[tuple[float, Pose | None]],
    intervals: Sequence[BehaviourInterval],
    features: FeatureSet,
) -> Examples:
    """Return the moments inside the intervals, with features as in a running session.

    `poses` are those of an animal or of a pair; None: the identity is unknown. Of intervals
    that overlap, the first counts.

    A frame is part of an interval when most of its window is in it: for half a
    window after a behaviour began, the window shows mostly the one before.
    """
    window = FeatureWindow(features)
    numbers, names, times = [], [], []
    for time_s, pose in poses:
        if pose is None:
            window.reset()
            continue
        found = window.update(pose, time_s)
        middle_s = time_s - features.window_s / 2
        name = next(
            (
                interval.behaviour
                for interval in intervals
                if interval.start_s <= middle_s < interval.end_s
            ),
            None,
        )
        if found is not None and name is not None:
            numbers.append(found)
            names.append(name)
            times.append(time_s)
    table = np.array(numbers, np.float32).reshape(-1, len(features.features))
    return Examples(table, np.array(names, np.str_), np.array(times))


def joined(several: Sequence[Examples]) -> Examples:
    """Return the examples of several runs as one."""
    return Examples(
        np.concatenate([examples.numbers for examples in several]),
        np.concatenate([examples.behaviours for examples in several]),
        np.concatenate([examples.times_s for examples in several]),
    )


def split(
    data: Examples, block_s: float, window_s: float, every: int = 4
) -> tuple[Examples, Examples]:
    """Return examples for training and for testing: one in `every` blocks of time.

    Neighbouring frames are nearly the same; a random split would make the test too
    easy. Examples with frames of both parts in their window are in neither.
    """
    begins_s = np.maximum(data.times_s - window_s, 0)
    first, last = (
        (times_s // block_s).astype(int) % every == every - 1
        for times_s in (begins_s, data.times_s)
    )
    return _chosen(data, ~first & ~last), _chosen(data, first & last)


def _chosen(data: Examples, rows: NDArray[np.bool_]) -> Examples:
    return Examples(data.numbers[rows], data.behaviours[rows], data.times_s[rows])


def fit(data: Examples, trees: int = 50, seed: int = 0) -> Any:
    """Return scikit-learn's random forest; all behaviours have the same weight."""
    from sklearn.ensemble import RandomForestClassifier

    if len(set(data.behaviours.tolist())) < 2:
        raise DeepLabStreamError(
            "two behaviours or more are needed, each in the part that is learned from; "
            f"available: {', '.join(sorted(set(data.behaviours.tolist()))) or 'none'}"
        )
    forest = RandomForestClassifier(
        trees,
        max_depth=12,
        min_samples_leaf=3,
        class_weight="balanced",
        random_state=seed,
        n_jobs=1,
    )
    return forest.fit(data.numbers, data.behaviours)


def write_classifier(
    model: Any,
    classes: Sequence[str],
    features: FeatureSet,
    path: Path,
    about: dict[str, object],
    trial: NDArray[np.float32] | None = None,
) -> ClassifierFolder:
    """Convert a scikit-learn classifier, compare it on `trial` (n, feature), and write it.

    ModelError: it can't be converted, or its results differ.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    count = len(features.features)
    if trial is None:
        trial = np.random.default_rng(0).normal(0, 100, (200, count)).astype(np.float32)
    try:
        converted = to_onnx(
            model,
            initial_types=[("features", FloatTensorType([None, count]))],
            options={id(model): {"zipmap": False}},
        )
        expected = np.asarray(model.predict_proba(trial), np.float64)
    except Exception as error:  # a lab's own model can raise any exception
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"a {type(model).__name__} can't be converted: {reason}"
        ) from error
    path.mkdir(parents=True, exist_ok=True)
    (path / MODEL).write_bytes(converted.SerializeToString())
    folder = ClassifierFolder(
        path, tuple(classes), features, network_hash(path / MODEL), about
    )
    save_classifier(folder)
    written = open_model(load_classifier_folder(path))
    away = float(np.abs(written.predict(trial) - expected).max())
    if away > LARGEST_ERROR:
        (path / MODEL).unlink()
        raise ModelError(
            f"the converted classifier differs from the {type(model).__name__} by "
            f"{away:.2g} in its probabilities; it was not kept"
        )
    return folder
