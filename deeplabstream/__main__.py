"""`python -m deeplabstream`: the command `deeplabstream`."""

import sys

from deeplabstream.files.paths import PACKAGE

# Python puts the working directory first: a file in it would replace a package.
if not sys.flags.safe_path and sys.path[0] != str(PACKAGE.parent):
    del sys.path[0]

from deeplabstream.cli import main

if __name__ == "__main__":
    sys.exit(main())
