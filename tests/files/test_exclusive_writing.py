"""Exclusive writing: one program at a time, also after another was killed."""

import ctypes
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.files import exclusive_writing
from deeplabstream.files.exclusive_writing import exclusive, is_locked
from deeplabstream.files.paths import ROOT

HOLD = """
import sys
from pathlib import Path
from deeplabstream.files.exclusive_writing import exclusive
with exclusive(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""
ADD = """
import sys
from pathlib import Path
from deeplabstream.files import exclusive_writing
from deeplabstream.files.exclusive_writing import exclusive
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
    assert is_locked(file)
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 0.0)
    with (
        pytest.raises(DeviceError, match="is being written by another program"),
        exclusive(file),
    ):
        pass
    first.kill()
    first.communicate()
    assert not is_locked(file) and [*tmp_path.iterdir()], "its hidden file stays"
    with exclusive(file):
        pass
    assert not is_locked(file) and not [*tmp_path.iterdir()]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens files exclusively")
def test_programs_that_ask_at_the_same_time_do_not_see_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock, file = fcntl.flock, tmp_path / "run.json"
    (tmp_path / ".run.json.lock").touch()
    asked: list[bool] = []

    def meet(handle: int, operation: int) -> None:
        lock(handle, operation)
        if not asked:
            asked.append(True)
            asked.append(is_locked(file))

    monkeypatch.setattr(fcntl, "flock", meet)
    assert not is_locked(file)
    assert asked == [True, False]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens files exclusively")
def test_a_lock_that_is_given_back_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock, file = fcntl.flock, tmp_path / "run.json"
    hidden = tmp_path / ".run.json.lock"
    hidden.touch()

    def late(handle: int, operation: int) -> None:
        hidden.unlink(missing_ok=True)
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert not is_locked(file)


def test_asking_ends_where_each_file_seems_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems count no names of a file."""
    (tmp_path / ".run.json.lock").touch()
    monkeypatch.setattr(exclusive_writing, "_is_held", lambda _: None)
    assert is_locked(tmp_path / "run.json")


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


@pytest.mark.skipif(sys.platform == "win32", reason="shares of Windows lock files")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_a_share_that_locks_no_files_is_written_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    file = tmp_path / "list.json"
    with exclusive(file):
        file.write_text("{}")
    assert [*tmp_path.iterdir()] == [file]


def test_a_lock_file_that_a_power_failure_left_is_used_again(tmp_path: Path) -> None:
    (tmp_path / ".list.json.lock").touch()
    with exclusive(tmp_path / "list.json"):
        pass
    assert not [*tmp_path.iterdir()]


class Windows:
    """CreateFileW, which fails with the errors given and then opens."""

    def __init__(self, *errors: int) -> None:
        self.errors = [*errors]
        self.asked: list[tuple[object, ...]] = []
        self.number = 0

    def create(self, *words: object) -> int | None:
        self.asked.append(words)
        if not self.errors:
            return 2**40
        self.number = self.errors.pop(0)
        return ctypes.c_void_p(-1).value

    def library(self, _name: str, use_last_error: bool) -> SimpleNamespace:
        assert use_last_error, "the interpreter's own calls would change GetLastError"
        return SimpleNamespace(
            CreateFileW=lambda *words: self.create(*words),
        )

    def error(self, number: int) -> OSError:
        return OSError(number, "The system cannot find the path specified.")


def on_windows(monkeypatch: pytest.MonkeyPatch, *errors: int) -> Windows:
    windows = Windows(*errors)
    made = SimpleNamespace(
        WinDLL=windows.library,
        get_last_error=lambda: windows.number,
        WinError=windows.error,
    )
    opened = os.open(os.devnull, os.O_RDWR)
    library = SimpleNamespace(open_osfhandle=lambda handle, _: opened)
    monkeypatch.setattr(exclusive_writing, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(exclusive_writing, "ctypes", made)
    monkeypatch.setitem(sys.modules, "msvcrt", library)
    return windows


def test_on_windows_the_file_is_open_to_nobody_else_and_deleted_with_the_handle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = on_windows(monkeypatch, 32, 5)
    with exclusive(tmp_path / "list.json"):
        assert len(windows.asked) == 3, "in use, then being deleted, then free"
    name, access, shared, _, made, flags, _ = windows.asked[-1]
    assert name == str(tmp_path / ".list.json.lock")
    assert (access, shared) == (0x40010000, 0)
    assert (made, flags) == (4, 0x04000000), "OPEN_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE"


@pytest.mark.parametrize(("number", "held"), [(5, False), (32, True)])
def test_on_windows_a_lock_file_that_is_read_only_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, held: bool
) -> None:
    """One that a power failure left; "in use" means that a program has it open alone."""
    on_windows(monkeypatch, *[number] * 1000)
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 0.0)
    (tmp_path / ".run.json.lock").touch()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "another process uses it")

    if held:
        monkeypatch.setattr(Path, "open", refuse)
    assert is_locked(tmp_path / "run.json") is held
    said = "is being written by another program" if held else "can't be locked: The"
    with pytest.raises(DeviceError, match=said), exclusive(tmp_path / "run.json"):
        pass


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (5, "another program, or its folder can't be"),
        (3, "can't be locked: The system"),
    ],
)
def test_on_windows_an_error_that_stays_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """Without permission to write, the error is that of a lock that is being given back."""
    on_windows(monkeypatch, *[number] * 1000)
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 0.0)
    with pytest.raises(DeviceError, match=said), exclusive(tmp_path / "list.json"):
        pass
