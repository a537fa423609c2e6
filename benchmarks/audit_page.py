"""The program's own share of the ten minutes in which a rater judges a hundred clips.

A run with a video of 640×480 is made, and a simulated rater judges its clips on the real page
of the window: looks at each clip for `--look` seconds after its first image, then sends a
key. Measured is what the rater waits for: the sample at the start, each clip after the key,
and the figures at the end; and the processor time of all this, decoding included. With
`--look 0` the rater never waits before a key, and so waits for each clip to be decoded.

Waiting times mean nothing on a busy computer.

    python benchmarks/audit_page.py
    python benchmarks/audit_page.py --video mouse.mp4 --look 0
    python benchmarks/audit_page.py --quick
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PyQt5.QtCore import QEventLoop, Qt, QTimer
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication

from deeplabstream.audit.audit import open_audit
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.gui.application import application
from deeplabstream.gui.pages.audit_page import AuditPage
from deeplabstream.recording.audit_files import AuditClip
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.video_reader import open_video
from tests.audit.scripted_run import Scene, record, verdict_of

SHAPE, RATE = (480, 640), 30.0
LIMIT_S = 600.0
"""Time for a hundred clips."""
KEYS = {"right": Qt.Key.Key_R, "wrong": Qt.Key.Key_W}
CLOCK = SystemClock()


@dataclass
class Waits:
    """What the rater waited for, s."""

    opening: float = 0.0
    clips: list[float] = field(default_factory=list)
    figures: float = 0.0
    cpu: float = 0.0
    """Processor time of the whole program, all threads."""

    @property
    def total(self) -> float:
        """All waiting."""
        return self.opening + sum(self.clips) + self.figures


def write_video(path: Path, frames: int) -> None:
    """Write a video of noise and a moving disc: noise costs a decoder much."""
    random = np.random.default_rng(1)
    noise = random.integers(90, 130, (16, *SHAPE), np.uint8)
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    with VideoWriter(path, ImageFormat(SHAPE, RATE)) as film:
        for index in range(frames):
            image = noise[index % len(noise)].copy()
            x, y = 320 + 200 * np.cos(index / 40), 240 + 150 * np.sin(index / 55)
            image[(columns - x) ** 2 + (rows - y) ** 2 < 30**2] = 20
            ns = round(index * 1e9 / RATE)
            film.write(image, index, ns, ns)


def wait_until(condition: Callable[[], bool]) -> float:
    """Process events until a condition holds; return the seconds that it took."""
    start_ns = CLOCK.now_ns()
    wake = QTimer()
    wake.start(1)
    while not condition():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    return (CLOCK.now_ns() - start_ns) / 1e9


def look(seconds: float) -> None:
    """Let the clip play."""
    until_ns = CLOCK.now_ns() + round(seconds * 1e9)
    wait_until(lambda: CLOCK.now_ns() >= until_ns)


def judge_all(run: Path, scene: Scene, look_s: float) -> Waits:
    """Judge all clips of a run on the page with keys."""
    found, computed, cpu_s = Waits(), list[object](), process_time()
    page = AuditPage()
    page.clips.computed.connect(lambda *_: computed.append(None))
    page.clips.failed.connect(sys.exit)
    page.resize(1152, 700)
    page.show()
    page.open(run)
    found.opening = wait_until(lambda: page.rater.isEnabled())
    page.use_rater("rater")
    for clip in clips_of(page):
        found.clips.append(wait_until(lambda: page.shown))
        look(look_s)
        QTest.keyClick(page, KEYS[verdict_of(clip, scene)])
    found.figures = wait_until(lambda: bool(computed))
    found.cpu = process_time() - cpu_s
    page.finish()
    page.close()
    return found


def clips_of(page: AuditPage) -> Iterator[AuditClip]:
    """Yield the clip that is shown or decoded, until all are judged."""
    while (clip := page.clip) is not None:
        yield clip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="Five clips of 8 s")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--look", type=float, default=2.8, help="Seconds for each clip")
    parser.add_argument("--video", type=Path, help="Video to show instead of noise")
    parser.add_argument("--json", type=Path, help="File to write")
    options = parser.parse_args(argv)
    frames = 9_000
    if options.quick:
        frames, options.clips, options.look = 240, 5, 0.0

    qt = application()
    with TemporaryDirectory() as folder:
        video = Path(folder) / "output" / "mouse.mp4"  # that of the scripted run
        video.parent.mkdir()
        if options.video:
            video.symlink_to(options.video.resolve())
            frames = min(frames, len(open_video(video)))
        else:
            write_video(video, frames)
        scene = Scene(1, frames=frames, rate=RATE, wrong_per_min=6)
        run = record(Path(folder) / "output" / "run", scene)
        open_audit(run, options.clips, seed=1)
        found = judge_all(run, scene, options.look)
    qt.quit()

    waits = np.array(found.clips)
    print(f"{len(waits)} clips judged, looked at for {options.look:g} s each")
    print(f"opening {found.opening:.2f} s, figures {found.figures:.2f} s")
    print(
        f"waiting for a clip: median {np.median(waits) * 1e3:.0f} ms, 95 % "
        f"{np.quantile(waits, 0.95) * 1e3:.0f} ms, longest {waits.max() * 1e3:.0f} ms"
    )
    print(
        f"the program's share: {found.total:.1f} s of {LIMIT_S:.0f} s "
        f"({found.total / LIMIT_S:.1%}); processor time {found.cpu:.1f} s"
    )
    if options.json:
        options.json.write_text(json.dumps(vars(found), indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "1")
    sys.exit(main())
