"""Files that somebody looks into while they are to be replaced, as on Windows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.files import atomic_replace
from deeplabstream.files.atomic_replace import (
    RewrittenFile,
    atomic_file,
    replace,
    write_json,
)


class Windows:
    """Refuses to replace a file as long as it has `readers`; one goes at each attempt."""

    def __init__(self, readers: int, number: int) -> None:
        self.readers, self.number = readers, number
        self._replace = Path.replace

    def __call__(self, draft: Path, file: Path) -> Path:
        if self.readers:
            self.readers -= 1
            error = PermissionError(13, "Access is denied", str(draft))
            error.winerror = self.number  # type: ignore[attr-defined,unused-ignore]
            raise error
        return self._replace(draft, file)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    draft, file = tmp_path / "run.json.new", tmp_path / "run.json"
    draft.write_text("new", encoding="utf-8")
    file.write_text("old", encoding="utf-8")
    return draft, file


@pytest.mark.parametrize("number", [5, 32])
def test_a_reader_is_waited_for(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    windows = Windows(readers=3, number=number)
    monkeypatch.setattr(Path, "replace", lambda draft, file: windows(draft, file))
    replace(*files)
    draft, file = files
    assert file.read_text(encoding="utf-8") == "new"
    assert not draft.exists()


def test_a_reader_that_stays_is_told_by_the_name_of_the_file(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(readers=10**9, number=5)
    monkeypatch.setattr(Path, "replace", lambda draft, file: windows(draft, file))
    monkeypatch.setattr(atomic_replace, "PATIENCE_S", 0.02)
    draft, file = files
    with pytest.raises(PermissionError, match="another program") as caught:
        replace(draft, file)
    assert caught.value.filename == str(file)
    assert file.read_text(encoding="utf-8") == "old"
    assert draft.read_text(encoding="utf-8") == "new"


def test_what_no_waiting_mends_is_an_error_at_once(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(readers=2, number=0)
    monkeypatch.setattr(Path, "replace", lambda draft, file: windows(draft, file))
    with pytest.raises(PermissionError, match="denied"):
        replace(*files)
    assert windows.readers == 1


def test_a_real_reader_is_waited_for(files: tuple[Path, Path]) -> None:
    draft, file = files
    code = "import sys\nwith open(sys.argv[1]):\n print(flush=True)\n input()"
    command = [sys.executable, "-c", code, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as reader:  # type: ignore[call-overload]
        reader.stdout.readline()
        reader.stdin.write(b"\n")
        reader.stdin.flush()
        replace(draft, file)  # on Windows while the reader still has it open, or had
    assert file.read_text(encoding="utf-8") == "new"


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "top.labelled.mkv"
    with atomic_file(path) as draft:
        draft.write_text("frames", "utf-8")
        draft.with_suffix(".frames.csv").write_text("table", "utf-8")
        assert draft.name == path.name, "formats are chosen by the ending"
        assert not path.exists()
    assert {each.name: each.read_text("utf-8") for each in path.parent.iterdir()} == {
        "top.labelled.mkv": "frames",
        "top.labelled.frames.csv": "table",
    }


def test_after_an_error_the_file_of_before_is_there_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "poses.csv"
    path.write_text("of before", "utf-8")

    def fail() -> None:
        with atomic_file(path) as draft:
            draft.write_text("half", "utf-8")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert path.read_text("utf-8") == "of before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_removed_while_another_is_written_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, copy = tmp_path / "poses.csv", shutil.copymode

    def late(source: Path, target: Path) -> None:
        file.unlink()
        copy(source, target)

    file.touch()
    monkeypatch.setattr(shutil, "copymode", late)
    with atomic_file(file) as draft:
        draft.write_text("new", "utf-8")
    assert file.read_text("utf-8") == "new"


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "poses.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_named_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**named: str) -> str:
        raise PermissionError(13, "Permission denied", f"{tmp_path}/.table.x1")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    with (
        pytest.raises(PermissionError, match=r"Permission denied.*/table\.csv"),
        atomic_file(tmp_path / "table.csv"),
    ):
        raise AssertionError("no draft was made")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o664, 0o464])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "settings.ini"
    file.touch()
    file.chmod(mode)
    with atomic_file(file) as draft:
        draft.write_text("new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    with (
        pytest.raises(OSError, match="not a regular file") as refused,
        atomic_file(pipe),
    ):
        pass
    assert refused.value.filename == str(pipe)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("asked", [True, False])
def test_a_file_that_a_power_cut_must_not_empty_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    file, synced = tmp_path / "m1.json", []

    def sync(number: int) -> None:
        synced.append((os.fstat(number).st_size, file.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write_json(file, {"animal": "m1"}, through_power_cut=asked)
    assert synced[:1] == ([(file.stat().st_size, False)] if asked else [])
    # then the folder with its name, which Windows can't sync
    has_name = [exists for _, exists in synced[1:]]
    assert has_name == ([True] if asked and sys.platform != "win32" else [])


def test_a_rewritten_file_is_whole_and_alone_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "box" / "status.json"
    file = RewrittenFile(path)
    for number in range(3):
        file.write_json({"number": number})
        assert json.loads(path.read_text("utf-8")) == {"number": number}
    assert [*path.parent.iterdir()] == [path]


def test_writing_a_file_again_adds_no_names_to_pythons_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python stores each part of a new path; a table of them grew in long runs."""
    stored: set[str] = set()
    intern = sys.intern
    monkeypatch.setattr(sys, "intern", lambda text: (stored.add(text), intern(text))[1])
    file = RewrittenFile(tmp_path / "status.json")
    file.write_json({"number": 1})
    first = {*stored}
    file.write_json({"number": 2})
    assert stored == first


def test_a_rewritten_file_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    with pytest.raises(DeviceError, match=r"Can't write .*status\.json: "):
        RewrittenFile(tmp_path / "status.json").write_json({})
