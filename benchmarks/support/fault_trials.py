"""One fault in one rig: started, harmed when nothing else starts, looked at afterwards."""

import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.table_reader import read_events
from tests.engine.ended_rig import SETTINGS, InTerminal, Laser
from tests.engine.killable import laser_on

ROOT = Path(__file__).resolve().parents[2]
OFF_S = 20.0
"""A laser that is still on after so long stays on."""
END_S = 60.0
"""A process that is still there so long after a fault is left behind."""
CAMERA, GROUP, CHILDREN = "camera top", "the whole group", "all children"
KILLED: tuple[tuple[str, ...], ...] = (
    ("engine",),
    ("guard",),
    ("recorder",),
    (CAMERA,),
    ("main",),
    ("engine", "guard"),
    ("main", "engine"),
    ("main", "guard"),
    ("main", "recorder"),
    ("guard", "second guard"),
    (CHILDREN,),
    (GROUP,),
)
SUSPENDED: tuple[tuple[str, ...], ...] = (
    ("engine",),
    ("guard",),
    ("recorder",),
    (CAMERA,),
    ("main",),
    (GROUP,),
)
SIGNALS = ("HUP", "INT", "QUIT", "TERM", "TSTP")
STARVED_S = 3.0
"""How long other programs take all processor time."""
SLOW_DISK = """
import os, time
_fsync = os.fsync
def fsync(file):
    time.sleep(1.0)
    _fsync(file)
os.fsync = fsync
"""
"""A `sitecustomize.py`: Python runs it in each process of the rig."""


@dataclass
class Outcome:
    """What became of one rig."""

    ms: float | None = None
    """From the fault, or from the stop after it, until the laser was off; None: it stayed on."""
    recorded: bool = False
    """The last edge of the laser in the record is its off."""
    closed: bool = False
    """All accounts of frames close, after a repair if it was needed."""
    rows_lost: int = 0
    """Frames and entries that the record says it lacks."""
    left: int = 0
    """Processes and pieces of shared memory that are still there."""
    problem: str = ""
    """What else went wrong."""
    seed: str = ""
    """`run` repeats the trial with it."""


