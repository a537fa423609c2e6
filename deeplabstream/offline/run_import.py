"""Run import: a run folder made from a video and poses of any program, for results without a rig.

The video is linked, copied or named, never encoded again. The run is marked as imported:
it has no triggers, outputs or latencies.
"""

import csv
import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.files.delimited_text import read_delimited
from deeplabstream.files.overwriting import check_new
from deeplabstream.offline.jabs_pose_reading import SCORER as JABS
from deeplabstream.offline.jabs_pose_reading import jabs_scale
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.sleap_pose_reading import SCORER as SLEAP
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder, stem
from deeplabstream.recording.run_schema import IMPORTED, VIDEO
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.ini_reading import read_text
from deeplabstream.settings.loading import parse
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.subject import FORMS, SEXES
from deeplabstream.startup.progress import progress
from deeplabstream.video.decoding import open_container
from deeplabstream.video.video_reader import VideoReader, open_video

USUAL_THRESHOLD = 0.6
"""DeepLabCut's own `pcutoff`; SLEAP leaves out what it did not find."""
UNIQUE = "single"
"""DeepLabCut's name for body parts that belong to no animal."""
_FAR = 0.2
"""Share of points outside of the image above which video and poses do not fit."""


@program_options
class ImportOptions:
    """Facts of an imported run that its video and poses do not contain."""

    fps: float | None = option(default=None, gt=0, lt=1e6)
    """Frames per second at which the camera recorded; None: the time stamps of the
    video."""
    times: Path | None = option(default=None, metavar="FILE")
    """A CSV with the time of each frame in seconds: one column, or the column time_s. The
    run begins at the first one."""
    mm_per_pixel: float | None = option(default=None, gt=0, lt=1e6, metavar="MM")
    """Scale; None: that of a JABS pose file, else results are in pixels."""
    threshold: float | None = option(default=None, ge=0, le=1, metavar="P")
    """Confidence below which a point counts as not found; None: 0.6, of SLEAP 0."""
    tracks: tuple[str, ...] = option(default=(), metavar="NAME")
    """Names of the animals in the poses that are used; empty: all."""
    cut: bool = option(default=False)
    """Whether video and poses of different length are used as far as both go."""
    video: Literal["link", "copy", "reference"] = option(default="link")
    """link: the run folder has a hard link, else a symbolic link to the video. copy: it has
    a copy. reference: it has its path only, and shows no images of the frames."""
    camera: str = option(default="video", metavar="NAME")
    """Name of the camera in the run."""
    started: datetime | None = option(default=None, metavar="TIME")
    """Start of the recording, such as 2026-11-21T10:30; None: as the video says, else when
    its file was changed last."""
    animal: str = option(default="", metavar="TEXT")
    """Name or number of the animal; of several animals, of all of them."""
    group: str = option(default="", metavar="TEXT")
    """Group of the animal, such as control."""
    species: str = option(default="", metavar="TEXT")
    """Latin name, such as Mus musculus."""
    sex: str = option(default="", metavar="TEXT")
    """M, F, O (other) or U (unknown)."""
    age: str = option(default="", metavar="TEXT")
    """Age by ISO 8601, such as P90D."""
    experimenter: str = option(default="", metavar="TEXT")
    """Who recorded the video."""
    experiment: str = option(default="", metavar="TEXT")
    """Name of the experiment."""
    notes: str = option(default="", metavar="TEXT")
    """Notes, in one line."""

    def __post_init__(self) -> None:
        if self.fps is not None and self.times is not None:
            raise DeepLabStreamError(
                "give either frames per second or a table of times"
            )
        if not self.camera.strip() or any(sign in self.camera for sign in "\n\r]"):
            raise DeepLabStreamError(f"{self.camera!r} can't be the name of a camera")
        for name, (form, expected) in FORMS.items():
            if (text := getattr(self, name)) and not form.fullmatch(text):
                raise DeepLabStreamError(f"{name} = {text}: expected {expected}")
        if self.sex not in ("", *SEXES):
            raise DeepLabStreamError(f"sex = {self.sex}: expected {', '.join(SEXES)}")

    @property
    def session(self) -> dict[str, str]:
        """Entry of the subject in `run.json`."""
        names = ("experimenter", "animal", "group", "species", "sex", "age", "notes")
        return {name: " ".join(getattr(self, name).split()) for name in names}


