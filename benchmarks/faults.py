"""Faults injected into a running rig: is the laser off, how soon, and what is left behind.

Kills of each process, of pairs, of all children and of the whole group; suspensions; signals
to `app.py --headless` in a terminal of its own. The laser is a serial line on a
pseudo-terminal, and the experiment keeps it on. Linux only. A slow disk is not tried.

    python benchmarks/faults.py --quick              each fault once
    python benchmarks/faults.py --rounds 20 --json faults.json
"""

import argparse
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psutil

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.repair import repair
from deeplabstream.recording.run_folder import RunFolder
from tests.engine.ended_rig import SETTINGS, InTerminal, Laser
from tests.engine.killable import KillableRig, laser_on

OFF_S = 20.0
"""A laser that is still on after so long stays on."""
CAMERA = "camera top"
KILLS: dict[str, tuple[str, ...]] = {
    f"kill {' + '.join(names)}": names
    for names in (
        ("engine",),
        ("guard",),
        ("recorder",),
        (CAMERA,),
        ("main",),
        ("engine", "guard"),
        ("main", "engine"),
        ("main", "guard"),
        ("main", "recorder"),
    )
}
SIGNALS = ("HUP", "INT", "QUIT", "TERM", "TSTP")


def main(argv: Sequence[str] | None = None) -> int:
    """Inject faults and print the table; return 1 when a laser stayed on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--rounds", type=int, default=10, help="how often each fault is tried")
    add("--quick", action="store_true", help="once each")
    add("--only", default="", metavar="TEXT", help="faults whose name has this in it")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(argv)
    chance = random.Random(asked.seed)
    print(f"seed {asked.seed}; load {os.getloadavg()[0]:.1f}", flush=True)
    print("fault | tried | off | ms median | ms max | accounts closed | leftovers")
    result: dict[str, list[dict[str, Any]]] = {}
    for name, fault in faults().items():
        if asked.only not in name:
            continue
        rows = []
        for _ in range(1 if asked.quick else asked.rounds):
            with tempfile.TemporaryDirectory() as folder:
                rows.append(fault(Path(folder), chance))
        result[name] = rows
        times = [row["ms"] for row in rows if row["ms"] is not None]
        print(
            f"{name} | {len(rows)} | {len(times)} | "
            f"{f'{median(times):.0f} | {max(times):.0f}' if times else '- | -'} | "
            f"{sum(row['closed'] for row in rows)} | {sum(row['left'] for row in rows)}",
            flush=True,
        )
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return int(any(row["ms"] is None for rows in result.values() for row in rows))


Fault = Callable[[Path, random.Random], dict[str, Any]]


def faults() -> dict[str, Fault]:
    """Return what is tried, by name."""
    found: dict[str, Fault] = {}
    for name, names in KILLS.items():
        found[name] = _in_a_rig(lambda rig, names=names: rig.kill(*names))  # type: ignore[misc]
    found["kill all children"] = _in_a_rig(_kill_children)
    found["kill the whole group"] = _in_a_rig(lambda rig: rig.kill_group())
    for who in ("engine", "guard", "recorder", CAMERA, "main"):
        found[f"suspend {who}"] = _in_a_rig(
            lambda rig, who=who: rig.kill(who, number=signal.SIGSTOP),  # type: ignore[misc]
            who,
        )
    for word in SIGNALS:
        found[f"signal {word}"] = _signalled(getattr(signal, f"SIG{word}"))
    return found


def _kill_children(rig: KillableRig) -> None:
    rig.kill(*(name for name in rig.pids if name not in ("main", "second guard")))


def _in_a_rig(harm: Callable[[KillableRig], object], paused: str = "") -> Fault:
    def tried(folder: Path, chance: random.Random) -> dict[str, Any]:
        with laser_on(folder) as rig:
            time.sleep(chance.uniform(0, 1))
            began_s = time.perf_counter()
            harm(rig)
            if paused:  # what goes on afterwards is ended as a user would
                time.sleep(chance.uniform(0.2, 5))
                with suppress(ProcessLookupError):  # a guard has killed what hung
                    rig.kill(paused, number=signal.SIGCONT)
                with suppress(ProcessLookupError):
                    rig.kill("main", number=signal.SIGUSR1)
            off_ms = _off_ms(rig.board, began_s)
            if off_ms is None:
                return {"ms": None, "closed": False, "left": 0}
            ends = list(rig.pidfds.values())
            give_up_s = time.perf_counter() + 60
            while ends and time.perf_counter() < give_up_s:
                ready = select.select(ends, [], [], 1)[0]
                ends = [end for end in ends if end not in ready]
            return {"ms": off_ms, "closed": _closed(rig.run), "left": len(ends)}

    return tried


def _off_ms(board: int, began_s: float) -> float | None:
    """Wait for the laser's off byte; None: it never came."""
    while select.select([board], [], [], OFF_S)[0]:
        if os.read(board, 100).endswith(b"L"):
            return (time.perf_counter() - began_s) * 1e3
    return None


def _closed(run: Path) -> bool:
    """Whether all accounts of a run close, after a repair if it needs one."""
    try:
        repair(run)
    except DeepLabStreamError:
        return False
    facts = RunFolder(run).facts
    return bool(facts["ended"]) and all(each["closes"] for each in facts["accounting"])


def _signalled(number: int) -> Fault:
    def tried(folder: Path, chance: random.Random) -> dict[str, Any]:
        laser = Laser()
        settings = folder / "rig.ini"
        settings.write_text(SETTINGS.format(port=laser.port), encoding="utf-8")
        words = [str(ROOT / "app.py"), "--headless", "--seconds", "600"]
        program = InTerminal([*words, "--settings", str(settings)], folder)
        try:
            program.until("the laser is on", lambda: laser.on or program.ended())
            family, mapped = program.family(), program.shared_memory()
            time.sleep(chance.uniform(0, 1))
            began_s = time.perf_counter()
            program.signal_all(number)
            program.until("the laser is off", lambda: not laser.on)
            off_ms = (time.perf_counter() - began_s) * 1e3
            program.until("it ended", program.ended)
            left = len(psutil.wait_procs(family[1:], timeout=30)[1])
            left += sum(path.exists() for path in mapped)
            (run,) = (folder / "runs").iterdir()
            return {"ms": off_ms, "closed": _closed(run), "left": left}
        finally:
            program.kill()
            laser.close()

    return tried


if __name__ == "__main__":
    sys.exit(main())
