"""Training, checking and using a network in the window, with the real programs."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.doctor.collection import TrainingGpus
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.pages import checking_tab
from deeplabstream.gui.pages.checking_tab import VideoCheck
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.programs import PREDICT
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.training_progress import RECORD, Record, TrainingProgress
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.recording.frame_queue import QueueWriter, count_queued
from deeplabstream.recording.pose_table import pose_table
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.training.data.simulated_labels import draw_labels
from deeplabstream.training.lightning_pose.result_tables import write_predictions
from tests.offline.films import dot_at, write_film
from tests.recording.recorded import START_NS, record
from utils.PredictVideos import main as predict_videos

SOON = 300_000  # ms
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
    draw_labels(tmp_path / "labels", (96, 128, 3), frames=12, walks=3, seed=1)
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


def test_a_mended_name_or_size_is_no_longer_complained_about(page: NetworkPage) -> None:
    tab = page.training
    tab._started = True  # as after a training
    tab.state.setText("Done. See the results under Check.")
    name, size = tab.name.text(), tab.input_box.currentText()
    tab.name.setText(name)
    assert tab.state.text() == "Done. See the results under Check."
    tab.name.setText("a/b")
    assert tab.state.text().startswith("Name: letters")
    tab.input_box.setCurrentText("7 × 7")
    tab.name.setText(name)
    assert tab.state.text().startswith("Input size: ")
    tab.input_box.setCurrentText(size)
    assert tab.state.text() == "12 labelled frames"
    assert not any(view.isVisibleTo(page) for view in tab.views), "no empty boxes"
    assert "appear here" in tab.none_yet.text()


def test_the_errors_of_a_finished_training_are_a_table(page: NetworkPage) -> None:
    tab = page.training
    page.show_step("Train")
    tab.name.setText("made")
    shutil.copytree(ROOT / "models" / "arena", tab.model)
    tab.program.output_received.emit("800 images to train on\n")
    tab.program.ended.emit(0, False)
    assert tab.errors.isVisibleTo(page)
    assert [tab.errors.text(0, column) for column in range(3)] == [
        "snout",
        "2.267",
        "7.586",
    ]
    assert tab.message.text() == "800 images to train on"
    tab.program.output_received.emit("a new training\n")
    assert not tab.errors.isVisibleTo(page), "the errors of another training"


def test_killed_training_is_told_gone_on_with_checked_and_used(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One long walk, as each training starts torch anew."""
    tab = page.training
    page.show_step("Train")
    tab.input_box.setCurrentText("64 × 47")
    assert not tab.train.isEnabled()
    assert "multiples of 16" in tab.state.text()
    tab.input_box.setCurrentText("64 × 48")
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
    assert tab.errors.isVisibleTo(page), "a table, not lines of text"
    assert len(tab.errors.values.rows) > 1
    assert "95 % below" not in tab.message.text()
    assert "calibration error of the confidence" in tab.message.text()
    assert tab.progress.losses[-1][0] == before + 10
    assert min(step for step, _ in tab.progress.losses) < before, "one curve"
    predicted = page.predicting.panel(PREDICT).form.values()
    assert predicted["--model"] == [str(tab.model)], "it is offered to the next steps"

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

    _check_report(page, qtbot, monkeypatch)
    video = write_film(tmp_path / "film.mkv")
    window = check.check_video(video)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0]
    (shown_video,) = check.findChildren(VideoCheck)
    assert len(shown_video.poses) == 20
    shown_video.close()


def test_a_video_of_the_same_name_replaces_no_poses(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    check = page.checking
    folder = shutil.copytree(ROOT / "models/arena", tmp_path / "copy")
    check.open(folder, page.book)
    assert check.model is not None
    films = []
    for frames in (5, 6):
        (tmp_path / str(frames)).mkdir()
        films.append(write_film(tmp_path / str(frames) / "film.mkv", frames=frames))
    first, second = films
    into = folder / "videos"
    words = ["--model", str(folder), "--output", str(into), "--runtime", "cpu"]
    assert predict_videos([str(first), *words, "--no-metrics"]) == 0
    assert check.poses_folder(first, check.model) == into
    window = check.check_video(second)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0]
    (shown,) = check.findChildren(VideoCheck)
    assert len(shown.poses) == 6
    shown.close()
    assert len(read_poses(into / "film.csv")) == 5
    assert check.poses_folder(second, check.model) == into / "2"
    (into / "film.csv").unlink()
    assert predict_videos([str(first), *words, "--to", "h5", "--overwrite"]) == 0
    assert check.poses_folder(first, check.model) == into
    (into / "film.csv").write_text("of another program", "utf-8")
    assert check.poses_folder(first, check.model) == into / "3"


