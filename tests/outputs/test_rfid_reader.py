"""RFID readers on a pseudo-terminal: tags, lines that are none, a port that is gone."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest

from deeplabstream.core.errors import DeviceError, error_context
from deeplabstream.plugins.input import (
    InputBroken,
    InputChange,
    InputLevel,
    InputTag,
    InputUnreadable,
)
from outputs.rfid_reader import RfidReader
from outputs.serial_line import Port
from tests.outputs.test_board_output import Heard

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import tty


class EagerReader(RfidReader):
    """A reader whose port is opened again at once."""

    retry_s: ClassVar[float] = 0.01


class Plug:
    """A reader's end of a serial cable; its port keeps its name when it is plugged again."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.ours = -1

    def plug(self) -> None:
        self.ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(theirs))
        os.close(theirs)

    def unplug(self) -> None:
        os.close(self.ours)
        self.name.unlink()

    def send(self, data: bytes) -> None:
        os.write(self.ours, data)


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    it = Plug(tmp_path / "port")
    it.plug()
    yield it
    os.close(it.ours)


def numbers(heard: Heard[InputChange]) -> list[str]:
    return [news.number for news in heard if isinstance(news, InputTag)]


def test_tags_of_usual_readers_are_read(plug: Plug) -> None:
    heard: Heard[InputChange] = Heard()
    with RfidReader(port=str(plug.name)).opened(heard.hear):
        plug.send(b"999_000000001234\r\n")  # RFIDRW-E, FDX-B
        plug.send(b"\x024B00DA8E5C43\r\n\x03")  # ID-12LA: number and checksum
        plug.send(b"01023C4D5F\r")  # RFIDRW-E, EM4100
        plug.send(b"8000003A2B4C5D6\r\n")
        plug.send(b"9990000")  # in two parts
        heard.until(lambda: len(numbers(heard)) == 4)
        plug.send(b"00001235\r\n")
        heard.until(lambda: len(numbers(heard)) == 5)
    assert isinstance(heard[0], InputLevel) and heard[0].first
    assert numbers(heard) == [
        "999_000000001234",
        "4B00DA8E5C",
        "01023C4D5F",
        "8000003A2B4C5D6",
        "999_000000001235",
    ]
    times = [news.received_ns for news in heard if isinstance(news, InputTag)]
    assert times == sorted(times)


def test_lines_that_are_no_tag_number_are_reported_and_the_next_tag_is_read(
    plug: Plug,
) -> None:
    heard: Heard[InputChange] = Heard()
    with RfidReader(port=str(plug.name)).opened(heard.hear):
        plug.send(b"\x024B00DA8E5C44\r\n\x03")  # a wrong checksum
        plug.send(b"\xff\x80ready\r\n")
        plug.send(b"\x00" * 500)  # noise without an end of line
        heard.until(lambda: len(heard) >= 4)
        plug.send(b"\r\n01023C4D5F\r\n")
        heard.until(lambda: numbers(heard))
    assert numbers(heard) == ["01023C4D5F"]
    assert {type(news) for news in heard[1:-1]} == {InputUnreadable}


def test_a_port_that_is_gone_is_reported_once_and_opened_again(plug: Plug) -> None:
    heard: Heard[InputChange] = Heard()
    with EagerReader(port=str(plug.name)).opened(heard.hear):
        plug.unplug()
        heard.until(lambda: isinstance(heard[-1], InputBroken))
        plug.plug()
        heard.until(lambda: isinstance(heard[-1], InputLevel))
        plug.send(b"01023C4D5F\r\n")
        heard.until(lambda: numbers(heard))
    kinds = [type(news) for news in heard]
    assert kinds == [InputLevel, InputBroken, InputLevel, InputTag]
    broken = heard[1]
    assert isinstance(broken, InputBroken)
    assert broken.retries
    assert str(plug.name) in broken.text


class Unplugged:
    """A link whose port is gone as soon as it is set up."""

    @property
    def timeout(self) -> float:
        return 0.0

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        raise OSError("no such device")


class Ended(threading.Event):
    """The end of a reader, which comes while it waits."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def test_a_port_that_is_gone_when_it_was_opened_is_tried_again_after_a_while(
    plug: Plug,
) -> None:
    ended = Ended()
    heard: list[InputChange] = []

    def hear(news: InputChange) -> None:
        heard.append(news)
        if not isinstance(news, InputBroken):
            ended.set()

    reader = RfidReader(port=str(plug.name))
    with ExitStack() as link:
        reader._listen(Port("COM9", Unplugged()), link, hear, ended)
    (broken,) = heard
    assert isinstance(broken, InputBroken)
    assert broken.text == "COM9 is gone (no such device)"


def test_a_port_that_is_absent_at_the_start_is_named() -> None:
    with (
        pytest.raises(
            DeviceError, match=r"\[Input door\] /no/port can't be opened; is"
        ),
        error_context("Input door"),
        RfidReader(port="/no/port").opened(print),
    ):
        pytest.fail("it opened")
