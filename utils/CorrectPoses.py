r"""Correct the poses of a recorded run; the recorded data stay as they are.

    python utils/CorrectPoses.py RUN swap --frames 900 960 --animals anna bob
    python utils/CorrectPoses.py RUN remove --seconds 12 12.5 --bodyparts snout --why "a hand"
    python utils/CorrectPoses.py RUN set --frames 912 --bodyparts snout --position 203.5 118
    python utils/CorrectPoses.py RUN interpolate --frames 913 930 --bodyparts snout
    python utils/CorrectPoses.py RUN list
    python utils/CorrectPoses.py RUN undo 2

Frames are numbered as in the column `frame` of the camera's table. The corrections are kept
in corrections.json in the run folder, with who, when and why; docs/results.md tells what uses
them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.api.corrections import correct, frames_between, undo_correction
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.pose_corrections import in_force, read_corrections
from deeplabstream.recording.run_opening import open_run_folder

KINDS = {
    "swap": "two animals have each other's names",
    "confirm": "the names are right, though identity was ambiguous",
    "remove": "the points are wrong, and none is known",
    "set": "a point is at --position",
    "interpolate": "the points lie on the line between the nearest known ones",
}


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Add a correction, undo one, or list them."""
    asked = _parser().parse_args(argv)
    if asked.what == "list":
        _list(asked.run)
    elif asked.what == "undo":
        undo_correction(asked.run, asked.number, asked.why, asked.who)
        print(f"undone: {asked.number}")
    else:
        number = correct(
            asked.run,
            asked.what,
            _frames(asked),
            animals=asked.animals,
            bodyparts=asked.bodyparts,
            position=asked.position,
            camera=asked.camera,
            why=asked.why,
            who=asked.who,
        )
        print(f"{number}: {read_corrections(asked.run)[number - 1]}")
    return 0


def _frames(asked: argparse.Namespace) -> tuple[int, int]:
    """Return first and last frame; one value is both."""
    found = asked.frames or asked.seconds
    if len(found) > 2:
        raise DeepLabStreamError("--frames, --seconds: expected first and last, or one")
    if asked.frames:
        return found[0], found[-1]
    return frames_between(asked.run, found[0], found[-1], asked.camera)


def _list(run: Path) -> None:
    open_run_folder(run, print, check_tables=False)
    every = read_corrections(run)
    used = in_force(every)
    for number, each in enumerate(every, start=1):
        off = "" if number in used or each.kind == "undo" else " (undone)"
        said = "; ".join(word for word in (each.who, each.when, each.why) if word)
        print(f"{number}: {each}{off}{f'  [{said}]' if said else ''}")
    if not every:
        print(f"{run}: no corrections")


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="CorrectPoses.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    whats = parser.add_subparsers(
        dest="what", required=True, metavar="|".join([*KINDS, "undo", "list"])
    )
    for kind, about in KINDS.items():
        _add_span(whats.add_parser(kind, help=about, description=about), kind)
    undo = whats.add_parser("undo", help="a correction does not count any more")
    undo.add_argument("number", type=int, metavar="NUMBER", help="as in the list")
    _add_person(undo)
    whats.add_parser("list", help="all corrections of the run")
    return parser


def _add_span(parser: argparse.ArgumentParser, kind: str) -> None:
    span = parser.add_mutually_exclusive_group(required=True)
    span.add_argument(
        "--frames", type=int, nargs="+", metavar="N",
        help="first and last frame, or one frame",
    )  # fmt: skip
    span.add_argument(
        "--seconds", type=float, nargs="+", metavar="S",
        help="the same as times since Start Stream",
    )  # fmt: skip
    add = parser.add_argument
    add("--camera", default="", metavar="NAME", help="default: the only one")
    add("--animals", nargs="+", default=(), metavar="NAME", help="default: all")
    parser.set_defaults(bodyparts=(), position=None)
    if kind not in ("swap", "confirm"):
        add("--bodyparts", nargs="+", default=(), metavar="NAME", help="default: all")
    if kind == "set":
        add(
            "--position", type=float, nargs=2, required=True, metavar=("X", "Y"),
            help="pixels of the image",
        )  # fmt: skip
    _add_person(parser)


def _add_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--why", default="", metavar="TEXT", help="reason")
    parser.add_argument(
        "--who", default="", metavar="NAME", help="default: the login name"
    )


if __name__ == "__main__":
    sys.exit(main())
