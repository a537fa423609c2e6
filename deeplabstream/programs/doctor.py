"""Examine this computer: causes of problems of a rig, and the commands that solve them.

    python utils/Doctor.py

It looks at the system, Python and its packages, CPU, memory, disk, cameras, serial ports,
GPU, screen, power and antivirus, and runs a small network on each device that could run
one. Exit code 0: no problems; 1: problems were found.
"""

from pathlib import Path

from deeplabstream.programs.plain_doctor import examine
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options


@program_options
class Doctor:
    """Where runs are recorded, and a file for the result."""

    output: Path | None = option(default=None, metavar="FOLDER")
    """Where runs are recorded; default: OUTPUT_DIRECTORY of the rig's settings."""
    json: Path | None = option(default=None, metavar="FILE")
    """Write snapshot and findings to this file."""
    overwrite: bool = overwrite()


def doctor(options: Doctor) -> int:
    """Return 0 when there are no problems, 1 when there are."""
    return examine(options.output, options.json, options.overwrite)


PROGRAM = Program(Doctor, doctor, __doc__, "Doctor")
