"""Searching folders that other processes change."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from deeplabstream.files.paths import paths_below
from deeplabstream.offline.ibl.alf import sessions_under
from deeplabstream.offline.ibl.trial_activity import signals
from deeplabstream.training.data.label_book import open_book


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Return what has a folder removed after it was listed, before it is opened."""
    real = os.scandir

    def remove(folder: Path) -> Path:
        folder.mkdir(parents=True)

        def scandir(path: "os.PathLike[str] | str" = ".") -> object:
            if str(path) == str(folder) and folder.exists():
                folder.rmdir()
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        return folder

    return remove


def test_files_and_folders_below_are_sorted_and_match(tmp_path: Path) -> None:
    (tmp_path / "b" / "inner.txt").mkdir(parents=True)
    (tmp_path / "b" / "inner.txt" / "a.txt").touch()
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.csv").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in paths_below(tmp_path)]
    assert found == ["a.csv", "a.txt", "b", "b/inner.txt", "b/inner.txt/a.txt"]
    assert paths_below(tmp_path, "*.txt") == sorted(tmp_path.rglob("*.txt"))


def test_nothing_is_below_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert paths_below(tmp_path / "file") == []
    assert paths_below(tmp_path / "missing") == []


def test_a_folder_that_vanishes_is_passed_over(
    tmp_path: Path, removed: Callable[[Path], Path]
) -> None:
    (tmp_path / "kept").touch()
    vanished = removed(tmp_path / "draft")
    assert tmp_path / "kept" in paths_below(tmp_path)
    assert not vanished.exists()


def test_a_disk_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise files of a run would be missing in its copy without a word."""

    def fail(_: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(OSError, match="Input/output error"):
        paths_below(tmp_path)


def test_sessions_are_found_while_another_worker_writes(
    tmp_path: Path, removed: Callable[[Path], Path]
) -> None:
    session = tmp_path / "mouse" / "2026-01-01" / "001"
    (session / "raw_video_data").mkdir(parents=True)
    vanished = removed(tmp_path / "queue" / ".status.draft")
    assert list(sessions_under(tmp_path)) == [session]
    assert not vanished.exists()


def test_a_wheel_is_found_while_another_worker_writes(
    tmp_path: Path, removed: Callable[[Path], Path]
) -> None:
    alf = tmp_path / "alf"
    (alf / "task_00").mkdir(parents=True)
    for name in ("position", "timestamps"):
        np.save(alf / "task_00" / f"_ibl_wheel.{name}.npy", np.arange(5.0))
    vanished = removed(alf / ".features.draft")
    (wheel,) = signals(tmp_path)
    assert wheel.name == "wheel velocity"
    assert not vanished.exists()


def test_labels_are_opened_while_another_program_saves(
    tmp_path: Path, removed: Callable[[Path], Path]
) -> None:
    clip = tmp_path / "labeled-data" / "clip"
    clip.mkdir(parents=True)
    (clip / "img001.png").touch()
    draft = clip / ".img002.draft"
    draft.mkdir()
    (draft / "img002.png").touch()
    vanished = removed(clip / ".CollectedData.draft")
    book = open_book(tmp_path, ["nose"])
    assert [Path(name).name for name in book.names] == ["img001.png"]
    assert not vanished.exists()
