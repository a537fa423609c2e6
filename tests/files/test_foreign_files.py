"""Foreign files: pipes are refused at once, and JSON is read within limits."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deeplabstream.analysis.region_list import REGIONS, read_places
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.evidence import evidence_bundle
from deeplabstream.evidence.bundle_verification import verify_bundle
from deeplabstream.evidence.evidence_bundle import write_bundle
from deeplabstream.files import foreign_files
from deeplabstream.files.foreign_files import open_regular, parse_json, read_json
from deeplabstream.files.paths import ROOT
from deeplabstream.recording.run_summary import change_notes, read_notes, summarise

RUN = ROOT / "tests" / "golden" / "version_2_0_0_dev0" / "run"
DEEP = "[" * 200_000


def test_deep_and_long_json_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in (DEEP, "[" * 101 + "]" * 101, '{"a":' * 150 + "1" + "}" * 150):
        with pytest.raises(ValueError, match="100 lists and objects inside"):
            parse_json(text)
    deepest = "[" * 100 + "1" + "]" * 100
    assert parse_json(deepest) is not None
    file = tmp_path / "long.json"
    file.write_text(f'["{"a" * 2000}"]')
    assert len(read_json(file)[0]) == 2000
    monkeypatch.setattr(foreign_files, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="longer than"):
        read_json(file)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(RUN, tmp_path / "run")


def test_deep_json_in_a_run_is_damage(run: Path, tmp_path: Path) -> None:
    (run / "notes.json").write_text(DEEP)
    assert read_notes(run).notes is None
    with pytest.raises(DeepLabStreamError, match=r"notes\.json can't be read"):
        change_notes(run, notes="more")
    (run / "notes.json").unlink()
    (run / REGIONS).write_text(DEEP)
    with pytest.raises(DeepLabStreamError, match=r"regions\.json can't be read"):
        read_places(run)
    (run / REGIONS).unlink()

    write_bundle(run, tmp_path / "bundle")
    (tmp_path / "bundle" / "proof.json").write_text(DEEP)
    evidence_bundle._write_manifest(tmp_path / "bundle")
    failed = verify_bundle(tmp_path / "bundle").failed
    assert any("can't be read: ValueError: it has more" in text for text in failed)

    (run / "run.json").write_text(DEEP)
    assert summarise(run).cameras == ()
    done = _program("RepairRun", run)
    assert "run.json: could not be read (kept as" in done.stdout, done.stderr


def _program(name: str, *options: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "utils" / f"{name}.py"), *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    _pipe(tmp_path / "pipe")
    for read in (open_regular, read_json):
        reader: Callable[[Path], object] = read
        with pytest.raises(OSError, match="it is a pipe, a socket or a device"):
            reader(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["run.json", "events.csv", "more.csv", "more.mkv"])
def test_a_run_with_a_pipe_is_not_repaired(run: Path, name: str) -> None:
    _pipe(run / name)
    done = _program("RepairRun", run)
    assert done.returncode == 1
    assert f"{name} is a pipe, a socket or a device, not a file: remove it" in (
        done.stdout
    )


@pytest.mark.parametrize("name", ["run/events.csv", "plugins/cameras/own.py"])
def test_a_pipe_that_a_manifest_names_is_refused(
    run: Path, tmp_path: Path, name: str
) -> None:
    bundle = tmp_path / "bundle"
    write_bundle(run, bundle)
    file = bundle / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    evidence_bundle._write_manifest(bundle)
    _pipe(file)
    done = _program("VerifyBundle", bundle)
    assert done.returncode == 1
    assert f"{name} is a pipe, a socket or a device, not a file" in done.stdout
