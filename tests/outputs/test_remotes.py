"""Remotes, one by one: what they hear, and what other recorders get from us."""

import contextlib
import itertools
import queue
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq

from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.core.journal_entries import Sensed
from deeplabstream.engine.session.remote_control import START_WITHIN_S
from deeplabstream.ipc.watched_thread import watched_thread
from deeplabstream.plugins.remote import (
    ControlEvent,
    RemoteAlarm,
    RemoteCommand,
    RemoteControl,
    RemoteEnded,
    RemoteListener,
    RemoteLost,
    parse_command,
    read_token,
)
from deeplabstream.settings.loading import parse
from outputs.remotes import controls, limits, recorders
from outputs.remotes.controls import InputStart, OpenEphysStart, TcpStart, ZmqStart
from outputs.remotes.recorders import (
    OpenEphysRecorder,
    SpikeGLXRecorder,
    TcpRecorder,
    ZmqRecorder,
)
from outputs.remotes.zmtp import RequestServer
from tests.free_ports import free_port
from tests.outputs.fake_recorders import (
    FakeOpenEphys,
    FakeSpikeGLX,
    line_server,
    open_ephys,
    spike_glx,
)

LIMIT_S = 60.0
TOKEN = "3f2a9c7700d1"


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as link:
            link.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextmanager
def heard(
    control: RemoteControl, answer: str = "ok", alarms: list[str] | None = None
) -> Iterator["queue.Queue[RemoteCommand | RemoteLost]"]:
    """Listen, and answer every command with `answer`; keep alarms apart."""
    news: queue.Queue[RemoteCommand | RemoteLost] = queue.Queue()

    def hear(each: ControlEvent) -> None:
        if isinstance(each, RemoteAlarm | RemoteEnded):
            if alarms is not None:
                alarms.append(each.text)
            return
        if isinstance(each, RemoteCommand):
            each.answer(answer)
        news.put(each)

    listen: RemoteListener = hear
    with control.listening(listen):
        yield news


@contextmanager
def requesting(port: int) -> Iterator["zmq.Socket[bytes]"]:
    """A connected ZeroMQ socket that sends requests and waits long for answers."""
    with zmq.Context() as context, context.socket(zmq.REQ) as link:
        link.linger = 0
        link.rcvtimeo = round(LIMIT_S * 1e3)
        link.connect(f"tcp://127.0.0.1:{port}")
        yield link


def line_of(link: socket.socket) -> bytes:
    """Return the next line; it may come in pieces."""
    said = b""
    while not said.endswith(b"\n") and (part := link.recv(100)):
        said += part
    return said


def say(port: int, *lines: str) -> list[str]:
    """Send lines over one connection, return the answer to each."""
    with (
        socket.create_connection(("127.0.0.1", port), LIMIT_S) as link,
        link.makefile("rw", encoding="utf-8", newline="\n") as words,
    ):
        answers = []
        for line in lines:
            words.write(f"{line}\n")
            words.flush()
            answers.append(words.readline().strip())
        return answers


# --- what starts and stops this rig


def test_a_message_is_a_command_and_the_words_of_its_sender() -> None:
    assert parse_command("start trial 4, 12:30:01.5", "") == (
        "start",
        "trial 4, 12:30:01.5",
    )
    assert parse_command("  STOP ", "") == ("stop", "")
    assert parse_command(f"token {TOKEN} start a", TOKEN) == ("start", "a")
    assert parse_command("token whatever status", "") == ("status", "")
    assert parse_command("start a\x07b\x1b[2J", "") == ("start", "ab[2J")
    for text in ("", "go", "starting", "start" * 400, "token", "token a"):
        with pytest.raises(ValueError, match=r"unknown command|at most 1000"):
            parse_command(text, "")


@pytest.mark.parametrize("text", ["start", "token start", "token wrong start", "stop"])
def test_a_message_without_the_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wrong token"):
        parse_command(text, TOKEN)


def test_a_token_is_one_word_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{TOKEN}\n", "utf-8")
    assert read_token(file) == TOKEN
    assert read_token(None) == ""
    for bad in ("", "short", "two words that are long"):
        file.write_text(bad, "utf-8")
        with pytest.raises(
            DeviceError, match=r"one word of 8 letters or more.*secrets"
        ):
            read_token(file)
    with pytest.raises(DeviceError, match="can't be read"):
        read_token(tmp_path / "nowhere.txt")


