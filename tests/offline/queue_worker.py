"""A worker of a queue, as a process of its own: ROOT NAME SESSIONS die|live."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deeplabstream.offline import run_queue


def work(session: Path) -> None:
    with (session / "worked").open("a", encoding="utf-8") as file:
        file.write("half\n" if sys.argv[4] == "die" else "whole\n")
    if sys.argv[4] == "die":
        os._exit(9)


if __name__ == "__main__":
    run_queue(Path(sys.argv[1]), int(sys.argv[3]), sys.argv[2], work=work)
