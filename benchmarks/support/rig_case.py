"""One measurement of the real rig, in a process of its own; prints JSON on its last line.

Simulated camera, stand-in network, region trigger, Alternating experiment, serial line,
recording: `deeplabstream.engine.session.session.RigSession` as app.py runs it, with the
real window or without.
"""

import argparse
import csv
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import psutil

from benchmarks.support.delay_causes import SLOW_MS, Late, Sampler, explanation, totals
from benchmarks.support.flood import Flood
from benchmarks.support.rendered import Rendered
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Failed, News
from deeplabstream.plugins.camera import Camera
from deeplabstream.settings.loading import load
from deeplabstream.settings.sections import Settings

if TYPE_CHECKING:
    from benchmarks.support.window_watch import WindowWatch

WARM_UP_S = 2.0
GIVE_UP_S = 60.0

SETTINGS = """\
[Streaming]
REAL_TIME = {real_time}
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:{network_ms:g}
[Camera arena]
KIND = SimulatedCamera
WIDTH = {width}
HEIGHT = {height}
RATE = {rate:g}
SHELTER = no
[Trigger inside]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle {left:g} {top:g} {left:g} {height:g}
[Output laser]
KIND = SerialLine
PORT = {port}
[Experiment]
EXP_NAME = bench
RECORD_EXP = yes
[Experiment bench]
KIND = Alternating
TRIGGER = inside
OUTPUT = laser
FRAMES = {every}
"""


@dataclass(frozen=True)
class Times:
    """Times of one frame, from the run's table; 0: the cell is empty."""

    exposed_ns: int
    arrived_ns: int
    posed_ns: int
    decided_ns: int
    written_ns: int

    @classmethod
    def of(cls, row: dict[str, str]) -> "Times":
        """Return the times of a row."""
        return cls(*(int(row[each.name] or 0) for each in fields(cls)))


class Watch:
    """Follows a rig from start to the end of the measurement."""

    def __init__(self, session: RigSession, seconds: float) -> None:
        self.session, self.seconds = session, seconds
        self.analysed: list[Times] = []
        """The frames analysed in the measurement, known at its end."""
        self.problems: list[str] = []
        self.failed = False
        """Whether one of the problems ends the run."""
        self.began_ns = self.ended_ns = 0
        self.finished = False
        self.window: WindowWatch | None = None
        self.seen: dict[str, Any] = {}
        """What became of the window."""
        self.cores: dict[str, float] = {}
        self.sampler: Sampler | None = None
        self.explains = False
        """Whether counters are sampled, to explain late pulses."""
        self._start_ns = time.perf_counter_ns()
        self._before: dict[str, float] = {}

    def take(self, news: News) -> None:
        """Note what the rig tells."""
        if isinstance(news, Failed):
            self.problems.append(news.text)
            self.failed = self.failed or news.grave

    def tick(self) -> None:
        """Begin and end the measurement in time; to be called often."""
        now_ns = time.perf_counter_ns()
        if self.finished:
            return
        if now_ns - self._start_ns > (GIVE_UP_S + self.seconds) * 1e9:
            self.problems.append("the rig did not get ready")
            self.finished = True
        elif not self.session.state.experimenting:
            if self.began_ns or self.failed:
                self.problems.append("the experiment ended")
                self.finished = True
        elif not self.began_ns:
            self.began_ns = now_ns + round(WARM_UP_S * 1e9)
            if self.explains:
                self.sampler = Sampler(watched_threads())
        elif now_ns >= self.began_ns and not self._before:
            self.began_ns, self._before = now_ns, processor_times()
            if self.window is not None:
                self.window.begin()
        elif self._before and now_ns >= self.began_ns + self.seconds * 1e9:
            self.ended_ns, after = now_ns, processor_times()
            if self.window is not None:
                self.seen = self.window.end()
            span_s = (self.ended_ns - self.began_ns) / 1e9
            self.cores = {
                name: (after[name] - before) / span_s
                for name, before in self._before.items()
                if name in after
            }
            self.finished = True


