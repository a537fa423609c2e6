"""Create a rig folder for the settings, plug-ins and networks of one lab.

    python utils/NewRig.py rigs/left

Upgrading the program does not change it.
"""

from pathlib import Path

from deeplabstream.programs.program import Program
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.option_fields import option, program_options


@program_options
class NewRig:
    """The rig folder to make."""

    folder: Path = option(positional=True, metavar="FOLDER")
    """New or empty folder."""


def new_rig(options: NewRig) -> int:
    """Make the folder, and print how to go on."""
    print(f"Created the rig folder {make_rig(options.folder)}. Next, in that folder:")
    print("    deeplabstream check")
    print("    deeplabstream run")
    return 0


PROGRAM = Program(NewRig, new_rig, __doc__, "NewRig", uses_rig=False)
