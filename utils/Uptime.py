"""Print the uptime of runs: `deeplabstream uptime`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.cli import main_of

main = main_of("deeplabstream.programs.report_uptime")

if __name__ == "__main__":
    sys.exit(main())
