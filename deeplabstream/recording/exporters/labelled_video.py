"""Videos with the poses drawn in, made after the run: nothing is drawn while it goes on."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.core.pose import Pose
from deeplabstream.recording.exporters.planned_file import PlannedFile
from deeplabstream.recording.overlay import labelled
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_reader import identity_states
from deeplabstream.recording.timeline import Timeline, analysed_cameras, timeline
from deeplabstream.recording.video_writer import VideoFile
from deeplabstream.video.decoding import Converter
from deeplabstream.video.video_reader import open_video


def labelled_video(folder: RunFolder, into: Path) -> Iterator[PlannedFile]:
    """Plan `NAME.labelled.mkv` for each video: skeleton, time, status, answers.

    Points below the network's threshold, and refused ones, are not drawn.
    """
    for camera in analysed_cameras(folder):
        for name, frames in timeline(folder, camera).parts().items():
            video = folder.path / f"{name}.mkv"
            if video.exists():
                draw = partial(_draw, folder, video, frames)
                yield PlannedFile(into / f"{name}.labelled.mkv", draw)


def _draw(folder: RunFolder, video: Path, frames: Timeline, path: Path) -> None:
    for old in (path, path.with_suffix(".frames.csv")):
        old.unlink(missing_ok=True)
    facts, skeleton = folder.facts, folder.skeleton
    points, confidence = frames.points, frames.confidence
    points[confidence < folder.thresholds.of(frames.camera)] = np.nan
    triggers = [name for name in frames.rows if name.startswith("trigger_")]
    form = facts["cameras"][frames.camera]
    drawn = ImageFormat((*form["shape"][:2], 3), form["rate"])
    rows = frames.rows.to_dict("records")
    with closing(_pictures(video)) as pictures, VideoFile(path, drawn) as file:
        for number, (image, row) in enumerate(zip(pictures, rows, strict=False)):
            pose = Pose(
                skeleton,
                points[number].astype(np.float32),
                confidence[number].astype(np.float32),
                identity_states(skeleton, row["doubts"]),
            )
            for place in _refused(row["doubts"], pose.names):
                pose.points.reshape(-1, 2)[place] = np.nan
            true = [name[8:] for name in triggers if row[name] == 1]
            status = row["status"] if isinstance(row["status"], str) else ""
            words = [f"{row['time_s']:.3f} s", status, *true]
            text = "  ".join(word for word in words if word)
            at, arrived = int(row["exposed_ns"]), int(row["arrived_ns"])
            file.write(labelled(image, pose, {}, text), int(row["frame"]), at, arrived)


def _refused(doubts: object, names: Sequence[str]) -> Iterator[int]:
    """Yield which of `names` a cell of the column `doubts` calls refused."""
    for said in str(doubts).split("; "):
        name, _, what = said.rpartition(" ")
        if name in names and ("jump" in what or "bone" in what):
            yield names.index(name)


def _pictures(path: Path) -> Generator[Image, None, None]:
    """Yield a picture for each frame as BGR; of more than 8 bits the upper ones.

    Where one can't be decoded, the one before stands still.
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