def processor_times() -> dict[str, float]:
    """Return the CPU seconds of each process; the recorder's in two parts."""
    times = {"main": _seconds(psutil.Process())}
    for child in multiprocessing.active_children():
        process = psutil.Process(child.pid)
        name = child.name.split()[0]
        times[name] = _seconds(process)
        if name == "recorder":
            first = [t for t in process.threads() if t.id == child.pid]
            times["recorder"] = sum(t.user_time + t.system_time for t in first)
            times["encoder"] = _seconds(process) - times["recorder"]
    return times


def watched_threads() -> dict[str, tuple[int, list[int]]]:
    """Return process and threads of the parts of the rig."""
    found = {"window": (os.getpid(), [os.getpid()])}
    for child in multiprocessing.active_children():
        name, pid = child.name.split()[0], child.pid or 0
        if name in ("engine", "camera", "recorder"):
            found[name] = pid, [pid]
        if name == "recorder":
            threads = [thread.id for thread in psutil.Process(pid).threads()]
            found["encoder"] = pid, [each for each in threads if each != pid]
    return found


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(
    settings: Settings, seconds: float, window: bool, explains: bool = False
) -> dict[str, Any]:
    """Run the rig and return what came of it; times in ns."""
    with RigSession(settings) as session:
        watch = Watch(session, seconds)
        watch.explains = explains
        agenda = RequestQueue(AGENDAS["experiment"])
        if window:
            _in_window(session, agenda, watch)
        else:
            while not watch.finished:
                for news in session.poll():
                    watch.take(news)
                agenda.advance(session)
                watch.tick()
                time.sleep(1 / 30)
            session.close()
        folder = session.state.run_folder
    result: dict[str, Any] = {"problems": watch.problems, "cores": watch.cores}
    if watch.seen:
        result["window"] = watch.seen
    if folder is not None and watch.ended_ns:
        result |= evaluate(folder / "arena.csv", watch, settings.pose.model)
    if watch.sampler is not None:
        samples = watch.sampler.stop()
        result["counters"] = totals(samples, watch.began_ns, watch.ended_ns)
        result["late"] = [
            explanation(late, samples, watch.began_ns)
            for late in late_pulses(watch, settings.pose.model)
        ]
    return result


def _in_window(session: RigSession, agenda: RequestQueue, watch: Watch) -> None:
    from benchmarks.support.window_watch import WindowWatch
    from deeplabstream.gui.application import application, run_until_closed
    from deeplabstream.gui.bridge import Bridge
    from deeplabstream.gui.main_window import MainWindow
    from deeplabstream.gui.settings_document import Document

    application()
    bridge = Bridge(session, agenda)
    settings = session.settings
    document = Document(settings.folder / "settings.ini", settings.text)
    window = MainWindow(bridge, document)
    watch.window = WindowWatch(window)

    def tick() -> None:
        watch.tick()
        if watch.finished:
            window.hide()  # a visible one asks first, because an experiment runs
            window.close()

    def fail(text: str) -> None:
        watch.problems.append(text)
        watch.failed = True

    bridge.failed.connect(fail)
    bridge.ticked.connect(tick)
    bridge.start()
    run_until_closed(window)


