"""Training tab: trains a network in a separate process and plots its progress."""

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtCore import QEvent, QObject, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QShowEvent
from PyQt5.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import ModelError
from deeplabstream.doctor.collection import TrainingGpus, training_gpus
from deeplabstream.files.overwriting import would_overwrite
from deeplabstream.gui.dialogs.questions import place_to_write
from deeplabstream.gui.pages.using_tab import first_of, models_of
from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.programs import TRAIN
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import palette
from deeplabstream.gui.training_progress import (
    RECORD,
    Record,
    TrainingProgress,
    read_record,
)
from deeplabstream.gui.widgets.compared_view import ComparedView
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.program_form import FieldsForm
from deeplabstream.gui.widgets.program_view import CommandLine
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.gui.widgets.values_table import ValuesTable
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.image_files import image_size
from deeplabstream.pose.model.model_folder import DESCRIPTION, load_model_folder
from deeplabstream.training.data.input_size import parse_size
from deeplabstream.training.data.label_book import LabelBook

_GPU_POLL_MS = 100
FEWEST = 2
"""Labelled frames needed: one for training, one held out."""
_SHOWN = 6
_LAST_LINES = 12
"""Lines of the output that are shown."""
_COLUMNS = 3
_WIDTH = 270
_SIZES = {
    "small (224 × 160)": "small",
    "medium (320 × 240)": "usual",
    "large (480 × 368)": "fine",
}
_NONE_YET = (
    "A part of the labelled frames is held out of the training. They appear here with labels "
    "and predictions, after each validation."
)
_ERRORS = {"body part": "bodypart", "median, px": "median_px", "95 %, px": "p95_px"}
"""Columns of the table of errors, and their names in model.json."""
_COARSE = 0.1
"""Median error, as a share of the frame's width, above which a warning is shown."""
_LAST = Path("checkpoints", "last.ckpt")
_NAME = re.compile(r"\w[\w -]*(?<! )")
"""Folder names that are valid on every system."""
_BAD_NAME = "Name: letters, digits, spaces, - and _ only"
_BAD_SIZE = "Input size: WIDTHxHEIGHT, multiples of 16 from 32"
_UNNAMED = "network"
_PLAIN = ("labels", "labeled", "labelled", "labeled-data", "data", "frames", "pictures")
"""Folder names that are not names of a project."""


