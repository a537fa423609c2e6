"""Other recorders that start and stop with the rig: Open Ephys, SpikeGLX, TCP, ZeroMQ."""

import re
import socket
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import DeviceError, RemoteRecorder
from outputs.remotes.limits import (
    MOST_BYTES,
    answer_within,
    lines_of,
)
from outputs.remotes.open_ephys import PORT, OpenEphysServer
from outputs.remotes.zmtp import answer_to

_PAUSE_S = 0.05


@settings(frozen=True, kw_only=True)
class OpenEphysRecorder(RemoteRecorder):
    """Open Ephys' GUI (0.6 or later), by its HTTP server."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address of the computer of the GUI"
    )
    port: int = Field(
        PORT, gt=0, lt=65_536, description="port of the GUI's HTTP server"
    )
    directory: str = Field(
        "",
        description="folder on that computer in which it records; empty: as set there",
    )
    base_text: str = Field(
        "{run}",
        description="name of its recording; {run} is the name of our run folder; empty: as "
        "set there",
    )
    afterwards: Literal["acquire", "idle"] = Field(
        "acquire",
        description="what it does after the recording: acquire, or nothing",
    )

    @property
    def _server(self) -> OpenEphysServer:
        return OpenEphysServer(self.host, self.port, self.timeout_s)

    def check(self, recording: bool) -> str:
        """Check its mode and its record nodes."""
        mode = self._server.mode()
        if recording:
            if mode != "RECORD":
                raise DeviceError(f"Open Ephys no longer records (mode {mode})")
            return "Open Ephys records"
        if mode == "RECORD":
            raise DeviceError("Open Ephys is recording already; stop it there")
        nodes = self._server.get("/api/recording").get("record_nodes")
        if not nodes:
            raise DeviceError(
                "Open Ephys has no Record Node in its signal chain; add one there"
            )
        return f"Open Ephys answers (mode {mode}, record nodes: {len(nodes)})"

    def start(self, run: str) -> str:
        """Set folder and name, then record."""
        server = self._server
        before = server.mode()
        if before == "RECORD":
            raise DeviceError("Open Ephys is recording already; stop it there")
        options = {"start_new_directory": "true"}
        if self.directory:
            options["parent_directory"] = self.directory
        if self.base_text:
            options["base_text"] = self.base_text.replace("{run}", run)
        where = server.put("/api/recording", options)
        try:
            mode = server.set_mode("RECORD")
            _wait(
                lambda: mode == "RECORD" or server.mode() == "RECORD",
                self.timeout_s,
                "Open Ephys did not begin to record",
            )
            server.put("/api/message", {"text": f"DeepLabStream run {run}"})
        except Exception:  # it may have started without an answer
            with suppress(DeviceError):
                server.set_mode(before)
            raise
        name = f"{where.get('base_text', '')}"
        return f"Open Ephys records, base text {name}" if name else "Open Ephys records"

    def stop(self) -> str:
        """Leave mode RECORD; a GUI that does not record is not changed."""
        server = self._server
        if (mode := server.mode()) != "RECORD":
            return f"Open Ephys had stopped recording before (mode {mode})"
        mode = server.set_mode("ACQUIRE" if self.afterwards == "acquire" else "IDLE")
        if mode == "RECORD":
            raise DeviceError("Open Ephys did not stop recording; stop it there")
        return f"Open Ephys stopped recording (mode {mode})"


@settings(frozen=True, kw_only=True)
class SpikeGLXRecorder(RemoteRecorder):
    """SpikeGLX, by its command server (Options, Command Server Settings)."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address of the computer of SpikeGLX"
    )
    port: int = Field(4142, gt=0, lt=65_536, description="port of its command server")
    run_name: str = Field(
        "{run}",
        description="its run name; {run} is the name of our run folder; empty: as set there",
    )
    start_run: bool = Field(
        False,
        description="yes: its run (the acquisition) starts and stops with the recording; no: "
        "its run must be running, only the writing of files is switched",
        title="Start its run",
    )

    def check(self, recording: bool) -> str:
        """Request version, run name and file status."""
        with self._linked() as query:
            version = query("GETVERSION")
            running, saving = query("ISRUNNING") == "1", query("ISSAVING") == "1"
        if recording:
            if not saving:
                raise DeviceError("SpikeGLX no longer writes files")
            return "SpikeGLX writes files"
        if saving:
            raise DeviceError("SpikeGLX is writing files already; stop it there")
        if not running and not self.start_run:
            raise DeviceError(
                "SpikeGLX answers, but its run is not started: start it there, with file "
                "writing off, or set START_RUN = yes"
            )
        return f"SpikeGLX answers ({version}; run {'on' if running else 'off'})"

    def start(self, run: str) -> str:
        """Set the run name, then write files."""
        name = re.sub(r'[/\\\[\]<>*":;,?|=]', "_", self.run_name.replace("{run}", run))
        undo: list[str] = []
        try:
            with self._linked() as query:
                return self._begin(query, name, undo)
        except Exception:  # it may have set the name without an answer
            for command in undo:
                with suppress(DeviceError), self._linked() as query:
                    query(command)
            raise

    def _begin(self, query: Callable[[str], str], name: str, undo: list[str]) -> str:
        """Start writing files; `undo` collects the commands that stop it again."""
        if query("ISSAVING") == "1":
            raise DeviceError("SpikeGLX is writing files already; stop it there")
        if name:
            query(f"SETRUNNAME {name}")
        if self.start_run and query("ISRUNNING") != "1":
            undo.append("STOPRUN")
            query("STARTRUN")
            _wait(
                lambda: query("ISRUNNING") == "1",
                self.timeout_s,
                "the run of SpikeGLX did not start",
            )
        undo.insert(0, "SETRECORDENAB 0")
        query("SETRECORDENAB 1")
        _wait(
            lambda: query("ISSAVING") == "1",
            self.timeout_s,
            "SpikeGLX has enabled recording but writes no file; are its gate and "
            "trigger immediate?",
        )
        return f"SpikeGLX writes files, run name {query('GETRUNNAME')}"

    def stop(self) -> str:
        """Stop writing files."""
        with self._linked() as query:
            if query("ISRUNNING") != "1":
                return "the run of SpikeGLX had stopped before"
            query("SETRECORDENAB 0")
            if self.start_run:
                query("STOPRUN")
            what = "ISRUNNING" if self.start_run else "ISSAVING"
            _wait(
                lambda: query(what) == "0",
                self.timeout_s,
                "SpikeGLX still writes files; stop it there",
            )
        return "SpikeGLX stopped writing files"

    @contextmanager
    def _linked(self) -> Iterator[Callable[[str], str]]:
        """Connect, and yield a function that sends a command and returns the answer's first line.

        The answer to a command is any number of lines and then OK, or `ERROR …`.
        """
        where = f"{self.host}:{self.port}"
        try:
            with (
                socket.create_connection(
                    (self.host, self.port), self.timeout_s
                ) as link,
                link.makefile("rw", encoding="utf-8", newline="\n") as lines,
            ):

                def query(command: str) -> str:
                    lines.write(f"{command}\n")
                    lines.flush()
                    found: list[str] = []
                    with answer_within(link, self.timeout_s):
                        for line in takewhile(
                            lambda line: line != "OK", lines_of(lines)
                        ):
                            if line.startswith("ERROR"):
                                raise DeviceError(f"SpikeGLX refused: {line[6:]}")
                            if not line:
                                raise DeviceError(f"{where} closed the connection")
                            found.append(line)
                    return found[0] if found else ""

                yield query
        except (OSError, UnicodeDecodeError) as error:
            raise DeviceError(
                f"no answer from {where} ({_reason(error)}); is SpikeGLX open, and its "
                "command server enabled?"
            ) from error


