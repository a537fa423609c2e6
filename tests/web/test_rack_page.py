"""The page of a rack: what it shows, to whom, and that it changes nothing."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.files.atomic_replace import RewrittenFile
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.ipc.ring import FrameRing, RingWriter, create_ring
from deeplabstream.programs.serve_page import PROGRAM, PageOptions
from deeplabstream.rack.box_status import (
    SILENCE_NS,
    BoxStatus,
    status_file,
    waiting_file,
)
from deeplabstream.rack.box_views import RackReader
from deeplabstream.settings.rack_file import RackFile, load_rack
from deeplabstream.web.camera_images import WIDTH, as_jpeg
from deeplabstream.web.page_description import description
from deeplabstream.web.rack_page import LONGEST_BODY

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-this-test"
STATUS = BoxStatus(
    number=1,
    state="streaming, analysing",
    rates={"top": 30.0},
    trials=2,
    latency_ms=(5.0, 6.0),
    lost=None,
    lost_to_video=0,
    skipped=0,
    disk_free_gb=None,
    alarm="",
    run_folder="",
    processes={},
)


@pytest.fixture
def rack(tmp_path: Path) -> RackFile:
    """Return a rack of two boxes."""
    for name in ("left", "right"):
        (tmp_path / f"{name}.ini").write_text("[Camera top]\nKIND = SimulatedCamera\n")
    file = tmp_path / "rack.ini"
    file.write_text(
        "[Box left]\nRIG = left.ini\nANIMAL = m1\n[Box right]\nRIG = right.ini\n"
    )
    return load_rack(file)


@contextmanager
def running(rack: RackFile, box: str, status: BoxStatus = STATUS) -> Iterator[None]:
    """Stand in for the program of a box: it holds its status file, and has reported."""
    file = status_file(rack.path, box)
    file.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(file):
        status.write(RewrittenFile(file))
        yield


@contextmanager
def camera_ring(shape: tuple[int, ...]) -> Iterator[FrameRing]:
    """Make a ring with one grey frame."""
    ring = create_ring("top", ImageFormat(shape, 30.0), 4)
    try:
        write_frame(ring, 90)
        yield ring
    finally:
        ring.close()
        ring.unlink()


def write_frame(ring: FrameRing, value: int) -> None:
    """Publish a frame whose pixels all have one value."""
    writer = RingWriter(ring)
    writer.slot()[:] = value
    writer.publish(ring.published, 1, 1)


@dataclass
class Server:
    """The page's program."""

    port: int

    def get(
        self,
        path: str,
        method: str = "GET",
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def states(self, headers: dict[str, str] | None = None) -> dict[str, str]:
        """Return the state of each box."""
        _, _, body = self.get("/api/boxes", headers=headers)
        return {box["name"]: box["state"] for box in json.loads(body)["boxes"]}


@contextmanager
def serving(rack: RackFile, *words: str) -> Iterator[Server]:
    """Run the page's program at a free port."""
    command = [sys.executable, "utils/ServePage.py", str(rack.path), "--port", "0"]
    with subprocess.Popen(
        [*command, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline()
            assert address.startswith("http"), address
            yield Server(int(address.rpartition(":")[2]))
        finally:
            process.terminate()
            _, errors = process.communicate()
            assert errors == ""


def test_a_box_is_shown_as_what_is_known_of_it(rack: RackFile) -> None:
    clock = ManualClock()
    reader = RackReader(rack, clock)
    file = RewrittenFile(status_file(rack.path, "left"))

    def state() -> tuple[str, bool, bool]:
        box = reader.boxes()[0]
        return box.state, box.runs, box.fails

    assert [box.name for box in reader.boxes()] == ["left", "right"]
    assert state() == ("not started", False, False)
    with running(rack, "left"):
        assert state() == ("streaming, analysing", True, False)
        for _ in range(5):
            assert state() == ("streaming, analysing", True, False)
            clock.set(clock.now_ns() + SILENCE_NS // 5)
        assert state() == ("does not answer", True, True)
        replace(STATUS, number=2, alarm="disk is full").write(file)
        assert state() == ("streaming, analysing", True, True)
        replace(STATUS, number=3).write(file)
    assert state() == ("ended unexpectedly", False, True)
    replace(STATUS, number=4, ended=True).write(file)
    assert state() == ("ended", False, False)
    assert reader.boxes()[0].animal == "m1"

    waiting_file(rack.path, "left").write_text("waits until 19:00", "utf-8")
    assert state() == ("ended", False, False)
    with exclusive(rack.path):
        assert state() == ("waits until 19:00", False, False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(480, 960), (30, 40, 3)])
def test_an_image_is_small_and_keeps_its_shape(
    shape: tuple[int, ...], dtype: str
) -> None:
    image = np.full(shape, 90 if dtype == "uint8" else 90 << 8, dtype)
    data = np.frombuffer(as_jpeg(image), np.uint8)
    shown = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape[1] == min(shape[1], WIDTH)
    assert shown.shape[1] * shape[0] == shown.shape[0] * shape[1]
    assert abs(int(shown.mean()) - 90) <= 1


def test_the_page_shows_states_and_images_and_leaves_the_memory_alone(
    rack: RackFile,
) -> None:
    with camera_ring((48, 64, 3)) as ring:
        seen = replace(STATUS, rings={"top": ring.spec})
        with running(rack, "left", seen), serving(rack) as server:
            write_frame(ring, 200)
            while server.get("/api/image/left/top")[0] == 404:
                write_frame(ring, 200)
            _, headers, jpeg = server.get("/api/image/left/top")
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            assert image.shape == (48, 64, 3)
            assert abs(int(image.mean()) - 200) <= 1
            assert headers["content-type"] == "image/jpeg"
            assert server.states() == {
                "left": "streaming, analysing",
                "right": "not started",
            }
            assert server.get("/api/image/left/side")[0] == 404
            assert server.get("/api/images/right/top")[0] == 404
        # another process can still map the ring after the page has ended
        check = (
            "import sys; from deeplabstream.ipc.ring import *; "
            "from deeplabstream.core.frame import ImageFormat; "
            "ring = foreign_ring(RingSpec(sys.argv[1], 'top', "
            "ImageFormat((48, 64, 3), 30.0), 4)); print(ring.published)"
        )
        command = [sys.executable, "-c", check, ring.spec.memory]
        found = subprocess.check_output(command, cwd=ROOT, text=True)
        assert int(found) == ring.published


def test_events_and_images_go_on_until_the_viewer_leaves_or_the_page_ends(
    rack: RackFile,
) -> None:
    with ExitStack() as viewers, camera_ring((48, 64)) as ring:
        seen = replace(STATUS, rings={"top": ring.spec})
        with running(rack, "left", seen), serving(rack) as server:
            while server.get("/api/image/left/top")[0] == 404:
                write_frame(ring, 100)
            for path, begin in {
                "/api/events": b'data: {"rack": "rack"',
                "/api/images/left/top": b"--image",
            }.items():
                connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
                viewers.callback(connection.close)
                connection.request("GET", path)
                answer = connection.getresponse()
                for _ in range(2):
                    line = answer.readline()
                    while not line.startswith(begin):
                        write_frame(ring, 100)
                        line = answer.readline()
            assert server.states()["left"] == "streaming, analysing"


def test_a_token_is_needed_where_one_is_set(rack: RackFile, tmp_path: Path) -> None:
    file = tmp_path / "token.txt"
    file.write_text(TOKEN)
    with serving(rack, "--token-file", str(file)) as server:
        assert server.get("/api/boxes")[0] == 401
        assert server.get("/openapi.json")[0] == 401
        assert server.get("/metrics")[0] == 401
        status, headers, _ = server.get("/")
        assert (status, headers["location"]) == (303, "/login")
        assert b"token" in server.get("/login")[2]
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert server.states(bearer)["left"] == "not started"
        _, headers, text = server.get("/metrics", headers=bearer)
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b'deeplabstream_box_runs{box="left"} 0.0' in text

        form = {"Content-Type": "application/x-www-form-urlencoded"}
        _, headers, _ = server.get("/login", "POST", "token=wrong", form)
        assert headers["location"] == "/login?wrong"
        assert "set-cookie" not in headers
        _, headers, _ = server.get("/login", "POST", f"token={TOKEN}", form)
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        browser = {"Cookie": cookie.partition(";")[0]}
        assert server.states(browser)["left"] == "not started"
        assert server.get("/", headers=browser)[0] == 200


def test_without_a_token_only_this_computer_can_see_the_rack(rack: RackFile) -> None:
    with pytest.raises(DeepLabStreamError, match="token_file, certificate, key"):
        PageOptions(file=rack.path, host="0.0.0.0")
    with pytest.raises(DeepLabStreamError, match="give both"):
        PageOptions(file=rack.path, certificate=rack.path)


def test_a_busy_port_is_named(
    rack: RackFile, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert PROGRAM.main([str(rack.path), "--port", port]) == 2
    assert f"127.0.0.1, port {port}" in capsys.readouterr().err


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a page that many requests are sent to."""
    folder = tmp_path_factory.mktemp("rack")
    (folder / "a.ini").write_text("[Camera top]\nKIND = SimulatedCamera\n")
    (folder / "rack.ini").write_text("[Box a]\nRIG = a.ini\n")
    with serving(load_rack(folder / "rack.ini")) as server:
        yield server


def test_the_page_loads_nothing_from_elsewhere(lasting: Server) -> None:
    for path in ("/", "/page.js", "/page.css", "/login"):
        status, headers, body = lasting.get(path)
        assert status == 200
        assert "default-src 'self'" in headers["content-security-policy"]
        assert b"http:" not in body
        assert b"https:" not in body


def test_another_site_cannot_read_the_page_by_its_own_name(lasting: Server) -> None:
    headers = {"Host": "lab.example"}
    assert lasting.get("/api/boxes", headers=headers)[0] == 400


def test_a_long_body_is_refused(lasting: Server) -> None:
    body = "token=" + "x" * LONGEST_BODY
    assert lasting.get("/login", "POST", body)[0] == 413


def test_the_description_names_every_field_of_a_box() -> None:
    schemas = description()["components"]["schemas"]
    assert set(STATUS.__dict__) == set(schemas["BoxStatus"]["properties"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.binary(max_size=400), valid=st.booleans())
def test_no_request_ends_the_page(lasting: Server, data: bytes, valid: bool) -> None:
    with socket.create_connection(("127.0.0.1", lasting.port), 60) as line:
        head = b"GET /api/boxes HTTP/1.1\r\nHost: 127.0.0.1\r\n" if valid else b""
        line.sendall(head + data + b"\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            line.recv(100)
    try:
        states = lasting.states()
    except HTTPException as error:
        pytest.fail(f"the page has ended: {error!r}")
    assert states == {"a": "not started"}
