"""Convert settings.ini and experiment files of DeepLabStream 1 to a settings file.

Values and comments are kept. The program lists everything that it could not convert. It also
reads utils/advanced_settings.ini and experiments/configs/ beside an old settings.ini.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.files.rig_folder import SETTINGS
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.settings.experiment_design import SIMULATED
from deeplabstream.settings.v1_import.conversion import Imported, import_file
from deeplabstream.settings.ini_reading import read_text


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the new file can be used, 1 when it has to be mended, 2: no file."""
    asked = _parser().parse_args(argv)
    check_free([asked.output], asked.overwrite)
    made = _imported(asked)
    asked.output.write_text(made.text, encoding="utf-8", newline="\n")
    _tell(made, asked.output)
    return 1 if made.problems else 0


def _parser() -> ProgramParser:
    parser = ProgramParser(rig=False, prog="ImportSettings.py", description=__doc__)
    parser.add_argument(
        "old",
        type=Path,
        help="settings.ini or experiment file of DeepLabStream 1",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="new file"
    )
    parser.add_argument(
        "--advanced", type=Path, metavar="FILE", help="its advanced_settings.ini"
    )
    parser.add_argument(
        "--experiment", type=Path, metavar="FILE", help="its experiment file"
    )
    parser.add_argument(
        "--rig",
        type=Path,
        metavar="FOLDER|FILE",
        help=(
            "for an experiment file alone: rig folder or settings file that "
            "provides cameras, network and outputs (default: a simulated mouse)"
        ),
    )
    add_overwrite(parser, "--replace")
    return parser


def _imported(asked: argparse.Namespace) -> Imported:
    file = asked.rig / SETTINGS if asked.rig and asked.rig.is_dir() else asked.rig
    rig = SIMULATED if file is None else read_text(file)
    folder = asked.output.absolute().parent
    return import_file(asked.old, folder, rig, asked.advanced, asked.experiment)


def _tell(made: Imported, path: Path) -> None:
    print(f"Written: {path}")
    if made.sentences:
        print("\nChanged or not converted:")
        print(*(f"- {sentence}" for sentence in made.sentences), sep="\n")
    if made.problems:
        print("\nFix before use:")
        print(*(f"- {problem}" for problem in made.problems), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
