"""A month of daily runs on a simulated clock, and a rack by the clock: what leaks, what is lost.

    python benchmarks/month.py                   30 days, 12 h a day, one frame a second
    python benchmarks/month.py --quick           two days, a frame a minute
    python benchmarks/month.py --real 120        two hours of a rack of two boxes, by the clock
    python benchmarks/month.py --json FILE

The month: the schedule of a rack file starts and stops a run each day, over a change to
summer time; the loop, experiment, output bank and tables of the product run on the times of
the frames, in this one process, without cameras, videos and other processes. One exposure in
1000 is lost by the camera. An exposure is accounted for when it has a row in the run's table,
or is counted as lost in its account. `--real` has all processes, on the computer's clock;
Linux only.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.clock import ManualClock, rest
from deeplabstream.core.daily_span import read_daily_span
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.rack.box_schedule import BoxSchedule
from deeplabstream.recording.frame_accounts import FrameCounter, FrameCounts
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import Settings, parse
from deeplabstream.settings.rack_file import BoxSection
from tests.rack.test_rack_run import Rack, lasting, two_boxes

BEGIN = datetime(2026, 3, 10, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
DAILY = "19:00 - 07:00"
TICK_NS = 60 * 10**9
"""Interval at which the schedule is looked at while no run lasts."""
LOST_EVERY = 1000
SIZE = 48
"""Width and height of the images."""
SHARE = 0.999
"""Least share of the exposures that is accounted for."""
GROWTH_MB = 1.0
"""Most memory that is added in an hour."""
WARM_UP = 3
"""Samples that do not count: buffers and caches fill."""
BOXES = "left", "right"
"""Boxes of the rack of the tests."""
SETTINGS = """
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = light
LOST_MS = 60000
STALE_MS = 60000
PATIENCE_S = 60
[Camera arena]
KIND = SimulatedCamera
[Trigger left]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 24 48
[Output laser]
KIND = SerialLine
PORT = none
MAX_ON_S = 3600
[Experiment light]
KIND = Conditional
TRIGGER = left
OUTPUT = laser
MAX_ON_S = 3600
MAX_TOTAL_S = 86400
TRIALS = 10000
"""


@dataclass(frozen=True)
class Sample:
    """What processes use at one moment."""

    hours: float
    """Since the beginning, by the clock of the runs."""
    memory_mb: float
    handles: int
    shared_mb: float
    """Shared memory that they have made."""
    by_process_mb: Mapping[str, float]
    """Memory of each process."""


@dataclass(frozen=True)
class Month:
    """What came of the runs."""

    runs: int
    hours: float
    """Duration by the clock of the runs."""
    took_s: float
    exposures: int
    accounted: int
    edges: int
    """How often an output was switched."""
    samples: list[Sample]

    @property
    def share(self) -> float:
        """Share of the exposures that are accounted for."""
        return self.accounted / max(self.exposures, 1)

    def growth(self, name: str) -> float:
        """Return by how much a figure of the samples grows in an hour: fitted line."""
        return self._slope(lambda sample: getattr(sample, name))

    def process_growth(self, name: str) -> float:
        """Return by how many MB a process grows in an hour: fitted line."""
        return self._slope(lambda sample: sample.by_process_mb.get(name))

    def _slope(self, figure: Callable[[Sample], float | None]) -> float:
        """Return the slope of a line through a figure of the samples, for each hour."""
        samples = self.samples[WARM_UP:]
        points = [(sample.hours, figure(sample)) for sample in samples]
        known = np.array([point for point in points if point[1] is not None], float)
        return float(np.polyfit(*known.T, 1)[0]) if len(known) > 1 else 0.0

    @property
    def good(self) -> bool:
        """Whether exposures are accounted for, and memory and handles are flat."""
        memory = self.growth("memory_mb") + self.growth("shared_mb")
        flat = memory <= GROWTH_MB and self.growth("handles") < 1
        return self.share >= SHARE and flat

    def lines(self, title: str) -> Iterator[str]:
        """Yield what a user reads."""
        speed = self.hours * 3600 / max(self.took_s, 1e-9)
        yield (
            f"{title}: {self.runs} runs in {self.hours:.1f} h, in {self.took_s:.0f} s "
            f"(clock x {speed:.0f})"
        )
        yield (
            f"exposures accounted for: {self.accounted} of {self.exposures} "
            f"({self.share:.4%})"
        )
        yield f"outputs were switched {self.edges} times"
        last = self.samples[-1]
        for name, unit, value in (
            ("memory_mb", "MB", last.memory_mb),
            ("handles", "", last.handles),
            ("shared_mb", "MB", last.shared_mb),
        ):
            what = name.removesuffix("_mb").replace("shared", "shared memory")
            yield f"{what}: {value:.0f} {unit} at the end, {self.growth(name):+.3f} {unit} an hour"
        for process, value in sorted(last.by_process_mb.items()):
            growth = self.process_growth(process)
            yield f"  {process}: {value:.1f} MB at the end, {growth:+.3f} MB an hour"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the month, or a rack; print the figures; return 1 if something is not flat."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--days", type=int, default=30)
    add("--rate", type=float, default=1.0, help="frames a second (1)")
    add("--quick", action="store_true", help="two days, a frame a minute")
    add("--real", type=float, default=0.0, metavar="MINUTES", help="a rack instead")
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    if asked.real:
        title, month = "rack of two boxes", run_rack(asked.real)
    else:
        days, rate = (2, 1 / 60) if asked.quick else (asked.days, asked.rate)
        title, month = "simulated month", run_month(days, rate)
    print(*month.lines(title), sep="\n")
    if asked.json is not None:
        growth = {f"{name}_an_hour": month.growth(name) for name in _FIGURES}
        facts = {"title": title, "share": month.share, **growth, **asdict(month)}
        asked.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return int(not month.good)


_FIGURES = "memory_mb", "handles", "shared_mb"


class SimulatedCalendar:
    """A calendar that follows a clock."""

    zone = ZONE

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the date of the clock."""
        return BEGIN + timedelta(microseconds=self._clock.now_ns() / 1000)


