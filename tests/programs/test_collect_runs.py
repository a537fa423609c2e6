"""Collection of finished runs by rclone, to a folder of this computer."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from deeplabstream.programs.collect_runs import PROGRAM
from deeplabstream.recording.run_collection import collect

needs_shell = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows runs no shell scripts"
)
needs_rclone = pytest.mark.skipif(
    shutil.which("rclone") is None, reason="rclone is not installed"
)


def run_folder(
    root: Path, name: str, ended: str | None = "2026-11-25T12:00:00Z"
) -> Path:
    """Make the parts of a run folder that a collection reads."""
    folder = root / name
    folder.mkdir(parents=True)
    facts = {"schema": 1, "started": "2026-11-25T11:00:00Z", "ended": ended}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "events.csv").write_text(f"events of {name}\n")
    return folder


@needs_rclone
def test_finished_runs_are_copied_once_and_their_checksums_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, there = tmp_path / "output", tmp_path / "there"
    run_folder(output, "first")
    run_folder(output, "running", ended=None)
    for _ in range(2):
        assert PROGRAM.main([str(output), "--to", str(there)]) == 0
        told = capsys.readouterr().out
        assert "first: checksums are equal\n" in told
        assert "1 of 2 runs are collected; 0 failed, 1 are not finished\n" in told
    assert (there / "first/events.csv").read_text() == "events of first\n"
    assert not (there / "running").exists()


@needs_rclone
def test_nothing_is_replaced_or_deleted_here_or_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, there = tmp_path / "output", tmp_path / "there"
    first = run_folder(output, "first")
    run_folder(output, "second")
    other = run_folder(there, "first")
    (other / "events.csv").write_text("another file\n")
    (other / "notes.txt").write_text("of the archive\n")

    assert PROGRAM.main([str(output), "--to", str(there)]) == 1
    told = capsys.readouterr().out
    assert (
        "first: NOT collected: events.csv: Source and destination exist but do" in told
    )
    assert "second: checksums are equal\n" in told
    assert (other / "events.csv").read_text() == "another file\n"
    assert (other / "notes.txt").exists()
    assert (first / "events.csv").read_text() == "events of first\n"


@needs_shell
def test_the_account_of_videos_deleted_here_is_not_copied(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    stand_in = tmp_path / "rclone"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> "{said}"\n')
    stand_in.chmod(0o755)
    run = run_folder(tmp_path / "output", "first")
    (run / "deleted_videos.json").write_text("{}")
    assert [str(it) for it in collect([run], "there", str(stand_in))]
    lines = said.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["copy", "check"]
    assert all("--exclude /deleted_videos.json" in line for line in lines)


@needs_rclone
def test_a_run_whose_videos_are_deleted_later_stays_collected(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "output", "first")
    words = [str(run.parent), "--to", str(tmp_path / "there")]
    for account in ("{}", '{"top.mkv": {}}'):
        (run / "deleted_videos.json").write_text(account)
        assert PROGRAM.main(words) == 0


def test_runs_with_one_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for box in ("left", "right"):
        run_folder(tmp_path / box, "monday")
    words = [str(tmp_path / "left"), str(tmp_path / "right"), "--to", str(tmp_path)]
    assert PROGRAM.main([*words, "--rclone", sys.executable]) == 2
    assert "2 runs are called monday" in capsys.readouterr().err


def test_a_missing_rclone_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path), "--to", "there", "--rclone", "no-such-program"]
    assert PROGRAM.main(words) == 2
    assert (
        "no-such-program is not installed: https://rclone.org"
        in capsys.readouterr().err
    )
