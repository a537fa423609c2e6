"""`python -m deeplabstream`: the command `deeplabstream`."""

import sys

from deeplabstream.cli import main

if __name__ == "__main__":
    sys.exit(main())