def run_month(days: int, rate: float) -> Month:
    """Run the daily runs of so many days."""
    clock, began_s = ManualClock(), perf_counter()
    calendar = SimulatedCalendar(clock)
    box = BoxSection(rig=Path("rig"), daily=read_daily_span(DAILY))
    schedule = BoxSchedule(box, clock, calendar)
    runs = exposures = accounted = edges = 0
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="month-") as place:
        settings = parse(SETTINGS, Path(place))
        end_ns = round(days * 86_400 * 1e9)
        while clock.now_ns() < end_ns:
            if not schedule.due():
                clock.set(clock.now_ns() + TICK_NS)
                continue
            schedule.begin()
            folder = Path(place, "run")
            exposed, told, edged = run_day(settings, folder, schedule, clock, rate)
            runs, exposures = runs + 1, exposures + exposed
            accounted, edges = accounted + told, edges + edged
            samples.append(sample({"month": psutil.Process()}, clock.now_ns() / 3.6e12))
            print(f"run {runs}: {told} of {exposed} exposures", file=sys.stderr)
    hours = clock.now_ns() / 3.6e12
    took_s = perf_counter() - began_s
    return Month(runs, hours, took_s, exposures, accounted, edges, samples)


def run_day(
    settings: Settings,
    path: Path,
    schedule: BoxSchedule,
    clock: ManualClock,
    rate: float,
) -> tuple[int, int, int]:
    """Run until the schedule ends it; return exposures, how many are accounted for, edges."""
    estimator = open_network(settings)
    network = network_ready_message(estimator, settings)
    form = ImageFormat((SIZE, SIZE), rate)
    folder = new_folder(settings, path, form, network, {})
    counter, exposed = FrameCounter(knows_losses=True), 0
    began_ns = clock.now_ns()

    def frames() -> Iterator[Frame]:
        nonlocal exposed
        while not schedule.over():
            time_ns = clock.now_ns() - began_ns
            if exposed % LOST_EVERY != LOST_EVERY - 1:
                counter.add(exposed)
                yield Frame("arena", exposed, time_ns, time_ns, drawn(exposed))
            exposed += 1
            clock.set(clock.now_ns() + round(1e9 / rate))

    with RunWriter(folder, 0) as writer:
        steps = sum(1 for _ in replay(settings, frames(), estimator, writer))
    counts = FrameCounts(
        "arena",
        "analysis",
        delivered=counter.delivered,
        lost=counter.lost,
        analysed=steps,
        skipped=counter.delivered - steps,
    )
    folder.finish(datetime.now().astimezone(), "the schedule", [counts])
    told, edges = accounted_for(folder), edges_of(folder)
    shutil.rmtree(path)
    return exposed, told, edges


