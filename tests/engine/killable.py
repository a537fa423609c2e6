"""A rig of real processes in a process group of its own, with a pseudo-terminal as laser."""

import multiprocessing
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import psutil
import pytest

from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Note
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import read_events
from deeplabstream.settings.loading import parse
from tests.engine.patient_guards import use_real_guards
from tests.engine.tolerant import GIVE_UP_S, TOLERANT

Guards: TypeAlias = Callable[[pytest.MonkeyPatch], None]
"""What chooses the guards of a session: a function of tests/engine/patient_guards.py."""

SETTINGS = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:{network_ms}
[Experiment]
EXP_NAME = Conditional
{tolerant}[Recording]
CODEC = h264
[Camera top]
KIND = SimulatedCamera
WIDTH = 96
HEIGHT = 64
RATE = 50
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 96 64
[Experiment Conditional]
TRIGGER = anywhere
OUTPUT = laser
MAX_ON_S = 60
[Output laser]
KIND = SerialLine
PORT = {port}
"""


def settings_of(port: str, network_ms: int = 0) -> str:
    return SETTINGS.format(port=port, network_ms=network_ms, tolerant=TOLERANT)


ACTIONS = (Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)


def run_a_rig(
    root: Path,
    port: str,
    network_ms: int,
    said: Connection,
    print_pids: bool = False,
    environment: Mapping[str, str] | None = None,
    guards: Guards = use_real_guards,
) -> None:
    """Run until killed or until the stream ends; tell when the laser is on, then all news.

    SIGUSR1 ends the stream as a user would.
    """
    os.setpgid(0, 0)
    os.environ.update(environment or {})
    guards(pytest.MonkeyPatch())
    asked: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: asked.append(number))
    parent = multiprocessing.parent_process()
    wanted, text = list(ACTIONS), settings_of(port, network_ms)
    with RigSession(parse(text, root)) as session:
        told = started = False
        while not (started and session.state.phase is Phase.IDLE):
            if wanted and wanted[0] in session.state.allowed:
                session.do(wanted.pop(0))
                started = True
            if parent is not None and not parent.is_alive():
                return  # the test was killed
            if asked and Action.STOP_STREAM in session.state.allowed:
                session.do(Action.STOP_STREAM)
            session.rest(0.01)
            for news in session.poll():
                if isinstance(news, Edge | Note | Failed):
                    said.send(news)
                if isinstance(news, Failed) and not told and not wanted:
                    wanted = [Action.START_EXPERIMENT]  # refused on a busy computer
            if (
                not told
                and session.state.run_folder
                and session.state.levels.get("laser") == 1
            ):
                told = True
                pids = {p.name: p.pid for p in session.processes()}
                said.send((session.state.run_folder, {**pids, "main": os.getpid()}))
                if print_pids:
                    sys.stdout.write(
                        f"{os.getpid()} {' '.join(map(str, pids.values()))}\n"
                    )
                    sys.stdout.flush()
        said.send(dict(session.state.levels))
    said.send(None)


@dataclass
class KillableRig:
    """A running rig whose laser is on."""

    board: int
    """The other end of the laser's line."""
    said: Connection
    main: Any
    run: Path
    pids: dict[str, int]
    pidfds: dict[str, int]
    news: list[Any] = field(default_factory=list)
    """What the main process told before and after the kill."""

    def kill(self, *names: str, number: int = signal.SIGKILL) -> None:
        """Signal processes. Several are killed as if at once: none acts on another's end.

        Guards are stopped first, for they watch the others.
        """
        if len(names) > 1:
            for name in sorted(names, key=lambda name: "guard" not in name):
                self._freeze(self.pids[name])
        for name in names:
            with suppress(
                ProcessLookupError
            ):  # the main process has ended a stopped one
                os.kill(self.pids[name], number)

    def _freeze(self, pid: int) -> None:
        """Stop a process, and wait until it is stopped."""
        os.kill(pid, signal.SIGSTOP)
        give_up_s = perf_counter() + GIVE_UP_S
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            assert perf_counter() < give_up_s, f"process {pid} was not stopped"

    def kill_group(self, number: int = signal.SIGKILL) -> None:
        os.killpg(self.pids["main"], number)

    def heard(self, length: int = 1) -> bytes:
        """Wait for what the laser hears next."""
        return heard(self.board, length)

    def silent(self) -> bool:
        """Return whether the laser heard nothing more."""
        return not select.select([self.board], [], [], 0)[0]

    def wait_for_end(self, *names: str) -> None:
        """Wait until these processes are gone; all, if none is named."""
        for name in names or tuple(self.pidfds):
            assert select.select([self.pidfds[name]], [], [], GIVE_UP_S)[0], (
                f"{name} is left"
            )

    def listen(self) -> None:
        """Take all that the main process tells until it ends."""
        with suppress(EOFError, ConnectionError):
            while (told := self.said.recv()) is not None:
                self.news.append(told)

    def failures(self) -> str:
        return "\n".join(news.text for news in self.news if isinstance(news, Failed))

    def how(self) -> str:
        return str(RunFolder(self.run).facts["how"])

    def last_words(self) -> str:
        rows = self.events()
        return [row["text"] for row in rows if row["name"] == LAST_NOTE][-1]

    def levels(self) -> dict[str, float]:
        """The levels that the main process showed at the end."""
        return next(told for told in self.news if isinstance(told, dict))

    def events(self) -> list[dict[str, str]]:
        return read_events(self.run / "events.csv")

    def edges(self) -> list[tuple[float, str]]:
        """Level and cause of every recorded edge of the laser."""
        return [
            (float(row["level"]), row["cause"])
            for row in self.events()
            if row["kind"] == "edge" and row["name"] == "laser"
        ]


