import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pylsl
import pytest
import zmq
from pydantic import ValidationError
from pythonosc.osc_message import OscMessage

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Mark, OutputName, Pulse, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.plugins.output import Output
from outputs import network_events
from outputs.network_events import LslEvents, OscEvents, UdpEvents, ZmqEvents
from outputs.simulated_output import SimulatedOutput
from tests.free_ports import free_port

LASER, SYNC = OutputName("laser"), OutputName("sync")


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(60)
        yield ear


def port_of(ear: socket.socket) -> int:
    return int(ear.getsockname()[1])


@contextmanager
def bank_with(sync: Output) -> Iterator[OutputBank]:
    rig = {"laser": SimulatedOutput(), "sync": sync}
    with opened(rig, ManualClock(), lambda entry: None) as bank:
        yield bank


def test_other_programs_hear_of_every_level_and_mark(ear: socket.socket) -> None:
    clock = ManualClock()
    rig = {"laser": SimulatedOutput(), "sync": UdpEvents(port=port_of(ear))}
    with opened(rig, clock, lambda entry: None) as bank:
        clock.set(5)
        bank.apply([Mark("trial 1"), Pulse(LASER, 0.1), on(SYNC, 0.5)], 5)
        catch_up(bank, clock, 10**9)
    heard = [json.loads(ear.recv(1000)) for _ in range(7)]
    assert [(e["name"], e["value"], e["cause"]) for e in heard] == [
        ("level", 0, "own"),
        ("level", 0.5, "own"),
        ("mark", "trial 1", ""),
        ("laser", 1, "plan"),
        ("laser", 0, "pulse end"),
        ("level", 0, "own"),
        ("laser", 0, "close"),
    ]


def test_osc(ear: socket.socket) -> None:
    with bank_with(
        OscEvents(port=port_of(ear), prefix="/rig/one", word="sync")
    ) as bank:
        bank.apply([on(LASER), Mark("go")], 0)
    messages = [OscMessage(ear.recv(1000)) for _ in range(5)]
    assert [(m.address, m.params) for m in messages] == [
        ("/rig/one/sync", [0.0]),
        ("/rig/one/laser", [1.0]),
        ("/rig/one/mark", ["go"]),
        ("/rig/one/sync", [0.0]),
        ("/rig/one/laser", [0.0]),
    ]


def test_only_its_own_level_if_asked_so(ear: socket.socket) -> None:
    with bank_with(UdpEvents(port=port_of(ear), everything=False)) as bank:
        bank.apply([on(LASER), Mark("go"), on(SYNC)], 0)
    heard = [json.loads(ear.recv(1000)) for _ in range(3)]
    assert [(e["name"], e["value"]) for e in heard] == [("level", v) for v in (0, 1, 0)]


def test_zeromq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_events, "SUBSCRIBING_S", 60.0)
    monkeypatch.setattr(network_events, "LINGER_MS", 60_000)
    port = free_port()
    with zmq.Context() as context, context.socket(zmq.SUB) as ear:
        ear.rcvtimeo = 60_000
        ear.subscribe("laser")
        ear.connect(f"tcp://127.0.0.1:{port}")
        with bank_with(ZmqEvents(port=port)) as bank:
            bank.apply([on(LASER), Mark("not asked for")], 0)
        heard = [ear.recv_multipart() for _ in range(2)]
    assert [name for name, _ in heard] == [b"laser", b"laser"]
    assert [json.loads(text)["value"] for _, text in heard] == [1, 0]


def test_a_port_in_use_is_a_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DeviceError, match=r"already in use.*Choose another PORT"):
            ZmqEvents(port=port).opened().__enter__()


def test_lab_streaming_layer() -> None:
    with bank_with(LslEvents(stream="a test of DeepLabStream")) as bank:
        found = pylsl.resolve_byprop("name", "a test of DeepLabStream", timeout=60)
        inlet = pylsl.StreamInlet(found[0])
        inlet.open_stream(timeout=60)
        while inlet.pull_sample(timeout=0.1)[0] is None:  # it is not connected yet
            bank.apply([Mark("is anybody there")], 0)
        before_s = pylsl.local_clock()
        bank.apply([on(LASER, 0.5), Mark("trial 1")], 0)
        heard = [inlet.pull_sample(timeout=60)]
        while heard[-1][0] != ["mark trial 1"]:
            heard.append(inlet.pull_sample(timeout=60))
            assert heard[-1][0]
        inlet.close_stream()
    heard = [each for each in heard if each[0] != ["mark is anybody there"]]
    assert [words for words, _ in heard] == [["laser 0.5"], ["mark trial 1"]]
    assert heard[1][1] >= before_s


def test_an_unknown_host_is_a_sentence() -> None:
    nowhere = UdpEvents(host="no-such-host.invalid", port=4000)
    with pytest.raises(DeviceError, match="HOST = no-such-host"):
        nowhere.opened().__enter__()


def test_nobody_has_to_listen() -> None:
    with bank_with(UdpEvents(port=free_port())) as bank:
        for _ in range(5):
            bank.apply([on(LASER)], 0)
            assert bank.levels["laser"] == 1
            bank.all_off(1, "stop")
            assert bank.levels["laser"] == 0


def test_what_can_not_be_told_switches_everything_off() -> None:
    laser, heard = SimulatedOutput(), list[Edge | Note]()
    sync = UdpEvents(port=4000)
    rig = {"laser": laser, "sync": sync}
    long = Mark("x" * 100_000)  # no packet holds so much
    with (
        pytest.raises(DeviceError, match=r"^\[Output sync\] .*[Mm]essage too long"),
        opened(rig, ManualClock(), heard.append) as bank,
    ):
        bank.apply([on(LASER)], 0)
        assert laser.levels[-1] == 1
        try:
            bank.apply([long], 1)
        finally:
            assert laser.levels[-1] == 0
            assert bank.fault
    offs = [e for e in heard if isinstance(e, Edge) and e.cause == "error"]
    assert {edge.output for edge in offs} == {"laser", "sync"}


@pytest.mark.parametrize("prefix", ["rig", "/a b", "/", ""])
def test_what_is_no_address_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError):
        OscEvents(port=4000, prefix=prefix)
