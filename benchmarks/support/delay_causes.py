"""Why single pulses of a running rig were late: counters of the kernel, sampled beside it.

As a program, a sampler: NAME=PID:THREAD,THREAD… for each process; it samples until its
input ends and prints the samples as JSON. It imports nothing of DeepLabStream.
"""

import json
import select
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVERY_S = 0.01
SLOW_MS = 20.0
"""A pulse that took longer than this is explained."""
_STEAL, _TICKS_PER_S = 8, 100
_MINOR, _MAJOR = 7, 9


@dataclass(frozen=True)
class Late:
    """A pulse: its times in ns, the network's time taken out of `posed_ns`."""

    exposed_ns: int
    arrived_ns: int
    posed_ns: int
    decided_ns: int
    written_ns: int
    before_ns: int
    """When the frame before was done with."""

    @property
    def stages_ms(self) -> dict[str, float]:
        """Return how long each stage took."""
        picked_ns = max(self.arrived_ns, min(self.before_ns, self.posed_ns))
        times = {
            "camera": self.arrived_ns - self.exposed_ns,
            "frame before": picked_ns - self.arrived_ns,
            "wake-up and pose": self.posed_ns - picked_ns,
            "decision": self.decided_ns - self.posed_ns,
            "output": self.written_ns - self.decided_ns,
        }
        return {name: span / 1e6 for name, span in times.items()}


class Sampler:
    """The sampler as a process."""

    def __init__(self, processes: Mapping[str, tuple[int, Sequence[int]]]) -> None:
        words = [
            f"{name}={pid}:{','.join(map(str, threads))}"
            for name, (pid, threads) in processes.items()
        ]
        self._process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> list[dict[str, Any]]:
        """Return all samples."""
        text, _ = self._process.communicate("")
        return list(json.loads(text))


def explanation(
    late: Late, samples: Sequence[Mapping[str, Any]], zero_ns: int = 0
) -> str:
    """Return where a pulse lost its time, and what the processes did meanwhile."""
    stages = late.stages_ms
    stage = max(stages, key=lambda name: stages[name])
    total_ms = sum(stages.values())
    head = (
        f"{total_ms:.1f} ms at {(late.exposed_ns - zero_ns) / 1e9:.2f} s: "
        f"{stages[stage]:.1f} ms in {stage}"
    )
    change = _change(samples, late.exposed_ns, late.written_ns)
    if change is None:
        return f"{head}; no samples: not explained"
    told = ", ".join(
        f"{name} ran {each['run']:.0f} waited {each['wait']:.0f}"
        for name, each in change["of"].items()
    )
    faults = ", ".join(
        f"{name} {each['minor'] + each['major']}"
        for name, each in change["of"].items()
        if each["minor"] + each["major"]
    )
    stolen = change["steal"]
    return (
        f"{head}: {_cause(stage, stages[stage], change)}. In {change['span']:.0f} ms: "
        f"{told}; page faults: {faults or 'none'}; stolen {stolen:.0f} ms"
    )


def _cause(stage: str, lost_ms: float, change: Mapping[str, Any]) -> str:
    """Name what can account for half of the lost time."""
    if stage == "frame before":
        return "the network was busy with the frame before"
    who = "camera" if stage == "camera" else "engine"
    mine = change["of"].get(who, {"run": 0, "wait": 0, "major": 0})
    if mine["wait"] >= lost_ms / 2:
        return f"the {who} waited for a core"
    if change["steal"] >= lost_ms / 2:
        return "the hypervisor gave the cores to others"
    if mine["major"]:
        return f"the {who} waited for a page from the disk"
    if mine["run"] >= lost_ms / 2:
        return f"the {who} computed"
    return f"the {who} slept: a late timer, a device, or an unreported pause of the computer"


def _change(
    samples: Sequence[Mapping[str, Any]], begin_ns: int, end_ns: int
) -> dict[str, Any] | None:
    """Return what the counters counted between the samples around a pulse; times in ms."""
    times = [sample["at_ns"] for sample in samples]
    first, last = bisect_right(times, begin_ns) - 1, bisect_left(times, end_ns)
    if first < 0 or last >= len(samples):
        return None
    before, after = samples[first], samples[last]
    of = {}
    for name, counters in after["of"].items():
        run, wait, minor, major = (
            new - old for new, old in zip(counters, before["of"][name], strict=True)
        )
        of[name] = {
            "run": run / 1e6,
            "wait": wait / 1e6,
            "minor": minor,
            "major": major,
        }
    return {
        "span": (after["at_ns"] - before["at_ns"]) / 1e6,
        "steal": (after["steal"] - before["steal"]) * 1e3 / _TICKS_PER_S,
        "of": of,
    }


def totals(
    samples: Sequence[Mapping[str, Any]], begin_ns: int, end_ns: int
) -> dict[str, dict[str, float]]:
    """Return each process's running and waiting (ms) and page faults, per second."""
    change = _change(samples, begin_ns, end_ns)
    if change is None:
        return {}
    seconds = change["span"] / 1e3
    return {
        name: {what: value / seconds for what, value in each.items()}
        for name, each in change["of"].items()
    }


def _counters(pid: int, threads: Sequence[int]) -> list[int]:
    """Return the sums over threads: ran, waited (ns), minor and major page faults."""
    sums = [0, 0, 0, 0]
    for thread in threads:
        folder = Path(f"/proc/{pid}/task/{thread}")
        try:
            ran, waited, _ = map(int, (folder / "schedstat").read_text().split())
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        found = ran, waited, int(words[_MINOR]), int(words[_MAJOR])
        sums = [old + new for old, new in zip(sums, found, strict=True)]
    return sums


def main(words: Sequence[str]) -> int:
    """Sample until the input ends."""
    processes = {}
    for word in words:
        name, _, rest = word.partition("=")
        pid, _, threads = rest.partition(":")
        processes[name] = int(pid), [int(each) for each in threads.split(",")]
    samples = []
    while True:
        steal = int(
            Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[_STEAL]
        )
        samples.append(
            {
                "at_ns": time.perf_counter_ns(),
                "steal": steal,
                "of": {name: _counters(*each) for name, each in processes.items()},
            }
        )
        if select.select([sys.stdin], [], [], EVERY_S)[0]:
            break
    print(json.dumps(samples))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
