"""Outputs that need a device, with something that plays it: for the contract and the guard."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from deeplabstream.plugins.output import Output
from outputs.firmata import Firmata
from outputs.network_events import OscEvents, UdpEvents, ZmqEvents
from outputs.nidaq import NiAnalog, NiDigital
from outputs.raspberry_pi import RaspberryPin
from outputs.serial_line import SerialLine
from outputs.sound import Sound
from tests.outputs.players import Player, playing


@dataclass(frozen=True)
class StandIn:
    """An output, what plays its device, and what that prints when it is on and off."""

    output: Output
    player: Player
    on: str
    off: str


@contextmanager
def _firmata() -> Iterator[StandIn]:
    with playing("fake_firmata") as board:
        yield StandIn(Firmata(port=board.address, pin=13), board, "13 1", "13 0")


@contextmanager
def _serial_line() -> Iterator[StandIn]:
    with playing("fake_terminal") as board:
        yield StandIn(SerialLine(port=board.address), board, "H", "L")


@contextmanager
def _ni_digital() -> Iterator[StandIn]:
    with playing("fake_nidaq") as server:
        host, line = f"127.0.0.1:{server.address}", "Dev1/port0/line3"
        output = NiDigital(line=line, host=host)
        yield StandIn(output, server, f"{line} 1", f"{line} 0")


@contextmanager
def _ni_analog() -> Iterator[StandIn]:
    with playing("fake_nidaq") as server:
        output = NiAnalog(channel="Dev1/ao0", host=f"127.0.0.1:{server.address}")
        yield StandIn(output, server, "Dev1/ao0 5", "Dev1/ao0 0")


@contextmanager
def _raspberry() -> Iterator[StandIn]:
    with playing("fake_pigpiod") as pi:
        output = RaspberryPin(pin=17, host="127.0.0.1", port=int(pi.address))
        yield StandIn(output, pi, "17 1", "17 0")


@contextmanager
def _listening(way: str, kind: type[Output]) -> Iterator[StandIn]:
    with playing("fake_listener", way) as ear:
        output = kind(port=int(ear.address))  # type: ignore[call-arg]
        yield StandIn(output, ear, "level 1", "level 0")


@contextmanager
def _sound() -> Iterator[StandIn]:
    with playing("fake_speaker") as speaker, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALSA_CONFIG_PATH", speaker.address)
        yield StandIn(Sound(), speaker, "loud 4000", "quiet")


STAND_INS: dict[str, Callable[[], AbstractContextManager[StandIn]]] = {
    "NiAnalog": _ni_analog,
    "NiDigital": _ni_digital,
    "OscEvents": lambda: _listening("osc", OscEvents),
    "RaspberryPin": _raspberry,
    "UdpEvents": lambda: _listening("udp", UdpEvents),
    "ZmqEvents": lambda: _listening("zmq", ZmqEvents),
}
"""By the name of the KIND."""
if sys.platform != "win32":  # where there are pseudo-terminals
    STAND_INS |= {"Firmata": _firmata, "SerialLine": _serial_line}
if sys.platform.startswith("linux"):
    STAND_INS["Sound"] = _sound
