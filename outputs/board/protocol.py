"""Board serial protocol: message types, COBS framing, CRC-16.

A packet is COBS(sequence, kind, payload, checksum) and a zero byte (COBS: Cheshire & Baker,
IEEE/ACM Trans. Networking 7, 1999). Numbers are little endian. firmware/…/protocol.h has the
same numbers.
"""

import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

PROTOCOL = 1
BAUDRATE = 500_000
SYNC_FIRMWARE = (1, 1)
"""The first firmware with sync signals."""
FLASH_FIRMWARE = PULSE_FIRMWARE = (1, 2)
"""The first firmware with flashes and numbered pulses."""
TOO_MANY_PULSES = 0xFFFF_FFFF
"""Value in place of a pulse number: counting has ended."""
LONGEST_ON_S = 1800.0
SHORTEST_PERIOD_S, SHORTEST_WIDTH_S = 0.001, 0.000_05
HELLO_CHECKSUM = 0xFFFF
_LONGEST = 64


class MessageType(IntEnum):
    """Message type of a packet."""

    HELLO = 0x01
    CONFIGURE = 0x02
    SET = 0x03
    TRAIN = 0x04
    ALL_OFF = 0x05
    HEARTBEAT = 0x06
    GET_STATE = 0x07
    SYNC = 0x08
    COUNT_PULSES = 0x10
    GENERATE = 0x11
    ACK = 0x81
    IDENTITY = 0x82
    INPUT_CHANGED = 0x83
    WENT_OFF = 0x84
    FAULT = 0x85
    STATE = 0x86
    PULSE = 0x90


class Mode(IntEnum):
    """Mode of a pin."""

    DIGITAL_OUT = 1
    PWM_OUT = 2
    DIGITAL_IN = 3
    PULLED_UP_IN = 4


class Pattern(IntEnum):
    """Sync signal of a board."""

    NONE = 0
    RANDOM_PULSES = 1
    BARCODES = 2
    FLASHES = 3


class PulseSide(IntEnum):
    """Edge of a signal that counts as a pulse."""

    NO_COUNT = 0
    RISING = 1
    FALLING = 2


class Status(IntEnum):
    """Result of a command, as the board reports it."""

    OK = 0
    UNKNOWN = 1
    BAD_PIN = 2
    NOT_CONFIGURED = 3
    NO_PWM = 4
    BAD_VALUE = 5
    FULL = 6
    LATCHED = 7


class Cause(IntEnum):
    """Why the board switched a pin off by itself."""

    NONE = 0
    TRAIN_END = 1
    LIMIT = 2
    WATCHDOG = 3
    GARBLED = 4
    SEQUENCE = 5
    OVERFLOW = 6


@dataclass(frozen=True, slots=True)
class Packet:
    """Received packet with a correct checksum."""

    sequence: int
    kind: int
    payload: bytes

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Return the payload's numbers; ValueError when it has another length."""
        try:
            return struct.unpack("<" + layout, self.payload)
        except struct.error as error:
            raise ValueError(f"packet {self.kind:#x}: {error}") from error


def checksum(data: bytes, start: int) -> int:
    """Return CRC-16 with the polynomial of CCITT, 0x1021.

    >>> hex(checksum(b"123456789", 0xFFFF))
    '0x29b1'
    """
    return binascii.crc_hqx(data, start)


def encode_packet(
    sequence: int, kind: MessageType, payload: bytes, session: int
) -> bytes:
    """Return a packet as COBS bytes with the closing zero.

    >>> encode_packet(1, MessageType.SET, bytes([9, 255]), 0xFFFF).hex(" ")
    '07 01 03 09 ff 4c 0f 00'
    """
    plain = bytes([sequence & 0xFF, kind]) + payload
    start = HELLO_CHECKSUM if kind is MessageType.HELLO else session
    plain += struct.pack("<H", checksum(plain, start))
    blocks = plain.split(b"\0")
    return b"".join(bytes([len(block) + 1]) + block for block in blocks) + b"\0"


def decode_packet(coded: bytes, session: int) -> Packet:
    """Return the packet in `coded`, without the zero; ValueError: it is damaged."""
    blocks = []
    at = 0
    while at < len(coded):
        size = coded[at]
        block = coded[at + 1 : at + size]
        if len(block) != size - 1:
            raise ValueError("a packet is cut off")
        blocks.append(block)
        at += size
    plain = b"\0".join(blocks)
    if len(plain) < 4:
        raise ValueError("a packet is too short")
    if checksum(plain[:-2], session) != int.from_bytes(plain[-2:], "little"):
        raise ValueError("a packet has a wrong checksum")
    return Packet(plain[0], plain[1], plain[2:-2])


class PacketSplitter:
    """Splits the received bytes into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def packets(self, data: bytes) -> Iterator[bytes]:
        """Yield each complete packet, still encoded, without its zero."""
        *whole, self._rest = (self._rest + data).split(b"\0")
        self._rest = self._rest[-_LONGEST:]
        yield from filter(None, whole)
