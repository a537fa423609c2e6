"""The script that runs the program under Wine, with substitutes for Wine and its tools."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.files.paths import ROOT

SCRIPT = ROOT / "tools/windows_under_wine.sh"
TOOLS = (
    *("wine", "wineserver", "xvfb-run", "import"),
    *("x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-objdump"),
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs Wine on Linux")


def run_script(folder: Path, steps: str, wine_code: int) -> None:
    tools = folder / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).write_text(f"#!/bin/sh\nexit {wine_code}\n", "utf-8")
        (tools / name).chmod(0o755)
    python = folder / "made/python"
    (python / "Lib/site-packages/deeplabstream").mkdir(parents=True)
    (python / "Lib/site-packages/deeplabstream-2.0.dist-info").mkdir()
    (python / "Lib/site-packages/numpy").mkdir()
    (python / "python.exe").touch()
    subprocess.run(
        ["bash", str(SCRIPT), str(folder / "made")],
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "INSIDE_XVFB": "1",
            "STEPS": steps,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("steps", "wine_code", "installed"),
    [
        ("^install requirements", 0, True),
        ("^install requirements", 1, False),
        ("^none", 0, False),
    ],
)
def test_requirements_count_as_installed_only_after_their_step_passed(
    tmp_path: Path, steps: str, wine_code: int, installed: bool
) -> None:
    run_script(tmp_path, steps, wine_code)
    assert (tmp_path / "made/installed").exists() == installed


def test_a_package_of_an_interrupted_run_is_removed(tmp_path: Path) -> None:
    run_script(tmp_path, "^none", 0)
    left = {
        each.name for each in (tmp_path / "made/python/Lib/site-packages").iterdir()
    }
    assert left == {"numpy"}
