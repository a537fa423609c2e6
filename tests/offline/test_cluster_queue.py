"""Several computers: a local Dask cluster of two processes, and submitit's local executor."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.files.paths import ROOT
from deeplabstream.offline.queue.cluster_queue import attempt_session
from deeplabstream.offline.queue.session_queue import open_queue
from utils.ProcessSessions import main

WORK = """
import os, sys, warnings
sys.path.insert(0, {root!r})
from pathlib import Path


def work(session):
    begun = (session / "worked").exists()
    with (session / "worked").open("a") as file:
        file.write("whole\\n")
    if session.name == "003":
        raise ValueError("it is broken")
    if session.name == "004" and {kills} and not begun:
        os._exit(9)


if __name__ == "__main__":
"""
DASK = """
    from distributed import Client, LocalCluster
    from deeplabstream.offline.queue.cluster_queue import run_on_dask

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        host="127.0.0.1",
    ) as cluster, Client(cluster) as client:
        client.run(lambda: sys.path.insert(0, {root!r}))
        print(run_on_dask(client, Path({tree!r}), work=work))
"""
SLURM = """
    os.environ["PYTHONPATH"] = {root!r}
    from submitit import LocalExecutor
    from deeplabstream.offline.queue.cluster_queue import run_on_slurm

    executor = LocalExecutor(folder=Path({tree!r}).with_name("jobs"))
    print(run_on_slurm(executor, Path({tree!r}), work=work))
"""


def made(tree: Path) -> list[Path]:
    sessions = [tree / f"mouse/2026-11-21/{number:03}" for number in range(6)]
    for session in sessions:
        (session / "raw_video_data").mkdir(parents=True)
    return sessions


@pytest.mark.parametrize(("scheduler", "kills"), [(DASK, False), (SLURM, True)])
def test_a_scheduler_does_each_session_once(
    tmp_path: Path, scheduler: str, kills: bool
) -> None:
    tree = tmp_path / "tree"
    sessions = made(tree)
    root = str(Path(__file__).resolve().parents[2])
    program = tmp_path / "program.py"
    text = (WORK + scheduler).format(root=root, tree=str(tree), kills=kills)
    program.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "8"  # the broken one three times
    texts = [(session / "worked").read_text() for session in sessions]
    assert texts == [
        *["whole\n"] * 3,
        "whole\n" * 3,
        "whole\n" * (2 if kills else 1),  # the killed job was submitted again
        "whole\n",
    ]
    queue = open_queue(tree)
    states = [queue.state(session) for session in sessions]
    assert states == ["done"] * 3 + ["set aside"] + ["done"] * 2


def test_a_scheduled_session_is_processed_after_another_computer_ended(
    tmp_path: Path,
) -> None:
    session = made(tmp_path)[0]
    queue = open_queue(tmp_path)
    claim = {"machine": "node7", "host": "node7", "pid": 1, "started": 0.0}
    (queue.folder / f"{queue.name(session)}.claim.1").write_text(json.dumps(claim))
    worked: list[Path] = []
    assert queue.state(session) == "running"
    assert not queue.attempt(session, worked.append)
    assert attempt_session(str(session), str(tmp_path), "ibl", "", 3, worked.append)
    assert worked == [session]
    assert queue.state(session) == "done"


SNAKEFILE = ROOT / "docs/snakemake/Snakefile"


def test_the_command_of_the_snakefile_processes_a_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (session,) = made(tmp_path)[:1]
    (command,) = re.findall(r'shell:\s*"([^"]+)"', SNAKEFILE.read_text("utf-8"))
    values = {"{COMMAND}": "", "{params.folder:q}": str(session)}
    values |= {"{NETWORKS:q}": str(tmp_path), "{PIPELINE:q}": "ibl"}
    for field, value in values.items():
        command = command.replace(field, value)
    assert "{" not in command
    assert main(command.split()) == 1
    assert f"{session} contains no raw video" in caplog.text


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="no snakemake here")
def test_snakemake_runs_each_session_once(tmp_path: Path) -> None:
    sessions = made(tmp_path / "a tree")
    words = ["snakemake", "--snakefile", str(SNAKEFILE), "--cores", "2", "--config"]
    options = [f"sessions={tmp_path}/a tree", "networks=networks", "command=echo"]
    subprocess.run([*words, *options], cwd=tmp_path, check=True)
    assert all((session / "logs/video.done").exists() for session in sessions)
