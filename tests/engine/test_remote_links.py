"""Start and stop by remotes and of other recorders, in a session without its processes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note, Sensed
from deeplabstream.engine.checks.preflight import PreflightResult
from deeplabstream.engine.checks.preflight import _recorders as recorder_findings
from deeplabstream.engine.session import messages, remote_control
from deeplabstream.engine.session.experiment_start import StartPhase
from deeplabstream.engine.session.remote_links import RecorderAnswer
from deeplabstream.engine.session.request_queue import AGENDAS, armed_instead
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Counts,
    Failed,
    News,
    Phase,
    Requested,
)
from deeplabstream.gui.bridge import Bridge
from deeplabstream.plugins.remote import RemoteCommand
from outputs.remotes import controls
from outputs.remotes.open_ephys import OpenEphysServer
from outputs.remotes.recorders import OpenEphysRecorder
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import RIG, problems
from tests.free_ports import free_port
from tests.outputs.fake_recorders import open_ephys, spike_glx
from tests.outputs.test_remotes import say as tell

PATIENCE_S = 60.0
CHOSEN = "[Experiment]\nEXP_NAME = light\n"
TTL = """
[Input ttl]
KIND = BoardInput
PORT = COM3
PIN = 2
[Remote line]
KIND = InputStart
INPUT = ttl
"""
TCP = "[Remote lab]\nKIND = TcpStart\nPORT = {port}\n"
EPHYS = "[Remote ephys]\nKIND = OpenEphysRecorder\nPORT = {port}\nTIMEOUT_S = {limit}\n"
GLX = "[Remote glx]\nKIND = SpikeGLXRecorder\nPORT = {port}\n"


@dataclass
class Rig:
    """A session that analyses, and what it tells."""

    session: RigSession
    fake: FakeProcesses
    told: list[News] = field(default_factory=list)

    def poll(self) -> None:
        self.told += self.session.poll()

    def until(self, what: Callable[[], bool]) -> None:
        give_up_s = time.perf_counter() + PATIENCE_S
        while not what():
            assert time.perf_counter() < give_up_s, self.told
            self.poll()
            time.sleep(0.002)

    def ttl(self, active: bool, count: int, age_s: float = 0.0) -> int:
        """Have the input change `age_s` ago; return when that was."""
        at_ns = time.perf_counter_ns() - round(age_s * 1e9)
        self.fake.entries.append(Sensed("ttl", active, count, at_ns, at_ns + 1_000))
        self.poll()
        self.poll()
        return at_ns

    def runs(self, active: bool = True) -> None:
        """Have the engine say that the experiment runs, or not."""
        self.fake.report(messages.ExperimentRunning(active))
        self.poll()

    @property
    def experiments(self) -> list[bool]:
        """What the engine was asked: to run the experiment, or to end it."""
        return [
            each.active
            for each in self.fake.engine
            if isinstance(each, messages.RunExperiment)
        ]

    @property
    def failures(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, Failed)]

    def notes(self, kind: str = "remote") -> list[str]:
        return [e.text for e in self.told if isinstance(e, Note) and e.kind == kind]

    @property
    def noted(self) -> list[str]:
        """Notes that the recorder gets."""
        return [
            each.note.text
            for each in self.fake.recorder
            if isinstance(each, messages.WriteNote)
        ]


@pytest.fixture
def rigs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Rig]]:
    """Return a function that makes a rig with these sections; it streams and analyses.

    A computer that stalls makes no start too late, and no answer.
    """
    monkeypatch.setattr(remote_control, "START_WITHIN_S", PATIENCE_S)
    monkeypatch.setattr(controls, "ANSWER_S", PATIENCE_S)
    with ExitStack() as open_rigs:

        def make(text: str, whole: str = RIG + CHOSEN) -> Rig:
            fake = FakeProcesses()
            session = open_rigs.enter_context(
                session_of(
                    fake, tmp_path, whole + text, ManualClock(), recorder_findings
                )
            )
            rig = Rig(session, fake)
            session.do(Action.START_STREAM)
            session.state = replace(
                session.state,
                phase=Phase.STREAMING,
                analysing=True,
                network_ready=True,
                formats={"arena": ImageFormat((48, 64), 30.0)},
                counts={"arena": Counts(9)},
                run_folder=tmp_path / "monday",
                edges={"laser": None},  # type: ignore[dict-item]
            )
            return rig

        yield make


@pytest.fixture
def patient_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let TIMEOUT_S of Open Ephys limit its start, not the single requests."""

    def server(it: OpenEphysRecorder) -> OpenEphysServer:
        return OpenEphysServer(it.host, it.port, PATIENCE_S)

    monkeypatch.setattr(OpenEphysRecorder, "_server", property(server))


