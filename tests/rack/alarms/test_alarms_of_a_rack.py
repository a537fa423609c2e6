"""Racks of real processes that send alarms to services on this computer."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.programs.send_alarms import PROGRAM
from deeplabstream.rack.alarms.alarm_log import AlarmEvent, AlarmLog, alarm_log
from deeplabstream.rack.alarms.sender_process import SenderProcess
from deeplabstream.recording.table_reader import read_events
from tests.rack.alarms.alarm_services import (
    Service,
    address_file,
    http_service,
    json_address,
    mail_address,
    smtp_service,
    wait,
)
from tests.rack.test_rack_run import Rack, rack

__all__ = ["rack"]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def web() -> Iterator[Service]:
    with http_service() as service:
        yield service


@pytest.fixture
def mail() -> Iterator[Service]:
    with smtp_service() as service:
        yield service


def with_alarms(rack: Path, *addresses: str, more: str = "") -> None:
    """Add alarms to a rack file."""
    address_file(rack.parent, *addresses)
    with rack.open("a", encoding="utf-8") as file:
        file.write(f"\n[Alarms]\nADDRESS_FILE = addresses.txt\n{more}")


@pytest.fixture
def small_rack(tmp_path: Path) -> Path:
    """A rack file whose boxes are not started."""
    (tmp_path / "settings.ini").write_text("")
    file = tmp_path / "rack.ini"
    file.write_text("[Box left]\nRIG = settings.ini\n")
    return file


def test_a_test_message_reaches_every_address(
    small_rack: Path, web: Service, mail: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    beat = f"heartbeat=http://127.0.0.1:{web.port}/ping/secret"
    with_alarms(small_rack, json_address(web), mail_address(mail), beat)
    assert PROGRAM.main([str(small_rack), "--test"]) == 0
    told = capsys.readouterr().out
    assert "json (line 1): accepted\nmailto (line 2): accepted\n" in told
    assert "This is a test" in web.texts[0] and "This is a test" in mail.texts[0]
    assert web.calls == ["/ping/secret"] and "secret" not in told


def test_a_heartbeat_address_that_is_no_web_server_is_told_without_its_secret(
    small_rack: Path, web: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    with smtp_service() as other:
        beat = f"heartbeat=http://127.0.0.1:{other.port}/ping/secret"
        with_alarms(small_rack, json_address(web), beat)
        assert PROGRAM.main([str(small_rack), "--test"]) == 1
    told = capsys.readouterr().out
    assert "heartbeat: does not answer: BadStatusLine\n" in told
    assert "secret" not in told


def test_a_test_names_the_address_that_refuses(
    small_rack: Path, web: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    web.refuses = True
    with_alarms(small_rack, json_address(web))
    assert PROGRAM.main([str(small_rack), "--test"]) == 1
    assert "json (line 1): NOT accepted" in capsys.readouterr().out


def test_a_rack_without_addresses_says_what_to_add(
    small_rack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.main([str(small_rack), "--test"]) == 2
    assert "add one with ADDRESS_FILE" in capsys.readouterr().err


def test_a_service_that_apprise_does_not_know_is_named_without_its_secret(
    small_rack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_alarms(small_rack, "pigeon://token")
    assert PROGRAM.main([str(small_rack), "--test"]) == 2
    told = capsys.readouterr().err
    assert "unknown to apprise: pigeon (line 1)" in told and "token" not in told


def sender_of(rack: Rack) -> psutil.Process:
    """Return the process that sends the alarms of a rack."""
    children = psutil.Process(rack.running.pid).children()
    (sender,) = [it for it in children if "SendAlarms" in " ".join(it.cmdline())]
    return sender


def test_the_end_of_a_killed_box_is_told_and_logged(rack: Rack, web: Service) -> None:
    with_alarms(rack.file, json_address(web))
    rack.start()
    rack.wait_until_on("left", "right")
    status = rack.status("left")
    assert status is not None
    os.kill(status.processes["engine"], signal.SIGKILL)
    web.wait_for("box left: ")

    rack.wait(lambda: "delivered to json (line 1)" in alarm_log(rack.file).read_text())
    rack.type("stop")
    assert rack.running.wait(60) >= 0
    events = [
        json.loads(line) for line in alarm_log(rack.file).read_text().splitlines()
    ]
    assert {"raised", "delivered to json (line 1)"} <= {it["event"] for it in events}
    assert {it["box"] for it in events} == {"left"}


def test_a_sender_that_is_killed_is_started_again_and_ends_no_box(
    rack: Rack, web: Service
) -> None:
    with_alarms(rack.file, json_address(web))
    rack.start()
    rack.wait_until_on("left", "right")
    sender_of(rack).kill()
    rack.wait(
        lambda: "The process that sends alarms has ended" in rack.told.read_text()
    )
    status = rack.status("right")
    assert status is not None
    os.kill(status.processes["session"], signal.SIGKILL)
    web.wait_for("box right: ")
    rack.wait_for_reports("left", 2)
    rack.type("stop")
    rack.running.wait(60)


def test_the_record_of_a_box_says_what_became_of_its_alarms(rack: Rack) -> None:
    rack.start("--only", "left")
    rack.wait_until_on("left")
    for box in ("left", "right"):
        AlarmLog(alarm_log(rack.file)).write(
            AlarmEvent(
                box=box,
                alarm="camera top is lost",
                urgent=True,
                event="delivered to json (line 1)",
                after_s=2.5,
            )
        )
    rack.wait_for_reports("left", 2)
    status = rack.status("left")
    assert status is not None
    rack.type("stop")
    assert rack.running.wait(60) == 0
    events = read_events(Path(status.run_folder) / "events.csv")
    assert [it["text"] for it in events if it["text"].startswith("alarm")] == [
        "alarm delivered to json (line 1), 2.5 s after it was raised: camera top is lost"
    ]


def test_a_rack_that_is_killed_is_told_by_its_sender(rack: Rack, web: Service) -> None:
    with_alarms(rack.file, json_address(web))
    rack.start("--only", "left")
    rack.wait_until_on("left")
    sender = sender_of(rack)
    rack.running.kill()
    web.wait_for("rack: the rack has ended unexpectedly")
    rack.wait_until_off("left")
    wait(lambda: not sender.is_running() or sender.status() == psutil.STATUS_ZOMBIE)


class Outlet:
    """The process that sends alarms, started by the test, not by a rack."""

    def __init__(self, rack: Path) -> None:
        self.said: list[str] = []
        program = [sys.executable, str(ROOT / "utils/SendAlarms.py"), str(rack)]
        self.sender = SenderProcess(
            [*program, "--by-rack"], self.said.append, SystemClock()
        )

    def wait(self, reached: Callable[[], bool]) -> None:
        def watched() -> bool:
            self.sender.watch(well=True)
            return reached()

        wait(watched, lambda: self.said)


def test_alarms_of_a_killed_sender_are_sent_by_the_next_one(
    small_rack: Path, web: Service
) -> None:
    with_alarms(small_rack, json_address(web))
    outlet = Outlet(small_rack)
    web.hangs.clear()
    outlet.wait(lambda: outlet.sender.pid is not None)
    outlet.sender.raise_alarm("left", "camera top is lost", urgent=True)
    outlet.wait(lambda: alarm_log(small_rack).exists())
    pid = outlet.sender.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    web.hangs.set()
    outlet.wait(lambda: bool(outlet.said) and outlet.sender.pid not in (None, pid))
    outlet.wait(lambda: bool(web.texts))
    outlet.sender.close()
    assert "box left: camera top is lost" in web.texts


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (DeviceError("a box is in use"), []),
        (
            KeyError("left"),
            ["rack: the rack has failed, its boxes are ending: KeyError('left')"],
        ),
    ],
)
def test_a_rack_that_fails_is_an_alarm_and_one_that_is_refused_is_none(
    small_rack: Path, web: Service, error: Exception, texts: list[str]
) -> None:
    with_alarms(small_rack, json_address(web))
    outlet = Outlet(small_rack)
    with pytest.raises(type(error)), outlet.sender:
        outlet.wait(lambda: outlet.sender.pid is not None)
        raise error
    assert web.texts == texts


def test_held_warnings_come_in_one_message_when_the_rack_ends(
    small_rack: Path, web: Service
) -> None:
    hour = datetime.now(UTC).astimezone().hour
    hours = f"QUIET_HOURS = {hour:02}:00-{(hour + 2) % 24:02}:00\n"
    with_alarms(small_rack, json_address(web), more=hours)
    outlet = Outlet(small_rack)
    outlet.wait(lambda: outlet.sender.pid is not None)
    outlet.sender.raise_alarm("left", "a warning", urgent=False)
    outlet.sender.raise_alarm("right", "another warning", urgent=False)
    outlet.sender.raise_alarm("right", "a failure", urgent=True)
    outlet.wait(lambda: bool(web.texts))
    outlet.sender.close()
    assert web.texts == [
        "box right: a failure",
        "box left: a warning\nbox right: another warning",
    ]


def test_a_sender_that_hangs_is_killed_and_no_call_waits_for_it(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    clock = SystemClock()
    hangs = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    sender = SenderProcess(hangs, said.append, clock, hang_ns=200_000_000)
    sender.watch(well=True)
    pid = sender.pid
    assert pid is not None
    for number in range(5000):  # more than its pipe holds
        sender.raise_alarm("left", f"alarm {number} " + 1000 * "x", urgent=True)

    def killed() -> bool:
        sender.watch(well=True)
        return bool(said)

    wait(killed)
    assert "The process that sends alarms has ended" in said[0]
    assert not psutil.pid_exists(pid)
    sender.close()
