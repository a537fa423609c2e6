"""The four files of docs/extending.md, put into a copy of the program, make a rig that runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
FILE = re.compile(r"Write `([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
PACKAGES = ("cameras", "deeplabstream", "experiments", "outputs", "utils")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the program with the page's files in it, and its settings."""
    leave = shutil.ignore_patterns("__pycache__", "*.svg")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=leave)
    shutil.copytree(ROOT / "models/arena", tmp_path / "models/arena")
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name, text in FILE.findall(PAGE):
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(text, encoding="utf-8")
    (ini,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.ini").write_text(ini, encoding="utf-8")
    return tmp_path


def run(program: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=program,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)  # the whole rig, in a copy that has nothing compiled yet
def test_four_files_of_ones_own_are_a_rig(program: Path) -> None:
    assert len(FILE.findall(PAGE)) == 4
    assert "no problems" in run(program, "utils/CheckSettings.py", "mine.ini")
    said = run(
        program, "app.py", "--settings", "mine.ini", "--headless", "--seconds", "6"
    )
    assert re.search(r"Output lamp: on \d+ times", said), said
    assert re.search(r"'lit' \d+ times", said), said
    levels = (program / "lamp.txt").read_text(encoding="utf-8").split()
    assert levels[0] == levels[-1] == "0", "off at the start, and in the end"
    assert "1" in levels
