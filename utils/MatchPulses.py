"""Frames of a run against the exposure pulses of a board: `deeplabstream pulses`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.cli import main_of

main = main_of("deeplabstream.programs.match_pulses")

if __name__ == "__main__":
    sys.exit(main())
