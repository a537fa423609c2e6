"""Check tab: worst held-out images of a new network, a video, and its use in the rig."""

from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QPushButton,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.files.overwriting import would_overwrite
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.program_window import FormWindow, ProgramWindow
from deeplabstream.gui.dialogs.questions import show_question
from deeplabstream.gui.pages.training_tab import labels_of
from deeplabstream.gui.pages.using_tab import models_of, use_live
from deeplabstream.gui.programs import REPORT
from deeplabstream.gui.run_frames import RunFrames
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.buttons import PlayButton
from deeplabstream.gui.widgets.compared_view import ComparedView
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.offline.pose_file_reading import read_poses
from deeplabstream.offline.video_inference import (
    FACTS,
    files_of_others,
    kinds_written,
)
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.pose.tracking.pose_matching import match_animals
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.training.data.label_book import LabelBook
from deeplabstream.training.evaluation.learned_images import learned_before
from deeplabstream.training.lightning_pose.result_tables import (
    Predictions,
    read_predictions,
)

_WIDTH = 300
_HELD_OUT = ("validation", "test")
_COLUMNS = ("body part", "median, px", "95 %, px", "not seen")
_USE = "Use it"
_VIDEOS = "Videos (*.mp4 *.avi *.mov *.mkv *.m4v);;All files (*)"
FORMAT = "csv"
"""Format of the predicted poses."""


class VideoCheck(QDialog):
    """Plays a video with its poses; `poses` has a row for each frame."""

    def __init__(
        self, video: Path, poses: PoseTable, threshold: float, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"{video.name} – DeepLabStream")
        self.video, self.poses = video, poses
        self.view = VideoView(video.stem)
        self.view.threshold = threshold
        self.view.clear("reading …")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, max(0, len(poses) - 1))
        self.slider.setToolTip("frame number, from 0")
        self.play = PlayButton()
        self.least = QPushButton("Next uncertain")
        self.least.setToolTip("goes to the next frame with a point below the threshold")
        self.message = QLabel()
        self.message.setObjectName("caption")
        self.images = RunFrames()
        self._waiting = False
        self._arrange()
        self.images.start()
        self.go_to(0)

    def go_to(self, row: int) -> None:
        """Show a frame."""
        self.slider.setValue(row)
        self._request(row)

    def _arrange(self) -> None:
        foot = QHBoxLayout()
        for widget in (self.play, self.least):
            foot.addWidget(widget)
        foot.addWidget(self.slider, 1)
        foot.addWidget(self.message)
        column = QVBoxLayout(self)
        column.addWidget(self.view, 1)
        column.addLayout(foot)
        self.resize(860, 700)
        self.slider.valueChanged.connect(self._request)
        self.play.due.connect(self._tick)
        self.least.clicked.connect(self._go_to_least)
        self.images.decoded.connect(self._show)
        self.images.failed.connect(self.view.clear)

    def _request(self, row: int) -> None:
        self._waiting = True
        self.message.setText(f"frame {row} of {len(self.poses)}")
        self.images.request(row, self.video, row)

    def _show(self, row: int, image: Image | None) -> None:
        self._waiting = False
        if image is None:
            self.view.clear("Can't decode this frame")
            return
        pose = self.poses.pose(row)
        step = Step(self.view.camera, row, 0, 0, 0, 0, 0, pose, {}, ())
        self.view.show_image(image, row, step)

    def _tick(self) -> None:
        if self.slider.value() >= self.slider.maximum():
            self.play.stop()
        elif not self._waiting:
            self.slider.setValue(self.slider.value() + 1)

    def _go_to_least(self) -> None:
        unsure = (self.poses.confidence < self.view.threshold).any(axis=(1, 2))
        after = np.flatnonzero(unsure)
        after = after[after > self.slider.value()]
        if len(after):
            self.go_to(int(after[0]))
        else:
            self.message.setText("no later frame has a point below the threshold")

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """End the thread that decodes."""
        self.play.stop()
        self.images.finish()
        super().closeEvent(event)


