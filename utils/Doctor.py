"""Examine this computer: what keeps a rig from running well, and the command that helps.

    python utils/Doctor.py

It looks at the system, Python and its packages, CPU, memory, disk, cameras, serial ports,
GPU, screen, power and antivirus, and runs a small network on each device that could run
one. Exit code 0: no problems; 1: problems were found.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import json
from collections.abc import Sequence
from configparser import Error as ConfigError
from configparser import RawConfigParser

from deeplabstream.files import rig_folder
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.files.paths import ROOT
from deeplabstream.doctor.collection import collect
from deeplabstream.doctor.diagnosis import diagnose
from deeplabstream.doctor.findings import has_problem
from deeplabstream.doctor.summary import summary
from deeplabstream.gui.qt_environment import has_screen, missing_packages


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when there are no problems, 1 when there are."""
    parser = ProgramParser(
        prog="Doctor.py", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where runs are recorded (default: OUTPUT_DIRECTORY of the rig's settings)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write snapshot and findings there"
    )
    add_overwrite(parser)
    chosen = parser.parse_args(argv)
    check_free([chosen.json] if chosen.json else [], chosen.overwrite)
    environment = collect(
        chosen.output or _output_folder(),
        screen_answers=has_screen(),
        missing_libraries=missing_packages(),
    )
    findings = diagnose(environment)
    for line in summary(environment):
        print(line)
    for finding in findings:
        print()
        print("\n".join(finding.lines()))
    print()
    print(_verdict(len(findings), has_problem(findings)))
    if chosen.json:
        found = {
            "environment": environment.to_json(),
            "findings": [each.to_json() for each in findings],
        }
        chosen.json.write_text(json.dumps(found, indent=2), "utf-8")
    return 1 if has_problem(findings) else 0


def _verdict(count: int, problem: bool) -> str:
    if problem:
        return "Problems were found. docs/gpu.md has the way to a working GPU, step by step."
    return "No problems." if count else "No problems, nothing to improve."


def _output_folder() -> Path:
    """Return the folder of runs; settings that cannot be read have the usual one.

    The settings are not loaded: that needs packages, which may be missing.
    """
    file = rig_folder.settings_file()
    usual = (file.parent if file else ROOT) / "output"
    if file is None:
        return usual
    settings = RawConfigParser(strict=False, inline_comment_prefixes=("#", ";"))
    try:
        settings.read(file, "utf-8")
        named = settings.get("Streaming", "OUTPUT_DIRECTORY", fallback="")
    except (ConfigError, OSError, ValueError):
        return usual
    return file.parent / named.strip() if named.strip() else usual


if __name__ == "__main__":
    sys.exit(main())
