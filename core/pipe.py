"""An end of a `multiprocessing.Pipe`: Windows has a class of its own for it."""

import sys

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

__all__ = ["Connection"]
