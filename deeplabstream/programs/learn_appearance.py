"""Learn to recognise the animals of runs or videos by their appearance, and state how well.

    python utils/LearnAppearance.py models/cage7 output/RUN output/RUN2
    python utils/LearnAppearance.py models/cage7 mice.mp4

A video has a table of named poses beside it, as `PredictVideos` writes it: mice.csv, and
mice_identity.csv. Small images of single animals, aligned by the body axis, train a network:
images of one animal become similar, those of animals that are visible together different. Only
identities that are certain are used, and only animals that no other one touches. Then four
networks are trained, each without a quarter of the time, and recognise all animals in it.
Below the stated limits the appearance must not be used; the program and the folder say so.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from deeplabstream.core.errors import DeepLabStreamError, check_packages, counted
from deeplabstream.core.frame import Image
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_new
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.video_identity import with_identity
from deeplabstream.pose.tracking.aligned_crops import body_axis
from deeplabstream.pose.tracking.appearance_folder import AppearanceFolder
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import CommaList
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.recorded_frames import (
    RecordedFrames,
    analysed_cameras,
    read_frames,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import progress, progress_bar
from deeplabstream.training.appearance.certain_tracks import CropCollector, CropSet
from deeplabstream.video.video_reader import open_video


@program_options
class LearnAppearance:
    """Recordings of the animals, and how their appearance is learned."""

    into: Path = option(positional=True)
    """Folder to create."""
    sources: tuple[Path, ...] = option(positional=True, metavar="SOURCE")
    """Run folders, or videos with a table of poses beside them."""
    camera: str = option(default="")
    """Camera, if a run has several."""
    axis: CommaList = option(default=(), separator=",", metavar="FRONT,REAR")
    """Front and rear body part of the body axis; default: snout or nose, and tail base."""
    every_s: float = option(default=0.5, gt=0)
    """Shortest time between two groups of five frames that are used, s."""
    frames: int = option(default=3000, ge=50)
    """Most frames of a recording that are used."""
    threshold: float = option(default=0.5, ge=0, le=1)
    """Confidence threshold of a video's table of poses; runs have their own."""
    steps: int = option(default=400, ge=1)
    """Training steps of each of the five networks."""
    seed: int = option(default=0, ge=0)
    """Seed of the training."""
    command: str = option(default="", internal=True)
    """Command line."""


def learn_appearance(options: LearnAppearance) -> int:
    """Collect crops, train, write the folder, and print how well animals are recognised."""
    check_new(options.into)
    check_packages("training", ["torch", "onnx"])  # before files are read for long
    if not options.sources:
        raise DeepLabStreamError("name a run folder or a video")

    crop_sets, axes = [], set()
    for source in options.sources:
        recording = _recording(source, options)
        skeleton = recording.table.skeleton
        axis = body_axis(skeleton, options.axis)
        axes.add((skeleton.bodyparts[axis.front], skeleton.bodyparts[axis.rear]))
        collector = CropCollector(recording.table, recording.threshold, axis)
        found = _crops(recording, collector, options)
        crop_sets.append(found)
        tracks = counted(len(found.names), "certain track")
        print(visible(f"{source}: {counted(len(found), 'crop')} of {tracks}"))
    if len(axes) > 1:
        raise DeepLabStreamError(
            "the recordings have different body parts; state those of the axis with --axis"
        )

    folder = _learned(crop_sets, axes.pop(), options)
    print("\n".join(_report(folder)))
    return 0


def _learned(
    crop_sets: list[CropSet], axis: tuple[str, str], options: LearnAppearance
) -> AppearanceFolder:
    # torch takes seconds to load: only here
    from deeplabstream.training.appearance.embedding_network import EmbeddingFitSettings
    from deeplabstream.training.appearance.learning import all_steps, learn

    settings = EmbeddingFitSettings(options.steps, options.seed)
    about: dict[str, JsonValue] = {
        "command": options.command,
        "sources": [str(source) for source in options.sources],
        "crops": sum(map(len, crop_sets)),
    }
    with progress_bar("training", all_steps(settings), "steps") as bar:
        return learn(crop_sets, axis, options.into, settings, about, bar.show)


