"""TakeScreenshots ends as every program does: a signal closes it without a question."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.tolerant import shipped_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_a_signal_ends_the_screenshots_during_the_experiment(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    text = shipped_settings(OUTPUT_DIRECTORY=str(runs), FRAMERATE="5")
    (tmp_path / "settings.ini").write_text(text, encoding="utf-8")
    program = [sys.executable, str(ROOT / "utils/TakeScreenshots.py")]
    options = ["--settings", str(tmp_path / "settings.ini"), "--after", "3600"]
    platform = {"QT_QPA_PLATFORM": "offscreen"} if not os.environ.get("DISPLAY") else {}
    with subprocess.Popen(
        [*program, *options, "--output", str(tmp_path / "images")],
        env=os.environ | platform,
        stdout=subprocess.DEVNULL,
    ) as running:
        try:
            while not list(runs.glob("*/events.csv")):  # the experiment records
                assert running.poll() is None
                with pytest.raises(subprocess.TimeoutExpired):
                    running.wait(0.1)
            running.send_signal(signal.SIGTERM)
            assert running.wait(500) == 128 + signal.SIGTERM
        finally:
            running.kill()
    (run,) = runs.iterdir()
    assert '"ended": null' not in (run / "run.json").read_text(encoding="utf-8")
    shutil.rmtree(runs)
