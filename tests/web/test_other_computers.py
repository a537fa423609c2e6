"""Boxes of other computers on the page of a rack: two real pages."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from deeplabstream.core.clock import rest
from deeplabstream.core.errors import SettingsError
from deeplabstream.rack.rack_check import rack_problems
from deeplabstream.settings.computer_section import ComputerSection
from deeplabstream.settings.rack_file import RackFile, is_rack_file, load_rack
from deeplabstream.web.other_computers import (
    LONGEST_ANSWER,
    ComputerView,
    OtherComputer,
)
from deeplabstream.web.page_description import description
from tests.web.test_page_commands import JSON, commanded
from tests.web.test_rack_page import (
    STATUS,
    TOKEN,
    Server,
    camera_ring,
    rack,
    running,
    serving,
    write_frame,
)

__all__ = ["rack"]


def overview(folder: Path, address: str, **keys: object) -> RackFile:
    """Return a rack file that names another computer only."""
    folder.mkdir(exist_ok=True)
    lines = ["[Computer east]", f"ADDRESS = {address}"]
    lines += [f"{key.upper()} = {value}" for key, value in keys.items()]
    file = folder / "lab.ini"
    file.write_text("\n".join(lines))
    return load_rack(file, only_shown=True)


def token_file(folder: Path, token: str = TOKEN) -> Path:
    """Write a token."""
    file = folder / "token.txt"
    file.write_text(token)
    return file


def east(server: Server) -> dict[str, Any]:
    """Return what a page says of the other computer."""
    _, _, body = server.get("/api/boxes", headers=JSON)
    (found,) = json.loads(body)["computers"]
    assert isinstance(found, dict)
    return found


@contextmanager
def client(section: ComputerSection) -> Iterator[Callable[[], ComputerView]]:
    """Yield a function that reads the states of another computer once."""
    other = OtherComputer("east", section)
    with start_blocking_portal() as loop:

        def read() -> ComputerView:
            loop.call(other.read)
            return other.view

        try:
            yield read
        finally:
            loop.call(other.client.aclose)


def read_once(section: ComputerSection) -> ComputerView:
    """Return what is known of another computer after one reading."""
    with client(section) as read:
        return read()


def until(condition: Callable[[], bool]) -> None:
    """Wait for the other page; the time limit of the test ends it."""
    while not condition():
        rest(0.02)


def answered(server: Server, path: str, body: str) -> tuple[int, str]:
    """Return status and answer of a command."""
    status, _, text = server.get(path, "POST", body, JSON)
    return status, json.loads(text)["answer"]


def test_boxes_of_another_computer_are_shown_and_take_commands(
    rack: RackFile, tmp_path: Path
) -> None:
    token = token_file(tmp_path)
    stop = json.dumps({"command": "stop left"})
    command = "/api/computers/east/commands"
    image = "/api/computers/east/image/left/top"
    with camera_ring((48, 64)) as ring:
        status = replace(STATUS, rings={"top": ring.spec})
        with running(rack, "left", status), commanded(rack, tmp_path) as it:
            address = f"http://127.0.0.1:{it.server.port}"
            lab = overview(tmp_path / "lab", address, token_file=token)
            words = ["--token-file", str(token)]
            with serving(lab, *words) as page:
                until(lambda: east(page)["problem"] == "")
                seen = east(page)
                assert (seen["rack"], seen["commands"]) == ("rack", True)
                assert [box["name"] for box in seen["boxes"]] == ["left", "right"]
                assert seen["boxes"][0]["status"]["trials"] == 2

                def shown() -> bool:
                    write_frame(ring, 100)
                    return page.get(image, headers=JSON)[0] == 200

                until(shown)
                _, headers, jpeg = page.get(image, headers=JSON)
                assert headers["content-type"] == "image/jpeg"
                assert jpeg.startswith(b"\xff\xd8")
                missing = "/api/computers/east/image/left/side"
                assert page.get(missing, headers=JSON)[0] == 404
                assert page.get("/api/computers/w/image/a/b", headers=JSON)[0] == 404
                assert page.get(image)[0] == 401

                assert answered(page, command, stop) == (200, "ok: stop left")
                assert it.commands == ["stop left"]
                assert page.get(command, "POST", stop)[0] == 401

            with serving(lab) as page:
                until(lambda: east(page)["problem"] == "")
                assert east(page)["commands"] is False
                status_code, text = answered(page, command, stop)
                assert (status_code, "--token-file" in text) == (403, True)
                assert it.commands == ["stop left"]


def test_a_computer_that_is_lost_keeps_its_last_states_and_says_why(
    rack: RackFile, tmp_path: Path
) -> None:
    token = token_file(tmp_path)
    with running(rack, "left"), ExitStack() as stack:
        it = stack.enter_context(commanded(rack, tmp_path))
        address = f"http://127.0.0.1:{it.server.port}"
        section = ComputerSection(address=address, token_file=token)
        with client(section) as read:
            seen = read()
            assert (seen.problem, seen.commands) == ("", True)
            stack.close()
            seen = read()
            assert seen.problem.startswith("no connection")
            assert seen.commands is False
            assert [box.name for box in seen.boxes] == ["left", "right"]


def test_a_wrong_token_is_named(rack: RackFile, tmp_path: Path) -> None:
    with commanded(rack, tmp_path) as it:
        wrong = token_file(tmp_path, "another-token")
        address = f"http://127.0.0.1:{it.server.port}"
        lab = overview(tmp_path / "lab", address, token_file=wrong)
        assert "TOKEN_FILE" in read_once(lab.computers["east"]).problem


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>", "not that of a rack"),
        (200, b'{"rack": "r", "commands": true, "boxes": [{}]}', "not that of a rack"),
        (200, b" " * (LONGEST_ANSWER + 1), "too long"),
        (302, b"", "HTTP status 302"),
        (500, b"", "HTTP status 500"),
    ],
)
def test_a_foreign_answer_is_a_problem(status: int, body: bytes, problem: str) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        seen = read_once(ComputerSection(address=address))
        thread.join()
    assert problem in seen.problem
    assert seen.boxes == []


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    """Return a function that makes a certificate of 127.0.0.1, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")

    def made() -> tuple[Path, Path]:
        pem, key = tmp_path / "rig.pem", tmp_path / "rig.key"
        words = [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=rig",
        ]
        words += ["-addext", "subjectAltName=IP:127.0.0.1"]
        words += ["-out", str(pem), "-keyout", str(key)]
        subprocess.run([openssl, *words], check=True, capture_output=True)
        return pem, key

    return made