def evaluate(table: Path, watch: Watch, model: str) -> dict[str, Any]:
    """Return latencies, rates and pick-up lag within the measurement."""
    network_ns = float(model.partition(":")[2]) * 1e6
    began_ns, ended_ns = watch.began_ns, watch.ended_ns
    with table.open(encoding="utf-8", newline="") as file:
        rows = [Times.of(row) for row in csv.DictReader(file)]
    rows = [row for row in rows if began_ns <= row.exposed_ns < ended_ns]
    steps = watch.analysed = [row for row in rows if row.posed_ns]
    arrived_ns = np.array([row.arrived_ns for row in rows], np.int64)
    picked_ns = np.array([step.posed_ns - network_ns for step in steps], np.int64)
    own = np.searchsorted(arrived_ns, [step.arrived_ns for step in steps])
    lags = np.searchsorted(arrived_ns, picked_ns) - own - 1
    return {
        "latencies_ns": [s.written_ns - s.exposed_ns for s in steps if s.written_ns],
        "stages_ms": stages(steps, network_ns),
        "delivered": len(rows),
        "analysed_share": len(steps) / max(1, len(rows)),
        "poses_per_s": len(steps) / ((ended_ns - began_ns) / 1e9),
        "pick_up_lag": dict(Counter(np.maximum(lags, 0).tolist())),
    }


def late_pulses(watch: Watch, model: str) -> list[Late]:
    """Return the pulses that took longer than `SLOW_MS` besides the network."""
    network_ns = round(float(model.partition(":")[2]) * 1e6)
    late, before_ns = [], 0
    for step in watch.analysed:
        took_ns = step.written_ns - step.exposed_ns - network_ns
        if step.written_ns and took_ns > SLOW_MS * 1e6:
            late.append(
                Late(
                    step.exposed_ns,
                    step.arrived_ns,
                    step.posed_ns - network_ns,
                    step.decided_ns - network_ns,
                    step.written_ns - network_ns,
                    before_ns,
                )
            )
        before_ns = step.written_ns or step.posed_ns
    return late


def rendered(count: int) -> dict[str, Camera]:
    """Return cameras that show drawings made before."""
    mine: dict[str, Any] = {"shelter": False}
    others: dict[str, Any] = mine | {"analyse": False, "record": False}
    return {
        "arena": Rendered(**mine, seed=1),
        **{f"view {n}": Rendered(**others, seed=n) for n in range(2, count + 1)},
    }


def stages(steps: list[Times], network_ns: float) -> dict[str, float]:
    """Return the medians of a frame's stages, in ms; the network's time taken out."""
    done = [step for step in steps if step.written_ns]
    if not done:
        return {}
    parts: dict[str, list[float]] = {
        "tick_to_arrived": [s.arrived_ns - s.exposed_ns for s in done],
        "arrived_to_posed": [s.posed_ns - s.arrived_ns - network_ns for s in done],
        "posed_to_decided": [s.decided_ns - s.posed_ns for s in done],
        "decided_to_written": [s.written_ns - s.decided_ns for s in done],
    }
    return {name: float(np.median(times)) / 1e6 for name, times in parts.items()}


def main() -> int:
    """Measure one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--network-ms", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument(
        "--cameras",
        type=int,
        default=0,
        help="so many of 640×480 at 30/s that cost little; the first is analysed and recorded",
    )
    parser.add_argument("--port", required=True, help="the terminal to write to")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder")
    parser.add_argument("--window", action="store_true")
    parser.add_argument(
        "--every", type=int, default=5, help="frames between two writes to the output"
    )
    parser.add_argument(
        "--explain", action="store_true", help="say why single pulses were late"
    )
    parser.add_argument(
        "--no-real-time",
        dest="real_time",
        action="store_const",
        const="no",
        default="yes",
        help="keep ordinary priority",
    )
    parser.add_argument(
        "--flood", action="store_true", help="a camera that costs nothing"
    )
    options = parser.parse_args()
    values = vars(options) | {"left": options.width / 2, "top": 0}
    path = options.folder / "settings.ini"
    rate = min(options.rate, 2000.0)
    path.write_text(SETTINGS.format(**values | {"rate": rate}), "utf-8")
    settings = load(path)
    if options.flood:
        wanted: dict[str, Any] = {"rate": options.rate, "record": False}
        settings = replace(settings, cameras={"arena": Flood(**wanted)})
    if options.cameras:
        settings = replace(settings, cameras=rendered(options.cameras))
    found = measure(settings, options.seconds, options.window, options.explain)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