def _report(folder: AppearanceFolder) -> Iterator[str]:
    """Yield the lines of the result."""
    scores = folder.scores
    low, high = scores.precision_interval
    yield (
        f"left-out blocks of time: {scores.views} views, rank-1 accuracy "
        f"{scores.rank1:.3f} ({scores.chance:.3f} by chance)"
    )
    yield (
        f"{scores.links} of {scores.pieces} pieces linked, {scores.right} right: precision "
        f"{scores.precision:.3f} (95 % interval {low:.3f} to {high:.3f})"
    )
    for pair in scores.pairs:
        alike = ": they look alike" if pair in scores.alike else ""
        yield visible(f"  {pair.one} or {pair.other}: {pair.rank1:.3f}{alike}")
    yield visible(f"written: {folder.path}")

    shortfalls = scores.shortfalls()
    yield "" if shortfalls else "The appearance can be used."
    for reason in shortfalls:
        yield f"The appearance must not be used: {reason}."


class _Recording:
    """Poses and images of one source."""

    def __init__(
        self,
        table: PoseTable,
        threshold: float,
        places: dict[int, tuple[Path, int]],
    ) -> None:
        self.table, self.threshold = table, threshold
        self.places = places
        """By row: its video, and the frame in it."""

    def images(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, Image]]:
        """Yield rows and their images; those that can't be decoded are left out."""
        by_video: dict[Path, dict[int, int]] = {}
        for row in rows.tolist():
            if row in self.places:
                video, frame = self.places[row]
                by_video.setdefault(video, {})[frame] = row
        for video, row_of in by_video.items():
            numbers = np.array(sorted(row_of), np.int64)
            reader = open_video(video)
            for shown in reader.images_at(numbers[numbers < len(reader)]):
                if shown.image is not None and not shown.damaged:
                    yield row_of[shown.row], shown.image


def _crops(
    recording: _Recording, collector: CropCollector, options: LearnAppearance
) -> CropSet:
    rows = collector.rows(options.every_s, options.frames)
    for row, image in progress(recording.images(rows), "crops", len(rows)):
        collector.add(row, image)
    return collector.crop_set()


def _recording(source: Path, options: LearnAppearance) -> _Recording:
    """Return the poses and images of a run, with its corrections, or of a video."""
    if source.is_dir():
        folder = open_run_folder(source, print)
        frames = _run_frames(RunFolder(source, corrected=True), options.camera)
        table = frames.poses
        shown = np.flatnonzero(frames.has_image & frames.analysed).tolist()
        places = {
            row: place
            for row in shown
            if (place := frames.video_frame_of(row)) is not None
        }
        if not places:
            raise DeepLabStreamError(f"{source} has no video of the camera's frames")
        threshold = folder.thresholds.of(frames.camera)
    else:
        reader = open_video(source)
        table = with_identity(_table_beside(source))
        if len(table) != len(reader):
            raise DeepLabStreamError(
                f"{source} has {len(reader)} frames, but {table.source.name} has "
                f"{len(table)}"
            )
        table = replace(table, times_s=reader.times_ns / 1e9)
        places = {row: (source, row) for row in range(len(table))}
        threshold = options.threshold
    if table.points.shape[1] < 2:
        raise DeepLabStreamError(f"{source} has one animal only")
    return _Recording(table, threshold, places)


def _table_beside(video: Path) -> PoseTable:
    """Return the poses in the file beside a video that has the same name."""
    tables = [video.with_suffix(ending) for ending in (".csv", ".parquet", ".h5")]
    found = next((table for table in tables if table.is_file()), None)
    if found is None:
        raise DeepLabStreamError(
            f"{video} has no poses beside it ({tables[0].name}): predict them with "
            "utils/PredictVideos.py, or make a run of it with utils/ImportRun.py"
        )
    return read_poses(found)


def _run_frames(folder: RunFolder, camera: str) -> RecordedFrames:
    cameras = analysed_cameras(folder)
    if camera not in cameras and (camera or len(cameras) != 1):
        which = f"no poses of the camera {camera}" if camera else "no single camera"
        raise DeepLabStreamError(
            f"{folder.path} has {which}; name one with --camera: {', '.join(cameras)}"
        )
    return read_frames(folder, camera or cameras[0])


PROGRAM = Program(LearnAppearance, learn_appearance, __doc__, "LearnAppearance")