class CheckingTab(QWidget):
    """Shows a trained network, checks it, and uses it in the rig."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.folder = Path()
        self.book: LabelBook | None = None
        self.model: ModelFolder | None = None
        self.predictions: Predictions | None = None
        self.worst: list[tuple[int, float]] = []
        """Row of the predictions, and largest error of a point, px."""
        self.verdict = ""
        """Result of the comparison with the network of the settings; empty: not compared."""
        self._use_after_comparison = False
        """Whether the network is to be used after the comparison."""
        self.list, self.view, self.message = QListWidget(), ComparedView(), QLabel()
        self.title = Elided("")
        self.title.setObjectName("heading")
        self.table = QTableWidget(0, len(_COLUMNS))
        self.on_video = QPushButton("On a video …")
        self.on_run = QPushButton("On a run …")
        self.report = QPushButton("HTML report …")
        self.compare = QPushButton("Compare")
        self.use = QPushButton("Use live")
        self._arrange()
        self.list.currentRowChanged.connect(self.show_frame)
        self.on_video.clicked.connect(self._choose_video)
        self.on_run.clicked.connect(self._choose_run)
        self.report.clicked.connect(self._show_report_form)
        self.use.clicked.connect(self._use)
        self.compare.clicked.connect(self._compare)

    def open(self, folder: Path, book: LabelBook | None) -> None:
        """Show a model folder and the labels that it was trained on."""
        self.folder, self.book = folder, book
        self.title.setText(folder.name)
        self.message.setText("")
        self.model = self.predictions = None
        self.worst = []
        try:
            if (folder / "model.json").is_file():
                self.model = load_model_folder(folder)
                self.predictions = read_predictions(folder / "predictions.csv")
                self.message.setText(learned_before(folder))
        except (DeepLabStreamError, OSError) as error:
            self.message.setText(str(error))
        self._rank()
        self._show_table()
        self._list_worst()
        for button in (self.on_video, self.on_run, self.report, self.use):
            button.setEnabled(self.model is not None)
        self.verdict, self._use_after_comparison = "", False
        self.compare.setEnabled(bool(self._network_in_use))
        if self.model is None:
            self.view.clear("Train a network first")
        elif self.worst:
            self.list.setCurrentRow(0)
        else:
            self.view.clear("No frame was held out")

    def show_frame(self, row: int) -> None:
        """Show a held-out frame with labels and predictions."""
        predictions, book = self.predictions, self.book
        if predictions is None or book is None or not 0 <= row < len(self.worst):
            return
        index, _ = self.worst[row]
        name = predictions.names[index]
        own, found = self._pair(book, predictions, index)
        parts = len(predictions.bodyparts)
        self.view.compare(book.folder / name, row + 1, own, found, parts)

    def check_video(self, video: Path) -> ProgramWindow | None:
        """Predict the poses of a video, and show them."""
        if self.model is None:
            return None
        into = self.poses_folder(video, self.model)
        arguments = [str(video), "--model", str(self.folder), "--output", str(into)]
        arguments += ["--to", FORMAT, "--no-metrics"]
        window = ProgramWindow("Predict poses", "PredictVideos.py", arguments, self)
        window.ended.connect(partial(self._show_video, video, into, window))
        window.show()
        return window

    def poses_folder(self, video: Path, model: ModelFolder) -> Path:
        """Return the folder for the poses of a video.

        Poses of other videos with that name, or of earlier weights, are not overwritten.
        """
        root = self.folder / "videos"
        for into in chain([root], (root / str(number) for number in count(2))):
            own = kinds_written(into / f"{video.stem}{FACTS}", video, model.sha256)
            others = files_of_others(into, video.stem, [FORMAT], own)
            if not any(map(would_overwrite, others)):
                return into
        raise AssertionError("count() never ends")

    def show_report_form(self) -> FormWindow:
        """Show the form of the HTML report on this network."""
        values = {"--model": [str(self.folder)]}
        window = FormWindow(REPORT, values, models_of(self.document), self)
        window.show()
        return window

    def _show_video(
        self, video: Path, into: Path, window: ProgramWindow, code: int
    ) -> None:
        if code or self.model is None:
            return
        window.close()
        try:
            with busy(self, f"Reading the poses of {video.name} …"):
                poses = read_poses(into / f"{video.stem}.{FORMAT}")
        except DeepLabStreamError as error:
            self.message.setText(str(error))
            return
        VideoCheck(video, poses, self.model.threshold, self).show()

    def _arrange(self) -> None:
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.message.setObjectName("caption")
        self.message.setWordWrap(True)
        self.use.setProperty("starts", True)
        self.view.setToolTip("wheel: zoom; middle button: move the image")
        self.compare.setToolTip(
            "median errors of this network and that of the settings, on labelled frames "
            "that are held out from both"
        )
        self.use.setToolTip(
            "compares the network with that of the settings, asks, and writes MODEL to the "
            "settings; comments stay"
        )
        self.on_video.setToolTip("predicts each frame of a video")
        self.report.setToolTip("errors with plots and all images, for the browser")
        self.on_run.setToolTip("predicts the video of a recorded run")
        table = self.table
        table.setHorizontalHeaderLabels(list(_COLUMNS))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setShowGrid(False)
        table.setMaximumHeight(210)
        if (header := table.horizontalHeader()) is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        if (side := table.verticalHeader()) is not None:
            side.hide()
        left = Panel("Held-out frames by error")
        left.setFixedWidth(_WIDTH)
        left.column.insertWidget(0, self.title)
        left.column.addWidget(self.list, 1)
        for widget in (
            *(self.message, self.on_video, self.on_run),
            *(self.report, self.compare, self.use),
        ):
            left.column.addWidget(widget)
        errors = Panel("Error of each body part")
        errors.column.addWidget(table)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addWidget(self.view, 1)
        column.addWidget(errors)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addLayout(column, 1)

    def _pair(
        self, book: LabelBook, predictions: Predictions, index: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return labels and predictions of a frame (animal, body part, 2).

        In the order of the network's body parts. Predicted animals are matched to labels.
        """
        labels = labels_of(book, predictions.names[index]).reshape(book.animals, -1, 2)
        found = predictions.points[index].reshape(predictions.animals, -1, 2)
        room = max(len(labels), len(found))
        own = np.full((room, len(predictions.bodyparts), 2), np.nan, np.float32)
        for column, part in enumerate(predictions.bodyparts):
            if part in book.bodyparts:
                own[: len(labels), column] = labels[:, book.bodyparts.index(part)]
        all_found = np.full_like(own, np.nan)
        all_found[: len(found)] = found
        return own, all_found[match_animals(own, all_found)]

    def _rank(self) -> None:
        found, book = self.predictions, self.book
        if found is None or book is None:
            return
        for index in range(len(found.names)):
            if found.sets[index] in _HELD_OUT:
                own, predicted = self._pair(book, found, index)
                far = np.linalg.norm(predicted - own, axis=2)
                worst = float(np.nanmax(far)) if np.isfinite(far).any() else 0.0
                labelled, seen = (
                    np.isfinite(p).any(axis=(1, 2)) for p in (own, predicted)
                )
                missed = found.animals > 1 and (labelled & ~seen).any()
                self.worst.append((index, float("inf") if missed else worst))
        self.worst.sort(key=lambda row_and_error: -row_and_error[1])

    def _list_worst(self) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        if self.predictions is not None:
            for index, px in self.worst:
                name = Path(self.predictions.names[index]).stem
                self.list.addItem(f"{_error_text(px)}   {name}")
                item = self.list.item(self.list.count() - 1)
                if item is not None:
                    item.setToolTip(self.predictions.names[index])
        self.list.blockSignals(False)

    def _show_table(self) -> None:
        errors: Any = self.model.about.get("held_out_error", []) if self.model else []
        self.table.setRowCount(len(errors))
        for row, error in enumerate(errors):
            cells = (
                str(error["bodypart"]),
                _number(error["median_px"], ".1f"),
                _number(error["p95_px"], ".1f"),
                _number(error["below_threshold"], ".0%"),
            )
            for column, text in enumerate(cells):
                self.table.setItem(row, column, QTableWidgetItem(text))

    def _choose_video(self) -> None:
        name = file_dialogs.open_file(self, "A video", "", _VIDEOS)
        if name:
            self.check_video(Path(name))

    def _show_report_form(self) -> None:
        self.show_report_form()

    def _choose_run(self) -> None:
        settings = self.document.settings
        start = str(settings.output_directory) if settings else ""
        name = file_dialogs.open_folder(self, "Choose a run folder", start)
        videos = RunFolder(Path(name)).videos if name else []
        if videos:
            self.check_video(videos[0])
        elif name:
            self.message.setText(f"{name} contains no video")

    @property
    def _network_in_use(self) -> str:
        """The network of the settings; empty: it can't be compared with the shown one."""
        settings = self.document.settings
        if settings is None or self.model is None or self.book is None:
            return ""
        try:
            in_use = find_model(settings.model).resolve()
        except DeepLabStreamError:
            return ""
        return "" if in_use == self.folder.resolve() else str(in_use)

    def _compare(self) -> None:
        self._use_after_comparison = False
        self.compare_networks()

    def compare_networks(self) -> ProgramWindow | None:
        """Compare the network with that of the settings, on images held out from both."""
        if (book := self.book) is None or not (in_use := self._network_in_use):
            return None
        arguments = ["--model", str(self.folder), "--against", in_use]
        window = ProgramWindow(
            "Compare networks",
            "EvaluateNetwork.py",
            [*arguments, "--data", str(book.folder)],
            self,
        )
        window.ended.connect(partial(self._show_comparison, window, self.folder))
        window.show()
        return window

    def _show_comparison(self, window: ProgramWindow, folder: Path, code: int) -> None:
        if folder != self.folder:  # another network is shown by now
            return
        lines = window.page.toPlainText().strip().splitlines()
        self.verdict = lines[-1] if lines else f"Comparing failed ({code})"
        self.message.setText(self.verdict)
        if self._use_after_comparison:
            window.close()
            self._use_if_confirmed()

    def _use(self) -> None:
        """Use the network, after a comparison with the one that it replaces.

        If the comparison is cancelled, the settings stay as they are.
        """
        if self.model is None:
            return
        if self._network_in_use and not self.verdict:
            self._use_after_comparison = True
            self.compare_networks()
        else:
            self._use_if_confirmed()

    def _use_if_confirmed(self) -> None:
        self._use_after_comparison = False
        present = Path(self._network_in_use).name if self._network_in_use else ""
        question = (
            f"{self.verdict}\n\nUse {self.folder.name} live in place of {present}? "
            f"{present} stays in its folder."
        )
        if present and show_question(self, question, _USE, f"Keep {present}") != _USE:
            return
        self.message.setText("\n".join(use_live(self.document, self.folder)))


def _error_text(px: float) -> str:
    return "animal missed" if np.isinf(px) else f"{px:.1f} px"


def _number(value: float | None, how: str) -> str:
    return "–" if value is None else format(value, how)
