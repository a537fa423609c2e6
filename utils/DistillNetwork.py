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

from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.core.errors import ModelError
from deeplabstream.offline.distillation.distill_config import DistillConfig
from deeplabstream.offline.distillation.distillation import (
    conclusion,
    distil,
    table,
)
from deeplabstream.offline.distillation.students import Candidate, parse_candidate
from deeplabstream.offline.distillation.teacher import open_teachers
from deeplabstream.offline.video_files import video_files
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.training.command_line import count, number


@ending("stopped; continue with --resume")
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, 1 when no student meets the limits, 2 when it could not be tried."""
    given = sys.argv[1:] if argv is None else list(argv)
    asked = vars(_parser().parse_args(given))
    quiet, tell = asked.pop("quiet"), asked.pop("tell")
    asked["progress"] = "json" if tell else "none" if quiet else "bar"
    asked["videos"] = video_files(asked["videos"])
    teachers = open_teachers(asked.pop("teacher"))
    asked.pop("rig", None)
    config = DistillConfig(
        command=shlex.join(["python", "utils/DistillNetwork.py", *given]), **asked
    )

    def facts(words: dict[str, object]) -> None:
        if tell:
            print(json.dumps(words), flush=True)

    result = distil(config, teachers, print, facts)
    print("\n".join([*table(result), *conclusion(config, result)]))
    return 0 if result.chosen else 1


def _student(word: str) -> Candidate:
    try:
        return parse_candidate(word)
    except ModelError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="DistillNetwork",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--teacher", nargs="+", required=True, metavar="MODEL",
        help="model folder, ensemble's folder, or several; CAMERA=MODEL for the videos of "
        "one camera",
    )  # fmt: skip
    add(
        "--videos", nargs="+", type=Path, required=True, metavar="VIDEO",
        help="videos without labels, or folders of them",
    )  # fmt: skip
    add("--output", type=Path, required=True, help="model folder to write")
    add(
        "--within", type=number(0.1, 1000), required=True, metavar="PX",
        help="largest median distance to the teacher in held-out frames",
    )  # fmt: skip
    add(
        "--at-most-ms", type=number(0.1, 10_000), required=True, metavar="MS",
        help="longest time from frame to pose on this computer",
    )  # fmt: skip
    add(
        "--labels", type=Path,
        help="labels made by hand, to learn from too: as for TrainNetwork --data",
    )  # fmt: skip
    add(
        "--check", type=Path, metavar="CSV",
        help="points placed by hand in frames of the videos, to measure with only: as for "
        "CheckNetwork --labels",
    )  # fmt: skip
    add("--count", type=count, default=300, help="frames that the teacher labels")
    add(
        "--agree", type=number(0.1, 1000), default=5.0, metavar="PX",
        help="largest spread of the teacher's opinions on a point (default: 5)",
    )  # fmt: skip
    add(
        "--students", nargs="+", type=_student, default=(), metavar="BACKBONE:320x240",
        help="students to try, in this order (default: eight, or six sizes with --start-from, "
        "the fastest first)",
    )  # fmt: skip
    add(
        "--start-from", metavar="MODEL",
        help="students have the backbone and the weights of this network, as in TrainNetwork; "
        "--students are then sizes alone: 224x160",
    )  # fmt: skip
    add(
        "--threads", type=at_least(0), default=1,
        help="CPU threads of the student on the rig; 0: all cores (default: 1)",
    )  # fmt: skip
    add(
        "--runtime", choices=("auto", *RUNTIMES), default="auto", metavar="NAME",
        help="runtime of the student; auto: the fastest in full precision, 8 bits where "
        "that is too slow",
    )  # fmt: skip
    add("--held-out", type=number(0.05, 0.5), default=0.15, help="share for measuring")
    add("--steps", type=count, default=1500, help="batches that a student learns from")
    add("--batch", type=count, default=8, help="images per step")
    add("--seed", type=int, default=0)
    add("--device", default="cpu", help="for training: cpu, cuda, cuda:1")
    add("--precision", choices=("auto", "full", "mixed"), default="auto")
    add("--workers", type=count, default=1, help="threads that prepare batches")
    add("--licence", default="", help="licence of the network, for model.json")
    add(
        "--resume", action="store_true", help="continue a distillation that was stopped"
    )
    add("--quiet", action="store_true", help="no progress bar")
    add("--tell", action="store_true", help="report progress as lines of JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
