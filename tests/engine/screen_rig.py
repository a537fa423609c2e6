"""A rig folder whose camera sees a virtual screen, for tests and a benchmark."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engine import screen_camera
from tests.engine.tolerant import TOLERANT

SETTINGS = """
[Pose Estimation]
MODEL = stand-in:{network_ms:g}
[Camera top]
KIND = ScreenCamera
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
NO_BOARD = "/dev/no-board"


@dataclass
class ScreenRig:
    """A rig folder and the pixels of its screen."""

    folder: Path
    file: Path

    @property
    def settings(self) -> Path:
        """Its settings."""
        return self.folder / "settings.ini"


@contextmanager
def screen_rig(
    folder: Path,
    camera: str = "",
    network_ms: float = 20.0,
    rate: float = 50.0,
    port: str = NO_BOARD,
) -> Iterator[ScreenRig]:
    """Make a rig folder; Xvfb runs, and is the screen of programs that are started.

    `camera`: further keys of `ScreenCamera`; `port`: of the board with the output.
    """
    (folder / "cameras").mkdir(parents=True)
    shutil.copy(screen_camera.__file__, folder / "cameras")
    with _virtual_screen(folder) as file:
        text = SETTINGS.format(
            file=file,
            port=port,
            camera=camera,
            network_ms=network_ms,
            rate=rate,
            tolerant=TOLERANT,
        )
        (folder / "settings.ini").write_text(text, "utf-8")
        yield ScreenRig(folder, file)


@contextmanager
def _virtual_screen(folder: Path) -> Iterator[Path]:
    """Run Xvfb; yield the file with its pixels."""
    out, into = os.pipe()
    words = ["Xvfb", "-displayfd", str(into), "-screen", "0", "800x600x24"]
    words += ["-nolisten", "tcp", "-fbdir", str(folder)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(words, pass_fds=[into], stdout=quiet, stderr=quiet)
    os.close(into)
    before = {key: os.environ.get(key) for key in ("DISPLAY", "QT_QPA_PLATFORM")}
    try:
        with os.fdopen(out) as number:
            os.environ["DISPLAY"] = ":" + number.readline().strip()
        os.environ["QT_QPA_PLATFORM"] = "xcb"
        yield folder / "Xvfb_screen0"
    finally:
        for key, word in before.items():
            os.environ.pop(key)
            if word is not None:
                os.environ[key] = word
        server.terminate()
        server.wait()


@contextmanager
def watched_patch(
    file: Path, tell: Callable[[int], object] = lambda lit: None
) -> Iterator[list[tuple[int, int]]]:
    """Yield times and levels of the patch's pixels as they change; `tell` gets each level."""
    patch = screen_camera.pixels(file)[50:51, 50:51]
    over = threading.Event()
    edges: list[tuple[int, int]] = []

    def follow() -> None:
        level = -1
        while not over.is_set():
            now_ns, lit = time.perf_counter_ns(), int(patch[0, 0] > 128)
            if lit != level:
                level = lit
                edges.append((now_ns, level))
                tell(level)
            over.wait(0.0005)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield edges
    finally:
        over.set()
        thread.join()
