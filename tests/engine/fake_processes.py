"""Processes of a session that keep what they are sent, and report what a test has them report."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

from deeplabstream.core.clock import Clock
from deeplabstream.core.journal_entries import Entry
from deeplabstream.engine.checks.preflight import PreflightResult
from deeplabstream.engine.session.process_manager import ProcessManager
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import SessionState
from deeplabstream.settings.loading import Settings, parse

Preflight: TypeAlias = Callable[[Settings, SessionState], Iterable[PreflightResult]]


class FakeProcesses:
    """Stands for `ProcessManager`: `engine` and `recorder` have the messages sent to them."""

    def __init__(self) -> None:
        self.engine: list[object] = []
        self.recorder: list[object] = []
        self.entries: list[Entry] = []
        """Entries of the journal that the session has not read yet."""
        self.findings: list[PreflightResult] = []
        """What the pre-flight check finds."""
        self.rings: dict[str, object] = {}
        self.left_on: tuple[str, ...] = ()
        self.cut_short = self.taken_over = False
        self.known_stops = 0
        self.outputs: dict[str, object] = {}
        self.journal = SimpleNamespace(waiting=0)
        self.journal_reader: Any = SimpleNamespace(read=self._read)
        self.send_engine = self.engine.append
        self.send_recorder = self.recorder.append
        self._reports: list[object] = []
        process = SimpleNamespace(pid=None, name="fake")
        self.children = [SimpleNamespace(process=process, received=self._received)]

    def report(self, *reports: object) -> None:
        """Have processes report these messages; the next poll reads them."""
        self._reports += reports

    def announce_resources(self, run: Path) -> None:
        """Nothing is shared."""

    def take(self, entry: Entry) -> None:
        """Nothing is kept."""

    def end_silent_engine(self, now_ns: int) -> str:
        return ""

    def ended_early(self) -> list[str]:
        return []

    def keep_plate_watch(self, now_ns: int) -> str:
        return ""

    def ending(self, *others: Any) -> Iterator[None]:
        """Wait for other recorders, then send the last messages, as the real ones do."""
        last_messages, _, remotes = others
        yield
        yield from remotes
        self.recorder += last_messages()

    def _read(self) -> list[Entry]:
        entries, self.entries[:] = [*self.entries], []
        return entries

    def _received(self) -> list[object]:
        reports, self._reports = self._reports, []
        return reports


def session_of(
    fake: FakeProcesses,
    folder: Path,
    text: str,
    clock: Clock | None = None,
    preflight: Preflight = lambda settings, state: (),
) -> RigSession:
    """Return a session of a rig with these processes.

    Its pre-flight check finds `fake.findings`, and what `preflight` yields.
    """

    def start(settings: Settings, zero_ns: int) -> ProcessManager:
        return cast("ProcessManager", fake)

    def inspect(settings: Settings, state: SessionState) -> list[PreflightResult]:
        return [*fake.findings, *preflight(settings, state)]

    return RigSession(parse(text, folder), start, inspect, clock)
