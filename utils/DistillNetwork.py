"""Distil a slow network into a fast one, with videos of the rig that have no labels.

    python utils/DistillNetwork.py --teacher models/slow --videos videos --output models/fast \
        --within 2 --at-most-ms 8

The teacher labels frames of the videos on which it agrees with itself. Students of increasing
size learn from these labels. The first that is near enough to the teacher and fast enough on
this computer becomes the model folder. The exit code is 1 when none is.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import json
import shlex
from collections.abc import Sequence

from deeplabstream.offline.distillation.distill_config import DistillConfig
from deeplabstream.offline.distillation.distillation import (
    conclusion,
    distil,
    table,
)
from deeplabstream.offline.distillation.teacher import open_teachers
from deeplabstream.offline.video_files import video_files
from deeplabstream.settings.option_fields import add_options
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.training.command_line import add_progress


@ending("stopped; continue with --resume")
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, 1 when no student meets the limits, 2 when it could not be tried."""
    given = sys.argv[1:] if argv is None else list(argv)
    options = vars(_parser().parse_args(given))
    options.pop("rig", None)
    options["videos"] = video_files([Path(video) for video in options["videos"]])
    teachers = open_teachers(options.pop("teacher"))
    config = DistillConfig(
        command=shlex.join(["python", "utils/DistillNetwork.py", *given]), **options
    )

    def facts(words: dict[str, object]) -> None:
        if config.progress == "json":
            print(json.dumps(words), flush=True)

    result = distil(config, teachers, print, facts)
    print("\n".join([*table(result), *conclusion(config, result)]))
    return 0 if result.chosen else 1


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="DistillNetwork",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--teacher", nargs="+", required=True, metavar="MODEL",
        help="model folder, ensemble's folder, or several; CAMERA=MODEL for the videos of "
        "one camera",
    )  # fmt: skip
    add_options(parser, DistillConfig, without=("command", "progress"))
    add_progress(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
