"""Poses in space: pose tables of several calibrated cameras, matched and triangulated."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.run_import import USUAL_THRESHOLD
from deeplabstream.offline.sleap_pose_reading import SCORER as SLEAP
from deeplabstream.recording.exposure_pulses import CameraPulses, match_run
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.space_table import SpaceTable
from deeplabstream.space.camera_agreement import LEAST_POINTS, camera_agreement
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.exposure_matching import Ints, match_numbers, match_times
from deeplabstream.space.triangulation import TriangulatedPoints, triangulate

_FAR = 0.01
"""Share of points outside of a camera's image above which they are not of this camera."""
_PULSE_BITS = 40
"""Bits of a pulse's number; the number of its part is above them."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraPoses:
    """Poses of one animal by several cameras, matched by moment."""

    names: tuple[str, ...]
    """Cameras, as the poses call them."""
    tables: tuple[PoseTable, ...]
    """Poses of each camera, without points below the threshold."""
    rows: Ints
    """(moment, camera): row of each camera's table; -1: no frame of this moment."""
    matched_by: str
    """What matched the frames: `frame numbers`, `pulse numbers`, `times of exposure`."""
    notes: tuple[str, ...] = ()

    @property
    def moments(self) -> int:
        """Number of moments."""
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class SpacePoses:
    """Points in space, with what they were computed from."""

    table: SpaceTable
    found: TriangulatedPoints
    """Of (moment, body part)."""


def read_camera_poses(
    paths: Sequence[Path],
    cameras: Sequence[str],
    order: Sequence[str] = (),
    animal: str = "",
    threshold: float | None = None,
    report: Callable[[str], object] = lambda sentence: None,
) -> CameraPoses:
    """Read the poses of several cameras and match their frames.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        A run folder, or a file of poses of each camera.
    cameras : sequence of str
        Names of the calibrated cameras.
    order : sequence of str
        Calibrated cameras in the order of the files, or of the run's cameras; empty: by
        name. The name of a file contains that of its camera.
    animal : str
        Name of the animal, if the tables have several.
    threshold : float, optional
        Confidence below which a point does not count. Default: of a run its own, of SLEAP 0,
        else 0.6.
    report : callable
        Gets repairs of a run.

    Returns
    -------
    CameraPoses
        `names` are those of calibrated cameras.

    Raises
    ------
    DeepLabStreamError
        They can't be read, or do not fit the cameras.
    """
    if len(paths) == 1 and paths[0].is_dir():
        return _of_run(paths[0], cameras, order, animal, threshold, report)
    if folders := [path for path in paths if path.is_dir()]:
        raise DeepLabStreamError(
            f"{folders[0]} is a folder: name one run folder, or a file of each camera"
        )
    names = cameras_of_files(paths, cameras, order)
    tables = []
    for path in paths:
        table = _one_animal(read_poses(path), animal)
        least = 0.0 if table.scorer == SLEAP else USUAL_THRESHOLD
        used = least if threshold is None else threshold
        tables.append(replace(table, points=table.seen(used)))

    counts = {len(table) for table in tables}
    notes: tuple[str, ...] = ()
    if len(counts) > 1:
        notes = (
            f"the files have {min(counts)} to {max(counts)} frames: frames with the same "
            "number are taken as one moment. Check that the videos begin together",
        )
    rows = match_numbers([table.frames for table in tables])
    return CameraPoses(names, tuple(tables), rows, "frame numbers", notes)


def cameras_of_files(
    paths: Sequence[Path],
    cameras: Sequence[str],
    order: Sequence[str] = (),
    remedy: str = "Name the cameras in the order of the files: --cameras",
) -> tuple[str, ...]:
    """Return the calibrated camera of each file: its name is in that of the file.

    `order`: the cameras in the order of the files. DeepLabStreamError, with the `remedy`: a file
    fits none or several, or two fit one.
    """
    if order:
        if len(order) != len(paths):
            raise DeepLabStreamError(
                f"--cameras names {counted(len(order), 'camera')} for "
                f"{counted(len(paths), 'file')}; name the camera of each file, in order"
            )
        return tuple(order)
    names = []
    for path in paths:
        fitting = [name for name in cameras if _is_in(name, path.name)]
        # cam_1 is also in the name of a file of cam_10.
        longest = [name for name in fitting if len(name) == max(map(len, fitting))]
        if len(longest) != 1:
            raise DeepLabStreamError(
                f"{path.name}: the name does not contain that of one calibrated camera "
                f"({', '.join(cameras)}). {remedy}"
            )
        names += longest
    for name in names:
        if names.count(name) > 1:
            raise DeepLabStreamError(f"two files are of the camera {name}. {remedy}")
    return tuple(names)


