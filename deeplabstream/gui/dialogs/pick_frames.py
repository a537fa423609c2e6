"""Dialog that picks the frames of a video for labelling."""

from pathlib import Path

from PyQt5.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.program_window import runs_of
from deeplabstream.gui.form_fields import FormField
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.program_fields import ModelField
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.recording.run_folder import RunFolder

_MOST_RUNS = 20
_TABLES = "Poses (*.csv *.h5 *.parquet);;All files (*)"
_NETWORK = FormField(
    "--model",
    "Network",
    "pre-labels, and finds uncertain frames of a video: the newest network of this "
    "window, else that of the settings",
    "ensemble",
)


class PickDialog(QDialog):
    """`arguments` are those of `utils/PickFrames.py`.

    `network` is preselected; without it, the network of the settings.
    """

    def __init__(
        self,
        document: Document,
        into: Path,
        parent: QWidget,
        network: Path | None = None,
    ) -> None:
        super().__init__(parent)
        self.into = into
        self.setWindowTitle("Pick frames – DeepLabStream")
        self.network = ModelField(_NETWORK, document.path.parent / "models")
        self.network.box.setToolTip(_NETWORK.hint)
        first = network or _present(document)
        self.network.show_values([] if first is None else [str(first)])
        self.source = QComboBox()
        for run in _runs(document):
            self.source.addItem(f"run {run.name}", run)
        self.source.setToolTip("recorded runs, newest first, and videos")
        self.video = QPushButton("Video file …")
        self.count = QSpinBox()
        self.count.setRange(1, 1000)
        self.count.setValue(20)
        self.count.setSuffix(" frames")
        self.count.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.count.setToolTip("frames per source, 1 to 1000")
        self.unlike = QRadioButton("most different frames")
        self.unsure = QRadioButton("frames with the least certain poses")
        self.unsure.setToolTip(
            "frames with low confidences or jumping points: poses of the run, or of "
            "the network for a video"
        )
        self.queue = QRadioButton("uncertain frames that the run has queued")
        self.queue.setToolTip(
            "frames with low confidences, jumps, points that [Tracking] rejected, or "
            "ambiguous identities ([Recording] QUEUE_PER_HOUR)"
        )
        self.unlike.setChecked(True)
        self.propose = QCheckBox("pre-label with the network")
        self.propose.setChecked(bool(self.network.values()))
        self.tracks: Path | None = None
        """Poses of the video that are used for pre-labelling, instead of the network."""
        self.from_tracks = QPushButton("Tracks …")
        self.from_tracks.setToolTip(
            "pre-label a video with its poses and identities instead: a table of "
            "PredictVideos, DeepLabCut or Lightning Pose"
        )
        self._arrange()

    def use(self, source: Path) -> None:
        """Choose a video file or a run folder."""
        kind = "run" if source.is_dir() else "video"
        self.source.addItem(f"{kind} {source.name}", source)
        self.source.setCurrentIndex(self.source.count() - 1)
        self._show_state()

    @property
    def arguments(self) -> list[str]:
        """Command-line arguments of `utils/PickFrames.py`."""
        source = Path(self.source.currentData())
        arguments = [str(source), "--into", str(self.into)]
        queue = self.queue.isChecked() and source.is_dir()
        arguments += ["--queue"] if queue else ["--count", str(self.count.value())]
        unsure = self.unsure.isChecked()
        if unsure:
            arguments.append("--unsure")
        if self.tracks is not None and not source.is_dir():
            arguments += ["--tracks", str(self.tracks)]
        if self.propose.isChecked() or (unsure and not source.is_dir()):
            arguments += ["--model", *self.network.values()]
        return arguments

    def _arrange(self) -> None:
        source = QHBoxLayout()
        source.addWidget(self.source, 1)
        source.addWidget(self.video)
        selection = QVBoxLayout()
        for widget in (self.unlike, self.unsure, self.queue):
            selection.addWidget(widget)
        form = QFormLayout()
        form.setSpacing(10)
        form.addRow("Source", source)
        form.addRow("Count", self.count)
        form.addRow("Selection", selection)
        form.addRow("Network", self.network)
        proposed = QHBoxLayout()
        proposed.addWidget(self.propose, 1)
        proposed.addWidget(self.from_tracks)
        form.addRow("", proposed)
        kinds = QDialogButtonBox.StandardButton
        self.box = QDialogButtonBox()
        for kind in (kinds.Ok, kinds.Cancel):
            self.box.addButton(kind)
        self.box.accepted.connect(self.accept)
        self.box.rejected.connect(self.reject)
        self.video.clicked.connect(self._choose_video)
        self.from_tracks.clicked.connect(self._choose_tracks)
        self.source.currentIndexChanged.connect(self._show_state)
        self.queue.toggled.connect(self._show_state)
        self.network.changed.connect(self._show_state)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.box)
        self.resize(520, self.sizeHint().height())
        self._show_state()

    def _show_state(self) -> None:
        source = self.source.currentData()
        run = source is not None and Path(source).is_dir()
        known = bool(self.network.values())
        self.queue.setEnabled(run)
        self.unsure.setEnabled(run or known)
        self.propose.setEnabled(known)
        if not known:
            self.propose.setChecked(False)
        for button in (self.queue, self.unsure):
            if button.isChecked() and not button.isEnabled():
                self.unlike.setChecked(True)
        self.count.setEnabled(not self.queue.isChecked())
        pick = self.box.button(QDialogButtonBox.StandardButton.Ok)
        if pick is not None:
            pick.setText("Pick")
            pick.setEnabled(self.source.count() > 0)

    def _choose_video(self) -> None:
        name = file_dialogs.open_file(self, "A video", "", VIDEO_FILTER)
        if name:
            self.use(Path(name))

    def use_tracks(self, table: Path) -> None:
        """Pre-label with the poses of a table."""
        self.tracks = table
        self.from_tracks.setText(table.name)
        self.propose.setChecked(False)

    def _choose_tracks(self) -> None:
        name = file_dialogs.open_file(self, "Poses of the video", "", _TABLES)
        if name:
            self.use_tracks(Path(name))


def _present(document: Document) -> Path | None:
    """Return the folder of the network of the settings; None: it does not exist."""
    try:
        return find_model(document.settings.model) if document.settings else None
    except DeepLabStreamError:
        return None


def _runs(document: Document) -> list[Path]:
    """Return the runs with a video, newest first."""
    runs = runs_of(document.settings, 10 * _MOST_RUNS)
    return [run for run in runs if RunFolder(run).videos][:_MOST_RUNS]