def test_a_network_is_compared_with_that_of_the_settings(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = page.checking
    check.open(ROOT / "models/arena", page.book)
    assert not check.compare.isEnabled(), "the settings name it"
    copy = shutil.copytree(ROOT / "models/arena", tmp_path / "copy")
    check.open(copy, page.book)
    described = json.loads((copy / "model.json").read_text("utf-8"))
    started = {"folder": "older", "held_out_images_learned": ["a.png", "b.png"]}
    described["about"] |= {"started_from": started, "pictures": {"held_out": 3}}
    (copy / "model.json").write_text(json.dumps(described), "utf-8")
    points, sure = np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.float32)
    write_predictions(copy / "predictions.csv", "x", ["nose"], ["c.png"], points, sure)
    check.open(copy, page.book)
    assert "2 of 3 held-out images are, by their names, training images of older" in (
        check.message.text()
    )
    asked: list[str] = []

    def answer(_: object, question: str, *answers: str) -> str:
        asked.append(question)
        return answers[len(asked) == 1]

    monkeypatch.setattr(checking_tab, "show_question", answer)
    qtbot.mouseClick(check.use, LEFT)
    (cancelled,) = check.findChildren(ProgramWindow)
    assert "--against" in cancelled.command.line.toPlainText()
    cancelled.close()
    assert not asked, "a cancelled comparison changes nothing"
    qtbot.mouseClick(check.use, LEFT)
    window = check.findChildren(ProgramWindow)[-1]
    with qtbot.waitSignal(window.ended, timeout=SOON):
        pass
    told = check.message.text()
    assert told.startswith("12 images that neither network learned from"), told
    assert "no difference is certain" in told
    assert check.compare.isEnabled()
    assert page.document.settings is not None
    assert page.document.settings.model == "arena", "the answer was to keep it"
    assert asked == [
        f"{told}\n\nUse copy live in place of arena? arena stays in its folder."
    ]
    qtbot.mouseClick(check.use, LEFT)
    assert len(asked) == 2, "they are not compared again"
    text = page.document.text
    assert f"# the network\nMODEL = {copy}\n" in text
    assert text.startswith("# a comment that stays")
    assert (
        "[Trigger left] BODYPARTS: the network has no body part 'paw'"
        in check.message.text()
    )


def test_the_queue_of_a_run_is_labelled_with_proposals_and_trained_from_the_network(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path
) -> None:
    run = record(tmp_path / "runs" / "monday")
    folder = RunFolder(run)
    writer = QueueWriter(folder, START_NS, 3, Thresholds(0.5))
    for step in folder.steps("top"):
        writer.step(step)
    assert writer.table is not None
    writer.table.close()
    before = page.book
    assert before is not None
    known = set(before.names)
    window = page.label_queue(run)
    assert window is not None
    with qtbot.waitSignal(window.ended, timeout=SOON) as ended:
        pass
    assert ended.args == [0], window.page.toPlainText()
    book = page.book
    assert book is not None
    new = [name for name in book.names if name not in known]
    assert new == list(book.reasons), "the uncertain ones first"
    assert book.names[page.labelling.frame] == new[0], "it is shown"
    assert len(new) == count_queued(run) > 0
    assert "frames pre-labelled, awaiting review" in window.page.toPlainText()
    present = page.using.in_use
    assert page.training.options.values()["--start-from"] == [str(present)]
    window.close()


_KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def _check_report(
    page: NetworkPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form proposes where to write; the page is opened in the browser."""
    panel = page.checking.show_report_form().panel
    with qtbot.waitSignal(panel.ended, timeout=SOON) as ended:
        qtbot.mouseClick(panel.begin, LEFT)
    assert ended.args == [0], panel.view.page.toPlainText()
    opened: list[Path] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(Path(url.toLocalFile()))
    )
    qtbot.mouseClick(panel.view.open, LEFT)
    assert opened == [page.training.model / "report.html"]
    assert opened[0].is_file()


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
    tab.input_box.setCurrentText("320x240")
    tab.resume.click()
    assert begun[begun.index("--size") + 1] == "64x48", "the checkpoint's"
    assert "--resume" in begun


def test_an_ensemble_starts_from_a_network_and_is_resumed_as_it_was_begun(
    page: NetworkPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = page.training
    begun: list[str] = []
    monkeypatch.setattr(tab.program, "start", lambda _, words: begun.extend(words))
    tab._offer_gpus(TrainingGpus(("NVIDIA RTX A4000",)))
    box = tab.options.editors["--device"].findChild(QComboBox)
    assert box is not None
    assert box.currentText() == "GPU: NVIDIA RTX A4000", "the GPU, where there is one"
    arena = str(ROOT / "models/arena")
    chosen = {"--start-from": [arena], "--batch": ["4"], "--seeds": ["0,1"]}
    tab.options.show_values(chosen)
    tab.input_box.setCurrentText("64x48")
    qtbot.mouseClick(tab.train, LEFT)
    for option, word in (
        *((option, words[0]) for option, words in chosen.items()),
        *(("--device", "cuda"), ("--size", "64x48")),
    ):
        assert begun[begun.index(option) + 1] == word
    assert "--tell" not in tab.command.line.toPlainText()
    assert "--start-from" in tab.command.line.toPlainText()
    tab.model.mkdir(parents=True)
    tab._take("seed 0:\n")
    tab._take('{"step": 10, "steps": 20, "loss": 4, "left_s": 5}\n')
    assert tab.state.text() == "network 1 of 2, step 10 of 20, 15 s left"
    tab._take('seed 1:\n{"step": 5, "steps": 20, "loss": 3, "left_s": 60}\n')
    assert tab.state.text() == "network 2 of 2, step 5 of 20, 1 min left"
    assert tab.progress.losses == [(5, 3.0)], "curves of this network"
    assert tab.bar.value() / tab.bar.maximum() == pytest.approx(25 / 40)
    last = tab.model / "seed1/checkpoints/last.ckpt"
    last.parent.mkdir(parents=True)
    last.touch()
    again = NetworkPage(Document(tmp_path / "rig.ini"), Recent())
    qtbot.addWidget(again)
    again.open(tmp_path / "labels")
    other = again.training
    assert other.model == tab.model
    assert other.options.values()["--seeds"] == ["0,1"]
    assert other.resume.isEnabled()
    assert "network 2 of 2" not in other.state.text()
    assert other.state.text().startswith("Stopped at step 5")
    words: list[str] = []
    monkeypatch.setattr(other.program, "start", lambda _, given: words.extend(given))
    other.options.show_values({"--batch": ["8"], "--start-from": []})
    other.resume.click()
    assert words[words.index("--batch") + 1] == "4", "the checkpoint's"
    assert words[words.index("--start-from") + 1] == arena
    assert "--device" not in words, "this computer has no GPU"
    for seed in ("seed0", "seed1"):
        (tab.model / seed).mkdir(exist_ok=True)
        (tab.model / seed / "model.json").touch()
    assert tab.finished


def test_the_path_of_a_training_is_recalled_with_its_spaces(
    page: NetworkPage, tmp_path: Path
) -> None:
    tab = page.training
    network = str(tmp_path / "My Networks" / "net")
    folder = tab.model.with_name("stopped")
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints/last.ckpt").touch()
    options = {"size": "64x48", "start-from": network, "batch": "4", "cropzoom": "yes"}
    (folder / RECORD).write_text(Record(str(tmp_path), options).line, "utf-8")
    tab.name.setText("stopped")
    values = tab.options.values()
    assert values["--start-from"] == [network]
    assert (values["--batch"], values["--cropzoom"]) == (["4"], ["yes"])
    assert network in tab.arguments


def test_a_gpu_that_torch_cannot_use_is_named(page: NetworkPage) -> None:
    tab = page.training
    page.show_step("Train")
    tab._offer_gpus(TrainingGpus())
    assert not tab.device_problem.isVisible()
    tab._offer_gpus(TrainingGpus(problem="GTX 970 is not used: torch does not find it"))
    assert tab.device_problem.isVisible()
    assert "--device" not in tab.arguments


def test_a_network_that_is_far_off_is_not_called_done(page: NetworkPage) -> None:
    tab = page.training
    tab._started = True
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
    assert told.messages[-1] == '{"broken":'


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
    with qtbot.waitSignal(check.images.decoded, timeout=SOON):
        check.go_to(3)
    qtbot.waitUntil(lambda: check.view._index == 3, timeout=SOON)
    place = check.view.place
    assert place is not None
    qtbot.mouseClick(check.least, LEFT)
    assert check.slider.value() == 7
    qtbot.mouseClick(check.least, LEFT)
    assert "no later frame has a point below the threshold" in check.message.text()
    qtbot.mouseClick(check.play, LEFT)
    qtbot.waitUntil(lambda: not check.play.isChecked(), timeout=SOON)
    assert check.slider.value() == 19
    check.close()