def heard(board: int, length: int = 1) -> bytes:
    """Wait for what a laser hears next, so many bytes; later ones stay for the next call."""
    said = b""
    while len(said) < length:
        assert select.select([board], [], [], GIVE_UP_S)[0], (
            f"the laser heard {said!r} only"
        )
        said += os.read(board, length - len(said))
    return said


def _received(ears: Connection) -> Any:
    assert ears.poll(GIVE_UP_S), "the laser was not switched on"
    return ears.recv()


@contextmanager
def laser_on(
    root: Path,
    network_ms: int = 0,
    unplugged: bool = False,
    environment: Mapping[str, str] | None = None,
    guards: Guards = use_real_guards,
) -> Iterator[KillableRig]:
    """Yield a rig whose laser is on; whatever is left afterwards is killed.

    `unplugged`: its port has vanished by the name that the settings give it. `environment`
    is added to that of its processes. `guards` says which guards it has.
    """
    import tty

    spawn = multiprocessing.get_context("spawn")
    board, line = os.openpty()
    tty.setraw(line)
    ears, mouth = spawn.Pipe(duplex=False)
    port = str(root / "port")
    Path(port).symlink_to(os.ttyname(line))
    arguments = root, port, network_ms, mouth, False, environment, guards
    main = spawn.Process(target=run_a_rig, args=arguments)
    main.start()
    mouth.close()
    pidfds: dict[str, int] = {}
    news: list[Any] = []
    try:
        while not isinstance(told := _received(ears), tuple):
            news.append(told)
        run, pids = told
        pidfds = {name: os.pidfd_open(pid) for name, pid in pids.items()}
        assert heard(board, 2) == b"LH"
        if unplugged:
            Path(port).unlink()
        yield KillableRig(board, ears, main, run, pids, pidfds, news)
    finally:
        for each in pidfds.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(each, signal.SIGKILL)
            os.close(each)
        main.kill()
        main.join()
        main.close()
        for end in (board, line):
            os.close(end)
        ears.close()
