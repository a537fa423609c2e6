"""States at an MQTT broker: a stand-in of ours, and Mosquitto where it is installed."""

import json
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.files.atomic_replace import RewrittenFile
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.programs.publish_rack import PROGRAM
from deeplabstream.rack.box_status import status_file
from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.state_publisher import (
    AGAIN_NS,
    OFFLINE,
    ONLINE,
    Broker,
    StatePublisher,
    message_of,
)
from tests.free_ports import free_port
from tests.rack.alarms.alarm_services import wait
from tests.rack.mqtt_broker import (
    CONNECT,
    DISCONNECT,
    PING,
    PUBLISH,
    hanging_broker,
    stand_in_broker,
)
from tests.web.test_rack_page import STATUS

pytest.importorskip("paho.mqtt.client")
ROOT = Path(__file__).resolve().parents[2]
LEFT = BoxView(
    name="left",
    runs=True,
    waits=False,
    state="streaming",
    fails=False,
    animal="m1",
    status=replace(STATUS, lost=3, alarm_count=1),
)


@pytest.fixture
def rack(tmp_path: Path) -> Path:
    (tmp_path / "left.ini").write_text("")
    file = tmp_path / "rack.ini"
    file.write_text("[Box left]\nRIG = left.ini\nANIMAL = m1\n")
    return file


@contextmanager
def publishing(rack: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "utils/PublishRack.py", str(rack), "--port", str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def publisher(port: int, clock: ManualClock) -> Iterator[StatePublisher]:
    made = StatePublisher(Broker("127.0.0.1", port), "lab", clock)
    try:
        yield made
    finally:
        made.close()


def test_states_are_retained_and_a_killed_publisher_is_offline_by_its_will(
    rack: Path,
) -> None:
    root = f"deeplabstream/{platform.node()}/rack"
    file = status_file(rack, "left")
    file.parent.mkdir(parents=True)
    with stand_in_broker() as broker, publishing(rack, broker.port) as process:
        with exclusive(file), exclusive(rack):
            STATUS.write(RewrittenFile(file))
            wait(
                lambda: '"runs": true' in broker.retained.get(f"{root}/boxes/left", "")
            )
            assert broker.retained[f"{root}/state"] == ONLINE
            wait(lambda: broker.retained[f"{root}/rack"] == "runs")
        left = f"{root}/boxes/left"
        wait(lambda: "ended unexpectedly" in broker.retained[left])
        wait(lambda: broker.retained[f"{root}/rack"] == "does not run")
        process.send_signal(signal.SIGKILL)
        wait(lambda: broker.retained[f"{root}/state"] == OFFLINE)
        assert json.loads(broker.retained[left])["animal"] == "m1"


def test_a_publisher_that_is_ended_says_so_and_never_subscribes(rack: Path) -> None:
    root = f"deeplabstream/{platform.node()}/rack"
    with stand_in_broker() as broker, publishing(rack, broker.port) as process:
        wait(lambda: broker.retained.get(f"{root}/state") == ONLINE)
        process.terminate()
        process.wait(60)
        wait(lambda: broker.retained[f"{root}/state"] == OFFLINE)
        assert broker.kinds <= {CONNECT, PUBLISH, PING, DISCONNECT}


def test_a_broker_that_hangs_delays_nothing_and_ends_nothing(rack: Path) -> None:
    with hanging_broker() as port, publisher(port, ManualClock()) as made:
        for _ in range(1000):
            made.publish([LEFT], rack_runs=True)
        assert not made.connected
    with hanging_broker() as port, publishing(rack, port) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Publishing as deeplabstream/")
        before = sorted(rack.parent.rglob("*"))
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert sorted(rack.parent.rglob("*")) == before


def test_the_newest_states_are_sent_when_a_broker_is_back() -> None:
    port, clock = free_port(), ManualClock()
    with publisher(port, clock) as made:
        made.publish([LEFT], rack_runs=True)
        with stand_in_broker(port) as broker:
            wait(lambda: made.connected)
            made.publish([replace(LEFT, state="idle")], rack_runs=True)
            wait(lambda: "lab/boxes/left" in broker.retained)
            assert json.loads(broker.retained["lab/boxes/left"])["state"] == "idle"
            broker.retained.clear()

            made.publish([replace(LEFT, state="idle")], rack_runs=True)
            clock.set(AGAIN_NS)
            made.publish([replace(LEFT, state="idle")], rack_runs=True)
            wait(lambda: len(broker.retained) == 3)


def test_a_box_that_does_not_run_has_no_values_of_its_last_run() -> None:
    assert message_of(LEFT)["lost_frames"] == 3
    assert message_of(LEFT)["disk_free_gb"] is None
    ended = message_of(replace(LEFT, runs=False))
    assert set(ended) == {"state", "runs", "fails", "animal"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--password-file", "p.txt"], "add user"),
        (["--authority", "a.pem"], "add tls"),
        (
            ["--broker", "mqtt.lab.example", "--user", "me", "--password-file", "p"],
            "add tls",
        ),
    ],
)
def test_a_password_is_not_sent_in_clear(
    rack: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        PROGRAM.main([str(rack), *words])
    assert problem in capsys.readouterr().err


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """Run Mosquitto at a free port."""
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        pytest.skip("Mosquitto is not installed")
    port = free_port()
    file = tmp_path / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen(
        [program, "-c", str(file)], stderr=subprocess.DEVNULL
    ) as broker:
        try:
            yield port
        finally:
            broker.terminate()


def test_mosquitto_keeps_the_states_and_publishes_the_will(
    rack: Path, mosquitto: int
) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    root = f"deeplabstream/{platform.node()}/rack"
    heard: dict[str, str] = {}
    with publishing(rack, mosquitto) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines[1] == "The broker accepts messages.\n"

        viewer = Client(CallbackAPIVersion.VERSION2)
        viewer.on_message = lambda client, data, it: heard.update(
            {it.topic: it.payload.decode()}
        )
        viewer.connect("127.0.0.1", mosquitto)
        viewer.subscribe("deeplabstream/#")
        viewer.loop_start()
        try:
            wait(lambda: f"{root}/boxes/left" in heard)
            assert heard[f"{root}/state"] == ONLINE
            process.kill()
            wait(lambda: heard[f"{root}/state"] == OFFLINE)
        finally:
            viewer.disconnect()
            viewer.loop_stop()
