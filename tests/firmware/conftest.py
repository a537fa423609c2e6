from collections.abc import Iterator

import pytest

from outputs.board.protocol import Mode, Status
from tests.firmware.commands import LASER, LED, LONG_US, configure
from tests.firmware.emulation import Board, emulated


@pytest.fixture(scope="module")
def switched_on() -> Iterator[Board]:
    with emulated() as board:
        yield board


@pytest.fixture
def board(switched_on: Board) -> Board:
    """A board in a new session, the laser's and the LED's pins configured."""
    switched_on.hello(0x4321)
    for pin in (LASER, LED):
        assert configure(switched_on, pin, Mode.DIGITAL_OUT, LONG_US) is Status.OK
    switched_on.edges.clear()
    return switched_on
