"""A program that listens to events by `udp`, `osc` or `zmq`, until stdin ends.

Prints its port, then `NAME VALUE` for each event.
"""

import json
import os
import socket
import sys
import threading

import zmq
from pythonosc.osc_message import OscMessage


def by_packets(osc: bool) -> None:
    """Listen to packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        print(ear.getsockname()[1], flush=True)
        while packet := ear.recv(10_000):
            if osc:
                message = OscMessage(packet)
                tell(message.address.rpartition("/")[2], message.params[0])
            else:
                tell_json(packet)


def by_zeromq() -> None:
    """Subscribe to a port that nobody has yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with zmq.Context() as context, context.socket(zmq.SUB) as ear:
        ear.subscribe("")
        ear.connect(f"tcp://127.0.0.1:{port}")
        print(port, flush=True)
        while True:
            tell_json(ear.recv_multipart()[1])


def tell_json(text: bytes) -> None:
    event = json.loads(text)
    tell(event["name"], event["value"])


def tell(name: str, value: object) -> None:
    shown = f"{value:g}" if isinstance(value, float) else value
    print(name, shown, flush=True)


def main(way: str) -> None:
    """Listen in a thread, until stdin ends."""
    body, words = (by_zeromq, ()) if way == "zmq" else (by_packets, (way == "osc",))
    threading.Thread(target=body, args=words, daemon=True).start()
    sys.stdin.read()
    os._exit(0)  # the thread may wait for something that never comes


if __name__ == "__main__":
    main(sys.argv[1])
