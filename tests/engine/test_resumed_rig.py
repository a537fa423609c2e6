"""A rig whose processes are all killed by SIGKILL, and continued by `--resume`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deeplabstream.core.clock import SystemClock, rest
from deeplabstream.recording.resumed_state import resumed_of
from deeplabstream.recording.run_folder import RunFolder
from tests.engine.tolerant import GIVE_UP_S, ROOT, TOLERANT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")

RIG = f"""
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = rewards
RECORD_EXP = no
{TOLERANT}
[Camera top]
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 20
SHELTER = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 160 120
MAX_RATE_PER_MIN = 1000
[Output valve]
KIND = SimulatedOutput
[Experiment rewards]
KIND = RewardPreTraining
TRIGGER = anywhere
REWARD = valve
REWARD_S = 0.05
REWARDS = 8
INTERVAL = choice 0.3 0.5
SEED = new
"""


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "DeepLabStream.py"), "--headless", *words]


@contextmanager
def started(folder: Path, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the program in a process group of its own, which is killed in the end."""
    with (folder / "printed.txt").open("w") as printed:
        process = subprocess.Popen(
            command(*words, "--settings", str(folder / "rig.ini")),
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill_all(process)


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    """Kill the program and all its processes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def marks(run: RunFolder) -> list[str]:
    return [row["text"] for row in run.events() if row["kind"] == "mark"]


def test_a_rig_that_is_killed_goes_on_and_its_run_can_be_rerun_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "rig.ini").write_text(RIG, "utf-8")
    with started(tmp_path, "--experiment") as process:
        until_ns = SystemClock().now_ns() + round(GIVE_UP_S * 1e9)
        runs: list[Path] = []
        while not runs or len(marks(RunFolder(runs[0]))) < 3:
            assert process.poll() is None and SystemClock().now_ns() < until_ns
            rest(0.05)
            runs = [*(tmp_path / "runs").glob("*/events.csv")]
            runs = [it.parent for it in runs if (it.parent / "run.json").exists()]
    first = RunFolder(runs[0])
    assert first.facts["ended"] is None

    with started(tmp_path, "--resume") as process:
        process.wait(GIVE_UP_S)
    said = (tmp_path / "printed.txt").read_text("utf-8")
    assert process.returncode == 0, said
    (second,) = (RunFolder(it) for it in (tmp_path / "runs").iterdir() if it != runs[0])
    given = len(marks(first))
    sentence = f"resumed: goes on from the run {first.path.name} after a gap of "
    assert sentence in said
    assert f"rewards {given}" in said
    state = resumed_of(second.facts)
    assert state is not None
    assert state.reached == {"": {"rewards": float(given)}}
    assert any(row["name"] == "resumed" for row in second.events())
    numbers = [int(it.split()[1].rstrip(":")) for it in marks(first) + marks(second)]
    assert numbers == [*range(1, 9)]

    # both runs have the seed that was drawn for the first one
    assert first.settings_text == second.settings_text
    first.path.rename(tmp_path / "elsewhere")
    words = [sys.executable, str(ROOT / "utils" / "VideoAnalyzer.py"), "--run"]
    done = subprocess.run(
        [*words, str(second.path)], capture_output=True, text=True, timeout=GIVE_UP_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on the same frames" in done.stdout

    # it has ended: nothing is left to go on with
    with started(tmp_path, "--resume", str(second.path)) as process:
        process.wait(GIVE_UP_S)
    said = (tmp_path / "printed.txt").read_text("utf-8")
    assert process.returncode == 1
    assert "its experiment has ended (finished)" in said
    assert "Traceback" not in said
