"""Labelled videos: copies of a run's videos with the poses drawn on the frames."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.core.pose import is_rejected
from deeplabstream.recording.cell_formats import parse_flags
from deeplabstream.recording.exporters.export_files import ExportFile
from deeplabstream.recording.overlay import draw_overlay
from deeplabstream.recording.recorded_frames import RecordedFrames, recorded_parts
from deeplabstream.recording.run_folder import LABELLED, RunFolder
from deeplabstream.recording.run_schema import TRIGGER_STATE, keypoint_columns, members
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.startup.progress import progress
from deeplabstream.video.decoding import Converter
from deeplabstream.video.video_reader import open_video


def labelled_video(folder: RunFolder, into: Path) -> Iterator[ExportFile]:
    """Plan `NAME.labelled.mkv` for each video: skeleton, time, status, trigger states.

    Points below the network's threshold and rejected points are not drawn.
    """
    for name, frames in recorded_parts(folder):
        video = frames.video
        if video.exists():
            draw = partial(_draw, folder, video, frames)
            yield ExportFile(into / f"{name}{LABELLED}", draw)


def _draw(folder: RunFolder, video: Path, frames: RecordedFrames, path: Path) -> None:
    camera = folder.facts["cameras"][frames.camera]
    poses = frames.poses
    poses = replace(poses, points=poses.seen(folder.thresholds.of(frames.camera)))
    keypoints = keypoint_columns(frames.skeleton)
    others = [name for name in frames.rows if name not in keypoints]
    triggers = members(others, TRIGGER_STATE)
    form = ImageFormat((*camera["shape"][:2], 3), camera["rate"])
    rows = frames.rows.to_dict("records")
    with closing(_images(video)) as images, VideoWriter(path, form) as file:
        drawn = progress(zip(images, rows, strict=False), video.name, len(rows))
        for number, (image, row) in enumerate(drawn):
            pose = poses.pose(number)
            for place in _rejected(parse_flags(row["flags"]), pose.names):
                pose.points.reshape(-1, 2)[place] = np.nan
            true = [name for name, column in triggers.items() if row[column] == 1]
            status = row["status"] if isinstance(row["status"], str) else ""
            parts = [f"{row['time_s']:.3f} s", status, *true]
            text = "  ".join(word for word in parts if word)
            at, arrived = int(row["exposed_ns"]), int(row["arrived_ns"])
            file.write(
                draw_overlay(image, pose, {}, text), int(row["frame"]), at, arrived
            )


def _rejected(flags: Mapping[str, str], names: Sequence[str]) -> Iterator[int]:
    """Yield the positions in `names` of points that a plausibility check rejected."""
    for name, flag in flags.items():
        if name in names and is_rejected(flag):
            yield names.index(name)


def _images(path: Path) -> Generator[Image, None, None]:
    """Yield an 8-bit BGR image for each frame; of more bits, the upper ones.

    A frame that can't be decoded repeats the one before.
    """
    reader, converter = open_video(path), Converter()
    form = reader.form
    still: Image = np.zeros((form.height, form.width, 3), np.uint8)
    row = 0
    for found in reader.frames():
        for _ in range(row, found.row):
            yield still
        pixels = converter.pixels(found.frame, "bgr24")
        still, row = np.asarray(pixels, np.uint8), found.row + 1
        yield still
    for _ in range(row, len(reader)):
        yield still
