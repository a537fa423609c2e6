"""Convert settings.ini and experiment files of DeepLabStream 1 to a settings file.

Values and comments are kept. The program lists everything that it could not convert. It also
reads utils/advanced_settings.ini and experiments/configs/ beside an old settings.ini.
"""

from pathlib import Path

from deeplabstream.files.overwriting import check_free
from deeplabstream.files.rig_folder import SETTINGS
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.experiment_design import SIMULATED
from deeplabstream.settings.ini_reading import read_text
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.v1_import.conversion import import_file


@program_options
class ImportSettings:
    """Settings of DeepLabStream 1, and the new file."""

    old: Path = option(positional=True)
    """settings.ini or experiment file of DeepLabStream 1."""
    output: Path = option(metavar="FILE")
    """New file."""
    advanced: Path | None = option(default=None, metavar="FILE")
    """Its advanced_settings.ini."""
    experiment: Path | None = option(default=None, metavar="FILE")
    """Its experiment file."""
    rig: Path | None = option(default=None, metavar="FOLDER|FILE")
    """For an experiment file alone: rig folder or settings file that provides cameras,
    network and outputs; default: a simulated mouse."""
    overwrite: bool = overwrite(aliases=("--replace",))


def import_settings(options: ImportSettings) -> int:
    """Return 0 when the new file can be used, 1 when it has to be corrected."""
    check_free([options.output], options.overwrite)
    rig = options.rig
    if rig is not None and rig.is_dir():
        rig /= SETTINGS
    imported = import_file(
        options.old,
        options.output.absolute().parent,
        SIMULATED if rig is None else read_text(rig),
        options.advanced,
        options.experiment,
    )
    options.output.write_text(imported.text, encoding="utf-8", newline="\n")

    print(f"Written: {options.output}")
    if imported.sentences:
        print("\nChanged or not converted:")
        print(*(f"- {sentence}" for sentence in imported.sentences), sep="\n")
    if imported.problems:
        print("\nFix before use:")
        print(*(f"- {problem}" for problem in imported.problems), sep="\n")
    return 1 if imported.problems else 0


PROGRAM = Program(ImportSettings, import_settings, __doc__, "ImportSettings")