class GpuFinder(QObject):
    """Runs a probe in a daemon thread: a driver may hang."""

    found = pyqtSignal(object)
    """TrainingGpus: GPUs found, or why none can be used."""

    def __init__(
        self, parent: QObject, probe: Callable[[], TrainingGpus] = training_gpus
    ) -> None:
        super().__init__(parent)
        self.gpus: TrainingGpus | None = None
        """Result of the probe; None: `found` was not emitted."""
        self._result: TrainingGpus | None = None
        self._probe = probe
        self._thread: threading.Thread | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._check)

    def start(self) -> None:
        """Start the probe, on the first call."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            self._timer.start(_GPU_POLL_MS)

    def _run(self) -> None:
        self._result = self._probe()

    def _check(self) -> None:
        if self._result is not None:
            self._timer.stop()
            self.gpus = self._result
            self.found.emit(self.gpus)


class TrainingTab(QWidget):
    """Runs `utils/TrainNetwork.py`; shows its curves and predicted frames."""

    trained = pyqtSignal()
    """A network was trained."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.book: LabelBook | None = None
        self.progress = TrainingProgress()
        self.program = ProgramProcess(self)
        self.name, self.steps, self.input_box = QLineEdit(), QSpinBox(), QComboBox()
        self.options = FieldsForm(TRAIN.fields, models_of(document))
        self.gpus = GpuFinder(self)
        self.device_problem = QLabel()
        self.device_problem.setObjectName("problem")
        self.device_problem.setWordWrap(True)
        self.device_problem.hide()
        self.command = CommandLine()
        self.train, self.stop = QPushButton("Train"), StopButton("Stop")
        self.resume = QPushButton("Resume")
        self.bar, self.state, self.message = QProgressBar(), QLabel(), QLabel()
        self.loss, self.error = pg.PlotWidget(), pg.PlotWidget()
        self.loss.getAxis("left").logTickStrings = _tick_names
        self.errors = ValuesTable()
        """Errors of the body parts in the held-out frames, after a training."""
        self.views = [ComparedView(small=True) for _ in range(_SHOWN)]
        self.none_yet = QLabel(_NONE_YET)
        """Shown until there are predicted frames."""
        self._started = False
        self._unwritten = ""
        """Output to add to the record once the folder exists."""
        self._record_folder = Path()
        """The folder whose record was read last."""
        self._named = False
        """Whether the user has entered a name: none is proposed any more."""
        self._curves = [plot.plot([], []) for plot in (self.loss, self.error)]
        self._arrange()
        self._connect()
        self._draw_curves()
        self.show_book(None)

    @property
    def model(self) -> Path:
        """The folder that the network is written to."""
        name = self.name.text().strip()
        name = name if _NAME.fullmatch(name) else _UNNAMED
        return models_of(self.document) / name

    @property
    def finished(self) -> bool:
        """Whether the folder holds a network, or all networks of an ensemble."""
        return _is_finished(self.model)

    @property
    def running(self) -> bool:
        """Whether a network is being trained."""
        return self.program.running

    def show_book(self, book: LabelBook | None) -> None:
        """Use these labels for training."""
        self.book = book
        if book is not None and not self._named and not self._started:
            self.name.setText(self._unfinished_of(book) or name_for(book.folder))
        self._show_record()
        self._show_state()

    def _unfinished_of(self, book: LabelBook) -> str:
        """Return the name of the newest unfinished training on these labels; empty: none."""
        kept = [
            file
            for file in self.model.parent.glob(f"*/{RECORD}")
            if not _is_finished(file.parent)
            and _can_continue(file.parent)
            and read_record(file.parent).labels == str(book.folder.resolve())
        ]
        newest = max(kept, key=lambda file: file.stat().st_mtime, default=None)
        return "" if newest is None else newest.parent.name

    def _show_record(self) -> None:
        """Show options and curves of an unfinished training in the folder."""
        folder = self.model
        if self.program.running or folder == self._record_folder:
            return
        self._record_folder = folder
        record = read_record(folder)
        if self.finished or not _can_continue(folder) or not record.options:
            return
        self.progress = record.progress
        self.steps.setValue(self.progress.steps)
        self.input_box.setCurrentText(_shown_size(record.options["size"]))
        self.options.show_values(_fields_of(record))
        self._show_progress()
        self._show_found()
        self._started = True
        self.state.setText(
            f"Stopped at step {self.progress.step}. {self._checkpoint_text()}"
        )

    @property
    def input_size(self) -> str:
        """The input size as value of `--size`; empty: invalid."""
        text = self.input_box.currentText().strip().replace("×", "x").replace(" ", "")
        size = _SIZES.get(self.input_box.currentText(), text)
        try:
            parse_size(size)
        except ModelError:
            return ""
        return size

    def begin(self, *, resume: bool = False) -> None:
        """Start a training, or resume one."""
        book = self.book
        if book is None or self.program.running:
            return
        if book.fault:
            book.save_unsaved()
        if book.fault:
            self.state.setText(f"{book.fault}. Training reads that file")
            return
        if not resume and not self._choose_folder():
            return
        if resume and (record := read_record(self.model)).options:
            # A checkpoint needs the same network options; the device may differ.
            device = self.options.values()["--device"]
            self.input_box.setCurrentText(_shown_size(record.options["size"]))
            self.options.show_values({**_fields_of(record), "--device": device})
        arguments = [*self.arguments, "--tell"]
        if resume:
            arguments.append("--resume")
            self.progress.messages.clear()
            self._unwritten = "\n"
        else:
            if would_overwrite(self.model):
                arguments.append("--overwrite")  # the user has confirmed it
                for file in (*_checkpoints(self.model), self.model / RECORD):
                    file.unlink(missing_ok=True)
            self.progress = TrainingProgress(networks=self._networks)
            values = {k.lstrip("-"): " ".join(w) for k, w in self._values.items() if w}
            options = {"size": self.input_size, **values}
            self._unwritten = Record(str(book.folder.resolve()), options).line
        self._started, self._record_folder = True, self.model
        self.program.start("TrainNetwork.py", arguments)
        self._show_progress()
        self._show_state()

    @property
    def arguments(self) -> list[str]:
        """The command line of a new training."""
        book = self.book
        arguments = ["--data", str(book.folder)] if book is not None else []
        arguments += ["--output", str(self.model), "--steps", str(self.steps.value())]
        arguments += [
            "--size",
            self.input_size or "usual",
            *TRAIN.arguments(self._values),
        ]
        if book is not None and book.edges:
            arguments += ["--edges", *(":".join(edge) for edge in book.edges)]
        return arguments

    @property
    def _values(self) -> dict[str, list[str]]:
        return self.options.values()

    @property
    def _networks(self) -> int:
        """Number of networks that are trained one after the other."""
        return max(
            1, *(len(seeds.split(",")) for seeds in self._values["--seeds"] or [""])
        )

    def _choose_folder(self) -> bool:
        """Choose another folder if it already has a training; False: cancelled."""
        settings = self.document.settings
        used = settings is not None and Path(settings.model).resolve() == self.model
        what = "a trained network" if self.finished else "an unfinished training"
        question = f"{self.model} holds {what}."
        if used:
            question += " The settings use it, so it is not replaced."
        folder = place_to_write(self, self.model, question, replaceable=not used)
        if folder is not None:
            self.name.setText(folder.name)
        return folder is not None

    def finish(self) -> None:
        """End the training; Resume continues it."""
        self.program.stop()

    def _arrange(self) -> None:
        self.name.setToolTip("folder of the network, in models/ beside the settings")
        self.steps.setRange(10, 100_000)
        self.steps.setValue(3000)
        self.steps.setSuffix(" steps")
        self.steps.setToolTip("--steps: batches to train on, 10 to 100000")
        self.steps.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.input_box.addItems(list(_SIZES))
        self.input_box.setCurrentIndex(1)
        self.input_box.setEditable(True)
        self.input_box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.input_box.setToolTip(
            "pixels of the network's input: fewer are faster, more are more precise; "
            "or type WIDTHxHEIGHT, multiples of 16"
        )
        self.train.setProperty("starts", True)
        self.resume.setToolTip("continue from the last saved checkpoint (--resume)")
        self.stop.setToolTip("Resume continues from the last saved checkpoint")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        for label in (self.state, self.message):
            label.setWordWrap(True)
        self.message.setObjectName("caption")
        self.message.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.message.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        left = Panel("Train")
        left.setFixedWidth(_WIDTH)
        named = (
            ("Name", self.name),
            ("Training steps", self.steps),
            ("Input size", self.input_box),
        )
        fields = QWidget()
        fields.setObjectName("clear")
        column = QVBoxLayout(fields)
        column.setContentsMargins(0, 0, 6, 0)
        column.setSpacing(4)
        for text, widget in named:
            caption = QLabel(text)
            caption.setObjectName("caption")
            column.addWidget(caption)
            column.addWidget(widget)
        column.addWidget(self.options)
        self.area = QScrollArea()
        self.area.setWidget(fields)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        left.column.addWidget(self.area, 4)
        left.column.addSpacing(6)
        for button in (self.train, self.resume, self.stop):
            left.column.addWidget(button)
        left.column.addSpacing(6)
        for widget in (self.device_problem, self.bar, self.state):
            left.column.addWidget(widget)
        self.errors.hide()
        left.column.addWidget(self.errors, 2)
        left.column.addWidget(self.message, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addLayout(self._arrange_views(), 1)

    def _fit_area(self) -> None:
        """Limit the area to the height of the options; more of them scroll."""
        if (fields := self.area.widget()) is not None:
            self.area.setMaximumHeight(fields.sizeHint().height())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look for GPUs when the tab is first shown."""
        super().showEvent(event)
        self.gpus.start()
        self._fit_area()

    def _offer_gpus(self, gpus: TrainingGpus) -> None:
        """Offer the GPUs that were found, or show why none can be used."""
        self.options.offer_gpus(gpus)
        self.device_problem.setText(gpus.problem)
        self.device_problem.setVisible(bool(gpus.problem))

    def _arrange_views(self) -> QVBoxLayout:
        plots, curves = Panel("Learning curve"), QHBoxLayout()
        for plot, label in (
            (self.loss, "loss"),
            (self.error, "held-out error, px"),
        ):
            plot.setLabel("bottom", "step")
            plot.setLabel("left", label)
            plot.setMouseEnabled(x=False, y=False)
            plot.hideButtons()
            plot.setMenuEnabled(False)
            plot.setMinimumHeight(150)
            # the texts of the last ticks are half beyond the axes
            plot.getPlotItem().layout.setContentsMargins(0, 8, 12, 0)
            curves.addWidget(plot)
        self.loss.setLogMode(y=True)
        plots.column.addLayout(curves)
        shown = Panel("Held-out frames (ring = label, dot = prediction)")
        grid = QGridLayout()
        grid.setSpacing(6)
        for number, view in enumerate(self.views):
            view.hide()
            grid.addWidget(view, number // _COLUMNS, number % _COLUMNS)
        self.none_yet.setWordWrap(True)
        self.none_yet.setObjectName("caption")
        self.none_yet.setAlignment(Qt.AlignmentFlag.AlignCenter)
        shown.column.addWidget(self.none_yet, 1)
        shown.column.addLayout(grid, 1)
        column = QVBoxLayout()
        column.setSpacing(10)
        column.addWidget(plots, 2)
        column.addWidget(shown, 3)
        column.addWidget(self.command)
        return column

    def _connect(self) -> None:
        self.train.clicked.connect(lambda: self.begin())
        self.resume.clicked.connect(lambda: self.begin(resume=True))
        self.stop.clicked.connect(self._stop)
        self.name.textEdited.connect(self._take_name)
        self.name.textChanged.connect(self._show_record)
        self.name.textChanged.connect(self._show_state)
        self.input_box.editTextChanged.connect(self._show_state)
        self.steps.valueChanged.connect(self._show_command)
        self.options.changed.connect(self._show_command)
        self.options.more.toggled.connect(self._fit_area)
        self.gpus.found.connect(self._offer_gpus)
        self.program.output_received.connect(self._take)
        self.program.ended.connect(self._ended)

    def _take_name(self) -> None:
        self._named = True

    def _take(self, text: str) -> None:
        before = self.progress.found
        self.progress.take(text)
        self._record(text)
        self._show_progress()
        if self.progress.found is not before:
            self._show_found()

    def _record(self, text: str) -> None:
        """Append the output to the record in the folder of the network, once it exists."""
        self._unwritten += text
        if not self.progress.step:
            return
        try:
            with (self.model / RECORD).open("a", encoding="utf-8") as file:
                file.write(self._unwritten)
        except OSError:  # the training itself reports a missing folder
            return
        self._unwritten = ""

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw the curves in the colours of another style."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self._draw_curves()

    def _show_progress(self) -> None:
        progress = self.progress
        self.bar.setRange(0, max(1, progress.steps * progress.networks))
        self.bar.setValue(progress.step + progress.steps * progress.network)
        self.state.setText(progress.sentence)
        self.message.setText("\n".join(progress.messages[-_LAST_LINES:]))
        self.errors.hide()
        self._draw_curves()

    def _draw_curves(self) -> None:
        progress, colours = self.progress, palette()
        for plot in (self.loss, self.error):
            plot.setBackground(colours.panel)
            for side in ("bottom", "left"):
                plot.getAxis(side).setPen(colours.line)
                plot.getAxis(side).setTextPen(colours.faint)
        _draw(self._curves[0], progress.losses, pg.mkPen(colours.blue, width=2))
        _draw(
            self._curves[1],
            progress.errors,
            pg.mkPen(colours.green, width=2),
            symbol="o",
        )

    def _show_command(self) -> None:
        self.command.show_command(TRAIN.file, self.arguments)

    def _show_found(self) -> None:
        book, shown = self.book, list(self.progress.found.items())
        if book is None:
            return
        for view, (name, points) in zip(self.views, shown, strict=False):
            found = [point or (np.nan, np.nan) for point in points]
            view.show()
            view.compare(
                book.folder / name,
                self.progress.step,
                labels_of(book, name),
                found,
                len(book.bodyparts),
            )
        for view in self.views[len(shown) :]:
            view.hide()
        self.none_yet.setVisible(not shown)

    def _stop(self) -> None:
        self.program.stop()
        self.state.setText(
            f"Stopped at step {self.progress.step}. {self._checkpoint_text()}"
        )
        self._show_state()

    def _ended(self, code: int, killed: bool) -> None:
        progress = self.progress
        if not code and not killed:
            self.bar.setValue(self.bar.maximum())
            self.state.setText(self._verdict())
            self._show_errors()
            self.trained.emit()
        elif killed or progress.silent:
            self.state.setText(
                f"Training was ended by another program at step {progress.step}. "
                + self._checkpoint_text()
            )
        else:
            failed = f"Training failed with exit code {code}"
            self.state.setText(progress.messages[-1] if progress.messages else failed)
        self._show_state()

    def _show_errors(self) -> None:
        """Show the errors of the body parts, from model.json, as a table."""
        try:
            about = load_model_folder(first_of(self.model)).about
        except ModelError:
            return
        found: Any = about.get("held_out_error") or ()
        rows = [[row.get(name) for name in _ERRORS.values()] for row in found]
        self.errors.show_values(list(_ERRORS), rows)
        self.errors.setVisible(bool(rows))

    def _verdict(self) -> str:
        """Return the result of the training, with a warning if the error is large."""
        size = image_size(self.book.path(0)) if self.book and self.book.names else None
        error_px = self.progress.errors[-1][1] if self.progress.errors else 0.0
        if size is not None and error_px > _COARSE * size[1]:
            return (
                f"Done, but the median held-out error is {error_px:.0f} px in frames of "
                f"{size[1]} px: label more frames, or train more steps."
            )
        return "Done. See the results under Check."

    def _checkpoint_text(self) -> str:
        if _can_continue(self.model):
            return "A checkpoint is saved: Resume continues the training."
        return "No checkpoint yet: Train starts again."

    def _show_state(self) -> None:
        enough = self.book is not None and int(self.book.done.sum()) >= FEWEST
        named = _NAME.fullmatch(self.name.text().strip()) is not None
        running = self.program.running
        able = enough and named and bool(self.input_size) and not running
        self.train.setEnabled(able)
        again = not self.finished or bool(self.progress.step)
        self.resume.setEnabled(able and again and _can_continue(self.model))
        self.stop.setEnabled(running)
        for widget in (self.name, self.steps, self.input_box, self.options):
            widget.setEnabled(not running)
        self._show_command()
        if self.book is not None and not named:
            self.state.setText(_BAD_NAME)
        elif not self.input_size:
            self.state.setText(_BAD_SIZE)
        elif not self._started or self.state.text() in (_BAD_NAME, _BAD_SIZE):
            count = 0 if self.book is None else int(self.book.done.sum())
            self.state.setText(
                f"{count} labelled frames"
                if enough
                else f"{count} labelled frames; at least {FEWEST} are needed"
            )


def _is_finished(folder: Path) -> bool:
    """Return whether a folder has a network, or all networks of its record."""
    seeds = read_record(folder).options.get("seeds", "")
    if not seeds:
        return (folder / DESCRIPTION).is_file() or bool(members(folder))
    trained = (folder / f"seed{seed}" / DESCRIPTION for seed in seeds.split(","))
    return all(file.is_file() for file in trained)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the last checkpoints of a network or of an ensemble."""
    return [*folder.glob(_LAST.as_posix()), *folder.glob(f"seed*/{_LAST.as_posix()}")]


def _can_continue(folder: Path) -> bool:
    return bool(_checkpoints(folder))


def _fields_of(record: Record) -> dict[str, list[str]]:
    """Return the values of the form with which a training was started."""
    found = {}
    for field in TRAIN.fields:
        word = record.options.get(field.key.lstrip("-"), "")
        several = field.kind in ("texts", "several")  # other values may contain spaces
        found[field.key] = word.split() if several else [word] if word else []
    del found["--device"]
    return found


def _shown_size(word: str) -> str:
    """Return the label of an input size."""
    return {value: text for text, value in _SIZES.items()}.get(word, word)


def name_for(labels: Path) -> str:
    """Return the proposed name of a network: the name of its labels' project."""
    folder = labels.resolve()
    name = folder.parent.name if folder.name.casefold() in _PLAIN else folder.name
    return re.sub(r"[^\w -]+", "_", name).strip(" _-") or _UNNAMED


def labels_of(book: LabelBook, name: str) -> NDArray[np.float32]:
    """Return the labels of a frame (animal · body part, 2); NaN: not labelled."""
    if name in book.names and book.done[book.names.index(name)]:
        return np.asarray(book.points[book.names.index(name)], np.float32)
    return np.full((book.animals * len(book.bodyparts), 2), np.nan, np.float32)


def _tick_names(
    logarithms: Sequence[float], _scale: float, _spacing: float | None
) -> list[str]:
    """Label 1, 2 and 5 of each decade: more numbers would overlap."""
    numbers = [10.0**value for value in logarithms]
    return [
        f"{number:.3g}" if f"{number:.0e}"[0] in "125" else "" for number in numbers
    ]


def _draw(
    curve: pg.PlotDataItem,
    values: Sequence[tuple[int, float]],
    pen: object,
    symbol: str | None = None,
) -> None:
    steps = [step for step, _ in values]
    heights = [max(value, 1e-6) for _, value in values]
    curve.setData(steps, heights, pen=pen, symbol=symbol, symbolSize=5)
