"""Pose corrector: a thread that computes corrected poses and their uncertain places."""

from collections.abc import Mapping
from contextlib import suppress
from threading import Condition

from PyQt5.QtCore import QThread, pyqtSignal

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.pose_corrections import Correction
from deeplabstream.recording.recorded_frames import RecordedFrames
from deeplabstream.recording.uncertain_places import uncertain_places

_By = Mapping[int, Correction]
_Draft = tuple[RecordedFrames, _By, _By]


class PoseCorrector(QThread):
    """Thread that corrects the poses of a run; only the newest request is processed."""

    corrected = pyqtSignal(object, object)
    """Corrections by number, and the corrected RecordedFrames or an error message."""
    listed = pyqtSignal(object, object)
    """RecordedFrames as recorded, and the uncertain places after the corrections."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = Condition()
        self._requested: _Draft | None = None
        self._over = False
        self._places_of: tuple[RecordedFrames, _By] | None = None
        """Recorded frames and corrections of the last places."""

    def correct(self, frames: RecordedFrames, by: _By, known: _By) -> None:
        """Request poses corrected `by`, and the places uncertain after the `known`.

        `known` has checks too.
        """
        with self._changed:
            self._requested = frames, by, known
            self._changed.notify()
        if not self.isRunning():
            self.start()

    def finish(self) -> None:
        """End the thread."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self.wait()

    def run(self) -> None:
        """Process requests until `finish`."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._over or self._requested is not None
                )
                requested, self._requested = self._requested, None
            if self._over or requested is None:
                return
            frames, by, known = requested
            try:
                self.corrected.emit(by, frames.with_corrections(by))
            except DeepLabStreamError as error:
                self.corrected.emit(by, str(error))
            self._list_places(frames, known)

    def _list_places(self, frames: RecordedFrames, known: _By) -> None:
        """Find the uncertain places, unless frames and corrections are those of before."""
        before = self._places_of
        if before is not None and before[0] is frames and before[1] == known:
            return
        self._places_of = frames, known
        with suppress(DeepLabStreamError):  # the corrected poses have the same error
            checks = [entry for entry in known.values() if entry.kind == "check"]
            corrected = frames.with_corrections(
                {
                    number: entry
                    for number, entry in known.items()
                    if entry not in checks
                }
            )
            self.listed.emit(frames, uncertain_places(corrected, checks))
