"""Rig claim: detects that a settings file is already open in another window."""

from contextlib import ExitStack
from pathlib import Path

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive


class RigClaim:
    """The settings file of a window, locked against claims of other windows.

    The system ends the lock when the program is killed.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock = ExitStack()

    def take(self, draft: Path) -> bool:
        """Claim a file by the path of its draft; return False if another window has it.

        Where no lock can be made, no draft can be written either: the claim succeeds.
        """
        if draft == self._path:
            return True
        self.release()
        try:
            self._lock.enter_context(exclusive(draft, 0))
        except BeingWrittenError:
            return False
        except DeviceError:
            return True
        self._path = draft
        return True

    def release(self) -> None:
        """End the claim."""
        self._lock.close()
        self._path = None
