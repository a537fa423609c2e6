"""Everything that takes long says so: the busy sign, and every action of the window."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PyQt5.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.audit.audit import open_audit
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.widgets.busy_sign import BusySign, busy
from deeplabstream.training.data.simulated_labels import draw_labels
from tests.engine.tolerant import shipped_settings
from tests.gui.watched_window import LIMIT_S
from tests.recording.recorded import record


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    window = QWidget()
    window.resize(600, 400)
    qtbot.addWidget(window)
    return window


def signs(window: QWidget) -> list[str]:
    return [sign.text() for sign in window.findChildren(BusySign) if sign.isVisible()]


def test_the_sign_is_on_the_window_while_the_block_runs(window: QWidget) -> None:
    page = QLabel("page", window)
    window.show()
    before = window.grab().toImage()
    with busy(page, "Reading …"):
        assert signs(window) == ["Reading …"]
        (sign,) = window.findChildren(BusySign)
        assert window.rect().contains(sign.geometry())
        with busy(window, "Reading more …"):
            assert signs(window) == ["Reading …"], "the first one stays"
    assert not signs(window)
    assert window.grab().toImage() == before


def test_the_sign_goes_after_an_error(window: QWidget) -> None:
    window.show()
    with pytest.raises(OSError, match="disk"), busy(window, "Reading …"):
        raise OSError("disk")
    assert not signs(window)


def test_a_window_that_is_not_shown_needs_no_sign(window: QWidget) -> None:
    with busy(window, "Reading …"):
        assert not window.findChildren(BusySign)


def test_no_action_of_the_window_takes_long_without_a_sign(tmp_path: Path) -> None:
    rig = tmp_path / "rig"
    rig.mkdir()
    text = shipped_settings(
        OUTPUT_DIRECTORY=str(rig / "output"), RUNTIME="cpu", FRAMERATE="10"
    )
    settings = rig / "settings.ini"
    settings.write_text(text, "utf-8")
    labels = rig / "labels"
    draw_labels(labels, (96, 128, 3), frames=20, walks=2, seed=1)
    run = shutil.copytree(ROOT / "tests/golden/runs/stages", rig / "output/run")
    open_audit(record(rig / "output/audited"), count=6, seed=1)
    program = [sys.executable, "-m", "tests.gui.watched_window"]
    done = subprocess.run(
        [*program, settings, labels, run], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert measured[-1]["action"] == "stop stream"
    late = [one for one in measured if one["cpu_s"] >= LIMIT_S and not one["sign"]]
    assert not late
