"""What the window costs the loop, how smoothly it paints, and whether input waits for it.

The same rig, with four cameras of 640×480 at 30/s that are all shown, one of them analysed
and recorded, runs with and without the window by turns. The cameras' images are drawn
before, so that they cost little. The loop's latency (from the
camera's tick to the byte on a pseudo-terminal) is compared side by side; in the window,
images painted a second are counted for each tile, and something is put into its event
queue all the time to see how long a key or a click would wait. Where there is no screen it
starts Xvfb. Nothing is asserted; on a busy machine the figures say nothing.

    python benchmarks/window_cost.py                 one and four cameras, 3 rounds of 20 s
    python benchmarks/window_cost.py --quick         four cameras, a round of 5 s
    python benchmarks/window_cost.py --json all.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.floor import drained_terminal
from benchmarks.loop_latency import screen

HERE = Path(__file__).resolve().parent
AIMS = "aims: ratios about 1, 25 pictures/s a tile or more, input 50 ms at most"
HEADER = (
    f"{'cameras':>7} | {'p50':>6} {'window':>6} {'ratio':>6} | {'p99':>6} {'window':>6}"
    f" {'ratio':>6} | {'least tile/s':>12} | input: {'p50':>5} {'p99':>6} {'longest':>7} ms"
    f" | window's cores"
)


@dataclass
class Found:
    """What came of all rounds of one kind."""

    latencies_ns: list[int] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    painted: list[float] = field(default_factory=list)
    """The least of the tiles, of each round."""
    cores: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def take(self, result: dict[str, Any]) -> None:
        """Add a round."""
        self.latencies_ns += result.get("latencies_ns", [])
        self.problems += result["problems"]
        self.cores.append(result.get("cores", {}).get("main", np.nan))
        if "window" in result:
            self.waits_ms += result["window"]["input_waits_ms"]
            self.painted.append(min(result["window"]["painted_per_s"].values()))

    @property
    def figures(self) -> dict[str, float]:
        """In ms, per second, and cores."""
        p50, p99 = _percentiles(self.latencies_ns, 1e6)
        wait50, wait99 = _percentiles(self.waits_ms, 1.0)
        return {
            "p50": p50,
            "p99": p99,
            "pulses": len(self.latencies_ns),
            "input_p50": wait50,
            "input_p99": wait99,
            "input_longest": max(self.waits_ms, default=float("nan")),
            "least_painted_per_s": min(self.painted, default=float("nan")),
            "window_cores": float(np.mean(self.cores)) if self.cores else float("nan"),
        }


def _percentiles(values: Sequence[float], unit: float) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    low, high = np.percentile(values, (50, 99)) / unit
    return float(low), float(high)


def run_rig(cameras: int, seconds: float, window: bool) -> dict[str, Any]:
    """Measure the rig in a process of its own."""
    with drained_terminal() as port, tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, str(HERE / "support/rig_case.py"), "--port", port]
        words += ["--folder", folder, "--seconds", str(seconds)]
        words += ["--cameras", str(cameras), *(["--window"] if window else [])]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=180 + seconds, check=False
        )
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        return {"problems": [done.stderr[-2000:] or "no result"]}


def line(cameras: int, bare: dict[str, float], window: dict[str, float]) -> str:
    """Return a row of the table."""
    parts = [
        f"{bare[p]:6.2f} {window[p]:6.2f} {window[p] / bare[p]:6.2f}"
        for p in ("p50", "p99")
    ]
    waits = f"{window['input_p50']:12.2f} {window['input_p99']:6.1f}"
    return (
        f"{cameras:7} | {parts[0]} | {parts[1]} | {window['least_painted_per_s']:12.1f} |"
        f" {waits} {window['input_longest']:7.1f}    | {window['window_cores']:.2f}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a round of 5 s")
    parser.add_argument("--rounds", type=int, help="with and without, so many times")
    parser.add_argument("--seconds", type=float, help="of each")
    parser.add_argument("--cameras", type=int, nargs="+", help="how many there are")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    seconds = options.seconds or (5.0 if options.quick else 20.0)
    rounds = options.rounds or (1 if options.quick else 3)
    everything: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "load_before": os.getloadavg(),
        "cases": [],
    }
    print(f"load at the start: {os.getloadavg()[0]:.1f}; {AIMS}")
    with screen() as where:
        print(where, HEADER, sep="\n", flush=True)
        for cameras in options.cameras or ([4] if options.quick else [1, 4]):
            found = {False: Found(), True: Found()}
            for number in range(rounds):
                order = (False, True) if number % 2 == 0 else (True, False)
                for window in order:
                    found[window].take(run_rig(cameras, seconds, window))
            bare, with_window = found[False].figures, found[True].figures
            problems = found[False].problems + found[True].problems
            case = {"cameras": cameras, "bare": bare, "window": with_window}
            everything["cases"].append({**case, "problems": problems})
            print(line(cameras, bare, with_window), *problems, sep="\n", flush=True)
    everything["load_after"] = os.getloadavg()
    print(f"load at the end: {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
