r"""Verify an evidence bundle: check every file, and re-run its decisions.

    python utils/VerifyBundle.py BUNDLE
    python utils/VerifyBundle.py BUNDLE --sha256 0402f2a04bf2

It prints what the bundle proves and what it does not prove. Nothing in the bundle is executed
or changed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.evidence.bundle_verification import verify_bundle


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Print what the bundle proves; return 1 when something in it is wrong."""
    options = ProgramParser(
        prog="VerifyBundle.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("bundle", type=Path, help="folder of ExportRun.py --to bundle")
    options.add_argument(
        "--sha256", default="", metavar="DIGITS",
        help="SHA-256 that ExportRun.py printed, or its first digits",
    )  # fmt: skip
    asked = options.parse_args(argv)
    found = verify_bundle(asked.bundle, asked.sha256)
    for line in found.lines():
        print(line)
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
