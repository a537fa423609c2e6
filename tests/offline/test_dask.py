"""A local cluster of two worker processes."""

import subprocess
import sys
from pathlib import Path

from deeplabstream.offline.queue.session_queue import open_queue

PROGRAM = """
import sys, warnings
sys.path.insert(0, {root!r})
from pathlib import Path


def work(session):
    with (session / "worked").open("a") as file:
        file.write("whole\\n")
    if session.name == "003":
        raise ValueError("it is broken")


if __name__ == "__main__":
    from distributed import Client, LocalCluster
    from deeplabstream.offline.queue.dask_queue import run_on

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        host="127.0.0.1",
    ) as cluster, Client(cluster) as client:
        client.run(lambda: sys.path.insert(0, {root!r}))
        print(run_on(client, Path({tree!r}), work=work))
"""


def test_a_cluster_does_each_session_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    sessions = [tree / f"mouse/2026-11-21/{number:03}" for number in range(6)]
    for session in sessions:
        (session / "raw_video_data").mkdir(parents=True)
    root = str(Path(__file__).resolve().parents[2])
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(root=root, tree=str(tree)), "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "8"  # the broken one three times
    texts = [(session / "worked").read_text() for session in sessions]
    assert texts == ["whole\n"] * 3 + ["whole\n" * 3] + ["whole\n"] * 2
    queue = open_queue(tree)
    states = [queue.state(session) for session in sessions]
    assert states == ["done"] * 3 + ["set aside"] + ["done"] * 2
