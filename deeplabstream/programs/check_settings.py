"""List all problems of settings.ini, or of a rack file, without opening devices.

Of a rack file, all rigs are checked, and no two boxes may use the same device.
"""

import sys
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.engine.checks.settings_check import settings_problems
from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.rack.rack_check import rack_problems
from deeplabstream.settings.loading import load
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import is_rack_file, load_rack
from deeplabstream.settings.settings_docs import describe
from deeplabstream.startup.arguments import rig_settings

STDOUT = "-"


@program_options
class CheckSettings:
    """The settings file to check, or where all keys are described."""

    file: Path | None = option(default=None, positional=True, metavar="settings")
    """Settings or rack file; default: settings.ini of the rig folder."""
    settings: Path | None = option(default=None, metavar="FILE")
    """Settings file."""
    describe: str = option(default="", without_value=STDOUT, metavar="FILE")
    """Write all keys to FILE (docs/settings.md), or print them, and exit."""
    overwrite: bool = overwrite()

    def __post_init__(self) -> None:
        if self.file and self.settings:
            raise DeepLabStreamError("name the settings file once")


def check_settings(options: CheckSettings) -> int:
    """Return 0 when the settings are right, 1 when they are not."""
    if options.describe:
        _describe(options)
        return 0

    file = options.file or options.settings or rig_settings()
    rack = is_rack_file(file)
    problems = rack_problems(file) if rack else settings_problems(file)
    for problem in problems:
        print(visible(problem, keep="\n\t"))
    if problems:
        return 1
    print(f"{file}: no problems")
    if rack:
        found = load_rack(file, only_shown=True)
        print(f"boxes: {', '.join(found.boxes) or 'none'}")
        if found.computers:
            print(f"other computers: {', '.join(found.computers)}")
        return 0
    for name, calibration in load(file).calibrations.items():
        print(f"[Camera {name}]: {calibration}")
    return 0


def _describe(options: CheckSettings) -> None:
    page = describe().encode()
    if options.describe == STDOUT:
        sys.stdout.buffer.write(page)
    else:
        file = Path(options.describe)
        check_free([file], options.overwrite)
        file.write_bytes(page)


PROGRAM = Program(CheckSettings, check_settings, __doc__, "CheckSettings")
