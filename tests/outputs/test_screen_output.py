import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from pydantic import ValidationError
from PyQt5.QtGui import QColor, QGuiApplication, QImage
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.core.errors import DeviceError
from outputs.screen.output import Screen
from tests.outputs.films import write_film
from tests.outputs.patient_writers import use_patient_writers

RED, WHITE, GREEN = "#ff0000", "#ffffff", "#00ff00"
BLUE, BLACK = "#0000ff", "#000000"
SOON = 300_000  # ms


@pytest.fixture
def seen(qtbot: QtBot) -> QtBot:
    """A screen of which every process sees the same pixels."""
    if QGuiApplication.platformName() not in ("xcb", "windows"):
        pytest.skip("the pixels of this screen can't be looked at")
    return qtbot


@pytest.fixture(autouse=True)
def _screen_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


def until(seen: QtBot, condition: Callable[[], bool]) -> None:
    """Wait for another process, which a busy computer may start slowly."""
    seen.waitUntil(condition, timeout=SOON)


def colour(x: int = 50, y: int = 50) -> str:
    monitor = QApplication.primaryScreen()
    assert monitor is not None
    return monitor.grabWindow(0, x, y, 1, 1).toImage().pixelColor(0, 0).name()


def test_white_on_and_background_off(seen: QtBot) -> None:
    screen = Screen(size=(100, 100), background=RED)
    with screen.opened() as write:
        until(seen, lambda: colour() == RED)
        for _ in range(3):
            write(0.5)
            until(seen, lambda: colour() == WHITE)
            write(0.0)
            until(seen, lambda: colour() == RED)
    until(seen, lambda: colour() != RED)


def test_a_picture_keeps_its_shape(seen: QtBot, tmp_path: Path) -> None:
    picture = QImage(20, 10, QImage.Format.Format_RGB32)
    picture.fill(QColor(GREEN))
    assert picture.save(str(tmp_path / "green.png"))
    screen = Screen(size=(100, 100), background=RED, image=tmp_path / "green.png")
    with screen.opened() as write:
        write(1.0)
        until(seen, lambda: colour() == GREEN)
        assert [colour(50, y) for y in (10, 30, 70, 90)] == [RED, GREEN, GREEN, RED]


def test_full_screen_covers_the_monitor(seen: QtBot) -> None:
    monitor = QApplication.primaryScreen()
    assert monitor is not None
    area = monitor.geometry()
    with Screen(full_screen=True, background=RED).opened() as write:
        write(1.0)
        until(seen, lambda: colour(area.width() - 1, area.height() - 1) == WHITE)
        assert colour(0, 0) == WHITE


def test_a_video_plays_while_on_again_and_again(seen: QtBot, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", [GREEN, BLUE], rate=4)
    screen = Screen(size=(100, 100), background=RED, video=film)
    with screen.opened() as write:
        for _ in range(2):
            until(seen, lambda: colour() == RED)
            write(1.0)
            for wanted in (GREEN, BLUE, GREEN):
                until(seen, lambda wanted=wanted: colour() == wanted)  # type: ignore[misc]
            write(0.0)


def test_a_patch_for_a_photodiode_and_a_picture_behind(
    seen: QtBot, tmp_path: Path
) -> None:
    picture = QImage(10, 10, QImage.Format.Format_RGB32)
    picture.fill(QColor(GREEN))
    assert picture.save(str(tmp_path / "green.png"))
    screen = Screen(
        size=(100, 100),
        background=RED,
        background_image=tmp_path / "green.png",
        patch="bottom right",
        patch_size=20,
    )
    with screen.opened() as write:
        until(seen, lambda: colour(90, 90) == BLACK)
        assert [colour(10, 10), colour(70, 90), colour(90, 70)] == [GREEN] * 3
        write(1.0)
        until(seen, lambda: colour(90, 90) == WHITE)
        assert colour(10, 10) == WHITE
        write(0.0)
        until(seen, lambda: colour(90, 90) == BLACK)


def test_an_image_and_a_video_at_once_are_refused() -> None:
    with pytest.raises(ValidationError, match="IMAGE or VIDEO, not both"):
        Screen(image=Path("a.png"), video=Path("b.mp4"))


def _hold_on(ready: Connection) -> None:
    use_patient_writers(pytest.MonkeyPatch())
    with Screen(size=(100, 100), background=RED).opened() as write:
        write(1.0)
        ready.send("on")
        ready.poll(None)


def test_the_window_ends_with_the_process_that_opened_it(seen: QtBot) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    holder = spawn.Process(target=_hold_on, args=(theirs,))
    holder.start()
    theirs.close()
    assert ours.recv() == "on"
    until(seen, lambda: colour() == WHITE)
    holder.kill()
    holder.join()
    until(seen, lambda: colour() not in (WHITE, RED))
    holder.close()
    ours.close()


def test_a_window_that_was_closed_is_a_sentence() -> None:
    with Screen().opened() as write:
        write(1.0)
        (window,) = multiprocessing.active_children()
        window.terminate()
        window.join()
        with pytest.raises(DeviceError, match="its window was closed"):
            write(0.0)


def test_no_process_is_left() -> None:
    with pytest.raises(ZeroDivisionError), Screen().opened():
        raise ZeroDivisionError
    assert multiprocessing.active_children() == []


def test_what_can_not_be_shown_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    refused = {
        "there is no image": Screen(image=tmp_path / "none.png"),
        "is not an image": Screen(image=text),
        "there is no video": Screen(video=tmp_path / "none.mp4"),
        "holds no frames": Screen(video=text),
        "MONITOR = 99: this computer has": Screen(monitor=99),
    }
    for sentence, screen in refused.items():
        with pytest.raises(DeviceError, match=sentence), screen.opened():
            pytest.fail("it opened")
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="there is always a screen"
)
@pytest.mark.parametrize("display", ["", ":4711"])
def test_no_screen_is_a_sentence(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(DeviceError, match="screen"), Screen().opened():
        pytest.fail("it opened")
