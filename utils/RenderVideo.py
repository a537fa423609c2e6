"""Render videos with the points, edges and trails of one or several networks.

    python utils/RenderVideo.py mouse.mp4 --poses mouse.csv
    python utils/RenderVideo.py mouse.mp4 --poses ours=a.csv theirs=b.h5 --trail 20

Writes one image per frame of the video. With --trials: one video per chosen trial. Animals
with an ambiguous identity (PredictVideos: `NAME_identity.csv` beside the poses) get their
name and "?".
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.core.pose import Skeleton
from deeplabstream.startup.progress import progress_bar
from deeplabstream.offline.ibl.alf import files_of, read_times
from deeplabstream.video.video_reader import VideoReader, open_video
from deeplabstream.offline.pose_drawing import MARKS
from deeplabstream.offline.rendering import CODECS, Look, Shown, Span, render
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.video_identity import with_identity
from deeplabstream.offline.ibl.session_trials import read_trials
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model


@ending("stopped; the unfinished video was removed")
def main(argv: Sequence[str] | None = None) -> int:
    """Render."""
    asked = _parser().parse_args(argv)
    rows = open_video(asked.video)
    shown = list(_shown(asked))
    look = Look(
        radius=asked.radius,
        trail=asked.trail,
        edges=not asked.no_edges,
        names=asked.names,
        text=not asked.no_text,
        scale=asked.scale or _enlarged(rows),
    )
    videos = list(_videos(asked, rows))
    check_free([path for path, _ in videos], asked.overwrite)
    for path, span in videos:
        count = _render(asked, rows, path, shown, look, span)
        print(f"{path}: {counted(count, 'frame')}")
    return 0


def _render(
    asked: argparse.Namespace,
    rows: VideoReader,
    path: Path,
    shown: Sequence[Shown],
    look: Look,
    span: Span,
) -> int:
    with progress_bar(path.name, span.stop - span.start) as bar:
        return render(
            rows,
            path,
            shown,
            look,
            codec=asked.codec,
            span=span,
            decoder=asked.decoder,
            watch=bar.show,
        )


def _shown(asked: argparse.Namespace) -> Iterator[Shown]:
    skeleton, threshold = Skeleton(()), 0.5
    if asked.model:
        model = load_model_folder(find_model(asked.model))
        skeleton, threshold = model.skeleton, model.threshold
    threshold = threshold if asked.threshold is None else asked.threshold
    edges = tuple(asked.edges) or skeleton.edges
    several = len(asked.poses) > 1
    for place, word in enumerate(asked.poses):
        name, sign, file = word.partition("=")
        named = bool(sign) and not Path(word).exists()
        path = Path(file if named else word)
        label = name if named else path.stem if several else ""
        mark = MARKS[place % len(MARKS)]
        poses = with_identity(read_poses(path))
        for part in (name for edge in asked.edges for name in edge):
            if part not in poses.skeleton.bodyparts:
                raise DeepLabStreamError(f"--edges: {path} has no body part {part}")
        yield Shown(poses, threshold, mark, label, edges)


def _videos(
    asked: argparse.Namespace, rows: VideoReader
) -> Iterator[tuple[Path, Span]]:
    """Yield each video to be made, and which rows it has."""
    ending = asked.ending if asked.ending.startswith(".") else f".{asked.ending}"
    folder = asked.output or asked.video.parent
    if asked.trials is None:
        yield folder / f"{asked.video.stem}.labelled{ending}", Span(0, len(rows))
        return
    trials, times = read_trials(asked.trials), _times(asked, rows)
    for number in trials.chosen(asked.choose):
        first, last = np.searchsorted(
            times,
            [trials.start_s[number] - asked.before, trials.end_s[number] + asked.after],
        ).tolist()
        if first >= last:
            print(f"no frame during trial {number}; trial left out")
            continue
        path = folder / f"{asked.video.stem}.trial{number}.labelled{ending}"
        yield path, Span(first, last)


def _times(asked: argparse.Namespace, rows: VideoReader) -> NDArray[np.float64]:
    """Return (row,) s on the trials' clock: a file's, the session's, or the video's."""
    if asked.times is not None:
        return read_times(asked.times, len(rows))
    label = asked.video.stem.split(".")[0].split("_")[-1].removesuffix("Camera")
    times = files_of(asked.video, label).times_for(len(rows))
    return rows.times_ns / 1e9 if times is None else times


def _enlarged(rows: VideoReader) -> float:
    """Return by how much small images are enlarged, so that points can be told apart."""
    smaller = min(rows.form.height, rows.form.width)
    return 2.5 if smaller <= 100 else 2.0 if smaller <= 192 else 1.0


def _edge(word: str) -> tuple[str, str]:
    one, sign, other = word.partition(":")
    if not sign or not one or not other:
        raise argparse.ArgumentTypeError(
            f"{word!r}: expected PART:PART, for example snout:tail"
        )
    return one, other


def _parser() -> ProgramParser:
    parser = ProgramParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("video", type=Path)
    add(
        "--poses",
        nargs="+",
        required=True,
        metavar="[NAME=]FILE",
        help="tables of poses",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="output folder (default: beside the video)",
    )
    add("--model", help="model folder with edges and threshold")
    add("--edges", "--bones", nargs="+", type=_edge, default=[], metavar="PART:PART")
    add(
        "--threshold",
        type=float,
        help="confidence threshold of visible points (default: 0.5)",
    )
    add("--radius", type=at_least(1), default=4, help="radius of a point in px (4)")
    add("--trail", type=at_least(0), default=0, metavar="FRAMES",
        help="length of each point's trail, in frames")  # fmt: skip
    add("--names", action="store_true", help="write the names of the body parts")
    add("--no-edges", "--no-bones", action="store_true")
    add("--no-text", action="store_true", help="without frame number and time")
    add("--scale", type=at_least(0.1, float), metavar="TIMES",
        help="enlargement (default: for small frames only)")  # fmt: skip
    add("--codec", choices=list(CODECS), default="h264")
    add("--ending", default=".mp4", help="container: .mp4 .mkv .avi .mov")
    add("--decoder", choices=["auto", "cpu", "cuda"], default="auto")
    add("--trials", type=Path, metavar="TABLE", help="write one video per trial")
    add("--choose", type=int, nargs="+", metavar="N", help="trials to render, from 0")
    add(
        "--before",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds before each trial",
    )
    add(
        "--after", type=float, default=0.0, metavar="S", help="seconds after each trial"
    )
    add("--times", type=Path, metavar="NPY", help="times of the frames in s")
    add_overwrite(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
