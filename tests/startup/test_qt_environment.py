import os
import subprocess
import sys

import pytest

from deeplabstream.startup import qt_environment
from deeplabstream.startup.qt_environment import (
    free_qt_of_opencv,
    has_screen,
    missing_packages,
    why_no_window,
)

LINUX = sys.platform.startswith("linux")
ON_X = LINUX and bool(os.environ.get("DISPLAY"))
only_linux = pytest.mark.skipif(not LINUX, reason="X11 is asked on Linux only")


@only_linux
@pytest.mark.parametrize(
    ("environment", "there"),
    [
        ({}, False),
        ({"DISPLAY": ""}, False),
        ({"DISPLAY": ":987"}, False),
        ({"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": "/nowhere"}, False),
        ({"QT_QPA_PLATFORM": "offscreen"}, True),
        ({"QT_QPA_PLATFORM": "offscreen:size=10x10", "DISPLAY": ":987"}, True),
    ],
)
def test_a_screen_is_known_without_qt(environment: dict[str, str], there: bool) -> None:
    assert has_screen(environment) == there
    assert ("screen" in why_no_window(environment)) != there


@only_linux
def test_missing_libraries_make_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"QT_QPA_PLATFORM": "offscreen"}
    assert missing_packages(environment) == ()
    monkeypatch.setattr(qt_environment, "_ALWAYS", {"libnothing.so.7": "libnothing7"})
    sentence = why_no_window(environment)
    assert sentence.endswith("apt-get install -y libnothing7")
    assert sentence.startswith("System libraries of the window are missing. ")


def test_only_opencvs_own_folders_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", "/x/cv2/qt/plugins")
    monkeypatch.setenv("QT_QPA_FONTDIR", "/usr/share/fonts")
    free_qt_of_opencv()
    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
    assert os.environ["QT_QPA_FONTDIR"] == "/usr/share/fonts"


@pytest.mark.skipif(not ON_X, reason="the trap is there on a real X screen only")
def test_a_window_opens_although_opencv_was_imported() -> None:
    program = (
        "import cv2; from deeplabstream.gui.application import application; "
        "from PyQt5.QtWidgets import QLabel; application(); QLabel('x').show()"
    )
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
