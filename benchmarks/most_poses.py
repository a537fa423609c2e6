"""How many poses a second the engine makes of a camera that never lets it wait."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.floor import drained_terminal

HERE = Path(__file__).resolve().parent


def most_poses(seconds: float) -> dict[str, Any]:
    """Measure and print; the network takes no time, every pose is written to disk."""
    with drained_terminal() as port, tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, str(HERE / "support/rig_case.py"), "--port", port]
        words += ["--folder", folder, "--seconds", str(seconds), "--flood"]
        words += ["--rate", "4000"]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=120 + seconds, check=False
        )
    try:
        result = dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        result = {"problems": [done.stderr[-2000:] or "no result"]}
    if "poses_per_s" not in result:
        print("Most poses:", *result["problems"])
        return result
    result.pop("latencies_ns")
    delivered = result["delivered"] / seconds
    print(
        f"Most poses, no network time, a plain 640x480 colour picture up to 4000 times "
        f"a second, table but no video, no window: {result['poses_per_s']:.0f} poses/s "
        f"of {delivered:.0f} pictures/s; engine {result['cores']['engine']:.2f} cores"
    )
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    raise SystemExit("poses_per_s" not in most_poses(parser.parse_args().seconds))
