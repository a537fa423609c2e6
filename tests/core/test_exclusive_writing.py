"""Exclusive writing: one program at a time, also after another was killed."""

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from deeplabstream.core import exclusive_writing
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.exclusive_writing import exclusive
from deeplabstream.core.paths import ROOT

HOLD = """
import sys
from pathlib import Path
from deeplabstream.core.exclusive_writing import exclusive
with exclusive(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""
ADD = """
import sys
from pathlib import Path
from deeplabstream.core import exclusive_writing
from deeplabstream.core.exclusive_writing import exclusive
exclusive_writing.PATIENCE_S = 600.0
file = Path(sys.argv[1])
for _ in range(50):
    with exclusive(file):
        file.write_text(file.read_text() + "x")
"""


def started(code: str, file: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_program_waits_and_a_killed_one_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.json"
    first = started(HOLD, file)
    assert first.stdout is not None and first.stdout.readline() == "locked\n"
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 0.0)
    with (
        pytest.raises(DeviceError, match="is being written by another program"),
        exclusive(file),
    ):
        pass
    first.kill()
    first.communicate()
    with exclusive(file):
        pass
    assert not [*tmp_path.iterdir()]


def test_nothing_that_several_programs_add_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("")
    programs = [started(ADD, file) for _ in range(3)]
    for each in programs:
        each.communicate()
        assert each.returncode == 0
    assert file.read_text() == "x" * 150


def test_threads_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 600.0)
    file, inside, most = tmp_path / "list.txt", [0], [0]

    def add() -> None:
        for _ in range(20):
            with exclusive(file):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1]


def test_a_folder_that_can_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(DeviceError, match="can't be locked"),
        exclusive(tmp_path / "none" / "list.json"),
    ):
        pass


def test_on_windows_a_folder_without_write_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the error is the one of a lock that another program is giving back."""

    def refuse(*_: object) -> int:
        raise PermissionError

    windows = SimpleNamespace(O_CREAT=0, O_EXCL=0, O_RDWR=0, O_TEMPORARY=0, open=refuse)
    monkeypatch.setattr(exclusive_writing, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(exclusive_writing, "os", windows)
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 0.0)
    with (
        pytest.raises(DeviceError, match="another program, or its folder can't be"),
        exclusive(tmp_path / "list.json"),
    ):
        pass
