"""What rigs of tests have in common: a computer that stalls for seconds fails no test.

Tests of the limits themselves set these by their own words.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]
TOLERANT = """\
PATIENCE_S = 60
LOST_MS = 60000
MAX_AGE_MS = 60000
STALE_MS = 60000
"""
"""Keys of [Experiment]: how late frames may come before the outputs go off."""
GIVE_UP_S = 150.0
"""A loaded computer takes its time to start seven processes."""


def hold_frames_longer(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Let rings of small frames hold those of 10 s: a recorder that stalls loses none."""
    monkeypatch.setattr("deeplabstream.engine.session.process_manager.RING_S", 10.0)


class Failures(list[str]):
    """What a rig said that failed; frames lost to the video are a busy computer's."""

    def take(self, text: str) -> None:
        """Take a sentence."""
        if "frames are lost to the video" not in text:
            self.append(text)


def shipped_settings(**others: str) -> str:
    """Return the settings.ini of this checkout with tolerant limits.

    `others`: further keys that it has, each once, with what they are to be.
    """
    words = dict(line.split(" = ") for line in TOLERANT.splitlines())
    del words["LOST_MS"]  # the simulated mouse hides under its shelter
    lines = (ROOT / "settings.ini").read_text("utf-8").splitlines()
    for key, word in {**words, **others}.items():
        (place,) = (n for n, line in enumerate(lines) if line.startswith(f"{key} ="))
        lines[place] = f"{key} = {word}"
    return "\n".join(lines) + "\n"
