"""Markers of a plate with arenas, to print: `deeplabstream print-markers`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.cli import main_of

main = main_of("deeplabstream.programs.print_markers")

if __name__ == "__main__":
    sys.exit(main())