def test_only_the_named_certificate_is_trusted(
    rack: RackFile, tmp_path: Path, certificate: Callable[[], tuple[Path, Path]]
) -> None:
    pem, key = certificate()
    token = token_file(tmp_path)
    words = ["--token-file", token, "--certificate", pem, "--key", key]
    with serving(rack, *map(str, words)) as server:
        address = f"https://127.0.0.1:{server.port}"
        known = ComputerSection(address=address, token_file=token, certificate=pem)
        seen = read_once(known)
        assert seen.problem == ""
        assert [box.name for box in seen.boxes] == ["left", "right"]

        seen = read_once(ComputerSection(address=address))
        assert "certificate verify failed" in seen.problem


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("rig2:8080", "https://"),
        ("http://rig2:8080", "readable on the way"),
        ("https://rig2/page", "must end with"),
        ("https://me:word@rig2", "must end with"),
        ("https://rig2:port", "must end with"),
    ],
)
def test_an_address_that_is_not_safe_is_refused(
    tmp_path: Path, address: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        overview(tmp_path, address)
    assert "[Computer east] ADDRESS" in str(caught.value)
    assert problem in str(caught.value)


def test_a_file_without_boxes_can_be_shown_only(tmp_path: Path) -> None:
    lab = overview(tmp_path, "https://rig2")
    assert is_rack_file(lab.path)
    assert rack_problems(lab.path) == []
    with pytest.raises(SettingsError, match=r"\[Box NAME\] is missing"):
        load_rack(lab.path)


def test_the_description_names_every_field_of_a_computer() -> None:
    schemas = description()["components"]["schemas"]
    assert {"BoxView", "BoxStatus"} <= set(schemas)
    content = description()["paths"]["/api/boxes"]["get"]["responses"]["200"]
    assert "computers" in json.dumps(content)
