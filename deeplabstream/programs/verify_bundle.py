r"""Verify an evidence bundle: check every file, and re-run its decisions.

    python utils/VerifyBundle.py BUNDLE
    python utils/VerifyBundle.py BUNDLE --sha256 0402f2a04bf2

It prints what the bundle proves and what it does not prove. Nothing in the bundle is executed
or changed.
"""

from pathlib import Path

from deeplabstream.evidence import bundle_verification
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options


@program_options
class VerifyBundle:
    """An evidence bundle, and what is known of it."""

    bundle: Path = option(positional=True)
    """Folder of ExportRun.py --to bundle."""
    sha256: str = option(default="", metavar="DIGITS")
    """SHA-256 that ExportRun.py printed, or its first digits."""


def verify_bundle(options: VerifyBundle) -> int:
    """Print what the bundle proves; return 1 when something in it is wrong."""
    result = bundle_verification.verify_bundle(options.bundle, options.sha256)
    for line in result.lines():
        print(line)
    return 1 if result.failed else 0


PROGRAM = Program(VerifyBundle, verify_bundle, __doc__, "VerifyBundle")
