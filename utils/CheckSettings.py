"""List all problems of settings.ini without opening devices."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser, rig_settings
from deeplabstream.core.errors import SettingsError
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.settings.settings_docs import describe
from deeplabstream.settings.loading import load


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the settings are right, 1 when they are not."""
    options = ProgramParser(prog="CheckSettings.py", description=__doc__)
    options.add_settings("file", nargs="?", default=None, metavar="settings")
    options.add_settings(default=None)
    options.add_argument(
        "--describe",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write all keys to FILE (docs/settings.md), or print them, and exit",
    )
    add_overwrite(options)
    chosen = options.parse_args(argv)
    if chosen.describe:
        page = describe().encode()
        if chosen.describe == "-":
            sys.stdout.buffer.write(page)
        else:
            check_free([Path(chosen.describe)], chosen.overwrite)
            Path(chosen.describe).write_bytes(page)
        return 0
    if chosen.file and chosen.settings:
        options.error("name the settings file once")
    file = chosen.file or chosen.settings or rig_settings()
    problems = problems_of(file)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{file}: no problems")
        for name, calibration in load(file).calibrations.items():
            print(f"[Camera {name}]: {calibration}")
    return 1 if problems else 0


def problems_of(path: Path) -> list[str]:
    """Return everything that is wrong with a settings file and the network it names."""
    try:
        rig = load(path)
    except SettingsError as error:
        return list(error.problems)
    return rig_problems(rig)


if __name__ == "__main__":
    sys.exit(main())
