"""Training, checking and using a network in the window, with the real programs."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplabstream.core.pose import Skeleton
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.training_progress import TrainingProgress
from deeplabstream.gui.widgets.video_check import VideoCheck
from deeplabstream.recording.pose_table import pose_table
from tests.offline.films import dot_at, write_film
from utils.DrawLabels import draw

SOON = 120_000  # ms
LEFT = Qt.MouseButton.LeftButton
SETTINGS = """# a comment that stays
[Pose Estimation]
# the network
MODEL = arena
[Camera arena]
KIND = SimulatedCamera
[Trigger left]
KIND = InsideRegion
BODYPARTS = paw
REGION = circle 160 240 70
"""


@pytest.fixture
def page(tmp_path: Path, qtbot: QtBot) -> NetworkPage:
    draw(tmp_path / "labels", (96, 128, 3), frames=12, walks=3, seed=1)
    (tmp_path / "rig.ini").write_text(SETTINGS, encoding="utf-8")
    made = NetworkPage(Document(tmp_path / "rig.ini"), Recent())
    qtbot.addWidget(made)
    made.resize(1200, 700)
    made.show()
    made.open(tmp_path / "labels")
    tab = made.training
    tab.steps.setValue(20)
    return made


def test_training_waits_for_labels(page: NetworkPage, tmp_path: Path) -> None:
    assert page.training.train.isEnabled()
    assert page.training.state.text() == "12 labelled frames"
    page.parts_line.setText("nose")
    (tmp_path / "empty").mkdir()
    page.open(tmp_path / "empty")
    assert not page.training.train.isEnabled()
    assert "at least 2 are needed" in page.training.state.text()


def test_killed_training_is_told_gone_on_with_checked_and_used(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One long walk, as each training starts torch anew."""
    tab = page.training
    page.show_step("Train")
    tab.sees.setCurrentText("64 × 47")
    assert not tab.train.isEnabled()
    assert "multiples of 16" in tab.state.text()
    tab.sees.setCurrentText("64 × 48")
    tab.steps.setValue(100_000)
    qtbot.mouseClick(tab.train, LEFT)
    assert tab.stop.isEnabled()
    kept = tab.model / "checkpoints/last.ckpt"
    qtbot.waitUntil(
        lambda: kept.is_file() and len(tab.progress.errors) > 1, timeout=SOON
    )
    assert len(tab.progress.losses) > 1
    steps, _ = tab._curves[0].getData()
    assert len(steps) == len(tab.progress.losses)
    shown = [view for view in tab.views if view.place is not None]
    assert shown
    assert np.isfinite(shown[0].found).any(), "predicted frames appear as it learns"
    assert np.isfinite(shown[0].labels).any()
    assert "left" in tab.state.text()

    with qtbot.waitSignal(tab.program.ended, timeout=SOON):
        os.kill(tab.program.process.processId(), _KILL)
    assert "ended by another program at step" in tab.state.text()
    assert "Resume" in tab.state.text()
    assert tab.resume.isEnabled()
    _check_that_another_window_would_resume(page, qtbot, tmp_path, monkeypatch)

    before = tab.progress.step
    tab.steps.setValue(before + 10)
    with qtbot.waitSignal(tab.trained, timeout=SOON):
        qtbot.mouseClick(tab.resume, LEFT)
    assert tab.state.text().startswith("Done")
    assert tab.progress.losses[-1][0] == before + 10
    assert min(step for step, _ in tab.progress.losses) < before, "one curve"

    page.show_step("Check")
    check = page.checking
    assert check.list.count() == len(check.worst) > 0
    far = [px for _, px in check.worst]
    assert far == sorted(far, reverse=True)
    assert check.table.rowCount() == 4
    check.list.setCurrentRow(1)
    told = check.predictions
    assert told is not None
    assert page.book is not None
    name = told.names[check.worst[1][0]]
    own = page.book.points[page.book.names.index(name)]
    assert np.array_equal(check.view.labels, own, equal_nan=True)
    away = np.nanmax(np.linalg.norm(check.view.found - own, axis=1))
    assert far[1] == pytest.approx(away, abs=1e-3)

    video = write_film(tmp_path / "film.mkv")
    window = check.check_video(video)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0]
    (shown_video,) = check.findChildren(VideoCheck)
    assert len(shown_video.poses) == 20
    shown_video.close()

    qtbot.mouseClick(check.use, LEFT)
    text = page.document.text
    assert f"# the network\nMODEL = {tab.model.name}\n" in text
    assert text.startswith("# a comment that stays")
    assert (
        "[Trigger left] BODYPARTS: the network has no body part 'paw'"
        in check.words.text()
    )


_KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def _check_that_another_window_would_resume(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, steps, size and curve are those of the training, whatever was chosen since."""
    again = NetworkPage(Document(tmp_path / "rig.ini"), Recent())
    qtbot.addWidget(again)
    again.open(tmp_path / "labels")
    tab, first = again.training, page.training
    assert tab.model == first.model
    assert tab.steps.value() == 100_000
    assert tab.input_size == "64x48"
    assert tab.progress.losses == first.progress.losses
    assert tab.state.text().startswith(f"Stopped at step {first.progress.step}")
    begun: list[str] = []
    monkeypatch.setattr(tab.program, "start", lambda _, words: begun.extend(words))
    tab.sees.setCurrentText("320x240")
    tab.resume.click()
    assert begun[begun.index("--size") + 1] == "64x48", "the checkpoint's"
    assert "--resume" in begun


def test_a_network_that_is_far_off_is_not_called_done(page: NetworkPage) -> None:
    tab = page.training
    tab._began = True
    tab._take('{"step": 20, "steps": 20, "loss": 4}\n')
    tab._take('{"step": 20, "error_px": 3, "found": {}}\n')
    tab._ended(0, killed=False)
    assert tab.state.text() == "Done. See the results under Check."
    tab._take('{"step": 20, "error_px": 40, "found": {}}\n')
    tab._ended(0, killed=False)
    assert "median held-out error is 40 px in frames of 128 px" in tab.state.text()


def test_stopping_and_bad_labels_are_told_in_a_sentence(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    tab = page.training
    (tmp_path / "labels/labeled-data/arena/img0003.png").unlink()
    with qtbot.waitSignal(tab.program.ended, timeout=SOON):
        qtbot.mouseClick(tab.train, LEFT)
    assert "there is no image" in tab.state.text()
    assert not tab.resume.isEnabled()
    qtbot.mouseClick(tab.train, LEFT)
    qtbot.mouseClick(tab.stop, LEFT)
    assert tab.state.text().startswith("Stopped at step 0. No checkpoint yet")
    assert tab.train.isEnabled()


def test_what_is_told_in_pieces_is_put_together() -> None:
    told = TrainingProgress()
    told.take('20 pictures to train on\n{"step": 1, "ste')
    assert told.sentence == "20 pictures to train on"
    told.take(
        'ps": 40, "loss": 4.5}\n{"step": 5, "steps": 40, "loss": 4, "left_s": 95}\n'
    )
    assert told.losses == [(1, 4.5), (5, 4.0)]
    assert told.sentence == "step 5 of 40, 2 min left"
    told.take('{"step": 5, "error_px": null, "found": {"a.png": [[1, 2], null]}}\n')
    assert told.errors == []
    assert told.found == {"a.png": [[1, 2], None]}
    told.take('{"broken": \n')
    assert told.words[-1] == '{"broken":'


def test_a_video_is_scrubbed_with_what_was_found(tmp_path: Path, qtbot: QtBot) -> None:
    video = write_film(tmp_path / "film.mkv", codec="ffv1")
    points = np.array([[[dot_at(row)]] for row in range(20)])
    sure = np.ones((20, 1, 1))
    sure[7] = 0.1
    from PyQt5.QtWidgets import QWidget

    above = QWidget()
    qtbot.addWidget(above)
    poses = pose_table(tmp_path, Skeleton(("dot",)), points, sure)
    check = VideoCheck(video, poses, 0.5, above)
    check.show()
    with qtbot.waitSignal(check.pictures.decoded, timeout=SOON):
        check.go_to(3)
    qtbot.waitUntil(lambda: check.view._index == 3, timeout=SOON)
    place = check.view.place
    assert place is not None
    qtbot.mouseClick(check.least, LEFT)
    assert check.slider.value() == 7
    qtbot.mouseClick(check.least, LEFT)
    assert "no later frame has a point below the threshold" in check.words.text()
    qtbot.mouseClick(check.play, LEFT)
    qtbot.waitUntil(lambda: not check.play.isChecked(), timeout=SOON)
    assert check.slider.value() == 19
    check.close()
