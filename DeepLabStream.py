"""Command-line program: camera test, pose test, benchmark and recording test of a rig."""

import multiprocessing
import sys

from deeplabstream.cli import main_of

main = main_of("deeplabstream.gui.stream_program")

if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
