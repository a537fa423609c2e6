"""A Raspberry Pi 3 in the network: pigpiod's side of its protocol, until stdin ends.

A program: prints its port, then `PIN VALUE` for each pin that is written (PWM: of 10000).
"""

import socket
import struct
import sys
import threading

PI_3B = 0xA02082


class Pins:
    """What the pins are and do."""

    def __init__(self) -> None:
        self.modes: dict[int, int] = {}
        self.values: dict[int, int] = {}
        self.ranges: dict[int, int] = {}

    def obey(self, command: int, pin: int, value: int) -> int:
        match command:
            case 0:  # set mode
                self.modes[pin] = value
            case 1:  # get mode
                return self.modes.get(pin, 0)
            case 3 | 83:  # read, get duty cycle
                return self.values.get(pin, 0)
            case 4 | 5:  # write, set duty cycle
                if self.values.get(pin, 0) != value:
                    self.values[pin] = value
                    print(pin, value, flush=True)
            case 6:  # set the duty cycle's range
                self.ranges[pin] = value
            case 22:  # get it
                return self.ranges.get(pin, 255)
            case 17:  # which Raspberry Pi
                return PI_3B
            case 26:  # which pigpio
                return 79
        return 0


def serve(client: socket.socket, pins: Pins) -> None:
    """Answer until the client leaves."""
    with client:
        while request := client.recv(16, socket.MSG_WAITALL):
            command, pin, value, length = struct.unpack("<4I", request)
            if length:
                client.recv(length, socket.MSG_WAITALL)
            answer = pins.obey(command, pin, value)
            client.sendall(struct.pack("<4I", command, pin, value, answer))


def main() -> None:
    """Serve until stdin ends."""
    pins = Pins()
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            client = server.accept()[0]
            threading.Thread(target=serve, args=(client, pins), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