@dataclass(frozen=True)
class ImportedRun:
    """A run that was imported.

    Attributes
    ----------
    folder : RunFolder
        The run folder.
    frames : int
        Number of frames.
    notes : tuple of str
        Sentences on what was assumed or left out.
    """

    folder: RunFolder
    frames: int
    notes: tuple[str, ...]


def import_run(
    video: str | Path,
    poses: str | Path,
    to: str | Path,
    options: ImportOptions | None = None,
) -> ImportedRun:
    """Make a run folder of a video and its poses.

    Parameters
    ----------
    video : str or pathlib.Path
        A video that FFmpeg reads. It is not changed.
    poses : str or pathlib.Path
        CSV or HDF5 of DeepLabCut or Lightning Pose, analysis HDF5 or CSV or `.slp` of
        SLEAP, or what PredictVideos wrote. A frame without a row has no points.
    to : str or pathlib.Path
        The new run folder; its folder is that of several runs.
    options : ImportOptions, optional
        Times, scale, subject and so on.

    Returns
    -------
    ImportedRun
        The folder, the number of frames, and notes.

    Raises
    ------
    DeepLabStreamError
        Video, poses, times and options do not fit each other; nothing is written.

    Examples
    --------
    >>> made = dls.import_run("m3.mp4", "m3DLC.csv", "output/m3")
    >>> dls.analyse(made.folder.path).table()
    """
    options = options or ImportOptions()
    path, target = Path(video), Path(to)
    check_new(target, DeviceError)
    reader, table = open_video(path), read_poses(Path(poses))
    notes: list[str] = []
    options = _scaled(options, table, notes)
    table = _chosen(table, options.tracks, notes)
    table, frames = _of_video(table, reader, options.cut, notes)
    _check_positions(table, reader, notes)
    times_s, clock = _times(reader, frames, options)
    threshold = options.threshold
    if threshold is None:
        threshold = 0.0 if table.scorer == SLEAP else USUAL_THRESHOLD
        notes.append(f"points below confidence {threshold:g} do not count")
    started, dated = _start(path, options.started)
    notes += [
        f"times are {clock}",
        f"the recording began at {started:%Y-%m-%d %H:%M} ({dated})",
    ]
    rate = options.fps or 1 / float(np.median(np.diff(times_s)))
    facts = RunFacts(
        start_ns=0,
        cameras={options.camera: ImageFormat(reader.form.shape, round(rate, 6))},
        skeleton=table.skeleton,
        model=ModelFacts(table.scorer or Path(poses).name, "", threshold, ""),
        more=_facts(path, Path(poses), options, clock, dated),
    )
    folder = RunFolder.create_at(target, started, _settings(options), facts)
    try:
        _write(folder, reader, table, times_s, options)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)  # the folder was made by this call
        raise
    ended = started + timedelta(seconds=float(times_s[-1]))
    folder.finish(ended, IMPORTED, [])
    return ImportedRun(folder, frames, tuple(notes))


def settings_of(folder: RunFolder) -> Settings:
    """Return the settings of a run; those of an imported one have its camera and scale only.

    SettingsError: they can't be used.
    """
    text = read_text(folder.path / "settings.ini")
    if folder.facts.get(IMPORTED):  # no rig: the camera has no kind
        text = re.sub(r"(?m)^\[Camera .*\]$", r"\g<0>\nKIND = SimulatedCamera", text)
    return parse(text, folder.path.resolve())


def _scaled(
    options: ImportOptions, table: PoseTable, notes: list[str]
) -> ImportOptions:
    """Return the options with the scale of the pose file, if no other is given."""
    found = jabs_scale(table.source) if table.scorer == JABS else None
    if options.mm_per_pixel is not None or found is None:
        return options
    scale, source = found
    notes.append(f"{scale:.4g} mm per pixel, as the poses say ({source})")
    return replace(options, mm_per_pixel=scale)


