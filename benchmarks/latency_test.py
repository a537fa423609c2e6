"""The latency test against the truth: injected delays through the real rig, an emulated board.

`utils/MeasureLatency.py` measures a rig of real processes: camera process, engine, guards. The
board is the real firmware on an emulated Uno; the rig's camera sees its LED at each exposure.
A delay is injected, by the network or by the camera's transfer in turns. The truth is known
from outside: the camera notes its exposures, the emulator the edges of the output's pin, both
by the computer's clock, which the test does not use for the output.

    python benchmarks/latency_test.py              13 cases of 200 flashes, about 25 minutes
    python benchmarks/latency_test.py --quick      one case of 20 flashes
    python benchmarks/latency_test.py --screen     half the loop, with a patch on Xvfb

A case is right when the median is within 1 ms of the truth, and the 99th percentile within
2 ms or a tenth. `over` is the median less the injected delay and the median without one. The
emulator gets real-time priority where that is permitted. A computer that pauses it all the
same pauses the board, as nothing pauses a real one: flashes whose answer the emulator wrote
more than 0.5 ms late are left out (`late`). Linux only, with what .ci/run installs.

With `--screen` the camera sees the pixels of Xvfb, and the delays end with the decision. The
truth of the light is when the pixels changed, looked at every 0.5 ms. A flash whose change was
seen more than 2 ms after the test's time of painting is left out (`late`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from tests.engine.screen_rig import screen_rig, watched_patch
from tests.firmware.emulation import HERTZ
from tests.firmware.led_rig import ANSWER_PIN, OUTPUT_PIN, LedRig, led_rig

ROOT = Path(__file__).resolve().parents[1]
DELAYS_MS = (0, 2, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120)
RATE, EVERY_S = 100.0, 0.4
SEEN_NS, NEAR_LIGHT_NS = 2_000_000, 100_000_000
CYCLE_NS, LATE_NS, NEAR_NS = 1e9 / HERTZ, 500_000, 2e9
MEDIAN_MS, TAIL_MS, TAIL = 1.0, 2.0, 0.1


def measured(
    delay_ms: float, by_network: bool, flashes: int, screen: bool
) -> dict[str, Any]:
    """Return the figures of one injected delay."""
    with (
        tempfile.TemporaryDirectory(prefix="latency_test_") as folder,
        ExitStack() as stack,
    ):
        log = Path(folder) / "exposures.txt"
        camera = f"LOG = {log}\nTRANSFER_MS = {0 if by_network else delay_ms:g}"
        network_ms = delay_ms if by_network else 0.0
        where = Path(folder) / "rig", camera, network_ms, RATE
        words = ["--yes", "--flashes", str(flashes), "--every", str(EVERY_S)]
        try:
            if screen:
                seen = stack.enter_context(screen_rig(*where))
                edges = stack.enter_context(watched_patch(seen.file))
                facts = tested(seen.folder, [*words, "--screen", "0"])
                truth, said_ms, late = true_halves(edges, facts)
            else:
                rig = stack.enter_context(led_rig(*where))
                rig.board.wire(OUTPUT_PIN, ANSWER_PIN)
                facts = tested(rig.folder, words)
                truth, said_ms, late = true_delays(rig, facts, log)
        except RuntimeError as error:
            return {"problem": str(error)}
    if len(truth) < 20:
        return {
            "problem": f"{late} of {flashes} answers late: the computer is too busy"
        }
    p50, p99 = np.percentile(truth, (50, 99)).tolist()
    said = dict(zip(("p50", "p99"), np.percentile(said_ms, (50, 99)), strict=True))
    limit_ms = max(TAIL_MS, TAIL * p99)
    right = abs(said["p50"] - p50) <= MEDIAN_MS and abs(said["p99"] - p99) <= limit_ms
    return {
        "delay_ms": delay_ms,
        "by": "network" if by_network else "transfer",
        "flashes": len(truth),
        "late": late,
        "truth_ms": {"p50": p50, "p99": p99},
        "measured_ms": said,
        "parts_ms": {name: each["p50"] for name, each in facts["ms"].items()},
        "clock_error_ms": facts["clock_error_ms"],
        "right": bool(right),
    }


def tested(folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Run the program in a rig folder; return its result. RuntimeError: it failed."""
    program = ROOT / "utils" / "MeasureLatency.py"
    words = [*words, "--settings", str(folder / "settings.ini")]
    done = subprocess.run(
        [sys.executable, str(program), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-300:])
    (result,) = (folder / "latency").iterdir()
    return dict(json.loads(result.read_text("utf-8")))


