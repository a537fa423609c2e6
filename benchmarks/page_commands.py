"""Commands over HTTP: time from a command to its acknowledgement, beside running boxes.

    python benchmarks/page_commands.py                   4 boxes; 1,000 marks; 4 minutes
    python benchmarks/page_commands.py --quick           2 boxes; 20 marks; no box is stopped
    python benchmarks/page_commands.py --json FILE

A rack of boxes with a simulated camera of 320×240 at 30/s runs with its page, both programs of
their own. This program sends commands to the page, each in a connection of its own, with random
pauses between; the rack carries each out, and the time ends with its answer `ok`. Marks are
looked for in the records afterwards. `start` and `stop` of a box that waits until a date change
its state, and load nothing; those of a box that runs start and end its processes.
"""

import argparse
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.rack_page import RIG, ROOT, TOKEN
from deeplabstream.core.clock import rest
from deeplabstream.rack.box_status import BoxStatus, read_status, status_file
from deeplabstream.recording.table_reader import read_events

AIM_P50_MS, AIM_P99_MS = 5.0, 50.0
WAITING = "waiting"
"""The box that waits until a date, and is never begun."""
START_S = 300.0
"""Time in which boxes start on a busy computer."""
LONGEST_PAUSE_S = 0.05
MARK = "mark"