def drawn(index: int) -> np.ndarray:
    """Return an image with a dark animal that walks to and fro."""
    image = np.full((SIZE, SIZE), 200, np.uint8)
    column = abs(index % (2 * (SIZE - 12)) - (SIZE - 12))
    image[20:28, column : column + 12] = 20
    return image


def accounted_for(folder: RunFolder) -> int:
    """Return how many exposures the record has: rows of tables, and frames counted as lost."""
    told = 0
    for account in folder.facts["accounting"]:
        if account["span"] != "analysis":
            continue
        with folder.table_path(account["camera"]).open("rb") as table:
            rows = sum(1 for _ in table) - 1
        told += rows + (account["lost"] or 0)
    return told


def edges_of(folder: RunFolder) -> int:
    """Return how often an output was switched."""
    return folder.events_path.read_text("utf-8").count(",edge,")


def sample(processes: Mapping[str, psutil.Process], hours: float) -> Sample:
    """Return what processes, by name, use now."""
    memory: dict[str, float] = {}
    handles, shared = 0, 0
    for name, process in processes.items():
        try:
            memory[name] = process.memory_full_info().uss / 1e6
            handles += process.num_fds()
        except psutil.Error:
            continue
    if Path("/dev/shm").is_dir():
        for process in processes.values():
            for file in Path("/dev/shm").glob(f"dls-{process.pid}-*"):
                with suppress(FileNotFoundError):
                    shared += file.stat().st_size
    return Sample(hours, sum(memory.values()), handles, shared / 1e6, memory)


def rack_processes(rack: Rack) -> dict[str, psutil.Process]:
    """Return the processes of a running rack by box and kind."""
    known = {rack.running.pid: "rack"}
    for box in BOXES:
        status = rack.status(box)
        for kind, pid in status.processes.items() if status else ():
            known[pid] = f"{box}, {kind}"
    root = psutil.Process(rack.running.pid)
    running = (root, *root.children(recursive=True))
    return {known.get(one.pid, f"process {one.pid}"): one for one in running}


def run_rack(minutes: float) -> Month:
    """Run a rack of two boxes; all its processes count."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(
        prefix="month-", ignore_cleanup_errors=True
    ) as place:
        with two_boxes(Path(place)) as rack:
            for box in BOXES:
                file = rack.file.with_name(box) / "settings.ini"
                file.write_text(lasting(file.read_text("utf-8")), "utf-8")
            rack.start()
            rack.wait_until_on(*BOXES)
            began_s = perf_counter()
            every_s = max(60 * minutes / 60, 1.0)
            while (took_s := perf_counter() - began_s) < 60 * minutes:
                samples.append(sample(rack_processes(rack), took_s / 3600))
                rest(every_s)
            folders = [
                RunFolder(Path(status.run_folder))
                for box in BOXES
                if (status := rack.status(box)) is not None
            ]
            rack.type("stop")
            rack.running.wait(120)
        exposures = accounted = edges = 0
        for folder in folders:
            edges += edges_of(folder)
            accounted += accounted_for(folder)
            for account in folder.facts["accounting"]:
                if account["span"] == "analysis":
                    exposures += account["delivered"] + (account["lost"] or 0)
    return Month(2, took_s / 3600, took_s, exposures, accounted, edges, samples)


if __name__ == "__main__":
    sys.exit(main())
