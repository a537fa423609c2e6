r"""Export a run for other programs.

    python utils/ExportRun.py FOLDER --to nwb --species "Mus musculus" --sex F --age P90D
    python utils/ExportRun.py FOLDER --to parquet slp
    python utils/ExportRun.py FOLDER --to all
    python utils/ExportRun.py FOLDER --to bundle

`all` means all formats but the bundle: a folder with the run, its networks and the proof of
its decisions, which VerifyBundle.py checks. The files are written to FOLDER/export. Existing
files are replaced only with --overwrite.
Poses have the corrections of the run, unless --raw is given; a bundle has the recorded
poses, on which its decisions were made.
NWB files name the subject: ANIMAL, SPECIES, SEX and AGE of [Session] in the settings of the
run, or the options below.
"""

import sys
from pathlib import Path

from deeplabstream.core.errors import (
    DeepLabStreamError,
    DeviceError,
    check_packages,
)
from deeplabstream.evidence.evidence_bundle import BUNDLE, write_bundle
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.recording.exporters.exports import (
    EXPORT_PACKAGES,
    EXPORTED_BEFORE,
    EXPORTS,
    ExportedBeforeError,
    export,
)
from deeplabstream.recording.exporters.nwb import NwbSubject
from deeplabstream.recording.exporters.nwb_run import subject_of
from deeplabstream.recording.pose_corrections import poses_in_use
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.subject import SEXES, Age, Species

_SUBJECT = "subject of NWB files (default: [Session] of the run)"
"""Group of the options that describe the animal."""


@program_options
class ExportRun:
    """A run, the formats, and the subject of NWB files."""

    folder: Path = option(positional=True)
    """Run folder."""
    to: tuple[str, ...] = option(choices=[*EXPORTS, BUNDLE, "all"])
    """One or several formats."""
    output: Path | None = option(default=None, metavar="FOLDER")
    """Output folder; default: export/ of the run."""
    raw: bool = option(default=False)
    """The poses as recorded, without the corrections of the run (CorrectPoses.py)."""
    corrected: bool = option(default=False)
    """Poses with the corrections of the run: the default."""
    overwrite: bool = overwrite()
    animal: str = option(default="", group=_SUBJECT)
    """Its name or number."""
    species: Species = option(default="", metavar="NAME", group=_SUBJECT)
    """Latin name, such as 'Mus musculus'."""
    sex: str = option(default="", choices=SEXES, group=_SUBJECT)
    """Male, female, other or unknown."""
    age: Age = option(default="", metavar="DURATION", group=_SUBJECT)
    """Age by ISO 8601, such as P90D or P12W."""

    def __post_init__(self) -> None:
        if self.raw and self.corrected:
            raise DeepLabStreamError("give either --raw or --corrected")


def export_run(options: ExportRun) -> int:
    """Export the run; return EXPORTED_BEFORE when a file exists already."""
    run, into = options.folder, options.output
    formats = [name for name in EXPORTS if name in options.to or "all" in options.to]
    packages = [name for kind in formats for name in EXPORT_PACKAGES[kind]]
    if BUNDLE in options.to:
        packages += [*EXPORT_PACKAGES["nwb"], "rocrate"]
    check_packages(f"--to {' '.join(options.to)}", packages)

    subject = NwbSubject(options.animal, options.species, options.sex, options.age)
    try:
        if formats:
            export(run, formats, into, print, options.overwrite, subject, options.raw)
        if BUNDLE in options.to:
            bundle = (into or run / "export") / BUNDLE
            sha256 = write_bundle(run, bundle, print, options.overwrite, subject)
            if sentence := poses_in_use(run, corrected=False):
                print(f"{bundle}: {sentence}")
            print(f"{bundle}\nits SHA-256, to publish: {sha256}")
    except ExportedBeforeError as error:
        print(error, file=sys.stderr)
        return EXPORTED_BEFORE
    except (DeviceError, OSError, ValueError) as error:
        raise DeepLabStreamError(
            f"Can't export {run} to {', '.join(options.to)}: {error}"
        ) from error

    if {"nwb", BUNDLE} & {*formats, *options.to}:
        missing = subject_of(RunFolder(run), subject).missing
        if missing:
            needed = " and ".join(f"--{name}" for name in missing)
            print(
                f"run.nwb: no {' and no '.join(missing)} of the subject is known; "
                f"give {needed}"
            )
    return 0


PROGRAM = Program(ExportRun, export_run, __doc__, "ExportRun")
