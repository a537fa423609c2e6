"""A rig folder whose camera sees the LED of an emulated board, for tests and a benchmark."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engine.tolerant import TOLERANT
from tests.firmware import led_camera
from tests.firmware.powered import Powered, powered

LED_PIN, OUTPUT_PIN, ANSWER_PIN = "B5", "B1", "D2"
SETTINGS = """
[Pose Estimation]
MODEL = stand-in:{network_ms:g}
[Camera top]
KIND = LedCamera
FILE = {file}
RATE = {rate:g}
{camera}
[Output laser]
KIND = BoardPin
PORT = {port}
PIN = 9
WATCHDOG_MS = 1000
PROOF_PIN = 0
[Experiment]
EXP_NAME =
RECORD_EXP = no
{tolerant}
"""


@dataclass
class LedRig:
    """A rig folder and its board."""

    folder: Path
    board: Powered

    @property
    def settings(self) -> Path:
        """Its settings."""
        return self.folder / "settings.ini"


@contextmanager
def led_rig(
    folder: Path, camera: str = "", network_ms: float = 20.0, rate: float = 50.0
) -> Iterator[LedRig]:
    """Make a rig folder; `camera`: further keys of `LedCamera`."""
    (folder / "cameras").mkdir(parents=True)
    shutil.copy(led_camera.__file__, folder / "cameras")
    with powered(prompt=True) as board:
        board.catch_up(5.0)
        board.watch(LED_PIN, folder / "led.bin")
        board.now()
        text = SETTINGS.format(
            file=folder / "led.bin",
            port=board.port,
            camera=camera,
            network_ms=network_ms,
            rate=rate,
            tolerant=TOLERANT,
        )
        (folder / "settings.ini").write_text(text, "utf-8")
        yield LedRig(folder, board)
