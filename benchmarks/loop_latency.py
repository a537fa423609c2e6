"""How long the whole rig takes beside the barest loop that does the same job.

From the simulated camera's tick to the byte on a pseudo-terminal, the network's time
taken out: the real processes, ring, trigger, plan, recorder and window, and the floor
(floor.py) measured right before and after. Ratios carry over to other machines,
milliseconds don't; on a busy machine the rig's five processes suffer more than the
floor's two. Nothing is asserted. It needs a system with pseudo-terminals (not
Windows); where there is no screen it starts Xvfb for the window.

    python benchmarks/loop_latency.py                 all cases, about 9 minutes
    python benchmarks/loop_latency.py --quick         two cases, under a minute
    python benchmarks/loop_latency.py --long          tails: 10,000 pulses a case, 11 minutes
    python benchmarks/loop_latency.py --long --no-real-time     the rig at ordinary priority
    python benchmarks/loop_latency.py --json all.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.first_pose import time_to_first_pose
from benchmarks.floor import Job, drained_terminal, run_floor, spread
from benchmarks.most_poses import most_poses
from benchmarks.support.delay_causes import SLOW_MS

HERE = Path(__file__).resolve().parent
CAMERAS = ((640, 480, 30.0), (640, 480, 100.0), (1280, 1024, 100.0))
NETWORKS_MS = (0.0, 5.0, 10.0)
AIMS = {"p50": 1.3, "p99": 2.0, "p99.9": 3.0}
"""With --long: the rig's largest times, as multiples of the barest loop's in the same run."""
PULSES, FEW_PULSES = 10_000, 500
TAILS = ((640, 480, 100.0, 0.0), (640, 480, 100.0, 10.0), (1280, 1024, 100.0, 5.0))
"""Cases of --long: size, rate, network."""
SHOWN = 30
"""Late pulses that are printed for each case."""
HEADER = (
    f"{'camera':>13} {'net':>5} {'window':>6} | {'rig p50':>8} {'floor':>7} {'ratio':>6}"
    f" {'over':>7} | {'rig p99':>8} {'floor':>7} {'ratio':>6} | {'poses/s':>8} {'floor':>6}"
    f" {'analysed':>8} {'lag 0':>7} | cores: engine guard recorder encoder camera main"
)


@dataclass(frozen=True)
class Case:
    """A job and how the rig does it."""

    job: Job
    window: bool
    real_time: bool = True
    """Whether the rig may take real-time priority; the barest loop never does."""

    def __str__(self) -> str:
        job = self.job
        size = f"{job.width}x{job.height}/{job.rate:g}"
        return f"{size:>13} {job.network_ms:>5g} {'yes' if self.window else 'no':>6}"


def cases(quick: bool, seconds: float) -> list[Case]:
    """Return what is measured."""
    if quick:
        small = Job(640, 480, 30.0, 10.0, seconds)
        return [Case(small, True), Case(replace(small, rate=100.0, network_ms=0), True)]
    return [
        Case(Job(width, height, rate, network_ms, seconds), window)
        for width, height, rate in CAMERAS
        for network_ms in NETWORKS_MS
        for window in (False, True)
    ]


def tail_cases(quick: bool) -> list[Case]:
    """Return the cases of --long, with a pulse for every frame that is analysed."""
    wanted = []
    for width, height, rate, network_ms in TAILS[:1] if quick else TAILS:
        pulses_per_s = min(rate, 1e3 / (network_ms + 1))
        seconds = (FEW_PULSES if quick else 1.01 * PULSES) / pulses_per_s
        job = Job(width, height, rate, network_ms, round(seconds, 1), 1)
        wanted.append(Case(job, True))
    return wanted


def run_rig(case: Case, explains: bool = False) -> dict[str, Any]:
    """Measure the rig in a process of its own."""
    job = case.job
    with drained_terminal() as port, tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, str(HERE / "support/rig_case.py"), "--port", port]
        words += ["--folder", folder, "--width", str(job.width)]
        words += ["--height", str(job.height), "--rate", str(job.rate)]
        words += ["--network-ms", str(job.network_ms), "--seconds", str(job.seconds)]
        words += ["--every", str(job.frames_per_byte)]
        words += ["--window"] if case.window else []
        words += ["--explain"] if explains else []
        words += [] if case.real_time else ["--no-real-time"]
        limit_s = 120 + job.seconds
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=limit_s, check=False
        )
    try:
        result = dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        return {"problems": [done.stderr[-2000:] or "no result"]}
    latencies_ns = result.pop("latencies_ns", [])
    return result | spread(latencies_ns, job.network_ms)


def run_case(case: Case, explains: bool = False) -> dict[str, Any]:
    """Measure floor, rig, floor; the floor's halves count as one."""
    half = replace(case.job, seconds=case.job.seconds / 2)
    before = run_floor(half)
    rig = run_rig(case, explains)
    after = run_floor(half)
    pooled = before.pop("latencies_ns") + after.pop("latencies_ns")
    rate = (before["poses_per_s"] + after["poses_per_s"]) / 2
    floor = spread(pooled, half.network_ms) | {"poses_per_s": rate}
    return {
        "job": asdict(case.job),
        "window": case.window,
        "real_time": case.real_time,
        "rig": rig,
        "floor": floor | {"before": before, "after": after},
    }


