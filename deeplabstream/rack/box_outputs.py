"""Box outputs: the outputs in the settings of a box, read again only after a change.

Reading settings takes tens of milliseconds, for which the answer to a user's start, and the
commands to other boxes, would wait.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files import rig_folder
from deeplabstream.files.paths import ROOT
from deeplabstream.files.plugin_trust import importable_files, is_trusted
from deeplabstream.plugins.output import Output
from deeplabstream.settings.rack_file import RackBox

_States: TypeAlias = dict[Path, tuple[int, int, int]]
"""Change time, size and inode of files; those that do not exist are missing."""


class BoxOutputs:
    """Reads the outputs of a box, and keeps them while the files they came from are the same."""

    def __init__(self, box: RackBox) -> None:
        """Store the box; read nothing."""
        self._box = box
        self._outputs: Mapping[str, Output] = {}
        self._read_from: _States | None = None
        """The files that `_outputs` came from; None: they must be read."""
        self._tried: _States | None = None
        """The files of the last attempt to read them."""

    def read(self) -> Mapping[str, Output]:
        """Return the outputs; none if the settings are bad, as the box itself says why."""
        states = self._states()
        if states != self._read_from:
            self._read(states)
        return self._outputs

    def read_ahead(self) -> None:
        """Read them after a change, so that `read` need not.

        Settings that are bad are tried once; plug-ins that the user has not confirmed are left
        to `read`, as a question must not appear unasked.
        """
        states = self._states()
        if states in (self._read_from, self._tried):
            return
        if is_trusted(self._folder):
            self._read(states)
        self._tried = states

    def discard(self) -> None:
        """Read them again next time: they were used, and a plug-in may keep a state."""
        self._outputs, self._read_from, self._tried = {}, None, None

    @property
    def _folder(self) -> Path:
        return self._box.file.resolve().parent

    def _read(self, states: _States) -> None:
        """Read the outputs. `states`: of the files, before: a later change is noticed."""
        self.discard()
        try:
            with rig_folder.used(self._folder):
                self._outputs = self._box.settings().outputs
        except (DeepLabStreamError, OSError):
            return
        self._read_from = states

    def _states(self) -> _States:
        files = [self._box.file]
        # the plug-ins of the program itself are loaded once
        if self._folder != ROOT.resolve():
            files += importable_files(self._folder)
        states: _States = {}
        for file in files:
            with suppress(OSError):
                facts = file.stat()
                states[file] = facts.st_mtime_ns, facts.st_size, facts.st_ino
        return states
