"""Examination of this computer with the standard library only, as packages may be missing."""

import json
from collections.abc import Sequence
from configparser import Error as ConfigError
from configparser import RawConfigParser
from pathlib import Path

from deeplabstream.doctor.collection import collect
from deeplabstream.doctor.diagnosis import diagnose
from deeplabstream.doctor.findings import Finding, has_problem, not_examined
from deeplabstream.doctor.summary import summary
from deeplabstream.files import rig_folder
from deeplabstream.files.overwriting import check_free
from deeplabstream.files.paths import ROOT
from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.startup.program import ending
from deeplabstream.startup.qt_environment import has_screen, missing_packages


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Examine the computer without the packages that read the options of programs."""
    parser = ProgramParser(prog="Doctor.py")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(argv)
    return examine(options.output, options.json, options.overwrite)


def examine(output: Path | None, report: Path | None, overwrite: bool) -> int:
    """Print the findings; return 0 when there are no problems, 1 when there are.

    `output` is the folder of runs; None: that of the settings. Snapshot and findings are
    written to `report`.
    """
    check_free([report], overwrite)
    environment = collect(
        output or _output_folder(),
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
    print(_verdict(findings))

    if report:
        content = {
            "environment": environment.to_json(),
            "findings": [finding.to_json() for finding in findings],
        }
        report.write_text(json.dumps(content, indent=2), "utf-8")
    return 1 if has_problem(findings) else 0


def _verdict(findings: Sequence[Finding]) -> str:
    if has_problem(findings):
        return "Problems were found. docs/gpu.md has the way to a working GPU, step by step."
    if areas := not_examined(findings):
        return f"No problems in what was examined. Not examined: {', '.join(areas)}."
    return "No problems." if findings else "No problems, nothing to improve."


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
