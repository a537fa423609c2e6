"""Shared memory of programs that were killed while they started: the next start removes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.ipc.ring import SharedBlock, create_block
from deeplabstream.ipc.shared_memory_cleanup import new_name, remove_abandoned

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm")
MAKING = """
import os, signal
from deeplabstream.ipc.ring import create_block
from deeplabstream.ipc.semaphore import opened_semaphore
from multiprocessing import resource_tracker
block, semaphore = create_block(100_000), opened_semaphore()
print(block.name, "sem." + semaphore._semlock.name.lstrip("/"), flush=True)
os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_program() -> tuple[Path, ...]:
    made = subprocess.run(
        [sys.executable, "-c", MAKING], stdout=subprocess.PIPE, text=True, check=False
    )
    return tuple(Path("/dev/shm") / name for name in made.stdout.split())


def test_the_next_start_removes_what_a_killed_program_left() -> None:
    left = left_by_a_killed_program()
    assert all(path.exists() for path in left)
    assert len(left) == 2
    ours = create_block(1000)
    try:
        remove_abandoned()
        assert not any(path.exists() for path in left)
        assert (Path("/dev/shm") / ours.name).exists()
    finally:
        ours.drop()
        ours.unlink()


def test_memory_that_another_process_still_uses_is_kept() -> None:
    """Such as the recorder of a main process that was killed."""
    memory, _ = left_by_a_killed_program()
    used = SharedBlock(memory.name)
    remove_abandoned()
    assert memory.exists()
    used.drop()
    remove_abandoned()
    assert not memory.exists()
    used.unlink()


def test_files_of_other_programs_are_kept(tmp_path: Path) -> None:
    for name in ("psm_1234", "dls-notes", f"{new_name()}.txt"):
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert len([*tmp_path.iterdir()]) == 3