class Trial(ABC):
    """A rig that a fault is injected into."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.outcome = Outcome()
        self.ends: list[int] = []
        """File descriptors of its processes, readable when they have ended."""
        self.resources = ExitStack()
        self.folder = Path(
            self.resources.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))
        )

    @abstractmethod
    def start(self) -> None:
        """Start the rig; return when its laser is on."""

    @abstractmethod
    def harm(self) -> None:
        """Inject the fault; return when the laser is off, or stays on."""

    @abstractmethod
    def run_folder(self) -> Path:
        """Return the folder of the run."""

    def finish(self) -> None:
        """Wait until all processes have ended; look at the record."""
        alive, give_up_s = self.ends, time.perf_counter() + END_S
        while alive and time.perf_counter() < give_up_s:
            ended = select.select(alive, [], [], 1.0)[0]
            alive = [end for end in alive if end not in ended]
        if alive:
            self.outcome.problem = f"{len(alive)} processes are left"
        self.outcome.left = len(alive)
        run = self.run_folder()
        try:
            repair(run)
        except (DeepLabStreamError, ValueError) as error:
            self.outcome.problem = f"its record cannot be repaired: {error}"
            return
        facts = RunFolder(run).facts
        spans = facts["accounting"]
        self.outcome.closed = bool(facts["ended"]) and all(s["closes"] for s in spans)
        lost = facts.get("entries_missed") or 0
        self.outcome.rows_lost = lost + sum(s.get("unlisted") or 0 for s in spans)
        edges = [e for e in read_events(run / "events.csv") if e["kind"] == "edge"]
        self.outcome.recorded = float(edges[-1]["level"]) == 0


class InRig(Trial):
    """Kills or suspends processes."""

    def __init__(
        self, chance: random.Random, names: tuple[str, ...], paused: bool = False
    ) -> None:
        super().__init__(chance)
        self.names, self.paused = names, paused

    def start(self) -> None:  # noqa: D102
        self._start({})

    def _start(self, environment: dict[str, str]) -> None:
        rig = laser_on(self.folder, environment=environment)
        self.rig = self.resources.enter_context(rig)
        self.ends = [*self.rig.pidfds.values()]

    def harm(self) -> None:  # noqa: D102
        time.sleep(self.chance.uniform(0, 0.5))
        began_s = time.perf_counter()
        self._signal(signal.SIGSTOP if self.paused else signal.SIGKILL)
        if not self.paused:
            self.outcome.ms = off_ms(self.rig.board, began_s, OFF_S)
            return
        wait_s = self.chance.uniform(0.2, 5)
        self.outcome.ms = off_ms(self.rig.board, began_s, wait_s)
        self._signal(signal.SIGCONT)
        self._stop()

    def _stop(self) -> None:
        """End what goes on as a user would; note when the laser is off, if it was on."""
        stop_s = time.perf_counter()
        self._kill(self.rig.pids["main"], signal.SIGUSR1)
        if self.outcome.ms is None:
            self.outcome.ms = off_ms(self.rig.board, stop_s, OFF_S)

    def run_folder(self) -> Path:  # noqa: D102
        return self.rig.run

    def _signal(self, number: int) -> None:
        pids = self.rig.pids
        if self.names == (GROUP,):
            with suppress(ProcessLookupError):
                os.killpg(pids["main"], number)
            return
        names = self.names
        if names == (CHILDREN,):
            names = tuple(n for n in pids if n not in ("main", "second guard"))
        for name in names:
            self._kill(pids[name], number)

    def _kill(self, pid: int, number: int) -> None:
        with suppress(ProcessLookupError):  # a guard has killed what hung
            os.kill(pid, number)


class SlowDisk(InRig):
    """Has a disk on which every fsync takes 1 s."""

    def start(self) -> None:  # noqa: D102
        site = self.folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SLOW_DISK, "utf-8")
        self._start({"PYTHONPATH": str(site)})

    def harm(self) -> None:  # noqa: D102
        time.sleep(self.chance.uniform(0, 0.5))
        self._stop()


class Starved(InRig):
    """Competes with four busy programs per core for some seconds."""

    def harm(self) -> None:  # noqa: D102
        began_s = time.perf_counter()
        busy = [sys.executable, "-c", "while True: pass"]
        hogs = [subprocess.Popen(busy) for _ in range(4 * (os.cpu_count() or 1))]
        try:
            self.outcome.ms = off_ms(self.rig.board, began_s, STARVED_S)
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        self._stop()


class FullDisk(InRig):
    """Has a disk on which the recorder can write nothing more, from some time on."""

    def harm(self) -> None:  # noqa: D102
        time.sleep(self.chance.uniform(0, 0.5))
        began_s = time.perf_counter()
        limit = resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)
        resource.prlimit(self.rig.pids["recorder"], *limit)
        self.outcome.ms = off_ms(self.rig.board, began_s, self.chance.uniform(1, 3))
        self._stop()


class Signalled(Trial):
    """Sends what a terminal or the system sends to the program."""

    def __init__(self, chance: random.Random, word: str) -> None:
        super().__init__(chance)
        self.number: int = getattr(signal, f"SIG{word}")

    def start(self) -> None:  # noqa: D102
        self.laser = Laser()
        self.resources.callback(self.laser.close)
        settings = self.folder / "rig.ini"
        settings.write_text(SETTINGS.format(port=self.laser.port), encoding="utf-8")
        words = [str(ROOT / "app.py"), "--headless", "--seconds", "600"]
        self.program = InTerminal([*words, "--settings", str(settings)], self.folder)
        self.resources.callback(self.program.kill)
        laser, program = self.laser, self.program
        program.until("the laser is on", lambda: laser.on or program.ended())
        self.ends = [os.pidfd_open(process.pid) for process in program.family()[1:]]
        for end in self.ends:
            self.resources.callback(os.close, end)
        self.mapped = program.shared_memory()

    def harm(self) -> None:  # noqa: D102
        time.sleep(self.chance.uniform(0, 0.5))
        began_s = time.perf_counter()
        self.program.signal_all(self.number)
        give_up_s = began_s + OFF_S
        while self.laser.on and time.perf_counter() < give_up_s:
            self.program.listen(0.001)
        if not self.laser.on:
            self.outcome.ms = (time.perf_counter() - began_s) * 1e3

    def finish(self) -> None:  # noqa: D102
        ended = self.program.ended
        if self.number == signal.SIGTSTP:  # it stops when all is done; then `fg`
            self.program.until("it stopped", lambda: ended() or self.program.stopped())
            if not ended():  # nobody can stop a group whose terminal has no shell
                self.program.signal_all(signal.SIGCONT)
        self.program.until("it ended", ended)
        super().finish()
        self.outcome.left += sum(path.exists() for path in self.mapped)

    def run_folder(self) -> Path:  # noqa: D102
        (run,) = (self.folder / "runs").iterdir()
        return run


def _trials() -> dict[str, tuple[type[Trial], tuple[object, ...]]]:
    found: dict[str, tuple[type[Trial], tuple[object, ...]]] = {}
    for names in KILLED:
        found[f"kill {' + '.join(names)}"] = InRig, (names,)
    for names in SUSPENDED:
        found[f"suspend {' + '.join(names)}"] = InRig, (names, True)
    found["slow disk"] = SlowDisk, ((),)
    found["full disk"] = FullDisk, ((),)
    found["starved processor"] = Starved, ((),)
    for word in SIGNALS:
        found[f"signal {word}"] = Signalled, (word,)
    return found


FAULTS = _trials()
"""What is tried, by name."""


def run(trials: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Outcome]]:
    """Inject faults, each a name and a seed, in rigs that are started together.

    A rig whose laser was never on is left out.
    """
    rigs = []
    for name, seed in trials:
        kind, arguments = FAULTS[name]
        rigs.append(kind(random.Random(f"{seed} {name}"), *arguments))
    with ThreadPoolExecutor(len(rigs)) as pool, ExitStack() as stack:
        for rig in rigs:
            stack.enter_context(rig.resources)
        started = list(pool.map(_start, rigs))
        tried = [rig for rig, on in zip(rigs, started, strict=True) if on]
        for rig in tried:
            rig.harm()
        list(pool.map(_finish, tried))
    for (name, seed), rig in zip(trials, rigs, strict=True):
        rig.outcome.seed = seed
        if rig in tried:
            yield name, rig.outcome


def _start(trial: Trial) -> bool:
    try:
        trial.start()
    except Exception:  # on a busy computer a rig may refuse to start
        return False
    return True


def _finish(trial: Trial) -> None:
    try:
        trial.finish()
    except Exception as error:  # one rig that ends badly does not end the benchmark
        trial.outcome.problem = f"{type(error).__name__}: {error}"


def off_ms(board: int, began_s: float, patience_s: float) -> float | None:
    """Wait for the laser's off byte; None: it did not come."""
    give_up_s = time.perf_counter() + patience_s
    while True:
        left_s = max(0.0, give_up_s - time.perf_counter())
        if not select.select([board], [], [], left_s)[0]:
            return None
        if os.read(board, 100).endswith(b"L"):
            return (time.perf_counter() - began_s) * 1e3