def true_halves(
    edges: Sequence[tuple[int, int]], facts: dict[str, Any]
) -> tuple[list[float], list[float], int]:
    """Return from the change of the pixels to the decision, ms; as `true_delays`."""
    lit = [time_ns for time_ns, level in edges if level]
    truth: list[float] = []
    said: list[float] = []
    late = 0
    for row in facts["flashes"]:
        flash = dict(zip(facts["columns"], row, strict=True))
        place = bisect_right(lit, flash["led_ns"] + SEEN_NS) - 1
        if flash["led_ns"] - lit[place] > NEAR_LIGHT_NS:
            late += 1
            continue
        truth.append((flash["decided_ns"] - lit[place]) / 1e6)
        said.append((flash["decided_ns"] - flash["led_ns"]) / 1e6)
    return truth, said, late


def true_delays(
    rig: LedRig, facts: dict[str, Any], log: Path
) -> tuple[list[float], list[float], int]:
    """Return from the exposure of a flash's frame to the output's edge, ms.

    As it was, as the test says, and how many flashes are left out because the emulator was
    late.

    The frame must be the first with the LED lit of those that were not skipped: the LED was
    dark at the exposure of an earlier frame and lit at its own.
    """
    lines = [
        [int(n) for n in line.split()] for line in log.read_text("utf-8").splitlines()
    ]
    shown = {index: (exposed_ns, lit) for index, exposed_ns, lit in lines}
    rig.board.now()
    edges = rig.board.edges_of(OUTPUT_PIN)
    seen = np.array([[e.wall_ns, e.wall_ns - e.cycle * CYCLE_NS] for e in edges])
    rising = [edge for edge in edges if edge.level]
    walls = [edge.wall_ns for edge in rising]
    truth: list[float] = []
    said: list[float] = []
    late = 0
    for row in facts["flashes"]:
        flash = dict(zip(facts["columns"], row, strict=True))
        exposed_ns, lit = shown[flash["frame"]]
        if exposed_ns != flash["exposed_ns"] or not lit:
            raise ValueError(f"frame {flash['frame']} does not show the LED")
        edge = rising[bisect_left(walls, exposed_ns)]
        near = np.abs(seen[:, 0] - edge.wall_ns) < NEAR_NS
        prompt_ns = edge.cycle * CYCLE_NS + seen[near, 1].min()
        if edge.wall_ns - prompt_ns > LATE_NS:
            late += 1
            continue
        truth.append((edge.wall_ns - exposed_ns) / 1e6)
        by_board_ms = (flash["answer_us"] - flash["led_us"]) / 1e3
        said.append(by_board_ms - (exposed_ns - flash["led_ns"]) / 1e6)
    return truth, said, late


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table; 1 when a case is not right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one case, 20 flashes")
    parser.add_argument(
        "--screen",
        action="store_true",
        help="half the loop, a patch on a virtual screen",
    )
    parser.add_argument("--flashes", type=int, default=200, help="per case")
    parser.add_argument(
        "--delays", type=float, nargs="+", default=DELAYS_MS, metavar="MS"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything there"
    )
    asked = parser.parse_args(argv)
    delays = (20.0,) if asked.quick else asked.delays
    flashes = 20 if asked.quick else asked.flashes
    what = "screen to decision" if asked.screen else "exposure to output"
    print(f"load at the start: {os.getloadavg()[0]:.1f}; {what}, ms")
    print(
        f"{'injected':>9} {'by':9}{'truth p50':>10}{'said':>8}{'truth p99':>11}{'said':>8}"
        f"{'over':>7}{'clocks':>8}{'late':>6}"
    )
    rows, base_ms = [], None
    for number, delay_ms in enumerate(delays):
        row = measured(delay_ms, number % 2 == 0, flashes, asked.screen)
        rows.append(row)
        if "problem" in row:
            print(f"{delay_ms:9g} {row['problem']}", flush=True)
            continue
        truth, said = row["truth_ms"], row["measured_ms"]
        base_ms = said["p50"] if delay_ms == 0 else base_ms
        over = "" if base_ms is None else f"{said['p50'] - base_ms - delay_ms:.2f}"
        print(
            f"{delay_ms:9g} {row['by']:9}{truth['p50']:10.2f}{said['p50']:8.2f}"
            f"{truth['p99']:11.2f}{said['p99']:8.2f}{over:>7}"
            f"{row['clock_error_ms']:8.2f}{row['late']:6}{'' if row['right'] else '  not right'}",
            flush=True,
        )
    right = sum(row.get("right", False) for row in rows)
    print(
        f"{right} of {len(rows)} cases right; load at the end: {os.getloadavg()[0]:.1f}"
    )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
