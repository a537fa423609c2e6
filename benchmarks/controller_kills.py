"""Programs that control a rig or a rack are killed, 1,000 times; what was declared must hold.

    python benchmarks/controller_kills.py                  1,000 kills
    python benchmarks/controller_kills.py --quick          a few of each kind
    python benchmarks/controller_kills.py --kinds "window, stop" "rack, stop"
    python benchmarks/controller_kills.py --json FILE

Each kill is that of kill -9, of a process that controls a real rig: simulated camera, network
stand-in, experiment, record, and an output that is on, whose bytes a pseudo-terminal receives.
Three kinds of programs, each with what is declared for its loss:

* a program that has started the experiment over TCP: IF_LOST = stop (the experiment stops,
  outputs off; it can be armed again) or go on;
* a program beside the rack that marks its boxes over the control link: the rack goes on;
* the window's place, which holds the input of the rack: IF_WINDOW_LOST = stop (outputs off,
  records closed, all processes ended) or go on; and the rack itself: its boxes stop.

A rig that goes on, or is armed again by its user, takes the next kill; a rack that has stopped
is started again, which takes most of the time. Not a timing measurement: several run side by
side. Linux only.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

ROOT = Path(__file__).resolve().parents[1]
TCP_STOP, TCP_GO_ON = "program over TCP, stop", "program over TCP, go on"
LINK_GO_ON = "program at the control link, go on"
WINDOW_STOP, WINDOW_GO_ON = "window, stop", "window, go on"
RACK_STOP = "rack, stop"
COUNTS = {
    TCP_STOP: 380, TCP_GO_ON: 300, LINK_GO_ON: 170,
    WINDOW_STOP: 50, WINDOW_GO_ON: 50, RACK_STOP: 50,
}  # fmt: skip
"""Kills of each kind."""
QUICK = {
    TCP_STOP: 4, TCP_GO_ON: 4, LINK_GO_ON: 4,
    WINDOW_STOP: 1, WINDOW_GO_ON: 1, RACK_STOP: 1,
}  # fmt: skip
START_S = 300.0
"""Time in which a rig starts on a busy computer."""
LIMIT_S = 60.0
"""Time in which what was declared must have happened there."""
WATCH_S = 0.3
"""Time for which an output that stays on is watched after a kill."""
ON, OFF = b"H", b"L"
CONTROL = """
[Remote program]
KIND = TcpStart
PORT = {port}
REARM = yes
IF_LOST = {policy}
"""
TCP_PROGRAM = """
import socket, sys
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.sendall(b"start\\n")
print(link.recv(1000).decode(), end="", flush=True)
while link.recv(1000): pass
"""
LINK_PROGRAM = """
import json, socket, sys
given = json.load(open(sys.argv[1]))
print("begun", flush=True)
while True:
    with socket.create_connection(("127.0.0.1", given["port"])) as link:
        link.sendall(f"{given['key']} mark hit a note\\n".encode())
        print(link.recv(1000).decode(), end="", flush=True)
