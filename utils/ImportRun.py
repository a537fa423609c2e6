r"""Make a run folder of a video and poses of another program, for results without a rig.

    python utils/ImportRun.py mouse.mp4 mouseDLC_resnet50.h5 --to output/m3 --animal M3
    python utils/ImportRun.py flies.mp4 flies.slp --to output/flies --mm-per-pixel 0.05
    python utils/ImportRun.py fast.avi fast.csv --to output/fast --fps 500 --group treated

POSES are the CSV or HDF5 of DeepLabCut or Lightning Pose, the .analysis.h5 or .slp of SLEAP,
or a file that PredictVideos.py wrote. Row n is frame n of the video. The video is linked,
never encoded again; its own time stamps are the times, unless --fps or --times is given.
docs/results.md describes what can be done with the run.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.offline.run_import import ImportOptions, import_run

WORDS = {
    "--animal": "name or number of the animal",
    "--group": "group of the animal",
    "--experiment": "name of the experiment",
    "--species": "Latin name",
    "--sex": "M, F, O (other) or U (unknown)",
    "--age": "by ISO 8601, such as P90D",
    "--experimenter": "who recorded the video",
    "--notes": "notes, in one line",
}


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Make the run folder."""
    asked = _parser().parse_args(argv)
    given = {
        each.name: value
        for each in fields(ImportOptions)
        if (value := getattr(asked, each.name)) is not None
    }
    made = import_run(asked.video_file, asked.poses, asked.to, ImportOptions(**given))
    for note in made.notes:
        print(note)
    print(f"{made.frames} frames, run folder: {made.folder.path}")
    return 0


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="ImportRun.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("video_file", type=Path, metavar="VIDEO", help="any video that FFmpeg reads")
    add("poses", type=Path, metavar="POSES", help="its poses")
    add("--to", type=Path, required=True, metavar="FOLDER", help="the new run folder")
    for flag, about in WORDS.items():
        add(flag, metavar="TEXT", help=about)
    add("--mm-per-pixel", type=float, metavar="MM", help="scale; default: pixels")
    times = parser.add_mutually_exclusive_group()
    times.add_argument(
        "--fps", type=float, metavar="N", help="frames per second of the camera"
    )
    times.add_argument(
        "--times", type=Path, metavar="FILE",
        help="CSV with the time of each frame in seconds: one column, or time_s",
    )  # fmt: skip
    add(
        "--started", type=datetime.fromisoformat, metavar="TIME",
        help="start of the recording, such as 2026-11-21T10:30; default: as the video says",
    )  # fmt: skip
    add(
        "--threshold", type=float, metavar="P",
        help="points below this confidence do not count; default: 0.6, of SLEAP 0",
    )  # fmt: skip
    add(
        "--tracks", nargs="+", metavar="NAME", help="animals of the poses; default: all"
    )
    add(
        "--video", choices=["link", "copy", "reference"],
        help="put a link to the video into the folder, a copy, or its path; default: link",
    )  # fmt: skip
    add(
        "--camera", metavar="NAME", help="name of the camera in the run; default: video"
    )
    add(
        "--cut", action="store_true", default=None,
        help="use the first frames where video and poses differ in length",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
