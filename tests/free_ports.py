"""Ports of this computer that are free, outside the range from which the system assigns ports."""

import random
import socket

PORTS = range(20_000, 30_000)
"""Below those that Linux (32768) and Windows (49152) give to who asks for any port.

Such a port may go to another program between the end of its test and its use.
"""
_CHANCE = (
    random.SystemRandom()
)  # seeds are the same in tests that run beside each other


def free_port() -> int:
    """Return a port that can be bound now."""
    while True:
        port = _CHANCE.choice(PORTS)
        with socket.socket() as link:
            try:
                link.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
