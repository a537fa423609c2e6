"""Alarm sound: repeated until alarms are acknowledged; can be switched off."""

import shutil
import sys
import wave
from array import array
from collections.abc import Callable
from math import pi, sin
from pathlib import Path

from PyQt5.QtCore import QObject, QProcess, QSettings, QStandardPaths, QTimer
from PyQt5.QtWidgets import QApplication

from deeplabstream.files.atomic_replace import atomic_file

REPEAT_MS = 10_000
_MUTED = "alarm_sound_off"
_RATE = 44_100
_PLAYERS = ("pw-play", "paplay", "aplay")
"""Programs of Linux that play a file; many desktops mute the terminal's bell."""


def beep() -> None:
    """Play two short tones; returns at once."""
    player = next(filter(None, map(shutil.which, _PLAYERS)), None)
    file = _tone_file() if sys.platform.startswith("linux") and player else None
    if file is None:
        QApplication.beep()
    else:
        QProcess.startDetached(player, [str(file)])


def _tone_file() -> Path | None:
    """Return a file with the tones, in the user's cache; None: it can't be written."""
    place = QStandardPaths.StandardLocation.CacheLocation
    file = Path(QStandardPaths.writableLocation(place)) / "alarm.wav"
    try:
        if not file.exists():
            with atomic_file(file) as draft:
                write_tones(draft)
    except OSError:
        return None
    return file


def write_tones(file: Path) -> None:
    """Write a file with two tones of 0.2 s, 880 and 660 Hz."""
    samples = array("h")
    for tone_hz in (880, 660):
        for index in range(_RATE // 5):
            fade = min(1.0, index / 400, (_RATE // 5 - index) / 400)
            samples.append(round(12_000 * fade * sin(2 * pi * tone_hz * index / _RATE)))
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        out.writeframes(samples.tobytes())


class AlarmSound(QObject):
    """Plays while `sounding` returns True, at once and then every ten seconds."""

    def __init__(
        self,
        sounding: Callable[[], bool],
        memory: QSettings | None = None,
        play: Callable[[], object] = beep,
    ) -> None:
        super().__init__()
        self._sounding, self._memory, self.play = sounding, memory, play
        self.on = memory is None or memory.value(_MUTED, "") != "yes"
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.repeat)

    def begin(self) -> None:
        """Play now, then every ten seconds while there are alarms."""
        self._timer.start(REPEAT_MS)
        self.repeat()

    def repeat(self) -> None:
        """Play once; stop the timer if no alarm is left."""
        if not self._sounding():
            self._timer.stop()
        elif self.on:
            self.play()

    def switch(self, on: bool) -> None:
        """Switch the sound on or off, and save the choice."""
        self.on = on
        if self._memory is not None:
            self._memory.setValue(_MUTED, "" if on else "yes")
