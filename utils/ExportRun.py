r"""Export a run for other programs.

    python utils/ExportRun.py FOLDER --to nwb --species "Mus musculus" --sex F --age P90D
    python utils/ExportRun.py FOLDER --to parquet slp
    python utils/ExportRun.py FOLDER --to all
    python utils/ExportRun.py FOLDER --to bundle

`all` means all formats but the bundle: a folder with the run, its networks and the proof of
its decisions, which VerifyBundle.py checks. The files are written to FOLDER/export. Existing
files are replaced only with --overwrite.
NWB files name the subject: ANIMAL, SPECIES, SEX and AGE of [Session] in the settings of the
run, or the options below.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import re
from collections.abc import Callable, Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.files.overwriting import add_overwrite
from deeplabstream.evidence.evidence_bundle import BUNDLE, write_bundle
from deeplabstream.recording.exporters.exports import (
    EXPORTED_BEFORE,
    EXPORTS,
    ExportedBeforeError,
    export,
)
from deeplabstream.recording.exporters.nwb import NwbSubject
from deeplabstream.recording.exporters.nwb_run import subject_of
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.subject import FORMS, SEXES


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Export the run; return EXPORTED_BEFORE when a file is there already."""
    options = ProgramParser(
        prog="ExportRun.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("folder", type=Path, help="run folder")
    options.add_argument(
        "--to", nargs="+", required=True, choices=[*EXPORTS, BUNDLE, "all"],
        help="one or several formats",
    )  # fmt: skip
    options.add_argument(
        "--output", type=Path, metavar="FOLDER", help="default: export/ of the run"
    )
    options.add_argument(
        "--corrected", action="store_true",
        help="poses with the corrections of the run (CorrectPoses.py)",
    )  # fmt: skip
    add_overwrite(options)
    nwb = options.add_argument_group(
        "subject of NWB files (default: [Session] of the run)"
    )
    nwb.add_argument("--animal", default="", help="its name or number")
    nwb.add_argument("--species", default="", metavar="NAME",
        type=_of_form(*FORMS["species"]),
        help="Latin name, such as 'Mus musculus'")  # fmt: skip
    nwb.add_argument("--sex", default="", choices=SEXES,
        help="male, female, other or unknown")  # fmt: skip
    nwb.add_argument("--age", default="", metavar="DURATION",
        type=_of_form(*FORMS["age"]),
        help="age by ISO 8601, such as P90D or P12W")  # fmt: skip
    asked = options.parse_args(argv)
    kinds = [kind for kind in EXPORTS if kind in asked.to or "all" in asked.to]
    subject = NwbSubject(asked.animal, asked.species, asked.sex, asked.age)
    try:
        if kinds:
            export(
                asked.folder, kinds, asked.output, print, asked.overwrite, subject,
                asked.corrected,
            )  # fmt: skip
        if BUNDLE in asked.to:
            _bundle(asked, subject)
    except ExportedBeforeError as error:
        print(error, file=sys.stderr)
        return EXPORTED_BEFORE
    except (DeviceError, OSError, ValueError) as error:
        raise DeepLabStreamError(
            f"Can't export {asked.folder} to {', '.join(asked.to)}: {error}"
        ) from error
    if not {"nwb", BUNDLE} & {*kinds, *asked.to}:
        return 0
    if missing := subject_of(RunFolder(asked.folder), subject).missing:
        given = " and ".join(f"--{word}" for word in missing)
        print(
            f"run.nwb: no {' and no '.join(missing)} of the subject is known; "
            f"give {given}"
        )
    return 0


def _bundle(asked: argparse.Namespace, subject: NwbSubject) -> None:
    bundle = (asked.output or asked.folder / "export") / BUNDLE
    name = write_bundle(asked.folder, bundle, print, asked.overwrite, subject)
    print(bundle)
    print(f"its SHA-256, to publish: {name}")


def _of_form(form: re.Pattern[str], expected: str) -> Callable[[str], str]:
    """Return the type of an option whose text has a form."""

    def checked(text: str) -> str:
        if text and not form.fullmatch(text):
            raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
        return text

    return checked


if __name__ == "__main__":
    sys.exit(main())