def _chosen(table: PoseTable, tracks: Sequence[str], notes: list[str]) -> PoseTable:
    """Return the selected animals."""
    names = list(table.skeleton.animals)
    if missing := [name for name in tracks if name not in names]:
        raise DeepLabStreamError(
            f"{table.source} has no animal {missing[0]!r}; its animals: "
            f"{', '.join(names) or 'one without a name'}"
        )
    selected = list(tracks) or [name for name in names if name != UNIQUE]
    if not tracks and UNIQUE in names:
        notes.append(f"left out: {UNIQUE}, body parts that belong to no animal")
    if not selected or selected == names:
        return table
    at = [names.index(name) for name in selected]
    found = np.isfinite(table.points[:, at, :, 0]).any(axis=(0, 1))
    has = [part for part, is_found in enumerate(found) if is_found]
    parts = [table.skeleton.bodyparts[part] for part in has]
    edges = [edge for edge in table.skeleton.edges if {*edge} <= {*parts}]
    animals = tuple(selected) if len(selected) > 1 else ()
    return replace(
        table,
        skeleton=Skeleton(tuple(parts), tuple(edges), animals),
        points=table.points[:, at][:, :, has],
        confidence=table.confidence[:, at][:, :, has],
    )


def _of_video(
    table: PoseTable, reader: VideoReader, cut: bool, notes: list[str]
) -> tuple[PoseTable, int]:
    """Return the poses of each frame of the video, and the number of frames."""
    rows, frames = len(table), len(reader)
    if min(rows, frames) < 2:
        short = table.source if rows < 2 else reader.path
        raise DeepLabStreamError(
            f"{short} has less than two frames: there is nothing to import"
        )
    if rows == frames:
        return table, frames
    if table.scorer == SLEAP and rows < frames:
        # SLEAP does not write frames after the last one with an animal
        more = frames - rows
        points = np.pad(
            table.points, [(0, more), *[(0, 0)] * 3], constant_values=np.nan
        )
        confidence = np.pad(table.confidence, [(0, more), (0, 0), (0, 0)])
        notes.append(f"the last {more} frames have no poses")
        return replace(table, points=points, confidence=confidence), frames
    counts = (
        f"{table.source.name} has {rows} frames and {reader.path.name} has {frames}"
    )
    if not cut:
        raise DeepLabStreamError(
            f"{counts}: are these the poses of this video? To use the first "
            f"{min(rows, frames)} frames of both, add --cut"
        )
    frames = min(rows, frames)
    notes.append(f"{counts}: the first {frames} are used")
    points, confidence = table.points[:frames], table.confidence[:frames]
    return replace(table, points=points, confidence=confidence), frames


def _check_positions(table: PoseTable, reader: VideoReader, notes: list[str]) -> None:
    size = np.array([reader.form.width, reader.form.height])
    seen = table.points[np.isfinite(table.points).all(axis=-1)]
    if not len(seen):
        raise DeepLabStreamError(f"{table.source} contains no points")
    outside = float(((seen < -0.5) | (seen > size)).any(axis=-1).mean())
    if outside > _FAR:
        notes.append(
            f"{outside:.0%} of the points lie outside of the image ({size[0]} × {size[1]}): "
            "were these poses made from this video?"
        )


def _times(
    reader: VideoReader, frames: int, options: ImportOptions
) -> tuple[NDArray[np.float64], str]:
    """Return the time of each frame, s since the first one, and their source."""
    if options.fps is not None:
        return np.arange(frames) / options.fps, f"{options.fps:g} frames per second"
    if options.times is not None:
        times_s = _read_times(options.times)
        if len(times_s) != frames:
            raise DeepLabStreamError(
                f"{options.times} has {len(times_s)} times for {frames} frames"
            )
        return times_s - times_s[0], f"those of {options.times.name}"
    return reader.times_ns[:frames] / 1e9, "the time stamps of the video"


def _read_times(path: Path) -> NDArray[np.float64]:
    import pandas as pd

    try:
        rows = read_delimited(path).rows()
        if not rows:
            raise ValueError("it is empty")
    except (OSError, ValueError, csv.Error) as error:
        raise DeepLabStreamError(f"Can't read {path}: {error}") from error
    table = pd.DataFrame(rows)
    first = [str(word).strip() for word in table.iloc[0]]
    column = first.index("time_s") if "time_s" in first else 0
    if "time_s" not in first and table.shape[1] > 1:
        raise DeepLabStreamError(f"{path}: expected one column, or a column time_s")
    if first[column].casefold().endswith(("_ms", "_us", "_ns")):
        raise DeepLabStreamError(
            f"{path}: expected times in seconds, not in the unit of {first[column]}"
        )
    texts = table[column]
    is_header = np.isnan(pd.to_numeric(texts.iloc[:1], errors="coerce")).any()
    times_s = pd.to_numeric(texts.iloc[int(is_header) :], errors="coerce").to_numpy()
    bad = np.flatnonzero(~np.isfinite(times_s))
    if not len(times_s) or len(bad):
        where = f" (line {bad[0] + 1 + int(is_header)})" if len(bad) else ""
        raise DeepLabStreamError(f"{path}: expected a number in each line{where}")
    steps = np.flatnonzero(np.diff(times_s) <= 0)
    if len(steps):
        raise DeepLabStreamError(
            f"{path}: times must increase, and the one in line "
            f"{steps[0] + 2 + int(is_header)} does not"
        )
    return np.asarray(times_s, np.float64)


