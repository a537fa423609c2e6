from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from deeplabstream.core.errors import DeviceError, error_context
from outputs.nidaq import NiAnalog, NiDigital
from tests.outputs.players import Player, playing

LINE = "Dev1/port0/line3"


@pytest.fixture(scope="module")
def server() -> Iterator[Player]:
    with playing("fake_nidaq") as player:
        yield player


@pytest.fixture
def host(server: Player) -> str:
    return f"127.0.0.1:{server.address}"


@pytest.mark.parametrize(("active_low", "wanted"), [(False, "1010"), (True, "0101")])
def test_a_line_goes_high_and_low(
    server: Player, host: str, active_low: bool, wanted: str
) -> None:
    output = NiDigital(line=LINE, host=host, active_low=active_low)
    with output.opened() as write:
        for level in (1.0, 0.0, 0.3, 0.0):
            write(level)
    assert [server.heard() for _ in range(4)] == [f"{LINE} {bit}" for bit in wanted]


def test_a_level_is_a_voltage(server: Player, host: str) -> None:
    with NiAnalog(channel="Dev1/ao1", host=host, off_v=-1, on_v=4).opened() as write:
        for level in (0.0, 1.0, 0.5):
            write(level)
    heard = [server.heard() for _ in range(3)]
    assert heard == ["Dev1/ao1 -1", "Dev1/ao1 4", "Dev1/ao1 1.5"]


def test_lines_of_a_card_are_outputs_of_their_own(server: Player, host: str) -> None:
    other = NiDigital(line="Dev1/port0/line4", host=host)
    with NiDigital(line=LINE, host=host).opened() as one, other.opened() as two:
        one(1.0)
        assert server.heard() == f"{LINE} 1"
        two(1.0)
        assert server.heard() == "Dev1/port0/line4 1"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Dev9/port0/line0", "Device identifier is invalid.*Suggested Device.*Dev1$"),
        ("Dev1/port7/line0", "Physical channel specified does not exist"),
    ],
)
def test_a_wrong_name_is_a_sentence(host: str, line: str, sentence: str) -> None:
    with (
        pytest.raises(DeviceError, match=rf"^\[Output laser\] {sentence}"),
        error_context("Output laser"),
        NiDigital(line=line, host=host).opened(),
    ):
        pytest.fail("it opened")


def test_a_write_never_waits_for_the_card(server: Player, host: str) -> None:
    with NiDigital(line=LINE, host=host).opened() as write:
        write(0.0)
        assert server.heard() == f"{LINE} 0"
        server.tell("hold")
        write(1.0)
        write(0.0)
        server.tell("release")
        assert [server.heard(), server.heard()] == [f"{LINE} 1", f"{LINE} 0"]


def test_a_card_that_is_pulled_out_is_told(host: str) -> None:
    with playing("fake_nidaq") as own:
        laser = NiDigital(line=LINE, host=f"127.0.0.1:{own.address}")
        with pytest.raises(DeviceError, match="not present"), laser.opened() as write:
            write(1.0)
            assert own.heard() == f"{LINE} 1"
            own.tell("unplug")
            write(0.0)  # handed over; what became of it is told with the next
            for _ in range(2):
                write(0.0)
            pytest.fail("nobody noticed")


def test_no_server_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outputs.nidaq.ANSWER_S", 0.2)
    laser = NiDigital(line=LINE, host="127.0.0.1:1")
    with pytest.raises(DeviceError, match="does not answer; does NI's gRPC"):
        laser.opened().__enter__()


def test_no_driver_is_a_sentence() -> None:
    nidaqmx = pytest.importorskip("nidaqmx")
    try:
        nidaqmx.system.System.local().driver_version  # noqa: B018
    except nidaqmx.errors.DaqNotFoundError:
        with pytest.raises(DeviceError, match="Could not find an installation of NI"):
            NiDigital(line=LINE).opened().__enter__()


@pytest.mark.parametrize(
    "words", [{"line": "line3"}, {"line": "Dev1/port0"}, {"line": ""}]
)
def test_what_is_no_line_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NiDigital(**words)  # type: ignore[arg-type]


def test_one_voltage_for_on_and_off_is_refused() -> None:
    with pytest.raises(ValidationError, match="OFF_V and ON_V must differ"):
        NiAnalog(channel="Dev1/ao0", off_v=5.0)