@dataclass
class CommandedRack:
    """A rack whose page takes commands."""

    file: Path
    boxes: list[str]
    process: "subprocess.Popen[str]"

    @property
    def printed(self) -> str:
        """All that the rack has printed."""
        return self.file.with_name("printed.txt").read_text("utf-8", "replace")

    def port(self) -> int:
        """Return the port of its page; 0: it does not answer yet."""
        found = re.search(r"Page: http://\S+:(\d+)", self.printed)
        return int(found[1]) if found else 0

    def status(self, box: str) -> BoxStatus | None:
        """Return the last report of a box."""
        return read_status(status_file(self.file, box))

    def runs(self, box: str) -> bool:
        """Return whether a box runs its experiment, with a record."""
        status = self.status(box)
        return bool(status and status.run_folder and "running" in status.state)

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait; SystemExit: the rack has ended, or it takes too long."""
        give_up_s = perf_counter() + START_S
        while not reached():
            if self.process.poll() is not None or perf_counter() > give_up_s:
                raise SystemExit(f"the rack does not run:\n{self.printed[-3000:]}")
            rest(0.05)

    def send_ms(self, port: int, command: str) -> float:
        """Return the time until a command is acknowledged; SystemExit: it is not."""
        body = json.dumps({"command": command})
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
        }
        began_s = perf_counter()
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", "/api/commands", body, headers)
            answer = json.loads(connection.getresponse().read())["answer"]
        finally:
            connection.close()
        passed_ms = 1e3 * (perf_counter() - began_s)
        if answer != f"ok: {command}":
            raise SystemExit(f"{command!r} was answered by {answer!r}")
        return passed_ms


@contextmanager
def commanded_rack(number: int) -> Iterator[CommandedRack]:
    """Run a rack of so many boxes, and one that waits; stop all afterwards."""
    names = [f"box {n + 1}" for n in range(number)]
    with tempfile.TemporaryDirectory(prefix="rack-") as folder:
        place = Path(folder)
        rig = RIG.replace("RATE = 60", "RATE = 30")
        (place / "settings.ini").write_text(rig, "utf-8")
        (place / "token.txt").write_text(TOKEN, "utf-8")
        file = place / "rack.ini"
        sections = [
            f"[Box {name}]\nRIG = settings.ini\nOUTPUT_DIRECTORY = {name}\n"
            for name in [*names, WAITING]
        ]
        file.write_text("".join(sections) + "START_AT = 2099-01-01 00:00\n", "utf-8")
        command = [sys.executable, str(ROOT / "utils/RunRack.py"), str(file)]
        command += ["--headless", "--page", "0"]
        command += ["--token-file", str(place / "token.txt")]
        with (
            (place / "printed.txt").open("w") as printed,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                text=True,
            ) as process,
        ):
            rack = CommandedRack(file, names, process)
            try:
                rack.wait(lambda: bool(rack.port()) and all(map(rack.runs, names)))
                yield rack
            finally:
                process.communicate("stop\n")


def send_marks(
    rack: CommandedRack, count: int, chance: random.Random
) -> tuple[list[float], int]:
    """Return the times of marks, and how many of them the records have."""
    port, times = rack.port(), []
    for number in range(count):
        box = rack.boxes[number % len(rack.boxes)]
        times.append(rack.send_ms(port, f"mark {box} benchmark {number}"))
        rest(chance.uniform(0.0, LONGEST_PAUSE_S))
    statuses = [rack.status(box) for box in rack.boxes]
    folders = [Path(status.run_folder) for status in statuses if status]

    def recorded() -> int:
        rows = (row for it in folders for row in read_events(it / "events.csv"))
        texts = {row["text"] for row in rows if row["name"] == "user"}
        return sum(text.startswith("benchmark ") for text in texts)

    # the record follows the answer
    give_up_s = perf_counter() + 10
    while recorded() < count and perf_counter() < give_up_s:
        rest(0.1)
    return times, recorded()


def switch_waiting(
    rack: CommandedRack, count: int, chance: random.Random
) -> dict[str, list[float]]:
    """Stop and start the box that waits, so many times; return the times."""
    port = rack.port()
    times: dict[str, list[float]] = {"stop": [], "start": []}
    for _ in range(count):
        for word, taken in times.items():
            taken.append(rack.send_ms(port, f"{word} {WAITING}"))
            rest(chance.uniform(0.0, LONGEST_PAUSE_S))
    return {f"{word}, box that waits": taken for word, taken in times.items()}


def restart_running(rack: CommandedRack, count: int) -> dict[str, list[float]]:
    """Stop a box that runs and start it again, so many times; return the times."""
    port, box = rack.port(), rack.boxes[-1]
    stops, starts = [], []
    for _ in range(count):
        ended = Counter(rack.printed.splitlines())
        stops.append(rack.send_ms(port, f"stop {box}"))
        said = f"[Box {box}] ended"

        def told(before: Counter[str] = ended, said: str = said) -> bool:
            new = Counter(rack.printed.splitlines()) - before
            return any(line.startswith(said) for line in new)

        rack.wait(told)
        starts.append(rack.send_ms(port, f"start {box}"))
        rack.wait(lambda: rack.runs(box))
    return {"stop, box that runs": stops, "start, box that runs": starts}


def summary(times: list[float]) -> dict[str, float]:
    """Return number, p50, p99 and the longest of times."""
    import numpy as np

    p50, p99 = np.percentile(times, (50, 99))
    return {
        "commands": len(times), "p50_ms": float(p50), "p99_ms": float(p99),
        "most_ms": max(times),
    }  # fmt: skip


def misses(row: dict[str, float]) -> bool:
    """Return whether the times of a command are longer than the aims."""
    return row["p50_ms"] > AIM_P50_MS or row["p99_ms"] > AIM_P99_MS


def main(argv: list[str]) -> int:
    """Return 1 after a mark that is not recorded, or when an aim was missed."""
    parser = argparse.ArgumentParser(
        prog="page_commands.py", description="commands to a rack over HTTP"
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="the smallest case")
    add("--boxes", type=int, default=4, help="boxes that run meanwhile")
    add("--marks", type=int, default=1000, help="number of marks")
    add("--switches", type=int, default=200, help="stops and starts of a waiting box")
    add("--restarts", type=int, default=5, help="stops and starts of a running box")
    add("--json", type=Path, metavar="FILE", help="write everything there")
    asked = parser.parse_args(argv)
    if asked.quick:
        asked.boxes, asked.marks, asked.switches, asked.restarts = 2, 20, 5, 0

    chance = random.Random(33)
    times: dict[str, list[float]] = {}
    with commanded_rack(asked.boxes) as rack:
        print(
            f"{os.cpu_count()} cores, {asked.boxes} boxes run, load at the start "
            f"{os.getloadavg()[0]:.1f}",
            flush=True,
        )
        times[MARK], recorded = send_marks(rack, asked.marks, chance)
        times |= switch_waiting(rack, asked.switches, chance)
        times |= restart_running(rack, asked.restarts)
        load = os.getloadavg()[0]

    found: dict[str, Any] = {kind: summary(it) for kind, it in times.items() if it}
    print("command                number   p50 ms   p99 ms  longest ms")
    for kind, row in found.items():
        print(
            f"{kind:21}  {row['commands']:6}  {row['p50_ms']:7.2f}  {row['p99_ms']:7.2f}"
            f"  {row['most_ms']:10.2f}{'  aim missed' if misses(row) else ''}"
        )
    print(f"{recorded} of {asked.marks} marks are in the records; load {load:.1f}")
    print(f"aims: p50 at most {AIM_P50_MS:g} ms, p99 at most {AIM_P99_MS:g} ms")
    if asked.json:
        about = {"python": platform.python_version(), "cores": os.cpu_count()}
        everything = {
            "about": about | {"boxes": asked.boxes, "load": load},
            "recorded": recorded, "figures": found, "times_ms": times,
        }  # fmt: skip
        asked.json.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
    return int(any(map(misses, found.values())) or recorded < asked.marks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
