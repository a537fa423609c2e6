"""What keeps a port or hides the end of a process: locks, frozen guards, forked children."""

import fcntl
import os
import select
import signal
from pathlib import Path
from time import perf_counter

import pytest

from deeplabstream.engine.session.process_manager import SILENT_S, TAKE_OVER_S
from tests.engine.killable import laser_on
from tests.engine.patient_guards import use_patient_guards, use_real_guards
from tests.engine.tolerant import GIVE_UP_S

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="needs pseudo-terminals and pidfds: Linux"
)


def test_a_lock_of_another_program_does_not_keep_a_laser_on(tmp_path: Path) -> None:
    """It takes the lock when the engine was killed, and never lets go."""
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        other = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        rig.kill("engine", number=signal.SIGSTOP)
        rig.kill("guard", "second guard", number=signal.SIGSTOP)
        os.kill(rig.pids["engine"], signal.SIGKILL)
        assert select.select([rig.pidfds["engine"]], [], [], GIVE_UP_S)[0]
        fcntl.flock(other, fcntl.LOCK_EX)
        for name in ("guard", "second guard"):
            os.kill(rig.pids[name], signal.SIGCONT)
        assert rig.heard() == b"L"
        rig.listen()
        assert rig.edges()[-1][0] == 0
        os.close(other)


def test_a_port_that_comes_back_is_opened(tmp_path: Path) -> None:
    """Its name vanishes, as when a cable is pulled, for longer than a guard used to try."""
    port = tmp_path / "port"
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        place = port.readlink()
        port.unlink()
        rig.kill("engine")
        while "may still be on" not in rig.failures():
            rig.news.append(rig.said.recv())
        port.symlink_to(place)
        assert rig.heard() == b"L"
        rig.listen()
        assert rig.edges()[-1] == (0.0, "guard")
        assert rig.last_words().endswith("outputs are off")


@pytest.mark.parametrize("engine", [signal.SIGKILL, signal.SIGSTOP])
def test_frozen_guards_do_not_keep_a_laser_on(
    tmp_path: Path, engine: signal.Signals
) -> None:
    """The main process ends them, and acts."""
    with laser_on(tmp_path, guards=use_real_guards) as rig:
        rig.kill("guard", "second guard", number=signal.SIGSTOP)
        began_s = perf_counter()
        rig.kill("engine", number=engine)
        assert rig.heard() == b"L"
        assert perf_counter() - began_s < TAKE_OVER_S / 2 + SILENT_S
        rig.listen()
        assert rig.edges()[-1] == (0.0, "main process")
