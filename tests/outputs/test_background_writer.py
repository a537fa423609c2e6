import threading

import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import off, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Edge, Entry, Note
from deeplabstream.engine.output_bank import DEVICE_CHECK_NS, opened
from deeplabstream.plugins.output import AcknowledgingWrite, Output
from outputs.background_writer import background_write
from tests.outputs.stubborn import LAMP, LASER


class Device:
    """Takes its time: until it may go on."""

    def __init__(self, fails_at: int = -1) -> None:
        self.levels: list[float] = []
        self.asked = threading.Semaphore(0)
        self.may = threading.Event()
        self.may.set()
        self.fails_at = fails_at

    def write(self, level: float) -> None:
        self.asked.release()
        assert self.may.wait(60)
        if len(self.levels) == self.fails_at:
            self.fails_at = -1
            raise OSError("the cable is out")
        self.levels.append(level)


def test_levels_arrive_in_their_order() -> None:
    device = Device()
    with background_write(device.write) as write:
        for level in (1.0, 0.0, 0.5, 0.0):
            write(level)
    assert device.levels == [1, 0, 0.5, 0]


def test_nobody_waits_for_a_slow_device() -> None:
    device = Device()
    with background_write(device.write) as write:
        device.may.clear()
        write(1.0)
        write(0.0)
        assert device.levels == []
        device.may.set()
    assert device.levels[-1] == 0


def test_when_it_was_done_in_fact_is_told() -> None:
    device, heard = Device(), []
    with background_write(device.write) as write:
        write.on_report = heard.append
        device.may.clear()
        write(1.0)
        assert device.asked.acquire(timeout=60)
        asked_ns = SystemClock().now_ns()
        device.may.set()
    (done,) = heard
    assert done.level == 1
    assert done.sent_ns < asked_ns < done.acted_ns <= done.received_ns


def test_what_waited_too_long_is_not_switched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("outputs.background_writer.LATE_NS", 0)
    device = Device()
    with (
        pytest.raises(DeviceError, match="too slow"),
        background_write(device.write) as write,
    ):
        write(1.0)
    assert device.levels == []


def test_a_failure_is_told_once_and_then_waited_for() -> None:
    device = Device(fails_at=0)
    with background_write(device.write) as write:
        assert isinstance(write, AcknowledgingWrite)
        device.may.clear()
        write(1.0)
        assert device.asked.acquire(timeout=60)
        device.may.set()
        with pytest.raises(OSError, match="the cable is out"):
            while True:
                write.check()
        write(0.0)
        assert device.levels == [0]


def test_a_device_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outputs.background_writer.HANG_S", 0.05)
    device = Device()
    device.may.clear()
    with (
        pytest.raises(DeviceError, match="does not answer; it may still be on"),
        background_write(device.write) as write,
    ):
        write(1.0)
    device.may.set()


def test_a_device_that_goes_wrong_by_itself_switches_all_off() -> None:
    """The last write succeeded, as far as anybody knew; the bank looks after it."""

    class Slow(Output):
        def opened(self):  # type: ignore[no-untyped-def]
            return background_write(device.write)

    device, lamp = Device(fails_at=1), Device()

    class Quick(Output):
        def opened(self):  # type: ignore[no-untyped-def]
            return background_write(lamp.write)

    clock, heard = SystemClock(), []
    with opened({"laser": Slow(), "lamp": Quick()}, clock, heard.append) as bank:
        bank.apply([on(LASER), on(LAMP)], clock.now_ns())
        with pytest.raises(DeviceError, match=r"^\[Output laser\] the cable is out$"):
            while True:
                now_ns = clock.now_ns()
                due_ns = bank.tick(now_ns)
                assert due_ns is not None
                assert due_ns <= now_ns + DEVICE_CHECK_NS
        assert bank.fault == "[Output laser] the cable is out"
    assert lamp.levels[-1] == device.levels[-1] == 0
    assert [e for e in heard if isinstance(e, Note)] == []


class Remote:
    """A device with an output of its own, and who listens to its bank."""

    def __init__(self) -> None:
        self.device, self.clock = Device(), SystemClock()
        self.lost = False
        self.heard: list[Entry] = []
        self.acknowledged = threading.Semaphore(0)

    def watch(self, entry: Entry) -> None:
        self.heard.append(entry)
        if isinstance(entry, Acknowledged):
            self.acknowledged.release()

    def write(self, level: float) -> None:
        self.device.write(level)
        if self.lost:
            self.device.levels.pop()
            raise OSError("the cable is out")

    def output(self) -> Output:
        class Laser(Output):
            def opened(self):  # type: ignore[no-untyped-def]
                return background_write(remote.write)

        remote = self
        return Laser()

    def await_acknowledgements(self, count: int) -> None:
        for _ in range(count):
            assert self.acknowledged.acquire(timeout=60)

    @property
    def causes(self) -> list[tuple[float, str]]:
        return [(e.level, e.cause) for e in self.heard if isinstance(e, Edge)]


@pytest.fixture
def remote() -> Remote:
    return Remote()


def test_an_off_that_hangs_at_the_end_leaves_the_output_on(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, clock = remote.device, remote.clock
    with (
        pytest.raises(DeviceError, match="does not answer; it may still be on"),
        opened({"laser": remote.output()}, clock, remote.watch) as bank,
    ):
        bank.apply([on(LASER)], clock.now_ns())
        remote.await_acknowledgements(2)
        device.may.clear()
        bank.all_off(clock.now_ns(), "stop")
        for _ in range(3):
            assert device.asked.acquire(timeout=60)
        monkeypatch.setattr("outputs.background_writer.HANG_S", 0.05)
    device.may.set()
    assert bank.left_on == ("laser",)
    assert remote.causes == [(0, "open"), (1, "plan"), (0, "stop")]


def test_an_off_that_fails_later_counts_as_on(remote: Remote) -> None:
    clock = remote.clock
    with opened({"laser": remote.output()}, clock, remote.watch) as bank:
        bank.apply([on(LASER)], clock.now_ns())
        remote.await_acknowledgements(2)
        remote.lost = True
        bank.apply([off(LASER)], clock.now_ns())
        with pytest.raises(DeviceError, match="the cable is out"):
            while True:
                bank.tick(clock.now_ns())
        assert bank.levels == {"laser": 1}
    assert bank.left_on == ("laser",)
    assert remote.device.levels == [0, 1]


def test_an_acknowledged_off_counts_though_closing_fails(remote: Remote) -> None:
    clock = remote.clock
    with (
        pytest.raises(DeviceError, match="the cable is out"),
        opened({"laser": remote.output()}, clock, remote.watch) as bank,
    ):
        bank.apply([on(LASER)], clock.now_ns())
        bank.apply([off(LASER)], clock.now_ns())
        remote.await_acknowledgements(3)
        remote.lost = True
    assert bank.left_on == ()


def test_an_acknowledgement_on_closing_follows_its_edge(remote: Remote) -> None:
    with opened({"laser": remote.output()}, remote.clock, remote.watch):
        remote.await_acknowledgements(1)
    edge, done = remote.heard[-2:]
    assert isinstance(edge, Edge)
    assert isinstance(done, Acknowledged)
    assert edge.cause == "close"
    assert edge.requested_ns <= done.sent_ns <= edge.written_ns
