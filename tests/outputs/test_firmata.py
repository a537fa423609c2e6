import os
import select
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from deeplabstream.core.errors import DeviceError
from outputs.firmata import Firmata
from outputs.serial_line import SerialLine
from tests.outputs.players import Player, playing

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)


@pytest.fixture(scope="module")
def board() -> Iterator[Player]:
    with playing("fake_firmata") as player:
        yield player


def test_pyfirmata2_takes_the_played_board_for_a_real_one(
    board: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is played speaks Firmata by another's judgement too."""
    pyfirmata2 = pytest.importorskip("pyfirmata2")
    monkeypatch.setattr("pyfirmata2.pyfirmata2.BOARD_SETUP_WAIT_TIME", 0.0)

    def answered(other: Any, seconds: float) -> None:
        """Wait for the answer itself; pyfirmata2 sleeps and then looks once."""
        if seconds:
            assert select.select([other.sp], [], [], 60)[0]

    monkeypatch.setattr(pyfirmata2.Board, "_Board__pass_time", answered)
    other = pyfirmata2.Board(board.address)
    other.digital[7].write(1)
    other.digital[7].write(0)
    assert [board.heard(), board.heard()] == ["7 1", "7 0"]
    other.exit()


def test_a_pin_goes_high_and_low(board: Player) -> None:
    with Firmata(port=board.address, pin=13).opened() as write:
        for level in (0.0, 1.0, 0.0, 0.2, 0.0):
            write(level)
    assert [board.heard() for _ in range(4)] == [f"13 {bit}" for bit in (1, 0, 1, 0)]


def test_neighbours_leave_each_other_alone(board: Player) -> None:
    one, two = (Firmata(port=board.address, pin=pin) for pin in (9, 10))
    with one.opened() as nine, two.opened() as ten:
        nine(1.0)
        ten(1.0)
        nine(0.0)
        ten(0.0)
    heard = [board.heard() for _ in range(4)]
    assert heard == ["9 1", "10 1", "9 0", "10 0"]


@pytest.mark.parametrize("pin", [6, 18])
def test_a_level_is_a_share_of_time(board: Player, pin: int) -> None:
    dim = Firmata(port=board.address, pin=pin, mode="pwm")
    with dim.opened() as write:
        for level in (0.0, 1.0, 0.5, 0.0):
            write(level)
    heard = [board.heard() for _ in range(3)]
    assert heard == [f"{pin} {value}" for value in (255, 128, 0)]


def test_a_relay_may_be_on_when_the_pin_is_low(board: Player) -> None:
    relay = Firmata(port=board.address, pin=4, active_low=True)
    with relay.opened() as write:
        for level in (0.0, 1.0, 0.0):
            write(level)
    heard = [board.heard() for _ in range(3)]
    assert heard == ["4 1", "4 0", "4 1"]


def test_a_port_speaks_one_language_only(board: Player) -> None:
    with (
        Firmata(port=board.address, pin=5).opened(),
        pytest.raises(DeviceError, match="with other settings"),
        SerialLine(port=board.address).opened(),
    ):
        pytest.fail("it opened")


def test_a_board_without_the_sketch_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tty

    monkeypatch.setattr("outputs.firmata.START_S", 0.3)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    dumb = Firmata(port=os.ttyname(theirs), pin=13)
    with pytest.raises(DeviceError, match="no board answers by Firmata"):
        dumb.opened().__enter__()
    os.close(ours)
    os.close(theirs)


def test_a_board_that_vanishes_is_a_sentence() -> None:
    with playing("fake_firmata") as own:
        opened = Firmata(port=own.address, pin=13).opened()
        write = opened.__enter__()
        write(1.0)
        assert own.heard() == "13 1"
    with pytest.raises(DeviceError, match="is gone"):
        for _ in range(3):  # the first may still find room in the driver
            write(0.0)
    opened.__exit__(None, None, None)
