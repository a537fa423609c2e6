"""Create a rig folder for the settings, plug-ins and networks of one lab.

    python utils/NewRig.py rigs/left

Upgrading the program does not change it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.settings.example_rig import make_rig


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Make the folder; return 0, or 2 when it can't be made."""
    parser = ProgramParser(rig=False, prog="NewRig.py", description=__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="new or empty folder"
    )
    folder = make_rig(parser.parse_args(argv).folder)
    print(f"Created the rig folder {folder}. Next, in that folder:")
    print("    deeplabstream check")
    print("    deeplabstream run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