def line(case: Case, result: dict[str, Any]) -> str:
    """Return a row of the table."""
    rig, floor = result["rig"], result["floor"]
    remarks = "".join(f"\n{'':15}{problem}" for problem in rig["problems"])
    if "pick_up_lag" not in rig:
        return f"{case} | no result{remarks}"
    cores = rig["cores"]
    burnt = (
        f"{cores.get(name, 0.0):.3f}"
        for name in ("engine", "guard", "recorder", "encoder", "camera", "main")
    )
    lags = rig["pick_up_lag"]
    prompt = lags.get("0", 0) / max(1, sum(lags.values()))
    return (
        f"{case} | {rig['p50']:8.2f} {floor['p50']:7.2f} {rig['p50'] / floor['p50']:6.2f}"
        f" {rig['p50'] - floor['p50']:+7.2f} | {rig['p99']:8.2f} {floor['p99']:7.2f}"
        f" {rig['p99'] / floor['p99']:6.2f} | {rig['poses_per_s']:8.1f}"
        f" {floor['poses_per_s']:6.1f} {rig['analysed_share']:8.1%} {prompt:7.1%}"
        f" | {' '.join(burnt)}{remarks}"
    )


def tail_lines(case: Case, result: dict[str, Any]) -> Iterator[str]:
    """Yield the rows of a case of --long: percentiles, aims, and each late pulse."""
    rig, floor = result["rig"], result["floor"]
    yield from rig["problems"]
    if "late" not in rig:
        yield f"{case} | no result"
        return
    yield (
        f"{case} | {rig['n']} pulses, the barest loop {floor['n']}; poses/s "
        f"{rig['poses_per_s']:.1f} / {floor['poses_per_s']:.1f}"
    )
    for name, most in AIMS.items():
        ratio = rig[name] / floor[name]
        met = "met" if ratio <= most else "MISSED"
        yield (
            f"{name:>24} {rig[name]:7.2f} / {floor[name]:6.2f} ms = {ratio:5.2f}"
            f"  (aim {most:g}) {met}"
        )
    yield f"{'max':>24} {rig['max']:7.2f} / {floor['max']:6.2f} ms"
    for name, each in rig["counters"].items():
        yield (
            f"{name:>24} ran {each['run']:.1f}, waited for a core {each['wait']:.2f} ms/s, "
            f"page faults {each['minor']:.1f}/s, from disk {each['major']:.2f}/s"
        )
    yield f"{len(rig['late']):>24} pulses above {SLOW_MS:g} ms"
    yield from (f"{'':25}{text}" for text in rig["late"][:SHOWN])
    if len(rig["late"]) > SHOWN:
        yield f"{'':25}{len(rig['late']) - SHOWN} more: --json writes all"


@contextmanager
def screen() -> Iterator[str]:
    """Make sure of a screen for the window; say which."""
    if os.environ.get("DISPLAY"):
        yield f"the window is on the screen {os.environ['DISPLAY']}"
        return
    out, into = os.pipe()
    words = ["Xvfb", "-displayfd", str(into), "-screen", "0", "1600x1200x24"]
    words += ["-nolisten", "tcp"]
    server = subprocess.Popen(
        words, pass_fds=[into], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        os.close(into)
        with os.fdopen(out) as number:
            os.environ["DISPLAY"] = ":" + number.readline().strip()
        yield f"there is no screen: the window is on Xvfb {os.environ['DISPLAY']}"
    finally:
        os.environ.pop("DISPLAY", None)
        server.terminate()
        server.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description="The rig beside the barest loop.")
    parser.add_argument("--quick", action="store_true", help="two cases, 3 s each")
    parser.add_argument(
        "--seconds", type=float, help="per case (10, or 3 with --quick)"
    )
    parser.add_argument("--only", default="", help="cases whose row contains this text")
    parser.add_argument(
        "--no-window", action="store_true", help="no case with a window"
    )
    parser.add_argument(
        "--no-real-time",
        action="store_true",
        help="run the rig at ordinary priority, as the barest loop",
    )
    parser.add_argument("--no-extras", action="store_true", help="the table only")
    parser.add_argument(
        "--long",
        action="store_true",
        help=f"tails: {PULSES} pulses a case, recording and window on, late pulses explained; "
        f"with --quick one case of {FEW_PULSES}",
    )
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds = options.seconds or (3.0 if options.quick else 10.0)
    possible = (
        tail_cases(options.quick) if options.long else cases(options.quick, seconds)
    )
    chosen = [case for case in possible if options.only in str(case)]
    if options.no_window:
        chosen = [replace(case, window=False) for case in chosen]
        chosen = list(dict.fromkeys(chosen))
    if options.no_real_time:
        chosen = [replace(case, real_time=False) for case in chosen]
    everything: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "load_before": os.getloadavg(),
        "cases": [],
    }
    print("From the camera's tick to the byte, in ms; the network's time is taken out.")
    lasts = ", ".join(sorted({f"{case.job.seconds:g} s" for case in chosen}))
    print(f"A case: {lasts}; load at the start: {os.getloadavg()[0]:.1f}")
    with (
        nullcontext("no window is measured") if options.no_window else screen() as where
    ):
        print(where, *([] if options.long else [HEADER]), sep="\n", flush=True)
        for case in chosen:
            result = run_case(case, options.long)
            everything["cases"].append(result)
            lines = tail_lines if options.long else lambda *it: iter([line(*it)])
            print(*lines(case, result), sep="\n", flush=True)
        if not (options.no_extras or options.long):
            everything["most_poses"] = most_poses(seconds)
            everything["first_pose"] = time_to_first_pose(window=not options.no_window)
    everything["load_after"] = os.getloadavg()
    print(f"load at the end: {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
