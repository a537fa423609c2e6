"""The alarm banner: above every page, until it is acknowledged."""

import wave
from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, QRect, QSettings, Qt
from PyQt5.QtGui import QColor
from PyQt5.QtWidgets import QApplication, QFrame, QPushButton
from pytestqt.qtbot import QtBot

from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.session.session_state import Action, Alarm, Counts
from deeplabstream.gui.alarm_sound import AlarmSound, write_tones
from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.banners import AlarmBanner
from deeplabstream.gui.widgets.live_display import StatusLine
from tests.gui.main_windows import opened, rig_of

LOST = Alarm("[Recording] arena: the recording has ended: no space left", 1)
BROKEN = Alarm("[Output laser] /dev/ttyUSB0 is gone", 2)


def test_an_alarm_stays_above_every_page_until_it_is_acknowledged(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    banner = window.findChild(QFrame, "alarms")
    assert isinstance(banner, AlarmBanner)
    assert not banner.isVisible()
    rig = rig_of(window)
    rig.update(alarms=(LOST,))
    window.bridge.tick()
    assert banner.isVisible()
    assert banner.message.text() == f"Alarm: {LOST.text}"
    for page in ("Regions", "Health", "Live"):
        window.show_page(page)
        assert banner.isVisible()
    rig.update(alarms=(LOST, BROKEN))
    for action in (Action.START_STREAM, Action.STOP_STREAM):  # it outlasts the stream
        window.bridge.do(action)
        window.bridge.tick()
    assert banner.message.text() == f"2 alarms, the newest: {BROKEN.text}"
    assert banner.message.toolTip() == f"{LOST.text}\n{BROKEN.text}"
    qtbot.mouseClick(banner.seen, Qt.MouseButton.LeftButton)
    assert not banner.isVisible()
    assert rig.state.alarms == ()
    window.bridge.tick()
    assert not banner.isVisible()
    window.end()


def test_an_alarm_is_not_acknowledged_by_space_or_enter(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    rig_of(window).update(alarms=(LOST,))
    window.bridge.tick()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Return):
        qtbot.keyClick(window.focusWidget() or window, key)
        window.bridge.tick()
    assert rig_of(window).state.alarms == (LOST,)
    window.end()


@pytest.mark.parametrize("page", ["Live", "Settings", "Regions"])
def test_a_banner_moves_nothing_on_the_page(
    qtbot: QtBot, file: Path, page: str
) -> None:
    window = opened(qtbot, file)
    window.show_page(page)
    shown = window.live if page == "Live" else window.page(page)

    def places() -> list[QRect]:
        QApplication.processEvents()
        parts = [shown, *shown.findChildren(QPushButton)]
        return [
            QRect(each.mapTo(window, QPoint(0, 0)), each.size())
            for each in parts
            if each.isVisible()
        ]

    window.bridge.do(Action.START_STREAM)
    window.bridge.tick()
    before = places()
    rig_of(window).update(alarms=(LOST, BROKEN))
    window.bridge.tick()
    window.document.set_value("Experiment", "EXP_TIME_S", "60")
    assert window.banner.isVisible()
    assert window.alarms.isVisible()
    assert places() == before
    overlay = window.overlay.geometry()
    assert window.rect().contains(overlay)
    assert not any(place.intersects(overlay) for place in before[1:]), "no button"
    bar = window.menuBar()
    assert bar is not None
    menus = [bar.actionGeometry(action) for action in bar.actions()]
    assert not any(menu.intersects(overlay) for menu in menus)
    window.end()


def test_an_alarm_sounds_at_once_and_again_until_it_is_acknowledged(
    qtbot: QtBot, file: Path, tmp_path: Path
) -> None:
    memory = QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)
    window = opened(qtbot, file, memory)
    played: list[int] = []
    window.sound.play = lambda: played.append(1)
    rig = rig_of(window)
    rig.update(alarms=(LOST,))
    window.bridge.tick()
    window.bridge.tick()
    assert len(played) == 1
    window.sound.repeat()
    rig.update(alarms=(LOST, BROKEN))
    window.bridge.tick()
    assert len(played) == 3
    window.menu.actions["Sound of alarms"].trigger()
    window.sound.repeat()
    assert len(played) == 3, "it was switched off"
    assert not AlarmSound(lambda: True, memory).on, "and stays off"
    window.menu.actions["Sound of alarms"].trigger()
    qtbot.mouseClick(window.alarms.seen, Qt.MouseButton.LeftButton)
    window.sound.repeat()
    assert len(played) == 3
    window.end()


def test_the_tones_are_a_sound_file(tmp_path: Path) -> None:
    write_tones(tmp_path / "alarm.wav")
    with wave.open(str(tmp_path / "alarm.wav")) as tones:
        assert tones.getnframes() / tones.getframerate() == pytest.approx(0.4)
        assert max(tones.readframes(4000)) > 0


def test_an_output_that_failed_stays_marked_until_it_is_written_again(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    rig, plates = rig_of(window), window.live.outputs
    rig.do(Action.START_STREAM)
    rig.update(edges={"left stimulus": Edge("left stimulus", 0.0, "open", 0, 0)})
    gone = "[Output left stimulus] /dev/ttyACM0 is gone"
    rig.news.append(Note("error", gone, 5))
    rig.update(failed_outputs={"left stimulus": gone})
    for _ in range(8):
        window.bridge.tick()
    assert plates.acknowledgements["left stimulus"].text() == "failed"
    assert gone in plates.acknowledgements["left stimulus"].toolTip()
    assert "failed" not in plates.acknowledgements["right stimulus"].text()
    rig.news.append(Edge("left stimulus", 0.0, "open", 9, 9))
    rig.update(failed_outputs={})
    for _ in range(8):
        window.bridge.tick()
    assert "written" in plates.acknowledgements["left stimulus"].text()
    window.end()


@pytest.mark.parametrize(
    ("counts", "lost", "skipped"),
    [
        (Counts(100, 0, analysed=100), "", ""),
        (Counts(100, 3, analysed=95, skipped=5), "red", "amber"),
        (Counts(100, None, analysed=75, skipped=25), "", "red"),
        (Counts(100, 0, analysed=100, recording_losses=1), "red", ""),
    ],
)
def test_lost_and_skipped_frames_are_coloured(
    qtbot: QtBot, counts: Counts, lost: str, skipped: str
) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.show_losses(counts)
    for name, tone in (("Lost", lost), ("Skipped", skipped)):
        value = line.values[name]
        value.ensurePolished()
        wanted = QColor(getattr(palette(), tone or "text"))
        assert value.palette().windowText().color() == wanted
    line.clear()
    assert not line.values["Lost"].property("tone")
