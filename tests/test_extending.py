"""The files of docs/extending.md, put into a copy of the program, make a rig that runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplabstream.core.pose import Pose, Skeleton
from tests.experiments.test_space_triggers import pose as pose_in_space

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
def test_files_of_ones_own_are_a_rig(program: Path) -> None:
    assert len(FILE.findall(PAGE)) == 6
    assert "no problems" in run(program, "utils/CheckSettings.py", "mine.ini")
    said = run(
        program, "app.py", "--settings", "mine.ini", "--headless", "--seconds", "6"
    )
    assert re.search(r"Output lamp: on \d+ times", said), said
    assert re.search(r"'lit' \d+ times", said), said
    levels = (program / "lamp.txt").read_text(encoding="utf-8").split()
    assert levels[0] == levels[-1] == "0", "off at the start, and in the end"
    assert "1" in levels


def test_a_trigger_on_pairs_of_ones_own_is_one_short_file() -> None:
    (text,) = [text for name, text in FILE.findall(PAGE) if "circling" in name]
    assert text.count("\n") <= 40
    names: dict[str, Any] = {"__name__": "experiments.circling"}
    exec(compile(text, "circling.py", "exec"), names)
    circling = names["Circling"](bodyparts=("body",), speed=50, distance=60)

    known = Skeleton(("body",), animals=("anna", "bob"))
    answers = []
    for frame in range(8):
        angle = frame / 4
        points = np.array(
            [[[50 * np.cos(angle), 50 * np.sin(angle)]], [[0, 0]]], np.float32
        )
        pose = Pose(known, points, np.ones((2, 1), np.float32))
        answers.append(circling.answer(pose, frame / 8))
    assert answers == [None] + [True] * 7
    assert circling.fulfilled_by == ("anna>bob",)


def test_a_trigger_in_space_of_ones_own_is_one_short_file() -> None:
    (text,) = [text for name, text in FILE.findall(PAGE) if "stretched" in name]
    assert text.count("\n") <= 40
    names: dict[str, Any] = {"__name__": "experiments.stretched"}
    exec(compile(text, "stretched.py", "exec"), names)
    stretched = names["Stretched"](bodyparts=("nose", "neck"), length_mm=50)

    base = (10, 20, 30)
    tops = [(10, 20, 90), (10, 20, 70), (10, 80, 30), (10, 20, -40), base]
    answers = [
        stretched.answer(pose_in_space(top, base), time_s)
        for time_s, top in enumerate(tops)
    ]
    assert answers == [True, False, False, False, False]
    assert stretched.answer(pose_in_space(base), 9) is None
