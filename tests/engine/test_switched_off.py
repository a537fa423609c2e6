"""What switches the outputs off, whatever is killed: real processes, a real serial line."""

import json
import os
import signal
import threading
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from core.journal import create_journal
from engine.engine_links import EngineLinks
from engine.engine_process import _Engine
from engine.settings import parse
from tests.engine.killable import laser_on

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="needs pseudo-terminals and pidfds: Linux"
)


def test_the_engine_switches_off_when_the_main_process_is_killed(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, network_ms=400) as rig:  # off in mid-frame, not after it
        rig.kill("main")
        assert rig.heard() == b"L"
        rig.wait_for_end()
        assert (0.0, "main ended") in rig.edges()
        assert rig.edges()[-1][0] == 0
        facts = json.loads((rig.run / "run.json").read_text("utf-8"))
        assert facts["how"] == "the application ended without a word"


class _IdleLoop:
    def idle(self) -> None:
        return None


def test_an_engine_ends_when_the_pipe_of_the_main_process_is_closed(
    tmp_path: Path,
) -> None:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    guards_end, heart = spawn.Pipe(duplex=False)
    journal = create_journal(16)
    links = EngineLinks(heart, spawn.Semaphore(0), (), journal.spec, 0)
    settings = parse("[Camera top]\nKIND = SimulatedCamera\n", tmp_path)
    engine = _Engine(settings, theirs, links, ExitStack())
    loop: Any = _IdleLoop()
    engine.loop = loop
    ours.close()
    frames = threading.Thread(target=lambda: list(engine.frames()), daemon=True)
    frames.start()
    frames.join(20)
    try:
        assert not frames.is_alive()
    finally:
        for end in (theirs, guards_end, heart):
            end.close()
        journal.close()
        journal.unlink()
