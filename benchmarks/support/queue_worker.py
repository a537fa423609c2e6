"""A worker of the queue benchmark: TREE NAME. Each session takes it a little while."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.queue.session_queue import run_queue

SIZE = 200_000


def work(session: Path) -> None:
    """Write a file piece by piece, and one line for each time it was begun and ended."""
    log = session / "log"
    with log.open("a") as file:
        file.write("begun\n")
    with atomic_file(session / "result") as making, making.open("wb") as file:
        for _ in range(20):
            file.write(bytes(SIZE // 20))
            time.sleep(0.01)
    with log.open("a") as file:
        file.write("ended\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path, metavar="TREE", help="folder of sessions")
    parser.add_argument("name", metavar="NAME", help="of this worker")
    given = parser.parse_args()
    run_queue(given.tree, 1000, given.name, work=work)