def _start(video: Path, given: datetime | None) -> tuple[datetime, str]:
    """Return the start of the recording, and its source."""
    if given is not None:
        return given.astimezone(), "as given"
    with open_container(video) as (container, _):
        word = dict(container.metadata).get("creation_time", "")
    try:
        found = datetime.fromisoformat(word)
        if found.year > 1970:  # some cameras have no clock
            return found.replace(
                tzinfo=found.tzinfo or UTC
            ).astimezone(), "of the video"
    except ValueError:
        pass
    changed = datetime.fromtimestamp(video.stat().st_mtime, UTC)
    return changed.astimezone(), "when the video file was changed last"


def _facts(
    video: Path, poses: Path, options: ImportOptions, clock: str, dated: str
) -> dict[str, object]:
    facts: dict[str, object] = {
        IMPORTED: {
            "video": str(video.resolve()),
            "poses": str(poses.resolve()),
            "poses_sha256": hashlib.sha256(poses.read_bytes()).hexdigest(),
            "times": clock,
            "started": dated,
            "file": _file_of(video, options),
        },
        "session": options.session,
    }
    if options.experiment:
        facts["experiment"] = {"NAME": options.experiment}
    if options.video == "reference":
        facts["video"] = str(video.resolve())
    return facts


def _file_of(video: Path, options: ImportOptions) -> str:
    """Return the name of the video in the run folder; empty: it is only referred to."""
    if options.video == "reference":
        return ""
    return f"{stem(options.camera)}{video.suffix.lower() or '.mkv'}"


def _settings(options: ImportOptions) -> str:
    lines = [
        "# Written by ImportRun.py. It describes an imported run, not a rig.",
        "[Session]",
    ]
    lines += [
        f"{name.upper()} = {word}" for name, word in options.session.items() if word
    ]
    lines += ["", f"[Camera {options.camera}]"]
    if options.mm_per_pixel is not None:
        lines.append(f"MM_PER_PIXEL = {options.mm_per_pixel!r}")
    return "\n".join([*lines, ""])


def _write(
    folder: RunFolder,
    reader: VideoReader,
    table: PoseTable,
    times_s: NDArray[np.float64],
    options: ImportOptions,
) -> None:
    """Write the tables, and put the video into the folder."""
    camera, skeleton = options.camera, table.skeleton
    exposed_ns = np.rint(times_s * 1e9).astype(np.int64).tolist()
    points = table.points.astype(np.float32)
    confidence = np.nan_to_num(table.confidence).astype(np.float32)
    with RunWriter(folder, 0) as writer:
        writer.begin(camera, skeleton)
        with writer.together():
            for row, at in enumerate(
                progress(exposed_ns, "writing poses", len(exposed_ns))
            ):
                pose = Pose(skeleton, points[row], confidence[row])
                writer.step(Step(camera, row, at, at, at, at, 0, pose, {}, ()))
    name = _file_of(reader.path, options)
    if not name:
        return
    frames = CsvTable(folder.path / f"{stem(camera)}.frames.csv", VIDEO.names)
    try:
        frames.hold()
        for row, at in enumerate(exposed_ns):
            frames.write(f"{row},{row},{at},{at},")
        frames.release()
    finally:
        frames.close()
    _place(reader.path.resolve(), folder.path / name, options.video == "copy")


def _place(video: Path, target: Path, copy: bool) -> None:
    """Copy the video or link to it; DeviceError: neither kind of link is possible."""
    if copy:
        shutil.copyfile(video, target)
        return
    try:
        os.link(video, target)
    except OSError:  # another disk, or a file system without hard links
        try:
            target.symlink_to(video)
        except OSError as error:
            raise DeviceError(
                f"{target.parent} can't have a link to {video}: {error.strerror or error}; "
                "copy the video, or only refer to it (--video)"
            ) from error
