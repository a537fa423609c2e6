"""Compute poses, motion energy, features and checks of sessions, as ALF files.

    python utils/ProcessSessions.py mouse/2026-11-21/001 --networks networks/
    python utils/ProcessSessions.py sessions/ --queue --networks networks/

A session is a folder with raw_video_data/. With --queue the folder is a tree of sessions
(SUBJECT/DATE/NUMBER), which several computers can process together.
"""

import logging
import sys
from pathlib import Path

from deeplabstream.offline import run_queue, run_session
from deeplabstream.offline.ibl.pipeline import PIPELINES
from deeplabstream.offline.ibl.session_processing import CAMERAS
from deeplabstream.offline.queue.session_queue import open_queue
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options

_SHIPPED = ", ".join(sorted(file.stem for file in PIPELINES.glob("*.ini")))


@program_options
class ProcessSessions:
    """A session or a tree of sessions, and the pipeline."""

    folder: str | None = option(default=None, positional=True)
    """Session folder, eid, or tree of sessions."""
    pipeline: str = option(default="ibl", description=f"file, or one of {_SHIPPED}")
    networks: Path | None = option(default=None, metavar="FOLDER")
    """Folder of the networks; default: as in the pipeline."""
    cameras: tuple[str, ...] = option(default=tuple(CAMERAS), metavar="NAME")
    """Cameras to process."""
    overwrite: bool = overwrite("replace existing results")
    queue: bool = option(default=False)
    """Process a tree of sessions."""
    sessions: int = option(default=10)
    """Maximum number of sessions of a queue."""
    machine: str | None = option(default=None)
    """Name of this computer in log and status."""
    status: bool = option(default=False)
    """Print the status of a queue and exit."""


def process_sessions(options: ProcessSessions) -> int:
    """Process; return 1 when something failed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if options.status:
        return _print_status(options)
    if options.queue:
        count = run_queue(
            options.folder,
            options.sessions,
            options.machine,
            pipeline=options.pipeline,
            ckpts_path=options.networks,
        )
        print(f"processed {count} sessions")
        return _print_status(options)
    status = run_session(
        options.folder or "",
        options.machine,
        options.cameras,
        overwrite=options.overwrite,
        pipeline=options.pipeline,
        ckpts_path=options.networks,
    )
    return 0 if status == 0 else 1


def _print_status(options: ProcessSessions) -> int:
    """Print the state of each session; return 1 when one was set aside."""
    queue = open_queue(options.folder, options.machine, options.pipeline)
    rows = list(queue.rows())
    for row in rows:
        cells = (row["state"], row["session"], row["machine"], row["reason"])
        print("  ".join(filter(None, cells)))
    print(queue.write_status())
    return int(any(row["state"] == "set aside" for row in rows))


PROGRAM = Program(
    ProcessSessions,
    process_sessions,
    __doc__,
    "ProcessSessions",
    stopped="stopped; repeat the command to continue",
)
