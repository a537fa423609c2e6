"""Desktop application: runs a rig in a window, or headless where there is no screen."""

import multiprocessing
import sys

from deeplabstream.cli import main_of

main = main_of("deeplabstream.gui.app_program")

if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