"""


@dataclass(frozen=True)
class Kill:
    """A kill of a controlling program."""

    kind: str
    off_ms: float | None
    """From the kill until the output was off, where it had to go off."""
    problem: str
    """How the policy was not held; empty: it was."""


Told = Callable[[Kill], object]


# --- programs over TCP


class RefusedError(Exception):
    """What was declared did not hold, or a rig did not come up."""


class TcpRig:
    """A rig that programs start over TCP, headless and armed."""

    def __init__(self, folder: Path, policy: str) -> None:
        """Start it; the output is that of a pseudo-terminal."""
        import tty

        from tests.rack.test_rack_run import RIG, Board

        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._ends = os.openpty()
        tty.setraw(self._ends[1])
        self.board = Board(self._ends[0], os.ttyname(self._ends[1]))
        text = RIG.format(port=self.board.port)
        text = f"[Streaming]\nOUTPUT_DIRECTORY = {folder / 'runs'}\n" + text
        file = folder / "settings.ini"
        file.write_text(text + CONTROL.format(port=self.port, policy=policy), "utf-8")
        self.told = folder / "told.txt"
        program = [sys.executable, str(ROOT / "benchmarks/support/armed_rig.py")]
        program.append(str(file))
        with self.told.open("w") as told:
            self.process = subprocess.Popen(program, stdout=told, stderr=told, cwd=ROOT)
        self.until(self.armed, "the rig is not armed", START_S)

    def close(self) -> None:
        """End it as by Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(LIMIT_S)
        for end in self._ends:
            os.close(end)

    def ask(self, command: str) -> str:
        """Return the answer to a command; empty: there is none yet."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as link:
                link.sendall(f"{command}\n".encode())
                return link.recv(1000).decode().strip()
        except OSError:
            return ""

    def armed(self) -> bool:
        """Return whether a program may start it."""
        return self.ask("status") == "ok armed"

    def until(
        self, reached: Callable[[], bool], problem: str, limit_s: float = LIMIT_S
    ) -> None:
        """Wait; RefusedError, with `problem`: it has ended, or the time is over."""
        from deeplabstream.core.clock import rest

        give_up_s = perf_counter() + limit_s
        while not reached():
            if self.process.poll() is not None:
                raise RefusedError(
                    f"the rig has ended:\n{self.told.read_text('utf-8')}"
                )
            if perf_counter() > give_up_s:
                raise RefusedError(f"{problem}; status: {self.ask('status')}")
            rest(0.01)

    def level(self) -> bytes:
        """Return the last byte that the output has received."""
        return self.board.listen()[-1:]

    def kill(self, goes_on: bool, delay_s: float) -> float | None:
        """Let a program start the experiment, kill it; return the ms until the off."""
        from deeplabstream.core.clock import rest

        with subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", TCP_PROGRAM, str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            try:
                answer = program.stdout.readline() if program.stdout else ""
                if not answer.startswith("ok"):
                    raise RefusedError(f"the start was answered by {answer!r}")
                self.until(lambda: self.level() == ON, "the output is not on")
                rest(delay_s)
            finally:
                program.kill()
        killed_s = perf_counter()

        if goes_on:
            rest(WATCH_S)
            if (state := self.ask("status")) != "ok experiment recording":
                raise RefusedError(f"the experiment does not go on: {state}")
            if self.level() != ON:
                raise RefusedError("the output is off")
            self.ask("stop")
        self.until(lambda: self.level() == OFF, "the output stayed on")
        off_ms = (perf_counter() - killed_s) * 1e3
        self.until(self.armed, "it is not armed again")
        return None if goes_on else off_ms


def kill_over_tcp(kind: str, count: int, tell: Told) -> None:
    """Kill so many programs that have started one rig."""
    goes_on = kind == TCP_GO_ON
    chance = random.Random(count)
    with TemporaryDirectory(prefix="kills-") as folder:
        rig = TcpRig(Path(folder), "go on" if goes_on else "stop")
        try:
            for _ in range(count):
                try:
                    off_ms = rig.kill(goes_on, chance.uniform(0.0, 0.1))
                    tell(Kill(kind, off_ms, ""))
                except RefusedError as refused:
                    tell(Kill(kind, None, str(refused)))
        finally:
            rig.close()


# --- programs that control a rack


def kill_at_link(count: int, tell: Told) -> None:
    """Kill so many programs that send commands to one rack, at random times."""
    from benchmarks.support.rack_kills import HIT, rack_with
    from deeplabstream.core.clock import rest
    from deeplabstream.rack.control_link import control_file

    chance = random.Random(count)
    with rack_with(HIT) as rack:
        rack.start()
        rack.wait_until_on(HIT)
        rack.wait(lambda: bool((now := rack.status(HIT)) and now.run_folder))
        status = rack.status(HIT)
        for _ in range(count):
            with _program(LINK_PROGRAM, str(control_file(rack.file))) as program:
                first = program.stdout.readline() if program.stdout else ""
                rest(chance.uniform(0.0, 0.3))
            number = rack.number(HIT)
            rest(WATCH_S)
            rack.wait(lambda before=number: rack.number(HIT) > before)  # type: ignore[misc]
            now = rack.status(HIT)
            problem = ""
            if first != "begun\n":
                problem = "the program did not begin"
            elif rack.running.poll() is not None:
                problem = "the rack has ended"
            elif not rack.boards[HIT].listen().endswith(ON):
                problem = "the output is off"
            elif not now or not status or now.run_folder != status.run_folder:
                problem = "the box was started again"
            tell(Kill(LINK_GO_ON, None, problem))


@contextmanager
def _program(text: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a small program; kill it at the end of the block."""
    command = [sys.executable, "-S", "-E", "-c", text, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def kill_rack(kind: str, tell: Told) -> None:
    """Kill the window's place, or the rack; each needs a rack of its own."""
    from benchmarks.support.rack_kills import POLICIES, kill_controller

    policies = dict(zip((WINDOW_STOP, WINDOW_GO_ON, RACK_STOP), POLICIES, strict=True))
    try:
        done = kill_controller(policies[kind])
    except AssertionError as error:  # it did not come up
        tell(Kill(kind, None, str(error)))
    else:
        tell(Kill(kind, done.off_ms, done.problem))


# --- all of them


def parts(counts: dict[str, int], tell: Told) -> list[Callable[[], None]]:
    """Return the work, which may be done side by side; the longest first."""
    work: list[Callable[[], None]] = []
    for kind in (TCP_STOP, TCP_GO_ON):
        if counts.get(kind):
            work.append(lambda kind=kind: kill_over_tcp(kind, counts[kind], tell))  # type: ignore[misc]
    if counts.get(LINK_GO_ON):
        work.append(lambda: kill_at_link(counts[LINK_GO_ON], tell))
    for number in range(max(counts.values())):
        for kind in (WINDOW_STOP, WINDOW_GO_ON, RACK_STOP):
            if number < counts.get(kind, 0):
                work.append(lambda kind=kind: kill_rack(kind, tell))  # type: ignore[misc]
    return work


def main(argv: list[str] | None = None) -> int:
    """Return 1 when a policy was not held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few of each kind")
    parser.add_argument("--kinds", nargs="+", choices=COUNTS, default=[*COUNTS])
    parser.add_argument("--workers", type=int, default=5, help="so many side by side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all there")
    asked = parser.parse_args(argv)
    counts = {kind: (QUICK if asked.quick else COUNTS)[kind] for kind in asked.kinds}

    kills: list[Kill] = []

    def tell(kill: Kill) -> None:
        kills.append(kill)
        if kill.problem:
            print(f"FAILED: {kill.kind}: {kill.problem}", flush=True)
        if len(kills) % 50 == 0:
            print(f"{len(kills)} kills", flush=True)

    began_s = perf_counter()
    with ThreadPoolExecutor(asked.workers) as pool:
        # an error of one part ends none of the others
        for part in [pool.submit(work) for work in parts(counts, tell)]:
            if (error := part.exception()) is not None:
                tell(Kill("a part", None, f"{type(error).__name__}: {error}"))

    tried = Counter(kill.kind for kill in kills)
    held = Counter(kill.kind for kill in kills if not kill.problem)
    for kind, count in counts.items():
        times = sorted(k.off_ms for k in kills if k.kind == kind and k.off_ms)
        middle = (
            f"; off after {times[len(times) // 2]:.0f} ms (median)" if times else ""
        )
        print(f"{kind}: held {held[kind]} of {tried[kind]} times, of {count}{middle}")
    whole = sum(counts.values())
    print(
        f"declared policies held {sum(held.values())} of {whole} times, in "
        f"{(perf_counter() - began_s) / 60:.0f} min, load {os.getloadavg()[0]:.0f}"
    )
    if asked.json:
        content = {"counts": counts, "kills": [asdict(kill) for kill in kills]}
        asked.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return int(sum(held.values()) < whole or len(kills) > whole)


if __name__ == "__main__":
    sys.exit(main())
