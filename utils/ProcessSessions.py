"""Compute poses, motion energy, features and checks of sessions, as ALF files.

    python utils/ProcessSessions.py mouse/2026-11-21/001 --networks networks/
    python utils/ProcessSessions.py sessions/ --queue --networks networks/

A session is a folder with raw_video_data/. With --queue the folder is a tree of sessions
(SUBJECT/DATE/NUMBER), which several computers can process together.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import logging
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.offline import run_queue, run_session
from deeplabstream.offline.ibl.pipeline import PIPELINES
from deeplabstream.offline.queue.session_queue import open_queue
from deeplabstream.offline.ibl.session_processing import CAMERAS


@ending("stopped; repeat the command to continue")
def main(argv: Sequence[str] | None = None) -> int:
    """Process; return 0, 1 when something failed, 2 when nothing could begin."""
    asked = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if asked.status:
        return _status(asked)
    if asked.queue:
        worked = run_queue(
            asked.folder,
            asked.sessions,
            asked.machine,
            pipeline=asked.pipeline,
            ckpts_path=asked.networks,
        )
        print(f"processed {worked} sessions")
        return _status(asked)
    status = run_session(
        asked.folder or "",
        asked.machine,
        asked.cameras,
        overwrite=asked.overwrite,
        pipeline=asked.pipeline,
        ckpts_path=asked.networks,
    )
    return 0 if status == 0 else 1


def _status(asked: argparse.Namespace) -> int:
    queue = open_queue(asked.folder, asked.machine, asked.pipeline)
    rows = list(queue.rows())
    for row in rows:
        words = [row["state"], row["session"], row["machine"], row["reason"]]
        print("  ".join(word for word in words if word))
    print(queue.write_status())
    return 1 if any(row["state"] == "set aside" for row in rows) else 0


def _parser() -> ProgramParser:
    parser = ProgramParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    shipped = ", ".join(sorted(file.stem for file in PIPELINES.glob("*.ini")))
    add("folder", nargs="?", help="session folder, eid, or tree of sessions")
    add("--pipeline", default="ibl", help=f"file, or one of {shipped}")
    add("--networks", type=Path, metavar="FOLDER", help="default: as in the pipeline")
    add("--cameras", nargs="+", default=CAMERAS, metavar="NAME")
    add("--overwrite", action="store_true", help="replace existing results")
    add("--queue", action="store_true", help="process a tree of sessions")
    add(
        "--sessions",
        type=int,
        default=10,
        help="maximum number of sessions of a queue (10)",
    )
    add("--machine", help="name of this computer in log and status")
    add("--status", action="store_true", help="print the status of a queue and exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
