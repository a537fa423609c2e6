"""Take the pictures of the README: the window while the demo rig's experiment runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import multiprocessing
from collections.abc import Sequence

from core.record import Step
from engine.agenda import AGENDAS, Agenda
from engine.live import Session
from engine.settings import load
from gui.application import application, run_until_closed
from gui.bridge import Bridge
from gui.document import Document
from gui.qt_environment import why_no_window
from gui.window import Window

HERE = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str]) -> int:
    """Return 0 when the picture was taken."""
    options = argparse.ArgumentParser(prog="TakeScreenshots.py", description=__doc__)
    options.add_argument("--settings", type=Path, default=HERE / "settings.ini")
    options.add_argument("--output", type=Path, default=HERE / "docs/images/window.png")
    options.add_argument(
        "--after",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="how long the experiment runs first (default: 15)",
    )
    chosen = options.parse_args(argv)
    if reason := why_no_window():
        print(reason)
        return 1
    application()
    with Session(load(chosen.settings)) as session:
        bridge = Bridge(session, Agenda(AGENDAS["experiment"]))
        window = Window(bridge, Document(chosen.settings))
        camera = Photographer(window, chosen.output, chosen.after)
        bridge.stepped.connect(camera.look)
        bridge.failed.connect(camera.give_up)
        bridge.start()
        run_until_closed(window)
    return 0 if camera.done else 1


class Photographer:
    """Waits for a moment at which a region holds and its stimulus is on."""

    def __init__(self, window: Window, file: Path, after_s: float) -> None:
        self._window, self._file, self._after_s = window, file, after_s
        self._first_ns = 0
        self._holding = 0
        self.done = False

    def give_up(self, text: str) -> None:
        """Say what went wrong, and close the window."""
        print(text)
        self._window.close()

    def look(self, steps: tuple[Step, ...]) -> None:
        """Take the picture in the middle of a visit, then close the window."""
        last = steps[-1]
        running = [step.exposed_ns for step in steps if step.status]
        self._first_ns = self._first_ns or (running[0] if running else 0)
        on = any(self._window.bridge.rig.levels.values())
        self._holding = self._holding + 1 if on and any(last.triggers.values()) else 0
        waited_s = (last.exposed_ns - (self._first_ns or last.exposed_ns)) / 1e9
        if self._holding > 9 and waited_s >= self._after_s and not self.done:
            self.done = True
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._window.grab().save(str(self._file))
            print(f"written to {self._file}")
            self._window.close()


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main(sys.argv[1:]))
