"""Which rings an engine maps when a camera was opened again, and what boards report meanwhile."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.processes.child_process import EngineLinks
from deeplabstream.engine.processes.engine_process import _Engine
from deeplabstream.engine.session.messages import ProblemReport
from deeplabstream.ipc.journal import Journal
from deeplabstream.ipc.ring import RingWriter
from deeplabstream.plugins.output import DeviceReport, Output, Write
from deeplabstream.settings.loading import parse
from tests.engine.stream import FORM, memory


class _FedWrite:
    """An `AutonomousWrite` that notes the times of heartbeats, in ns."""

    def __init__(self) -> None:
        self.beats: list[int] = []
        self.on_report: Callable[[DeviceReport], object] = lambda done: None

    def __call__(self, level: float) -> None:
        return

    def train(self, level: float, width_s: float, period_s: float, count: int) -> None:
        return

    def heartbeat(self, now_ns: int) -> None:
        self.beats.append(now_ns)

    def check(self) -> None:
        return


@settings(frozen=True, kw_only=True)
class _Fed(Output):
    """An output of a board with a watchdog."""

    @contextmanager
    def opened(self) -> Iterator[Write]:
        yield WRITE


WRITE = _FedWrite()


@contextmanager
def engine_of(folder: Path, journal: Journal) -> Iterator[_Engine]:
    """Yield an engine without a process, with an open output of a board."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    links = EngineLinks((), spawn.Semaphore(0), spawn.Semaphore(0), (), journal.spec, 0)
    settings = parse("[Camera top]\nKIND = SimulatedCamera\n", folder)
    with (
        ours,
        theirs,
        ExitStack() as resources,
        opened({"valve": _Fed()}, SystemClock(), lambda entry: None) as bank,
    ):
        engine = _Engine(settings, theirs, links, resources)
        engine.device_manager.bank = bank
        yield engine
        engine.attach(())
        engine.device_manager.bank = None


def test_only_the_ring_of_the_camera_that_was_opened_again_is_mapped(
    tmp_path: Path,
) -> None:
    with (
        memory("top", "side") as (rings, journal),
        memory("side") as (again, _),
        engine_of(tmp_path, journal) as engine,
    ):
        top, side = (ring.spec for ring in rings.values())
        engine.attach((top, side))
        kept, closed = engine.readers
        writer = RingWriter(rings["top"])
        writer.slot()
        writer.publish(7, 70, 71)
        engine.attach((top, again["side"].spec))
        assert engine.readers[0] is kept
        assert engine.readers[1].spec == again["side"].spec
        frame = kept.newest()
        assert frame is not None and frame.index == 7, "its frames are not skipped"
        with pytest.raises(ValueError, match="released"):
            closed.newest()


@pytest.mark.skipif(sys.platform != "linux", reason="mapped in pieces on Linux only")
def test_a_board_is_fed_while_a_large_ring_is_mapped(tmp_path: Path) -> None:
    large = ImageFormat((1024, 1024), 30.0)
    with (
        memory(side=large, top=FORM, slots=16) as (rings, journal),
        engine_of(tmp_path, journal) as engine,
    ):
        before = len(WRITE.beats)
        engine.attach((rings["side"].spec,))
        assert len(WRITE.beats) - before >= 4, "once per 4 MiB"
        assert engine.feeds_watchdog


def test_an_alarm_of_the_engine_ends_no_program_and_an_error_does(
    tmp_path: Path,
) -> None:
    ours, theirs = get_context("spawn").Pipe()
    with (
        ours,
        theirs,
        memory("top") as (_, journal),
        engine_of(tmp_path, journal) as it,
    ):
        it.pipe = theirs
        for kind in ("identity", "alarm", "error"):
            it.write(Note(kind, f"Traceback …\n[Trigger left] {kind}", 1))
        sent = []
        while ours.poll():
            sent.append(ours.recv())
        assert sent == [
            ProblemReport("[Trigger left] alarm", grave=False),
            ProblemReport("[Trigger left] error", grave=True),
        ]