def _is_in(name: str, file: str) -> bool:
    """Return whether a file's name contains a camera's, not inside a longer number."""
    pattern = rf"{re.escape(name)}(?!\d)" if name[-1:].isdigit() else re.escape(name)
    return bool(re.search(pattern, file))


def _of_run(
    path: Path,
    cameras: Sequence[str],
    order: Sequence[str],
    animal: str,
    threshold: float | None,
    report: Callable[[str], object],
) -> CameraPoses:
    folder = open_run_folder(path, report)
    folder.corrected = True
    recorded = analysed_cameras(folder)
    names = tuple(order) or tuple(name for name in recorded if name in cameras)
    own = recorded if order else list(names)
    if len(own) != len(names) or len(own) < 2:
        raise DeepLabStreamError(
            f"{path} has poses of the cameras {', '.join(recorded) or 'none'}, and the "
            f"calibration has {', '.join(cameras)}. Name the calibrated camera of each, "
            "in order: --cameras"
        )

    frames = [read_frames(folder, name).of_analysis() for name in own]
    tables = []
    for name, read in zip(own, frames, strict=True):
        used = folder.thresholds.of(name) if threshold is None else threshold
        table = _one_animal(read.poses, animal)
        tables.append(replace(table, points=table.seen(used)))
    rows, matched_by = _matched(folder, frames)
    return CameraPoses(names, tuple(tables), rows, matched_by)


def _matched(folder: RunFolder, frames: Sequence[RecordedFrames]) -> tuple[Ints, str]:
    """Return the frames of each moment of a run, and what matched them."""
    pulses = {found.camera: found for found in match_run(folder)}
    own = [pulses.get(read.camera) for read in frames]
    inputs = {found.input for found in own if found is not None}
    # Numbers of two inputs count from different pulses.
    if None not in own and len(inputs) == 1:
        numbers = [
            _pulse_numbers(found, read)
            for found, read in zip(own, frames, strict=True)
            if found is not None
        ]
        return match_numbers(numbers), "pulse numbers"
    times = [read.rows["exposed_ns"].to_numpy(np.int64) for read in frames]
    return match_times(times), "times of exposure"


def _pulse_numbers(found: CameraPulses, read: RecordedFrames) -> Ints:
    """Return the number of the pulse of each frame; -1: not known."""
    by_frame = {
        int(frame): (part.number << _PULSE_BITS) + int(pulse)
        for part in found.parts
        for frame, pulse in zip(part.frames, part.matching.pulses, strict=True)
        if pulse >= 0
    }
    return np.array([by_frame.get(int(n), -1) for n in read.rows["frame"]], np.int64)


def _one_animal(table: PoseTable, animal: str) -> PoseTable:
    """Return the poses of one animal; DeepLabStreamError: it is not there, or not named."""
    if table.points.shape[1] == 1 and not animal:
        return table
    place = table.skeleton.animal(animal) if animal else None
    if place is None:
        raise DeepLabStreamError(
            f"{table.source} has the animals {', '.join(table.animals)}: choose one with "
            "--animal"
        )
    one = slice(place, place + 1)
    # An ambiguous animal may be another one.
    ambiguous = [
        bool(states) and states[place].startswith(("doubt", "stray"))
        for states in table.identity
    ]
    points = table.points[:, one].copy()
    if ambiguous:
        points[np.array(ambiguous)] = np.nan
    return replace(
        table,
        skeleton=replace(table.skeleton, animals=()),
        points=points,
        confidence=table.confidence[:, one],
        identity=(),
    )


def space_poses(
    cameras: CameraGroup, poses: CameraPoses, limit_px: float, noise_px: float
) -> SpacePoses:
    """Return the points of all moments in space.

    DeepLabStreamError: the poses do not fit the calibration; the message names the camera.
    """
    for camera, own in zip(cameras.cameras, poses.tables, strict=True):
        _check_image(camera.name, camera.size, own)

    bodyparts = _common_bodyparts(poses)
    pixels, confidence = _views(poses, bodyparts)
    seen = np.isfinite(pixels).all(axis=-1)
    if (seen.sum(axis=0) >= 2).sum() == 0:
        raise DeepLabStreamError(
            "no point is seen by two cameras at one moment: check --threshold, and that "
            f"the frames are of the same time (they were matched by {poses.matched_by})"
        )
    weights = np.where(seen, np.nan_to_num(confidence), 0.0)
    _check_agreement(cameras, pixels, weights, limit_px)

    found = triangulate(cameras, pixels, weights, limit_px, noise_px)
    used = np.where(found.used, confidence, np.nan)
    known = np.isfinite(found.points).all(axis=-1)
    table = SpaceTable(
        bodyparts,
        cameras.names,
        *_frames_and_times(poses),
        found.points,
        found.error_mm,
        _largest(found.left_out_mm),
        found.reprojection_px,
        found.used.sum(axis=0).astype(np.int64),
        np.where(known, _mean(used), np.nan),
    )
    return SpacePoses(table, found)


