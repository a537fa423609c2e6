"""Render videos with the points, edges and trails of one or several networks.

    python utils/RenderVideo.py mouse.mp4 --poses mouse.csv
    python utils/RenderVideo.py mouse.mp4 --poses ours=a.csv theirs=b.h5 --trail 20

Writes one image per frame of the video. With --trials: one video per chosen trial. Animals
with an ambiguous identity (PredictVideos: `NAME_identity.csv` beside the poses) get their
name and "?".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.ibl.alf import files_of, read_times
from deeplabstream.offline.ibl.session_trials import read_trials
from deeplabstream.offline.pose_drawing import MARKS
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.rendering import CODECS, Look, Shown, Span, render
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.offline.video_identity import with_identity
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import (
    TABLE_FILTER,
    decoder,
    output_folder,
    overwrite,
)
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.progress import progress_bar
from deeplabstream.video.decoding import Decoder
from deeplabstream.video.video_reader import VideoReader, open_video

_CODECS = {
    "H.264": "h264",
    "HEVC": "hevc",
    "MPEG-4": "mpeg4",
    "MJPEG": "mjpeg",
    "VP9": "vp9",
    "FFV1 (lossless)": "ffv1",
}
_CONTAINERS = {ending: ending for ending in (".mp4", ".mkv", ".avi", ".mov")}


def _edge(value: object) -> object:
    """Return the two body parts of `snout:tail`."""
    if not isinstance(value, str):
        return value
    first, _, second = value.partition(":")
    if not first or not second:
        raise ValueError("expected PART:PART, for example snout:tail")
    return first, second


@program_options
class RenderVideo:
    """A video, the tables of its poses, and how they are drawn."""

    video: Path = option(title="Video", positional=True, filter=VIDEO_FILTER)
    """Video file."""
    poses: tuple[str, ...] = option(
        title="Poses", metavar="[NAME=]FILE", editor="paths", filter=TABLE_FILTER
    )
    """Tables of poses: .csv, .h5 or .parquet."""
    output: Path | None = output_folder("output folder; default: beside the video")
    model: str = option(default="", title="Network", editor="model")
    """Network whose edges and threshold are used."""
    edges: tuple[Annotated[tuple[str, str], BeforeValidator(_edge)], ...] = option(
        default=(), aliases=["--bones"], metavar="PART:PART"
    )
    """Edges between body parts; default: those of the network."""
    threshold: float | None = option(default=None)
    """Confidence threshold of visible points; default: the network's, or 0.5."""
    radius: int = option(
        default=4, ge=1, title="Point radius", advanced=True, unit="px"
    )
    """Radius of a point in px."""
    trail: int = option(default=0, ge=0, title="Trail", metavar="FRAMES", unit="frames")
    """Length of each point's trail, in frames."""
    names: bool = option(default=False, title="Names")
    """Write the names of the body parts."""
    no_edges: bool = option(
        default=False, title="No edges", aliases=["--no-bones"], advanced=True
    )
    """Points only."""
    no_text: bool = option(default=False, title="No text", advanced=True)
    """Without frame number and time."""
    scale: float | None = option(default=None, ge=0.1, metavar="TIMES")
    """Enlargement; default: for small frames only."""
    codec: str = option(
        default="h264",
        title="Codec",
        choices=list(CODECS),
        presets=_CODECS,
        advanced=True,
    )
    """Codec of the written video."""
    ending: str = option(
        default=".mp4",
        title="Container",
        editor="choice",
        presets=_CONTAINERS,
        advanced=True,
    )
    """Container: .mp4 .mkv .avi .mov."""
    decoder: Decoder = decoder()
    trials: Path | None = option(default=None, metavar="TABLE")
    """Write one video per trial of this table."""
    choose: tuple[int, ...] = option(default=(), metavar="N")
    """Trials to render, from 0; default: all."""
    before: float = option(default=0.0, metavar="S")
    """Seconds before each trial."""
    after: float = option(default=0.0, metavar="S")
    """Seconds after each trial."""
    times: Path | None = option(default=None, metavar="NPY")
    """Times of the frames in s."""
    overwrite: bool = overwrite()


def render_video(options: RenderVideo) -> int:
    """Render the video, or one video per trial."""
    rows = open_video(options.video)
    shown = list(_shown(options))
    look = Look(
        radius=options.radius,
        trail=options.trail,
        edges=not options.no_edges,
        names=options.names,
        text=not options.no_text,
        scale=options.scale or _enlargement(rows),
    )
    videos = list(_videos(options, rows))
    check_free([path for path, _ in videos], options.overwrite)

    for path, span in videos:
        with progress_bar(path.name, span.stop - span.start) as bar:
            count = render(
                rows,
                path,
                shown,
                look,
                codec=options.codec,
                span=span,
                decoder=options.decoder,
                watch=bar.show,
            )
        print(f"{path}: {counted(count, 'frame')}")
    return 0


def _shown(options: RenderVideo) -> Iterator[Shown]:
    """Yield each table of poses, and how it is drawn."""
    skeleton, threshold = Skeleton(()), 0.5
    if options.model:
        model = load_model_folder(find_model(options.model))
        skeleton, threshold = model.skeleton, model.threshold
    if options.threshold is not None:
        threshold = options.threshold

    for number, text in enumerate(options.poses):
        name, sign, file = text.partition("=")
        named = bool(sign) and not Path(text).exists()
        path = Path(file if named else text)
        label = name if named else path.stem if len(options.poses) > 1 else ""

        poses = with_identity(read_poses(path))
        for part in (part for edge in options.edges for part in edge):
            if part not in poses.skeleton.bodyparts:
                raise DeepLabStreamError(f"--edges: {path} has no body part {part}")
        mark = MARKS[number % len(MARKS)]
        yield Shown(poses, threshold, mark, label, options.edges or skeleton.edges)


def _videos(options: RenderVideo, rows: VideoReader) -> Iterator[tuple[Path, Span]]:
    """Yield each video to write, and its rows."""
    ending = f".{options.ending.removeprefix('.')}"
    folder, name = options.output or options.video.parent, options.video.stem
    if options.trials is None:
        yield folder / f"{name}.labelled{ending}", Span(0, len(rows))
        return

    trials, times = read_trials(options.trials), _times(options, rows)
    for number in trials.chosen(options.choose):
        start_s = trials.start_s[number] - options.before
        end_s = trials.end_s[number] + options.after
        first, last = np.searchsorted(times, [start_s, end_s]).tolist()
        if first >= last:
            print(f"no frame during trial {number}; trial left out")
            continue
        yield folder / f"{name}.trial{number}.labelled{ending}", Span(first, last)


def _times(options: RenderVideo, rows: VideoReader) -> NDArray[np.float64]:
    """Return (row,) s on the trials' clock: a file's, the session's, or the video's."""
    if options.times is not None:
        return read_times(options.times, len(rows))
    label = options.video.stem.split(".")[0].split("_")[-1].removesuffix("Camera")
    times = files_of(options.video, label).times_for(len(rows))
    return rows.times_ns / 1e9 if times is None else times


def _enlargement(rows: VideoReader) -> float:
    """Return the factor by which small images are enlarged, so that points stay apart."""
    smaller = min(rows.form.height, rows.form.width)
    return 2.5 if smaller <= 100 else 2.0 if smaller <= 192 else 1.0


PROGRAM = Program(
    RenderVideo,
    render_video,
    __doc__,
    "RenderVideo",
    stopped="stopped; the unfinished video was removed",
)
