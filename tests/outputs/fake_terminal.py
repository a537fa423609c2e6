"""A port that prints each character it gets, until stdin ends.

A program: prints the port's name first.
"""

import os
import select
import sys
import tty


def main() -> None:
    """Listen until stdin ends."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    print(os.ttyname(theirs), flush=True)
    while True:
        ready = select.select([ours, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        for character in os.read(ours, 1000).decode("latin-1"):
            print(character, flush=True)


if __name__ == "__main__":
    main()
