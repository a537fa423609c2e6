"""Program start: programs that a rack starts, with a pipe to their input."""

import subprocess
import sys
from collections.abc import Sequence
from typing import IO


def start_program(
    command: Sequence[str], output: int | IO[bytes], errors: int | None = None
) -> "subprocess.Popen[bytes]":
    """Start a program in a process session of its own; OSError: it can't be started.

    Ctrl-C and other signals of the terminal do not reach it. `output`, `errors`: as for
    `subprocess.Popen`.
    """
    group = 0
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        bufsize=0,
        start_new_session=True,
        creationflags=group,
    )