@settings(frozen=True, kw_only=True)
class _Messages(RemoteRecorder):
    """Base of the recorders that receive a text at start and stop."""

    host: str = Field("127.0.0.1", min_length=1, description="address of the receiver")
    port: int = Field(gt=0, lt=65_536, description="port of the receiver")
    start_text: str = Field(
        "start {run}",
        min_length=1,
        description="what is sent at the start; {run} is the name of our run folder",
    )
    stop_text: str = Field("stop", min_length=1, description="what is sent at the stop")
    check_text: str = Field(
        "status",
        description="what is sent to ask whether it is there; empty: nothing is asked",
    )
    good_answer: str = Field(
        "ok",
        description="beginning of each good answer, in lower or upper case; any other "
        "answer is an error",
    )

    def check(self, recording: bool) -> str:
        """Check whether it answers."""
        if not self.check_text:
            return "is not asked before the start (CHECK_TEXT is empty)"
        return f"answers: {self._sent(self.check_text)}"

    def start(self, run: str) -> str:
        """Send the start; without an answer also the stop, because it may have started."""
        try:
            return f"was started: {self._sent(self.start_text.replace('{run}', run))}"
        except _NoAnswerError:
            with suppress(DeviceError):
                self._exchange(self.stop_text)
            raise

    def stop(self) -> str:
        """Send the stop."""
        return f"was stopped: {self._sent(self.stop_text)}"

    def _sent(self, text: str) -> str:
        answer = self._exchange(text).strip()[:200]
        if not answer and self.good_answer:
            place = f"{self.host}:{self.port}"
            raise _NoAnswerError(f"no answer from {place} (it closed the connection)")
        if not answer.lower().startswith(self.good_answer.lower()):
            raise DeviceError(
                f"{self.host}:{self.port} answered {answer!r} to {text!r}; a good answer "
                f"begins with {self.good_answer!r}"
            )
        return answer

    @abstractmethod
    def _exchange(self, text: str) -> str:
        """Send a text, return the answer."""

    def _silent(self, error: Exception) -> DeviceError:
        place = f"{self.host}:{self.port}"
        return _NoAnswerError(f"no answer from {place} ({_reason(error)})")


@settings(frozen=True, kw_only=True)
class TcpRecorder(_Messages):
    """Any program that takes a line over TCP and answers with a line."""

    def _exchange(self, text: str) -> str:
        try:
            with (
                socket.create_connection(
                    (self.host, self.port), self.timeout_s
                ) as link,
                answer_within(link, self.timeout_s),
                link.makefile("r", encoding="utf-8", errors="replace") as lines,
            ):
                link.sendall(f"{text}\n".encode())
                return lines.readline(MOST_BYTES)
        except OSError as error:
            raise self._silent(error) from error


@settings(frozen=True, kw_only=True)
class ZmqRecorder(_Messages):
    """Any program that takes a ZeroMQ request (REP) and answers it."""

    def _exchange(self, text: str) -> str:
        place = self.host, self.port
        try:
            answer = answer_to(place, text, MOST_BYTES, self.timeout_s)
        except OSError as error:
            raise self._silent(error) from error
        if answer is None:
            raise _NoAnswerError(
                f"the answer of {self.host}:{self.port} is longer than {MOST_BYTES} bytes"
            )
        return answer.decode("utf-8", "replace")


class _NoAnswerError(DeviceError):
    """A receiver did not answer; it may have carried out the request."""


def _wait(done: Callable[[], bool], seconds: float, problem: str) -> None:
    """Poll until the condition is met; DeviceError: not in time."""
    last_s = time.perf_counter() + seconds
    while not done():
        if time.perf_counter() >= last_s:
            raise DeviceError(problem)
        time.sleep(_PAUSE_S)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