def test_on_windows_no_other_program_can_share_the_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There, a second program could bind it too and get the messages."""
    option = socket.SO_RCVBUF
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", option, raising=False)
    monkeypatch.setattr(controls, "sys", SimpleNamespace(platform="win32"))
    asked: list[tuple[object, ...]] = []

    class Socket(socket.socket):
        def setsockopt(self, *words: Any) -> None:
            asked.append(words)

        def bind(self, place: Any) -> None:
            asked.append(("bind",))
            super().bind(place)

    monkeypatch.setattr("socketserver.socket.socket", Socket)
    with controls._Server(("127.0.0.1", 0), "", 0.0, lambda _: None):
        assert (socket.SOL_SOCKET, option, 1) in asked
    assert asked.index((socket.SOL_SOCKET, option, 1)) < asked.index(("bind",))


@pytest.mark.parametrize("kind", ["TcpStart", "ZmqStart"])
def test_other_computers_need_a_token(kind: str, tmp_path: Path) -> None:
    rig = "[Camera top]\nKIND = SimulatedCamera\n"
    remote = f"[Remote lab]\nKIND = {kind}\nPORT = 5005\n"
    assert parse(rig + remote, tmp_path).controls() == ("lab",)
    for host in ("0.0.0.0", "192.168.1.7", "::", "rig.lab.org"):
        words = f"{remote}HOST = {host}\n"
        with pytest.raises(SettingsError, match="other computers could start the rig"):
            parse(rig + words, tmp_path)
        parse(f"{rig}{words}TOKEN_FILE = token.txt\n", tmp_path)
    parse(f"{rig}{remote}HOST = ::1\n", tmp_path)


def test_lines_over_tcp_are_answered_one_by_one() -> None:
    port = free_port()
    with heard(TcpStart(port=port), "ok armed") as news:
        answers = say(port, "start trial 4", "hello", "stop")
        assert answers == [
            "ok armed",
            "error: unknown command; expected start, stop or status",
            "ok armed",
        ]
        first, second, lost = (news.get(timeout=LIMIT_S) for _ in range(3))
    assert isinstance(first, RemoteCommand)
    assert isinstance(second, RemoteCommand)
    assert (first.command, first.arguments) == ("start", "trial 4")
    assert second.command == "stop"
    assert first.sender.startswith("127.0.0.1:")
    assert 0 < first.time_ns <= second.time_ns
    assert lost == RemoteLost(
        f"the connection from {first.sender} was closed", first.sender
    )


def test_a_wrong_token_over_tcp_starts_nothing(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "token.txt"
    file.write_text(TOKEN, "utf-8")
    with heard(TcpStart(port=port, token_file=file)) as news:
        refused = "error: wrong token; begin with: token TOKEN"
        words = ("start", "token x start", f"token {TOKEN} start")
        assert say(port, *words) == [refused, refused, "ok"]
        only, lost = (news.get(timeout=LIMIT_S) for _ in range(2))
    assert isinstance(only, RemoteCommand)
    assert isinstance(lost, RemoteLost)


def test_bytes_that_are_no_text_and_endless_lines_end_nothing() -> None:
    port = free_port()
    with heard(TcpStart(port=port)):
        for noise in (
            b"\xff\x00\xfe\n",
            b"a" * 50_000 + b"\n",
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), LIMIT_S) as link:
                link.sendall(noise)
                assert line_of(link).startswith(b"error: ")
        assert say(port, "status") == ["ok"]


def test_a_web_page_can_not_send_commands_by_a_browser() -> None:
    port = free_port()
    with heard(TcpStart(port=port)) as news:
        with (
            socket.create_connection(("127.0.0.1", port), LIMIT_S) as link,
            link.makefile("rb") as answers,
        ):
            link.sendall(b"POST /start HTTP/1.1\r\nContent-Length: 6\r\n\r\nstart\n")
            with contextlib.suppress(ConnectionResetError):
                assert all(line.startswith(b"error: ") for line in answers)
        assert isinstance(news.get(timeout=LIMIT_S), RemoteLost)
    assert news.empty()


def test_the_end_of_a_long_request_of_a_browser_is_no_command() -> None:
    port = free_port()
    with heard(TcpStart(port=port)) as news:
        with socket.create_connection(("127.0.0.1", port), LIMIT_S) as link:
            line = b"GET /".ljust(2000, b"A") + b"start HTTP/1.1\r\n"
            link.sendall(line + b"start\n")
            assert line_of(link).startswith(b"error: ")
        assert isinstance(news.get(timeout=LIMIT_S), RemoteLost)
    assert news.empty()


def test_connections_without_the_token_do_not_keep_others_out(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "token.txt"
    file.write_text(TOKEN, "utf-8")
    with ExitStack() as links, heard(TcpStart(port=port, token_file=file)):

        def connected(words: str, answer: bytes) -> socket.socket:
            place = "127.0.0.1", port
            link = links.enter_context(socket.create_connection(place, LIMIT_S))
            link.sendall(f"{words}\n".encode())
            assert line_of(link).startswith(answer)
            return link

        first = connected(f"token {TOKEN} status", b"ok")
        for _ in range(15):
            connected("start", b"error: wrong token")
        assert say(port, f"token {TOKEN} stop") == ["ok"]
        first.sendall(f"token {TOKEN} status\n".encode())
        assert line_of(first).startswith(b"ok")


def test_silence_over_tcp_is_a_lost_connection() -> None:
    port = free_port()
    with heard(TcpStart(port=port, silent_s=0.05)) as news, ExitStack() as links:
        started: RemoteCommand | RemoteLost | None = None
        while not isinstance(started, RemoteCommand):  # a start may itself be so late
            place = "127.0.0.1", port
            link = links.enter_context(socket.create_connection(place, LIMIT_S))
            with contextlib.suppress(ConnectionError):
                link.sendall(b"start\n")
            started = news.get(timeout=LIMIT_S)
        text = f"no message came from {started.sender} for 0.05 s"
        assert news.get(timeout=LIMIT_S) == RemoteLost(text, started.sender)


@pytest.mark.skipif(not _has_ipv6(), reason="this computer has no ::1")
def test_addresses_of_ipv6_work() -> None:
    for control, recorder in ((TcpStart, TcpRecorder), (ZmqStart, ZmqRecorder)):
        port = free_port()
        with heard(control(host="::1", port=port)):
            assert recorder(host="::1", port=port, timeout_s=30).check(False) == (
                "answers: ok"
            )


@pytest.mark.parametrize("kind", [TcpStart, ZmqStart])
def test_a_port_that_is_in_use_is_a_sentence(kind: type[TcpStart | ZmqStart]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(
                DeviceError,
                match=f"{port} can't be used: .*another PORT",
            ),
            heard(kind(port=port)),
        ):
            pass


@pytest.mark.parametrize("kind", [TcpStart, ZmqStart])
def test_a_port_is_free_again_when_the_stream_has_ended(
    kind: type[TcpStart | ZmqStart],
) -> None:
    port = free_port()
    for _ in range(3):
        with heard(kind(port=port)):
            pass


def test_zeromq_requests_are_answered() -> None:
    port = free_port()
    with (
        heard(ZmqStart(port=port)) as news,
        requesting(port) as link,
    ):
        link.send_string("start trial 5")
        assert link.recv_string() == "ok"
        link.send_multipart([b"stop", b"now"])
        assert link.recv_string() == "ok"
        link.send_string("nonsense")
        assert link.recv_string().startswith("error: unknown command")
        first, second = (news.get(timeout=LIMIT_S) for _ in range(2))
    assert isinstance(first, RemoteCommand)
    assert (first.command, first.arguments) == ("start", "trial 5")
    assert isinstance(second, RemoteCommand)
    assert (second.command, second.arguments) == ("stop", "now")


def test_zeromq_silence_after_a_start_is_a_lost_connection() -> None:
    port = free_port()
    with (
        heard(ZmqStart(port=port, silent_s=0.05)) as news,
        requesting(port) as link,
    ):
        link.send_string("start")
        assert isinstance(news.get(timeout=LIMIT_S), RemoteCommand)
        lost = news.get(timeout=LIMIT_S)
    assert lost == RemoteLost("no message came for 0.05 s", f"tcp://127.0.0.1:{port}")


def test_a_message_that_waited_while_this_computer_was_held_up_is_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It came in time, after the rig had looked, and nobody read it for 100 s."""
    port, receive, held_up_s = free_port(), RequestServer.receive, 0.0
    started, looked = threading.Event(), threading.Event()

    def held_up(server: RequestServer, seconds: float) -> bytes | None:
        nonlocal held_up_s
        try:
            return receive(server, seconds)
        except TimeoutError:
            if started.is_set() and not looked.is_set():
                looked.set()
                receive(server, LIMIT_S)  # it is returned again, as it is not answered
                held_up_s = 100.0
            raise

    monkeypatch.setattr(RequestServer, "receive", held_up)
    clock = SimpleNamespace(
        perf_counter=lambda: time.perf_counter() + held_up_s,
        perf_counter_ns=time.perf_counter_ns,
    )
    monkeypatch.setattr(controls, "time", clock)
    with (
        heard(ZmqStart(port=port, silent_s=80.0)) as news,
        requesting(port) as link,
    ):
        link.send_string("start")
        assert link.recv_string() == "ok"
        started.set()
        assert looked.wait(LIMIT_S)
        link.send_string("status")
        assert link.recv_string() == "ok"
        found = [news.get(timeout=LIMIT_S) for _ in range(2)]
    commands = [each.command for each in found if isinstance(each, RemoteCommand)]
    assert commands == ["start", "status"]