def videos(rig: Rig) -> None:
    """Have the first frames in the videos, so that the experiment may start."""
    rig.session.state = replace(rig.session.state, unrecorded=(), recording=True)
    rig.poll()


def answered(rig: Rig) -> list[Requested]:
    """Return what other recorders have answered."""
    return [each for each in rig.session.state.requests if each.sender == "this rig"]


# --- start and stop by others


def test_nothing_starts_unless_the_user_has_armed_the_rig(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL)
    rig.ttl(True, 1)
    assert not rig.session.state.experiment_starting
    assert rig.experiments == []
    (text,) = rig.notes()
    assert text == (
        "[Remote line] start from [Input ttl] (activation 1): error: the rig is not armed"
    )


def test_an_armed_rig_starts_and_stops_by_the_line(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    assert rig.session.state.armed
    assert rig.session.state.doing == "armed"
    rig.ttl(True, 0)  # the level at opening
    assert rig.session.state.armed
    started_ns = rig.ttl(True, 1)
    assert not rig.session.state.armed
    assert rig.session.state.started_by == "line"
    videos(rig)
    rig.runs()
    assert rig.experiments == [True]
    stopped_ns = rig.ttl(False, 1)
    assert rig.experiments == [True, False]
    facts = rig.session.state.run_facts()["remote_requests"]
    assert isinstance(facts, list)
    by_user, *by_line = facts
    assert (by_user["remote"], by_user["sender"]) == ("", "user")
    assert by_user["command"] == "Arm"
    assert by_line == [
        {
            "remote": "line",
            "command": command,
            "result": result,
            "time_ns": at_ns,
            "sender": "[Input ttl]",
            "words": "activation 1",
            "time_s": (at_ns - rig.session.state.start_ns) / 1e9,
        }
        for at_ns, command, result in (
            (started_ns, "start", "ok experiment starts"),
            (stopped_ns, "stop", "ok experiment stopped"),
        )
    ]
    assert [text for text in rig.noted if text in rig.notes()] == rig.notes()
    line = next(e for e in rig.told if isinstance(e, Note) and "start from" in e.text)
    assert line.time_ns == started_ns


def test_a_start_that_waited_too_long_starts_nothing(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1, age_s=PATIENCE_S + 1)
    assert rig.session.state.armed
    assert rig.experiments == []
    assert rig.notes()[-1].endswith("s ago: too late")
    rig.ttl(False, 1)
    rig.ttl(True, 2)
    videos(rig)
    rig.runs()
    rig.ttl(False, 2, age_s=600.0)
    assert rig.experiments == [True, False]


@pytest.mark.parametrize("clock", [0, 1])
def test_a_start_right_after_a_pause_starts_nothing(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, clock: int
) -> None:
    """It may have waited in a socket; clock 0 stands still in a suspended computer."""
    rig = rigs(TCP.format(port=free_port()))
    rig.session.do(Action.ARM)
    now_s = [time.perf_counter(), 0.0]
    monkeypatch.setattr(remote_control, "perf_counter", lambda: now_s[0])
    monkeypatch.setattr(remote_control, "asleep_ns", lambda: now_s[1] * 1e9)
    answers: list[str] = []

    def start() -> None:
        asked = RemoteCommand("start", round(now_s[0] * 1e9), answer=answers.append)
        rig.session._remotes.links._events.put(("lab", asked))
        rig.poll()

    rig.poll()
    now_s[clock] += remote_control.START_WITHIN_S + 1
    start()
    assert "busy or suspended" in answers[-1]
    assert rig.session.state.armed
    now_s[0] += remote_control.AFTER_PAUSE_S
    start()
    assert answers[-1] == "ok experiment starts"


def test_one_arming_is_one_start(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    videos(rig)
    rig.runs()
    rig.ttl(False, 1)
    rig.runs(False)
    rig.poll()
    assert rig.session.state.remote_over
    rig.ttl(True, 2)
    assert rig.experiments == [True, False]
    assert rig.notes()[-1].endswith("error: the rig is not armed")


def test_rearm_waits_for_the_next_start(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL + "REARM = yes\n")
    rig.session.do(Action.ARM)
    for number in (1, 2):
        rig.ttl(True, number)
        videos(rig)
        rig.runs()
        rig.ttl(False, number)
        rig.runs(False)
        rig.poll()
        assert rig.session.state.armed
    assert rig.experiments == [True, False] * 2


def test_a_pulse_before_arming_does_not_exchange_start_and_stop(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL + "STOPS = next\n")
    rig.ttl(True, 1)
    assert rig.notes()[-1].endswith("error: the rig is not armed")
    rig.session.do(Action.ARM)
    rig.ttl(True, 2)
    videos(rig)
    rig.runs()
    assert rig.experiments == [True]
    rig.ttl(True, 3)
    assert rig.experiments == [True, False]


def test_the_stop_pulse_of_an_experiment_that_has_ended_starts_nothing(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL + "STOPS = next\nREARM = yes\n")
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    videos(rig)
    rig.runs()
    rig.runs(False)
    rig.session.state = replace(rig.session.state, recording=False)
    rig.poll()
    assert rig.session.state.armed
    rig.ttl(True, 1)  # the start has opened the inputs again: they count from 0
    assert rig.notes()[-1].endswith("ok nothing ran")
    assert rig.experiments == [True]
    rig.ttl(True, 2)
    assert rig.session.state.experiment_starting


def test_a_line_that_was_opened_again_while_active_stops_too(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    videos(rig)
    rig.runs()
    rig.ttl(True, 0)
    rig.ttl(False, 0)
    assert rig.experiments == [True, False]


def test_a_line_that_goes_off_while_it_is_unknown_stops_too(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    videos(rig)
    rig.runs()
    rig.fake.entries.append(
        Note("error", "[Input ttl] gone: it is unknown from now on", 1)
    )
    rig.poll()
    rig.ttl(False, 0)
    assert rig.experiments == [True, False]
    rig.ttl(False, 0)
    assert len(rig.experiments) == 2


def test_a_user_who_stops_ends_rearming(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL + "REARM = yes\n")
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    videos(rig)
    rig.runs()
    rig.session.do(Action.STOP_EXPERIMENT)
    rig.runs(False)
    rig.poll()
    assert not rig.session.state.armed


def test_a_start_by_hand_and_the_end_of_the_analysis_disarm(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.session.do(Action.START_EXPERIMENT)
    assert not rig.session.state.armed
    rig.session.do(Action.STOP_EXPERIMENT)
    rig.session.do(Action.ARM)
    rig.fake.report(messages.Analysing(False))
    rig.poll()
    assert not rig.session.state.armed
    rig.fake.report(messages.Analysing(True))
    rig.poll()
    rig.session.do(Action.ARM)
    rig.session.do(Action.DISARM)
    rig.ttl(True, 1)
    assert rig.experiments == []


def test_a_user_who_switches_the_outputs_off_ends_rearming(
    rigs: Callable[..., Rig], qapp: object
) -> None:
    rig = rigs(TTL + "STARTS = recording\nREARM = yes\n")
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    Bridge(rig.session).stop_outputs()
    rig.ttl(False, 1)
    assert rig.session.state.remote_over
    rig.poll()
    assert not rig.session.state.armed


def test_a_rig_whose_analysis_ends_is_not_started(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.session.do(Action.STOP_ANALYSIS)
    rig.ttl(True, 1)  # before the engine has answered
    assert rig.notes()[-1].endswith("error: the rig is not armed")
    assert not rig.session.state.experiment_starting


def test_a_remote_stops_what_a_user_has_started(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.START_EXPERIMENT)
    videos(rig)
    rig.runs()
    rig.ttl(True, 1)
    rig.ttl(False, 1)
    assert rig.experiments == [True, False]
    assert rig.notes()[-1].endswith("ok experiment stopped")


def test_a_stop_before_the_first_video_frame_stops_too(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    assert rig.session.state.experiment_starting
    rig.ttl(False, 1)
    assert not rig.session.state.experiment_starting
    videos(rig)
    assert rig.experiments == []


def test_a_remote_may_start_and_stop_the_recording_only(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL + "STARTS = recording\n")
    rig.session.state = replace(rig.session.state, analysing=False)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    assert rig.session.state.recording_starting
    assert any(isinstance(each, messages.StartRecording) for each in rig.fake.recorder)
    rig.ttl(False, 1)
    assert not rig.session.state.recording_starting
    assert isinstance(rig.fake.recorder[-1], messages.WriteNote)
    assert any(isinstance(each, messages.StopRecording) for each in rig.fake.recorder)
    assert rig.experiments == []


def test_the_preflight_check_is_not_passed_over(rigs: Callable[..., Rig]) -> None:
    rig = rigs(TTL)
    rig.fake.findings.append(PreflightResult("the shutter is closed", grave=True))
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    videos(rig)
    assert rig.experiments == []
    assert rig.failures == ["Cannot start because the shutter is closed"]
    assert rig.notes()[-1].endswith(
        ": error: experiment was refused; see the messages of the rig"
    )


def test_a_refused_experiment_is_no_ok_while_a_user_records(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL)
    rig.fake.findings.append(PreflightResult("the shutter is closed", grave=True))
    rig.session.do(Action.START_RECORDING)
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    assert "error: experiment was refused" in rig.notes()[-1]


def test_a_broken_input_is_a_lost_connection(rigs: Callable[..., Rig]) -> None:
    broken = Note("error", "[Input ttl] gone: it is unknown from now on", 1)
    for words, stops in (("", False), ("IF_LOST = stop\n", True)):
        rig = rigs(TTL + words)
        rig.session.do(Action.ARM)
        rig.ttl(True, 1)
        videos(rig)
        rig.runs()
        rig.fake.entries.append(broken)
        rig.poll()
        rig.poll()
        assert rig.experiments == [True, False][: 1 + stops]
        said = "IF_LOST = stop" if stops else "goes on (IF_LOST = go on)"
        assert any(said in text for text in (*rig.notes(), *rig.failures))


def test_lines_over_tcp_are_answered_with_what_becomes_of_them(
    rigs: Callable[..., Rig],
) -> None:
    port = free_port()
    rig = rigs(TCP.format(port=port))

    def ask(words: str) -> str:
        with (
            socket.create_connection(("127.0.0.1", port), 60) as link,
            link.makefile("r", encoding="utf-8") as lines,
        ):
            link.sendall(f"{words}\n".encode())
            rig.until(lambda: bool(_readable(link)))
            return lines.readline().strip()

    assert ask("status") == "ok streaming not-armed"
    assert ask("start") == "error: the rig is not armed"
    rig.session.do(Action.ARM)
    assert ask("status") == "ok armed"
    assert ask("start trial 4 at 12:30") == "ok experiment starts"
    assert ask("start") == "error: the rig is not armed"
    videos(rig)
    rig.runs()
    assert ask("status") == "ok experiment recording"
    assert ask("stop enough") == "ok experiment stopped"
    rig.runs(False)
    rig.session.state = replace(rig.session.state, recording=False)
    assert ask("stop") == "ok nothing ran"
    facts = rig.session.state.requests
    assert len(facts) == 6  # of them one by the user; questions for the status are none
    assert [(each.command, each.arguments) for each in facts if each.arguments] == [
        ("start", "trial 4 at 12:30"),
        ("stop", "enough"),
    ]


def _readable(link: socket.socket) -> bool:
    link.setblocking(False)
    try:
        return bool(link.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        link.setblocking(True)


@pytest.mark.parametrize("words", ["", "IF_LOST = stop\n"])
def test_a_closed_connection_stops_only_if_the_settings_say_so(
    rigs: Callable[..., Rig], words: str
) -> None:
    port = free_port()
    rig = rigs(TCP.format(port=port) + words)
    rig.session.do(Action.ARM)
    with socket.create_connection(("127.0.0.1", port), 60) as link:
        link.sendall(b"start\n")
        rig.until(lambda: rig.session.state.started_by == "lab")
        videos(rig)
        rig.runs()
        with socket.create_connection(("127.0.0.1", port), 60) as other:
            other.sendall(b"status\n")
            rig.until(lambda: _readable(other))
        link.sendall(b"status\n")
        rig.until(lambda: _readable(link))
        assert rig.experiments == [True]
    rig.until(lambda: any("was closed" in text for text in rig.notes()))
    assert rig.experiments == [True, False][: 1 + bool(words)]


def test_open_ephys_starts_and_stops_the_rig(rigs: Callable[..., Rig]) -> None:
    with open_ephys() as gui:
        follow = (
            f"[Remote gui]\nKIND = OpenEphysStart\nPORT = {gui.port}\nPOLL_MS = 10\n"
        )
        gui.mode = "ACQUIRE"
        looked = threading.Event()
        answer = gui.answer

        def answered(*words: Any) -> dict[str, Any]:
            found = answer(*words)
            looked.set()
            return found

        gui.answer = answered  # type: ignore[method-assign]
        rig = rigs(follow)
        rig.session.do(Action.ARM)
        assert looked.wait(60)
        gui.mode = "RECORD"
        rig.until(lambda: rig.session.state.started_by == "gui")
        videos(rig)
        rig.runs()
        gui.mode = "IDLE"
        rig.until(lambda: rig.experiments == [True, False])
    asked = [r for r in rig.session.state.requests if r.remote == "gui"]
    assert [each.arguments for each in asked] == [
        "mode ACQUIRE to RECORD",
        "mode RECORD to IDLE",
    ]


def test_a_port_in_use_is_said_and_the_rig_can_not_be_armed(
    rigs: Callable[..., Rig],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rig = rigs(TCP.format(port=taken.getsockname()[1]))
        rig.session.do(Action.ARM)
        rig.poll()
    assert not rig.session.state.armed
    assert rig.failures[0].startswith("[Remote lab] HOST = 127.0.0.1, PORT = ")
    assert rig.failures[1].startswith("Cannot arm: [Remote lab]")


def test_nobody_listens_before_and_after_the_stream(rigs: Callable[..., Rig]) -> None:
    port = free_port()
    rig = rigs(TCP.format(port=port))
    rig.session.do(Action.STOP_STREAM)
    rig.until(lambda: rig.session.state.phase is Phase.IDLE)
    with pytest.raises(OSError, match="refused"):
        tell(port, "start")


def test_a_message_while_the_stream_ends_is_answered_at_once(
    rigs: Callable[..., Rig],
) -> None:
    answers: list[str] = []
    rig = rigs(TTL)
    asked = RemoteCommand("start", 1, answer=answers.append)
    rig.session._remotes.links._events.put(("line", asked))
    rig.session._remotes.links.close()
    assert answers == ["error: the stream has ended"]


def test_what_the_user_starts_afterwards_is_not_the_remotes(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(TTL + "IF_LOST = stop\n")
    rig.session.do(Action.ARM)
    rig.ttl(True, 1)
    rig.ttl(False, 1)
    assert rig.session.state.started_by == "line"
    rig.session.do(Action.START_RECORDING)
    assert rig.session.state.started_by == ""
    broken = "[Input ttl] gone: it is unknown from now on"
    rig.fake.entries.append(Note("error", broken, 1))
    rig.poll()
    rig.poll()
    assert rig.session.state.recording_starting


def test_a_rig_without_remote_controls_can_not_be_armed(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs("")
    assert Action.ARM not in rig.session.state.allowed
    assert "remote_requests" not in rig.session.state.run_facts()
    assert armed_instead(AGENDAS["experiment"], rig.session.settings) == [
        *AGENDAS["experiment"]
    ]


def test_programs_arm_what_a_remote_starts(rigs: Callable[..., Rig]) -> None:
    both = [*AGENDAS["analysis"], Action.START_RECORDING, Action.START_EXPERIMENT]
    first = rigs(TTL).session.settings
    assert armed_instead(both, first) == [*both[:3], Action.ARM]
    second = rigs(TTL + "STARTS = recording\n").session.settings
    assert armed_instead(both, second) == [*both[:2], both[3], Action.ARM]


def test_an_input_that_is_not_there_is_a_problem_of_the_settings() -> None:
    (text,) = problems(RIG + "[Remote line]\nKIND = InputStart\nINPUT = ttl\n")
    assert text.startswith("[Remote line] INPUT = ttl: no section [Input ttl]")


# --- other recorders


def test_another_recorder_starts_before_the_outputs_and_stops_after_them(
    rigs: Callable[..., Rig],
) -> None:
    with open_ephys() as gui, spike_glx() as glx:
        rig = rigs(EPHYS.format(port=gui.port, limit=30) + GLX.format(port=glx.port))
        rig.session.do(Action.START_EXPERIMENT)
        assert rig.session.state.experiment_starting
        rig.until(lambda: rig.session.state.recording_starting)
        rig.session.state = replace(rig.session.state, unrecorded=(), recording=True)
        rig.poll()
        assert rig.experiments == [] or gui.mode == "RECORD"
        rig.until(lambda: len(answered(rig)) == 2)
        rig.poll()
        assert rig.experiments == [True]
        assert (gui.mode, glx.saving) == ("RECORD", True)
        assert gui.recording["base_text"] == glx.run_name == "monday"
        rig.runs()
        rig.session.do(Action.STOP_EXPERIMENT)
        rig.runs(False)
        rig.until(lambda: len(answered(rig)) == 4)
        assert (gui.mode, glx.saving) == ("ACQUIRE", False)
    told = {(each.remote, each.command) for each in answered(rig)}
    assert told == {(n, c) for n in ("ephys", "glx") for c in ("start", "stop")}
    assert [r.command for r in rig.session.state.requests if r.sender == "user"] == [
        "Start Experiment",
        "Stop Experiment",
    ]
    assert rig.failures == []


def test_a_recorder_that_does_not_answer_keeps_the_experiment_from_starting(
    rigs: Callable[..., Rig],
) -> None:
    rig = rigs(EPHYS.format(port=free_port(), limit=0.2))
    rig.session.do(Action.START_EXPERIMENT)
    rig.until(lambda: not rig.session.state.experiment_starting)
    (text,) = rig.failures
    assert text.startswith(
        "Cannot start because [Remote ephys] no answer from 127.0.0.1:"
    )
    assert rig.experiments == []
    assert not rig.session.state.recording_starting


def test_a_recorder_that_is_not_needed_is_a_warning(rigs: Callable[..., Rig]) -> None:
    rig = rigs(EPHYS.format(port=free_port(), limit=0.2) + "NEEDED = no\n")
    rig.until(lambda: "ephys" in rig.session.state.remotes)
    (found,) = recorder_findings(rig.session.settings, rig.session.state)
    assert (found.grave, found.good) == (False, False)
    rig.session.do(Action.START_EXPERIMENT)
    rig.until(lambda: rig.session.state.recording_starting)
    rig.session.state = replace(rig.session.state, unrecorded=(), recording=True)
    rig.until(lambda: bool(answered(rig)))
    rig.poll()
    assert rig.experiments == [True]
    assert any("no answer" in text for text in rig.failures)


@pytest.mark.usefixtures("patient_requests")
@pytest.mark.parametrize("words", ["", "NEEDED = no\n"])
def test_an_experiment_does_not_start_beside_a_recorder_that_did_not(
    rigs: Callable[..., Rig], words: str
) -> None:
    """It failed at the start of a recording of the user, and answers again."""
    with open_ephys() as gui:
        gui.refuses = True
        rig = rigs(EPHYS.format(port=gui.port, limit=1) + words)
        rig.session.do(Action.START_RECORDING)
        rig.until(lambda: bool(answered(rig)))
        rig.session.state = replace(rig.session.state, unrecorded=(), recording=True)
        rig.session.do(Action.START_EXPERIMENT)
        rig.until(
            lambda: rig.session.experiment_start.phase is not StartPhase.RECORDERS
        )
        rig.poll()
    text = "[Remote ephys] does not record; stop the recording and start it again"
    if words:
        assert rig.experiments == [True]
        assert rig.notes("preflight") == [f"warning: {text}"]
    else:
        assert rig.experiments == []
        assert rig.failures[-1] == f"Cannot start because {text}"


def test_an_experiment_does_not_wait_for_the_name_of_a_run_that_is_not_made(
    rigs: Callable[..., Rig],
) -> None:
    goes_on = CHOSEN + "ON_RECORDING_LOST = go on\n"
    with open_ephys() as gui:
        rig = rigs(EPHYS.format(port=gui.port, limit=30), RIG + goes_on)
        rig.session.state = replace(rig.session.state, run_folder=None)
        rig.session.do(Action.START_EXPERIMENT)
        rig.until(lambda: rig.session.experiment_start.phase is StartPhase.VIDEO)
        failed = "the run folder can't be made"
        rig.fake.report(messages.RecorderFailed(failed, whole=True))
        rig.poll()
    assert not rig.session.state.experiment_starting
    assert rig.experiments == []
    assert rig.notes("experiment") == [f"not started: {failed}"]


def test_a_lost_recorder_with_nothing_to_stop_is_a_whole_sentence(
    rigs: Callable[..., Rig],
) -> None:
    with open_ephys() as gui:
        rig = rigs(EPHYS.format(port=gui.port, limit=30) + "IF_LOST = stop\n")
        text = "[Remote ephys] is gone"
        answer = RecorderAnswer("ephys", "check", text, False, True, requested=False)
        rig.session._remotes.links._answered(answer)
        rig.until(lambda: bool(rig.failures))
    assert rig.failures == [f"{text}: nothing was stopped (IF_LOST = stop)"]


@pytest.mark.usefixtures("patient_requests")
def test_a_recorder_that_does_not_start_cancels_the_experiment(
    rigs: Callable[..., Rig],
) -> None:
    with open_ephys() as gui:
        gui.refuses = True
        rig = rigs(EPHYS.format(port=gui.port, limit=1))
        rig.session.do(Action.START_EXPERIMENT)
        rig.until(lambda: rig.session.state.recording_starting)
        rig.until(lambda: not rig.session.state.experiment_starting)
        videos(rig)
    assert rig.experiments == []
    assert rig.failures == [
        "Cannot start the experiment. [Remote ephys] Open Ephys did not begin to record"
    ]


def test_no_poll_waits_for_a_recorder_that_hangs(rigs: Callable[..., Rig]) -> None:
    """The recorder answers only when the test says so, long after these polls."""
    with open_ephys() as gui:
        gui.answers.clear()
        rig = rigs(EPHYS.format(port=gui.port, limit=30))
        rig.session.do(Action.START_EXPERIMENT)
        for _ in range(100):
            rig.poll()
        assert rig.session.state.experiment_starting
        rig.session.do(Action.STOP_EXPERIMENT)
        assert not rig.session.state.experiment_starting
        gui.answers.set()
        rig.until(lambda: not rig.session._remotes.links.awaited)
        rig.poll()
    assert rig.experiments == []
    assert gui.modes_set == []


@pytest.mark.parametrize("words", ["", "IF_LOST = stop\n"])
def test_a_recorder_that_ends_during_the_experiment_is_an_alarm(
    rigs: Callable[..., Rig], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeplabstream.engine.session.remote_links.CHECK_S", 0.01)
    with open_ephys() as gui:
        rig = rigs(EPHYS.format(port=gui.port, limit=30) + words)
        rig.session.do(Action.START_EXPERIMENT)
        rig.until(lambda: gui.mode == "RECORD")
        rig.until(lambda: bool(answered(rig)))
        videos(rig)
        rig.runs()
        gui.mode = "ACQUIRE"
        rig.until(lambda: bool(rig.session.state.alarms))
    text = rig.session.state.alarms[0].text
    assert text.startswith("[Remote ephys] Open Ephys no longer records (mode ACQUIRE)")
    assert rig.experiments == [True, False][: 1 + bool(words)]


def test_the_end_of_the_stream_stops_the_recorder_and_writes_that_down(
    rigs: Callable[..., Rig],
) -> None:
    with open_ephys() as gui:
        rig = rigs(EPHYS.format(port=gui.port, limit=30))
        rig.session.do(Action.START_RECORDING)
        rig.until(lambda: bool(answered(rig)))
        assert gui.mode == "RECORD"
        rig.session.do(Action.STOP_STREAM)
        rig.until(lambda: rig.session.state.phase is Phase.IDLE)
        assert gui.mode == "ACQUIRE"
    last = [each for each in rig.fake.recorder if isinstance(each, messages.CloseRun)]
    requests = last[0].facts["remote_requests"]
    assert isinstance(requests, list)
    commands = [each["command"] for each in requests]
    assert commands == ["Start Recording", "start", "stop"]
    assert "[Remote ephys] Open Ephys stopped recording (mode ACQUIRE)" in rig.noted


def test_a_recorder_that_hangs_at_the_end_is_given_up(
    rigs: Callable[..., Rig],
) -> None:
    with open_ephys() as gui:
        rig = rigs(EPHYS.format(port=gui.port, limit=0.2))
        rig.session.do(Action.START_RECORDING)
        rig.until(lambda: bool(answered(rig)))
        gui.answers.clear()
        rig.session.do(Action.STOP_STREAM)
        rig.until(lambda: rig.session.state.phase is Phase.IDLE)
    assert any("[Remote ephys]" in text for text in rig.failures)
