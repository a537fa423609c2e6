"""The program that examines the computer: what it prints, its exit code, its report."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.doctor.environment import Environment, ProbeFailure
from deeplabstream.programs import plain_doctor
from tests.doctor.computers import LINUX, LINUX_GPU, change
from utils import Doctor

ROOT = Path(__file__).resolve().parents[2]


def on(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run the program on a computer that is made up; return where it looks for runs."""
    asked: list[Path] = []

    def collected(output: Path, **given: object) -> Environment:
        asked.append(output)
        return environment

    monkeypatch.setattr(plain_doctor, "collect", collected)
    return asked


def test_a_healthy_computer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = on(LINUX_GPU, monkeypatch)
    assert Doctor.main(["--output", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert asked == [tmp_path]
    assert "NVIDIA GeForce RTX 4070 (compute capability 8.9), driver 580.95.5" in told
    assert "CUDAExecutionProvider 0.05 ms" in told
    assert told.endswith("No problems, nothing to improve.\n")


def test_a_problem_is_told_with_its_cure_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    on(change(LINUX, output__error="Read-only file system"), monkeypatch)
    report = tmp_path / "doctor.json"
    assert Doctor.main(["--json", str(report)]) == 1
    told = capsys.readouterr().out
    assert "PROBLEM  output folder: /data/runs cannot be written" in told
    assert "-> Choose another OUTPUT_DIRECTORY" in told
    found = json.loads(report.read_text("utf-8"))
    assert [each["key"] for each in found["findings"]] == ["output-unwritable"]
    assert found["environment"]["output"]["error"] == "Read-only file system"


def test_a_warning_alone_is_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on(change(LINUX, memory__free_gb=0.2), monkeypatch)
    assert Doctor.main([]) == 0
    told = capsys.readouterr().out
    assert "WARNING  memory: Only 0.2 GB" in told
    assert told.endswith("No problems.\n")


def test_what_could_not_be_examined_is_named_in_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = (ProbeFailure("GPU", "timed out"), ProbeFailure("power", "no sysfs"))
    on(replace(LINUX, failures=failures), monkeypatch)
    assert Doctor.main([]) == 0
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict == "No problems in what was examined. Not examined: GPU, power."


def test_a_report_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    on(LINUX, monkeypatch)
    report = tmp_path / "doctor.json"
    report.write_text("mine", "utf-8")
    assert Doctor.main(["--json", str(report)]) == 2
    assert report.read_text("utf-8") == "mine"
    assert "--overwrite" in capsys.readouterr().err


def test_it_runs_where_packages_are_missing(tmp_path: Path) -> None:
    """Python's option -S hides everything but the standard library."""
    words = [sys.executable, "-S", str(ROOT / "utils/Doctor.py"), "--output", "."]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "PROBLEM  packages: Not installed: " in done.stdout
    assert "-m pip install -r" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("[Streaming]\nOUTPUT_DIRECTORY = data/runs\n", "data/runs"),
        ("[Streaming]\noutput_directory = here  # of this rig\n", "here"),
        ("[Streaming]\n", "output"),
        ("no settings at all", "output"),
    ],
)
def test_the_output_folder_of_the_settings_is_examined(
    text: str, folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "settings.ini").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    asked = on(LINUX, monkeypatch)
    Doctor.main([])
    assert asked == [tmp_path / folder]


def test_settings_that_are_wrong_do_not_stop_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "settings.ini").write_text("[Streaming]\nNO_SUCH_KEY = 1\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    asked = on(LINUX, monkeypatch)
    assert Doctor.main([]) == 0
    assert asked == [tmp_path / "output"]