def _check_image(name: str, size: tuple[int, int], table: PoseTable) -> None:
    """Raise DeepLabStreamError where poses are of images of another size."""
    height, width = size
    if not (height and width):
        return
    if all(table.size) and table.size != size:
        own_height, own_width = table.size
        raise DeepLabStreamError(
            f"camera {name} was calibrated with images of {width} × {height} px, and the "
            f"poses are of {own_width} × {own_height} px: calibrate it at this size"
        )
    seen = table.points[np.isfinite(table.points).all(axis=-1)]
    outside = ((seen < -0.5) | (seen > np.array([width, height]) - 0.5)).any(axis=-1)
    if len(seen) and outside.mean() > _FAR:
        right, bottom = seen.max(axis=0)
        raise DeepLabStreamError(
            f"camera {name} was calibrated with images of {width} × {height} px, but "
            f"{outside.mean():.0%} of its points lie outside (up to x = {right:.0f}, "
            f"y = {bottom:.0f}): {table.source.name} is of another camera or image size"
        )


def _common_bodyparts(poses: CameraPoses) -> tuple[str, ...]:
    """Return the body parts that two cameras or more have."""
    lists = [table.skeleton.bodyparts for table in poses.tables]
    every = dict.fromkeys(part for parts in lists for part in parts)
    common = tuple(p for p in every if sum(p in parts for parts in lists) >= 2)
    if not common:
        raise DeepLabStreamError(
            f"no body part is in two tables: {poses.tables[0].source.name} has "
            f"{', '.join(lists[0])}, {poses.tables[1].source.name} {', '.join(lists[1])}"
        )
    return common


def _views(
    poses: CameraPoses, bodyparts: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixels (camera, moment, body part, 2), and confidence without the last axis."""
    shape = len(poses.tables), poses.moments, len(bodyparts)
    pixels, confidence = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    for camera, table in enumerate(poses.tables):
        rows = poses.rows[:, camera]
        there = np.flatnonzero(rows >= 0)
        own = table.skeleton.bodyparts
        for part, name in enumerate(bodyparts):
            if name in own:
                at = own.index(name)
                pixels[camera, there, part] = table.points[rows[there], 0, at]
                confidence[camera, there, part] = table.confidence[rows[there], 0, at]
    return pixels, confidence


def _check_agreement(
    cameras: CameraGroup,
    pixels: NDArray[np.float64],
    weights: NDArray[np.float64],
    limit_px: float,
) -> None:
    """Raise DeepLabStreamError where the points do not fit the cameras."""
    count = len(cameras)
    agreement = camera_agreement(
        cameras, pixels.reshape(count, -1, 2), weights.reshape(count, -1), limit_px
    )
    if agreement.is_complete:
        return
    names = cameras.names
    pairs = "; ".join(
        f"{names[one]} and {names[other]} {_pixels(agreement.pair_px[one, other])}"
        for one in range(count)
        for other in range(one + 1, count)
        if not np.isnan(agreement.pair_px[one, other])
    )
    if outlying := agreement.outlying:
        which = ", ".join(names[camera] for camera in outlying)
        rest = " ".join(names[camera] for camera in agreement.agreeing[0])
        what = (
            f"the points of the camera {which} do not fit its calibration: the camera was "
            "turned, its calibration is of another one, or its poses are of another time. "
            f"Calibrate again, or leave it out (--cameras {rest})"
        )
    else:
        what = (
            "the points do not fit the calibration; the wrong camera is not known. Check "
            "that calibration and poses are of the same cameras and moments, then "
            "calibrate again"
        )
    raise DeepLabStreamError(
        f"{what}. Median distance of the rays of two cameras: {pairs} (limit "
        f"{limit_px:g} px; {LEAST_POINTS} common points or more)"
    )


def _pixels(distance: float) -> str:
    return f"{distance:.1f} px" if np.isfinite(distance) else "do not meet"


def _frames_and_times(
    poses: CameraPoses,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return number and time (moment,) of each moment."""
    times = np.full(poses.rows.shape, np.nan)
    numbers = np.full(poses.rows.shape, -1, np.int64)
    for camera, table in enumerate(poses.tables):
        rows = poses.rows[:, camera]
        there = rows >= 0
        times[there, camera] = table.times_s[rows[there]]
        numbers[there, camera] = table.frames[rows[there]]
    if poses.matched_by != "frame numbers":
        return np.arange(poses.moments, dtype=np.int64), _mean(times.T)
    return numbers.max(axis=1, initial=-1), _mean(times.T)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis of what is known; NaN: nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest over the first axis of what is known; NaN: nothing is."""
    known = np.isfinite(values)
    largest = np.where(known, values, -np.inf).max(axis=0)
    return np.where(known.any(axis=0), largest, np.nan)