def test_a_stop_after_the_loss_of_a_zeromq_program_needs_its_silence(
    tmp_path: Path,
) -> None:
    rig = "[Camera top]\nKIND = SimulatedCamera\n[Remote lab]\nKIND = ZmqStart\n"
    words = f"{rig}PORT = 5005\nIF_LOST = stop\n"
    with pytest.raises(SettingsError, match=r"IF_LOST = stop.* enter SILENT_S"):
        parse(words, tmp_path)
    parse(f"{words}SILENT_S = 5\n", tmp_path)


def test_messages_without_the_token_are_no_sign_of_life(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "token.txt"
    file.write_text(TOKEN, "utf-8")
    control = ZmqStart(port=port, silent_s=0.2, token_file=file)
    with (
        heard(control) as news,
        requesting(port) as link,
    ):
        link.send_string(f"token {TOKEN} start")
        assert link.recv_string() == "ok"
        assert isinstance(news.get(timeout=LIMIT_S), RemoteCommand)
        give_up_s = time.perf_counter() + LIMIT_S
        while news.empty() and time.perf_counter() < give_up_s:
            link.send_string("status")
            assert link.recv_string().startswith("error: wrong token")
        assert isinstance(news.get_nowait(), RemoteLost)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("start", "does not start later"),
        ("stop", "it stops later"),
        ("status", "the rig is busy"),
    ],
)
def test_a_busy_rig_says_what_it_will_still_do(
    command: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session refuses a start whose sender has had this answer."""
    assert START_WITHIN_S <= controls.ANSWER_S
    monkeypatch.setattr(controls, "ANSWER_S", 0.01)
    port = free_port()
    with TcpStart(port=port).listening(lambda _news: None):
        (answer,) = say(port, command)
    assert answer.startswith("error: the rig is busy")
    assert said in answer


def test_a_start_that_a_busy_rig_may_still_do_can_be_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "ANSWER_S", 0.01)
    port, news = free_port(), queue.Queue[RemoteCommand | RemoteLost]()
    with (
        ZmqStart(port=port, silent_s=0.05).listening(news.put),
        requesting(port) as link,
    ):
        link.send_string("start")
        assert "may be starting now, but does not start later" in link.recv_string()
        assert isinstance(news.get(timeout=LIMIT_S), RemoteCommand)
        assert isinstance(news.get(timeout=LIMIT_S), RemoteLost)


def sensed(active: bool, count: int) -> Sensed:
    return Sensed("ttl", active, count, 1000 + count, 2000)


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        ("off", [None, "stop", "start", "stop", "start", "stop"]),
        ("next", [None, None, "start", None, "start", None]),
        ("never", [None, None, "start", None, "start", None]),
    ],
)
def test_an_input_starts_and_stops_by_its_changes(
    stops: str, expected: list[str | None]
) -> None:
    control = InputStart(input="ttl", stops=stops)  # type: ignore[arg-type]
    first = (sensed(True, 0), sensed(False, 0))  # the level at opening is no start
    pulses = [sensed(level, n) for n in (1, 2) for level in (True, False)]
    seen = (*first, *pulses)
    levels = (False, *(each.active for each in seen))
    found = [control.command_of(*each) for each in zip(seen, levels, strict=False)]
    assert [each and each.command for each in found] == expected
    assert found[2] is not None
    assert found[2].time_ns == 1001
    assert (found[2].sender, found[2].arguments) == ("[Input ttl]", "activation 1")


def test_the_rig_follows_open_ephys_recording() -> None:
    with (
        open_ephys() as gui,
        heard(OpenEphysStart(port=gui.port, poll_ms=10, lost_s=LIMIT_S)) as news,
    ):
        words = []
        for mode in ("ACQUIRE", "RECORD", "ACQUIRE", "RECORD", "IDLE"):
            gui.mode = mode
            seen, answer = threading.Event(), gui.answer

            def answered(
                *_: object, seen: threading.Event = seen, mode: str = mode
            ) -> dict[str, str]:
                seen.set()
                return {"mode": mode}

            gui.answer = answered  # type: ignore[method-assign]
            assert seen.wait(LIMIT_S)
            gui.answer = answer  # type: ignore[method-assign]
            if mode == "RECORD" or (words and words[-1].startswith("start")):
                each = news.get(timeout=LIMIT_S)
                assert isinstance(each, RemoteCommand)
                words.append(f"{each.command} {each.arguments}")
        assert news.empty()
    assert words == [
        "start mode ACQUIRE to RECORD",
        "stop mode RECORD to ACQUIRE",
        "start mode ACQUIRE to RECORD",
        "stop mode RECORD to IDLE",
    ]


def test_a_recording_seen_after_an_outage_began_at_the_last_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session refuses a start that is so old."""
    monkeypatch.setattr(controls, "ANSWER_S", 0.0)  # every wait is an outage
    asked_ns: list[int] = []

    def answer(*_: object) -> dict[str, str]:
        asked_ns.append(time.perf_counter_ns())
        return {"mode": "ACQUIRE" if len(asked_ns) < 3 else "RECORD"}

    with open_ephys() as gui:
        gui.answer = answer  # type: ignore[method-assign]
        with heard(OpenEphysStart(port=gui.port, poll_ms=10, lost_s=LIMIT_S)) as news:
            start = news.get(timeout=LIMIT_S)
    assert isinstance(start, RemoteCommand)
    assert start.command == "start"
    assert start.time_ns < asked_ns[2]


def test_half_a_line_starts_nothing() -> None:
    port = free_port()
    with (
        heard(TcpStart(port=port)) as news,
        socket.create_connection(("127.0.0.1", port)) as link,
    ):
        link.sendall(b"start trial 1")
        link.shutdown(socket.SHUT_WR)
        assert isinstance(news.get(timeout=LIMIT_S), RemoteLost)


def test_a_gui_that_records_already_starts_nothing_and_one_that_is_gone_is_lost() -> (
    None
):
    with open_ephys() as gui:
        gui.mode = "RECORD"
        control = OpenEphysStart(port=gui.port, poll_ms=10, lost_s=0.2)
        with heard(control) as news:
            gui.answers.clear()
            lost = news.get(timeout=LIMIT_S)
            assert isinstance(lost, RemoteLost)
            assert lost.text.startswith("Open Ephys does not answer: no answer from")


# --- what this rig starts and stops


@pytest.fixture
def gui() -> Iterator[FakeOpenEphys]:
    with open_ephys() as gui:
        yield gui


@pytest.fixture
def glx() -> Iterator[FakeSpikeGLX]:
    with spike_glx() as program:
        yield program


def test_open_ephys_records_under_the_name_of_the_run(gui: FakeOpenEphys) -> None:
    recorder = OpenEphysRecorder(port=gui.port, timeout_s=30, directory="D:/mice")
    assert recorder.check(False) == "Open Ephys answers (mode IDLE, record nodes: 1)"
    assert recorder.start("monday") == "Open Ephys records, base text monday"
    assert gui.mode == "RECORD"
    assert gui.recording["parent_directory"] == "D:/mice"
    assert gui.recording["base_text"] == "monday"
    assert gui.directories == 1
    assert gui.messages == ["DeepLabStream run monday"]
    assert recorder.check(True) == "Open Ephys records"
    assert recorder.stop() == "Open Ephys stopped recording (mode ACQUIRE)"
    assert gui.mode == "ACQUIRE"


def test_open_ephys_keeps_what_is_set_there_and_may_become_idle(
    gui: FakeOpenEphys,
) -> None:
    recorder = OpenEphysRecorder(
        port=gui.port, timeout_s=30, base_text="", afterwards="idle"
    )
    before = dict(gui.recording)
    recorder.start("monday")
    assert gui.recording == before
    recorder.stop()
    assert gui.mode == "IDLE"


def test_open_ephys_is_not_started_again_after_somebody_stopped_it(
    gui: FakeOpenEphys,
) -> None:
    recorder = OpenEphysRecorder(port=gui.port, timeout_s=30)
    recorder.start("monday")
    gui.mode = "IDLE"
    with pytest.raises(DeviceError, match=r"no longer records \(mode IDLE\)"):
        recorder.check(True)
    assert recorder.stop() == "Open Ephys had stopped recording before (mode IDLE)"
    assert gui.modes_set == ["RECORD"]


def test_open_ephys_recording_of_others_is_left_alone(gui: FakeOpenEphys) -> None:
    gui.mode = "RECORD"
    recorder = OpenEphysRecorder(port=gui.port, timeout_s=30)
    with pytest.raises(DeviceError, match="recording already; stop it there"):
        recorder.check(False)
    with pytest.raises(DeviceError, match="recording already"):
        recorder.start("monday")
    assert gui.modes_set == []
    assert gui.recording["base_text"] == "auto"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a change for a moment only; an answer may take its time."""
    wait = recorders._wait
    monkeypatch.setattr(
        recorders, "_wait", lambda done, _timeout_s, text: wait(done, 0.01, text)
    )


@pytest.mark.usefixtures("_impatient")
def test_open_ephys_without_a_record_node_is_a_finding(gui: FakeOpenEphys) -> None:
    gui.nodes = []
    recorder = OpenEphysRecorder(port=gui.port, timeout_s=30)
    with pytest.raises(DeviceError, match="no Record Node in its signal chain"):
        recorder.check(False)
    with pytest.raises(DeviceError, match="did not begin to record"):
        recorder.start("monday")


def test_open_ephys_that_hangs_or_is_closed_is_a_sentence(gui: FakeOpenEphys) -> None:
    gui.answers.clear()
    recorder = OpenEphysRecorder(port=gui.port, timeout_s=0.05)
    with pytest.raises(
        DeviceError, match=r"no answer from .*\(timed out\); is Open Ephys"
    ):
        recorder.check(False)
    with pytest.raises(DeviceError, match="refused"):
        OpenEphysRecorder(port=free_port()).check(False)


def test_another_server_is_not_taken_for_open_ephys() -> None:
    pages = ("[1]", "no json", '{"mode": "FLY"}')
    for page in pages:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n{page}"
        with line_server(lambda line, head=head: "" if line else head) as port:  # type: ignore[misc]
            recorder = OpenEphysRecorder(port=port, timeout_s=30)
            with pytest.raises(
                DeviceError, match=r"does not answer as Open|unknown mode 'FLY'"
            ):
                recorder.check(False)


def test_spikeglx_writes_files_under_the_name_of_the_run(glx: FakeSpikeGLX) -> None:
    recorder = SpikeGLXRecorder(port=glx.port, timeout_s=30)
    assert recorder.check(False).startswith("SpikeGLX answers (SpikeGLX v.20241001")
    assert recorder.start("mouse 3: a/b") == (
        "SpikeGLX writes files, run name mouse 3_ a_b"
    )
    assert glx.saving
    assert recorder.check(True) == "SpikeGLX writes files"
    assert recorder.stop() == "SpikeGLX stopped writing files"
    assert not glx.saving
    assert glx.running
    told = [line for line in glx.heard if line.startswith("SET")]
    assert told == ["SETRUNNAME mouse 3_ a_b", "SETRECORDENAB 1", "SETRECORDENAB 0"]


def test_spikeglx_run_may_start_and_stop_with_the_recording(glx: FakeSpikeGLX) -> None:
    glx.running = False
    with pytest.raises(DeviceError, match=r"its run is not started.*START_RUN = yes"):
        SpikeGLXRecorder(port=glx.port, timeout_s=30).check(False)
    recorder = SpikeGLXRecorder(
        port=glx.port, timeout_s=30, start_run=True, run_name=""
    )
    recorder.check(False)
    recorder.start("monday")
    assert glx.saving
    assert glx.run_name == "myRun"
    recorder.stop()
    assert not glx.running


@pytest.mark.usefixtures("_impatient")
def test_spikeglx_that_waits_for_a_trigger_is_switched_off_again(
    glx: FakeSpikeGLX,
) -> None:
    glx.triggered = False
    recorder = SpikeGLXRecorder(port=glx.port, timeout_s=30)
    with pytest.raises(DeviceError, match="are its gate and trigger immediate"):
        recorder.start("monday")
    assert not glx.enabled


def test_spikeglx_that_refuses_or_is_closed_is_a_sentence(glx: FakeSpikeGLX) -> None:
    glx.running = False
    with pytest.raises(
        DeviceError, match="SpikeGLX refused: SETRECORDENAB: Run not yet started"
    ):
        SpikeGLXRecorder(port=glx.port, timeout_s=30).start("monday")
    with pytest.raises(DeviceError, match="is SpikeGLX open, and its command server"):
        SpikeGLXRecorder(port=free_port()).check(False)
    with (
        line_server(lambda line: "\n") as port,
        pytest.raises(DeviceError, match="closed the connection"),
    ):
        SpikeGLXRecorder(port=port, timeout_s=30).check(False)


def test_spikeglx_files_of_others_are_left_alone(glx: FakeSpikeGLX) -> None:
    glx.saving = True
    recorder = SpikeGLXRecorder(port=glx.port, timeout_s=30)
    with pytest.raises(DeviceError, match="writing files already"):
        recorder.check(False)
    with pytest.raises(DeviceError, match="writing files already"):
        recorder.start("monday")
    assert not [line for line in glx.heard if line.startswith("SET")]


def test_open_ephys_that_obeys_without_a_good_answer_is_stopped(
    gui: FakeOpenEphys, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = gui.answer

    def fails(method: str, path: str, body: dict[str, str]) -> dict[str, object]:
        found = answer(method, path, body)
        if body.get("mode") == "RECORD":
            raise ValueError("the answer is lost")
        return found

    monkeypatch.setattr(gui, "answer", fails)
    with pytest.raises(DeviceError, match="refused /api/status: 400"):
        OpenEphysRecorder(port=gui.port, timeout_s=30).start("monday")
    assert gui.modes_set == ["RECORD", "IDLE"]


def test_spikeglx_that_obeys_without_an_answer_is_stopped(
    glx: FakeSpikeGLX, monkeypatch: pytest.MonkeyPatch
) -> None:
    glx.running, answer = False, glx.answer

    def silent(line: str) -> str:
        said = answer(line)
        return "\n" if line == "SETRECORDENAB 1" else said

    monkeypatch.setattr(glx, "answer", silent)
    with pytest.raises(DeviceError, match="closed the connection"):
        SpikeGLXRecorder(port=glx.port, timeout_s=30, start_run=True).start("monday")
    assert (glx.saving, glx.running) == (False, False)


def test_a_program_that_does_not_answer_the_start_gets_the_stop() -> None:
    got: queue.Queue[str] = queue.Queue()
    ended = threading.Event()

    def answer(line: str) -> str:
        got.put(line)
        if line.startswith("start"):
            ended.wait(LIMIT_S)
        return "ok\n"

    with line_server(answer) as port:
        with pytest.raises(DeviceError, match="no answer from"):
            TcpRecorder(port=port, timeout_s=0.05).start("monday")
        told = {got.get(timeout=LIMIT_S) for _ in range(2)}
        ended.set()
    assert told == {"start monday", "stop"}


def test_a_program_that_closes_instead_of_an_answer_gets_the_stop() -> None:
    got: list[str] = []

    def answer(line: str) -> str:
        got.append(line)
        return "ok\n" if line == "stop" else "\n"

    with line_server(answer) as port, pytest.raises(DeviceError, match="no answer"):
        TcpRecorder(port=port, timeout_s=30).start("monday")
    assert got == ["start monday", "stop"]


def test_a_program_that_refuses_the_start_is_left_alone() -> None:
    got: list[str] = []

    def answer(line: str) -> str:
        got.append(line)
        return "error: records already\n"

    with (
        line_server(answer) as port,
        pytest.raises(DeviceError, match="records already"),
    ):
        TcpRecorder(port=port, timeout_s=30).start("monday")
    assert got == ["start monday"]


def test_any_program_gets_a_line_and_answers() -> None:
    got: list[str] = []

    def answer(line: str) -> str:
        got.append(line)
        return "OK done\n" if line != "status" else "busy\n"

    with line_server(answer) as port:
        recorder = TcpRecorder(
            port=port, timeout_s=30, start_text="REC {run}.dat", check_text=""
        )
        assert "CHECK_TEXT is empty" in recorder.check(False)
        assert recorder.start("monday") == "was started: OK done"
        assert recorder.stop() == "was stopped: OK done"
        with pytest.raises(DeviceError, match="answered 'busy' to 'status'"):
            TcpRecorder(port=port, timeout_s=30).check(False)
    assert got == ["REC monday.dat", "stop", "status"]
    with pytest.raises(DeviceError, match="no answer from"):
        TcpRecorder(port=free_port()).check(False)


def test_one_rig_starts_another() -> None:
    for control, recorder in ((TcpStart, TcpRecorder), (ZmqStart, ZmqRecorder)):
        port = free_port()
        with heard(control(port=port)) as news:
            other = recorder(port=port, timeout_s=30)
            assert other.check(False) == "answers: ok"
            assert other.start("monday") == "was started: ok"
            commands = []
            while len(commands) < 2:
                each = news.get(timeout=LIMIT_S)
                if isinstance(each, RemoteCommand):
                    commands.append((each.command, each.arguments))
        assert commands == [("status", ""), ("start", "monday")]


def test_a_silent_zeromq_program_is_a_sentence() -> None:
    with pytest.raises(DeviceError, match=r"no answer from 127\.0\.0\.1"):
        ZmqRecorder(port=free_port(), timeout_s=0.05).check(False)


# --- limits of what others send


@contextmanager
def one_byte_at_a_time(forever: bytes) -> Iterator[int]:
    """Serve a port whose connections get a byte of this every 20 ms, again and again."""
    ended = threading.Event()

    class Slow(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                for byte in itertools.cycle(forever):
                    self.request.sendall(bytes([byte]))
                    if ended.wait(0.02):
                        return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server(("127.0.0.1", 0), Slow) as server:
        watched_thread(server.serve_forever, "slow", lambda text: None)
        try:
            yield server.server_address[1]
        finally:
            ended.set()
            server.shutdown()


@pytest.mark.parametrize("kind", [TcpRecorder, SpikeGLXRecorder, OpenEphysRecorder])
def test_an_answer_that_comes_slowly_for_ever_is_no_answer(kind: type[Any]) -> None:
    """Each byte comes in time."""
    with one_byte_at_a_time(b"HTTP/1.0 200 OK") as port:
        began_s = time.perf_counter()
        with pytest.raises(DeviceError, match=r"no answer from .*timed out"):
            kind(port=port, timeout_s=0.5).check(False)
        assert time.perf_counter() - began_s < LIMIT_S


def test_endless_lines_are_no_answer() -> None:
    with (
        line_server(lambda line: "line\n" * 20_000) as port,
        pytest.raises(DeviceError, match="longer than 65536 bytes"),
    ):
        SpikeGLXRecorder(port=port, timeout_s=LIMIT_S / 2).check(False)


def test_many_parts_of_a_zeromq_message_are_refused_before_the_token_is_read(
    tmp_path: Path,
) -> None:
    port, file = free_port(), tmp_path / "token.txt"
    file.write_text(TOKEN, "utf-8")
    control = ZmqStart(port=port, token_file=file)
    with heard(control) as news, requesting(port) as link:
        link.send_multipart([f"token {TOKEN} start".encode(), *[b"x" * 1900] * 5000])
        assert link.recv_string() == "error: a message has at most 1000 letters"
        link.send_string(f"token {TOKEN} status")
        assert link.recv_string() == "ok"
        assert news.get(timeout=LIMIT_S).command == "status"


def test_an_answer_of_many_parts_is_no_answer() -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as link:
        link.linger = 0
        port = link.bind_to_random_port("tcp://127.0.0.1")
        answer = watched_thread(
            lambda: (link.recv(), link.send_multipart([b"ok" * 500] * 100)),
            "receiver",
            lambda text: None,
        )
        with pytest.raises(DeviceError, match="longer than 65536 bytes"):
            ZmqRecorder(port=port, timeout_s=30).check(False)
        answer.join()


def test_a_line_that_never_ends_is_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "_LINE_S", 0.3)
    port = free_port()
    with (
        heard(TcpStart(port=port, silent_s=LIMIT_S)) as news,
        socket.create_connection(("127.0.0.1", port), LIMIT_S) as link,
    ):
        with contextlib.suppress(OSError):
            while news.empty():
                link.sendall(b"s")
                time.sleep(0.05)
        lost = news.get(timeout=LIMIT_S)
    assert isinstance(lost, RemoteLost)
    assert "no message came" in lost.text


def test_wrong_tokens_are_slowed_and_reported_once_a_minute() -> None:
    events: list[Any] = []
    now_s = [0.0]
    wrong = limits.WrongTokens(events.append, 0.001, lambda: now_s[0])
    for _ in range(100):
        wrong.received("10.0.0.9:4000")
    now_s[0] = 61.0
    wrong.received("10.0.0.9:4001")
    wrong.received("10.0.0.9:4001")
    wrong.report()
    wrong.report()
    assert [each.text for each in events] == [
        "1 message with a wrong token, from 10.0.0.9:4000",
        "100 messages with a wrong token, from 10.0.0.9:4001",
        "1 message with a wrong token, from 10.0.0.9:4001",
    ]


@pytest.mark.parametrize("kind", [TcpStart, ZmqStart])
def test_wrong_tokens_are_slow(kind: type[Any], tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "token.txt"
    file.write_text(TOKEN, "utf-8")
    alarms: list[str] = []
    with heard(kind(port=port, token_file=file), alarms=alarms):
        began_s = time.perf_counter()
        if kind is TcpStart:
            say(port, *["stop"] * 6)
        else:
            with requesting(port) as link:
                for _ in range(6):
                    link.send_string("stop")
                    link.recv()
        assert time.perf_counter() - began_s > 0.5
    assert len(alarms) == 2
    assert alarms[0].startswith("1 message with a wrong token")
    assert alarms[1].startswith("5 messages")


def test_an_unforeseen_exception_of_a_control_is_reported(
    monkeypatch: pytest.MonkeyPatch, gui: FakeOpenEphys
) -> None:
    def fail(self: object) -> str:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr("outputs.remotes.open_ephys.OpenEphysServer.mode", fail)
    alarms: list[str] = []
    with heard(OpenEphysStart(port=gui.port, poll_ms=10), alarms=alarms):
        give_up_s = time.perf_counter() + LIMIT_S
        while not alarms and time.perf_counter() < give_up_s:
            time.sleep(0.01)
    assert (
        "'OpenEphysStart' ended because of an error in the program (RecursionError"
        in alarms[0]
    )


def test_a_deeply_nested_answer_is_not_open_ephys() -> None:
    text = "[" * 60_000
    head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(text)}\r\n\r\n"
    with (
        line_server(lambda line: "" if line else head + text) as port,
        pytest.raises(DeviceError, match="does not answer as Open Ephys"),
    ):
        OpenEphysRecorder(port=port).check(False)


def test_a_long_answer_is_not_open_ephys() -> None:
    head = "HTTP/1.0 200 OK\r\n\r\n"
    with (
        line_server(lambda line: "" if line else head + " " * 100_000) as port,
        pytest.raises(DeviceError, match="longer than 65536 bytes"),
    ):
        OpenEphysRecorder(port=port).check(False)
