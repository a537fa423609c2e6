import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
sys.stdin.readline()
for word in ("one", "two"):
    print(word, flush=True)
    print(word, file=sys.stderr, flush=True)
sys.exit(7)
"""


PROCESSES = {
    "program": "from deeplabstream.startup.program import prepare; prepare()",
    "child": "from deeplabstream.engine.processes.child_process import set_up_child; "
    "set_up_child(lambda: None)",
    "guard": "from deeplabstream.engine.processes.guard import settle_guard; "
    "from multiprocessing import Pipe; ends = Pipe(); settle_guard({}, None, ends[0])",
}
"""What a process does before it works. Outputs and cameras of the user may print in each."""


@pytest.mark.parametrize("prepared", PROCESSES.values(), ids=list(PROCESSES))
@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_a_process_goes_on_when_nobody_reads_what_it_prints(
    options: list[str], prepared: str
) -> None:
    end = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *options, "-c", prepared + PROGRAM],
        cwd=ROOT,
        stdin=end,
        stdout=end,
        stderr=end,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        process.stdin.write(b"\n")
        process.stdin.close()
    assert process.returncode == 7


def test_what_can_be_read_is_printed() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROCESSES["program"] + PROGRAM],
        cwd=ROOT,
        input="\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("one\ntwo\n", "one\ntwo\n")
    assert ran.returncode == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_a_full_disk_is_an_error_of_a_program_that_runs_no_experiment() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ran = subprocess.run(
            [sys.executable, "-c", PROCESSES["program"] + PROGRAM],
            cwd=ROOT,
            input="\n",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "No space left" in ran.stderr


RUNNING = {
    **PROCESSES,
    "program": PROCESSES["program"]
    + "; from deeplabstream.startup.standard_streams import outlive_full_disk; "
    "outlive_full_disk()",
}
"""What a process does before it takes part in an experiment."""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
@pytest.mark.parametrize("prepared", RUNNING.values(), ids=list(RUNNING))
@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_a_process_of_an_experiment_goes_on_when_the_disk_of_its_output_is_full(
    options: list[str], prepared: str
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ran = subprocess.run(
            [sys.executable, *options, "-c", prepared + PROGRAM],
            cwd=ROOT,
            input=b"\n",
            stdout=full,
            stderr=full,
            check=False,
        )
    assert ran.returncode == 7
