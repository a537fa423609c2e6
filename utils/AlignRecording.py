"""Map the clock of a run to that of another recorder: `deeplabstream align`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.cli import main_of

main = main_of("deeplabstream.programs.align_recording")

if __name__ == "__main__":
    sys.exit(main())
