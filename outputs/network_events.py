"""Events to other programs: UDP, OSC, ZeroMQ and the Lab Streaming Layer."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import DeviceAddress, DeviceError, Event, EventOutput, Send

SUBSCRIBING_S = 0.5
"""Maximum time that opening a ZeroMQ port waits for a subscriber."""
LINGER_MS = 500
_MOST_BYTES = 1024
"""Size of one part of a message of a subscriber, which contains the names that it receives."""


@settings(frozen=True, kw_only=True)
class UdpEvents(EventOutput):
    """One packet of JSON for each event: {"name": …, "value": …, "cause": …, "time_ns": …}."""

    host: str = Field("127.0.0.1", min_length=1, description="address of the receiver")
    port: int = Field(gt=0, lt=65_536, description="port of the receiver")

    @contextmanager
    def sending(self) -> Iterator[Send]:
        """Resolve HOST; lost packets are not detected."""
        with _udp(self.host, self.port) as (link, address):
            yield lambda event: link.sendto(event.as_json(), address)


@settings(frozen=True, kw_only=True)
class OscEvents(EventOutput):
    """One OSC message for each event, such as `/deeplabstream/laser 1.0`, by UDP."""

    packages: ClassVar[tuple[str, ...]] = ("pythonosc.osc_message_builder",)

    host: str = Field("127.0.0.1", min_length=1, description="address of the receiver")
    port: int = Field(gt=0, lt=65_536, description="port of the receiver")
    prefix: str = Field(
        "/deeplabstream",
        pattern=r"^(/[^ #*,/?\[\]{}]+)+$",
        description="prefix of the addresses",
        examples=["/deeplabstream"],
    )

    @contextmanager
    def sending(self) -> Iterator[Send]:
        """Resolve HOST; lost messages are not detected."""
        from pythonosc.osc_message_builder import OscMessageBuilder

        def packet(event: Event) -> bytes:
            name = re.sub(r"[ #*,/?\[\]{}]", "_", event.name)
            builder = OscMessageBuilder(address=f"{self.prefix}/{name}")
            builder.add_arg(event.value)
            return bytes(builder.build().dgram)

        with _udp(self.host, self.port) as (link, address):
            yield lambda event: link.sendto(packet(event), address)


@settings(frozen=True, kw_only=True)
class ZmqEvents(EventOutput):
    """Publishes each event over ZeroMQ, in two parts: name, and JSON as in `UdpEvents`."""

    packages: ClassVar[tuple[str, ...]] = ("zmq",)

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address of this computer for subscribers; 127.0.0.1: only programs on "
        "this computer",
    )
    port: int = Field(gt=0, lt=65_536, description="port for subscribers")

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The port on which it publishes."""
        return (DeviceAddress("TCP port", str(self.port)),)

    @contextmanager
    def sending(self) -> Iterator[Send]:
        """Open the port; subscribers get all later events."""
        import zmq

        place = f"tcp://{self.host}:{self.port}"
        with zmq.Context() as context, context.socket(zmq.XPUB) as link:
            link.linger = LINGER_MS
            link.maxmsgsize = _MOST_BYTES
            try:
                link.bind(place)
            except zmq.ZMQError as error:
                raise DeviceError(
                    f"{place} can't be used: {error}. Choose another PORT, or end the "
                    "program that uses it; HOST must be an address of this computer"
                ) from error
            link.poll(round(SUBSCRIBING_S * 1e3))
            yield lambda event: link.send_multipart(
                [event.name.encode(), event.as_json()], zmq.NOBLOCK
            )


@settings(frozen=True, kw_only=True)
class LslEvents(EventOutput):
    """A stream of markers for LabRecorder and others: `laser 1`, `mark trial 3`."""

    packages: ClassVar[tuple[str, ...]] = ("pylsl",)
    reopens: ClassVar[bool] = False  # the stream ends with the engine

    stream: str = Field(
        "DeepLabStream",
        min_length=1,
        description="name of the stream in other programs",
    )

    @contextmanager
    def sending(self) -> Iterator[Send]:
        """Announce the stream on the network."""
        import pylsl

        info = pylsl.StreamInfo(
            self.stream, "Markers", 1, 0, "string", f"DeepLabStream {self.stream}"
        )
        outlet = pylsl.StreamOutlet(info)

        def send(event: Event) -> None:
            value = event.value
            text = f"{event.name} {value if isinstance(value, str) else f'{value:g}'}"
            ago_s = (
                (time.perf_counter_ns() - event.time_ns) / 1e9 if event.time_ns else 0
            )
            outlet.push_sample([text], pylsl.local_clock() - ago_s)

        yield send


@contextmanager
def _udp(host: str, port: int) -> Iterator[tuple[socket.socket, tuple[object, ...]]]:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM
        )[0]
    except OSError as error:
        raise DeviceError(f"HOST = {host} is not known ({error})") from error
    with socket.socket(family, kind) as link:
        link.setblocking(False)
        yield link, address
