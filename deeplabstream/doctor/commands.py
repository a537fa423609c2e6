"""Commands of the operating system, run with a time limit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PATIENCE_S = 6.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Output of a command."""

    out: str = ""
    error_output: str = ""
    """Text of the error stream."""
    code: int = 0
    error: str = ""
    """Why there is no answer: not found, or no answer within a time."""


class CommandRunner(Protocol):
    """Runs a command that must end within a time."""

    def __call__(
        self,
        command: Sequence[str],
        limit_s: float = PATIENCE_S,
        folder: Path | None = None,
    ) -> CommandResult:
        """Return the output of the command; `folder` is its working directory."""
        ...


def run_command(
    command: Sequence[str], limit_s: float = PATIENCE_S, folder: Path | None = None
) -> CommandResult:
    """Run a command; always return a result within the limit.

    A process that cannot be killed, because it waits for a driver, is abandoned.
    """
    flags = 0x08000000 if sys.platform == "win32" else 0  # no console window
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            creationflags=flags,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return CommandResult(
            code=127, error=f"{command[0]} cannot be started: {reason}"
        )
    try:
        out, error_output = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired, OSError, ValueError):
            process.communicate(timeout=0.5)
        return CommandResult(code=124, error=f"no answer within {limit_s:g} s")
    texts = [stream.decode("utf-8", errors="replace") for stream in (out, error_output)]
    return CommandResult(texts[0], texts[1], process.returncode)
