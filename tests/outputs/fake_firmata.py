"""A board with StandardFirmata on a pseudo-terminal; it runs as long as stdin is open.

A program: prints its port, then `PIN VALUE` for each pin that is written (PWM: 0 to 255).
Pins behave as those of StandardFirmata 2.5: outputs and low at first, low when their mode
is told, and a digital message writes all outputs among eight neighbours.
"""

import os
import select
import sys
import tty

VERSION = bytes([0xF9, 2, 5])
NAME = bytes([0xF0, 0x79, 2, 5, *(b for c in b"Fake" for b in (c, 0)), 0xF7])
PINS = range(2, 20)


class Board:
    """What the board does with what it hears."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.modes: dict[int, int] = {}
        self.values: dict[int, int] = {}
        self.heard = b""

    def hear(self, data: bytes) -> None:
        """Obey every whole message."""
        self.heard += data
        while self.heard and (length := self.length()):
            message, self.heard = self.heard[:length], self.heard[length:]
            self.obey(message)

    def length(self) -> int:
        """Return how long the first message is; 0: it is not whole yet."""
        first = self.heard[0]
        if first == 0xF0:
            return self.heard.find(0xF7) + 1
        wanted = (
            1 if first in (0xF9, 0xFF) else 2 if first & 0xF0 in (0xC0, 0xD0) else 3
        )
        return wanted if len(self.heard) >= wanted else 0

    def obey(self, message: bytes) -> None:
        match [*message]:
            case [0xF9]:
                os.write(self.line, VERSION)
            case [0xF0, 0x79, 0xF7]:
                os.write(self.line, NAME)
            case [0xF0, 0x6B, 0xF7]:  # which pins can do what
                kinds = bytes([0, 1, 1, 1, 3, 8, 0x7F])
                pins = b"".join(kinds if n in PINS else b"\x7f" for n in range(20))
                os.write(self.line, b"\xf0\x6c" + pins + b"\xf7")
            case [0xF4, pin, mode]:
                self.modes[pin] = mode
                self.set(pin, 0)
            case [0xF0, 0x6F, pin, low, high, 0xF7]:
                self.set(pin, low | high << 7)
            case [first, low, high] if first & 0xF0 == 0xE0:
                self.set(first & 0x0F, low | high << 7)
            case [first, low, high] if first & 0xF0 == 0x90:
                mask = low | high << 7
                for place in range(8):
                    pin = (first & 0x0F) * 8 + place
                    if self.modes.get(pin, 1) == 1 and pin in PINS:
                        self.set(pin, mask >> place & 1)

    def set(self, pin: int, value: int) -> None:
        if self.values.get(pin, 0) != value:
            self.values[pin] = value
            print(pin, value, flush=True)


def main() -> None:
    """Be the board until stdin ends."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    print(os.ttyname(theirs), flush=True)
    board = Board(ours)
    while True:
        ready = select.select([ours, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        board.hear(os.read(ours, 1000))


if __name__ == "__main__":
    main()
