"""Training tab: trains a network in a process of its own and plots its progress."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtCore import QEvent, Qt, pyqtSignal
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
from deeplabstream.doctor.collection import TrainingGpus
from deeplabstream.files.overwriting import would_overwrite
from deeplabstream.gui.dialogs.questions import place_to_write
from deeplabstream.gui.gpu_finder import GpuFinder
from deeplabstream.gui.pages.using_tab import models_of
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
from deeplabstream.gui.widgets.buttons import StopButton
from deeplabstream.gui.widgets.compared_view import ComparedView
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.program_form import FieldsForm
from deeplabstream.gui.widgets.program_view import CommandLine
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.image_files import image_size
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.training.data.input_size import parse_size
from deeplabstream.training.data.label_book import LabelBook

FEWEST = 2
"""Labelled frames: one to learn from, one to be tried on."""
_SHOWN = 6
_COLUMNS = 3
_WIDTH = 270
_SIZES = {
    "small (224 × 160)": "small",
    "medium (320 × 240)": "usual",
    "large (480 × 368)": "fine",
}
_COARSE = 0.1
"""Share of the frame's width: with a larger median error a network is of little use."""
_LAST = Path("checkpoints", "last.ckpt")
_NAME = re.compile(r"\w[\w -]*(?<! )")
"""What a network's folder may be called on every system."""
_BAD_NAME = "Name: letters, digits, spaces, - and _ only"
_BAD_SIZE = "Input size: WIDTHxHEIGHT, multiples of 16 from 32"
_UNNAMED = "network"
_PLAIN = ("labels", "labeled", "labelled", "labeled-data", "data", "frames", "pictures")
"""Folder names that say nothing of the project they belong to."""


class TrainingTab(QWidget):
    """Runs `utils/TrainNetwork.py`; shows its curves and predicted frames."""

    trained = pyqtSignal()
    """There is a network now, or another one."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.book: LabelBook | None = None
        self.progress = TrainingProgress()
        self.program = ProgramProcess(self)
        self.name, self.steps, self.sees = QLineEdit(), QSpinBox(), QComboBox()
        self.options = FieldsForm(TRAIN.fields, models_of(document))
        self.gpus = GpuFinder(self)
        self.device_problem = QLabel()
        self.device_problem.setObjectName("problem")
        self.device_problem.setWordWrap(True)
        self.device_problem.hide()
        self.command = CommandLine()
        self.train, self.stop = QPushButton("Train"), StopButton("Stop")
        self.resume = QPushButton("Resume")
        self.bar, self.state, self.words = QProgressBar(), QLabel(), QLabel()
        self.loss, self.error = pg.PlotWidget(), pg.PlotWidget()
        self.loss.getAxis("left").logTickStrings = _tick_names
        self.views = [ComparedView(small=True) for _ in range(_SHOWN)]
        self._began = False
        self._unwritten = ""
        """Output that is not in the record yet: the folder is not there."""
        self._recalled = Path()
        """The folder whose unfinished training is shown."""
        self._named = False
        """Whether the user has given a name: it is not proposed any more."""
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
        """Train on these labels, if there are enough."""
        self.book = book
        if book is not None and not self._named and not self._began:
            self.name.setText(self._unfinished_of(book) or name_for(book.folder))
        self._recall()
        self._show_state()

    def _unfinished_of(self, book: LabelBook) -> str:
        """Return the name of the newest training of these labels that was not ended."""
        kept = [
            file
            for file in self.model.parent.glob(f"*/{RECORD}")
            if not _is_finished(file.parent)
            and _can_continue(file.parent)
            and read_record(file.parent).labels == str(book.folder.resolve())
        ]
        newest = max(kept, key=lambda file: file.stat().st_mtime, default=None)
        return "" if newest is None else newest.parent.name

    def _recall(self) -> None:
        """Show options and curves of an unfinished training in the chosen folder."""
        folder = self.model
        if self.program.running or folder == self._recalled:
            return
        self._recalled = folder
        record = read_record(folder)
        if self.finished or not _can_continue(folder) or not record.options:
            return
        self.progress = record.progress
        self.steps.setValue(self.progress.steps)
        self.sees.setCurrentText(_shown_size(record.options["size"]))
        self.options.show_values(_fields_of(record))
        self._show_progress()
        self._show_found()
        self._began = True
        self.state.setText(f"Stopped at step {self.progress.step}. {self._rest()}")

    @property
    def input_size(self) -> str:
        """The chosen input size, as `--size` takes it; empty: it can't be used."""
        text = self.sees.currentText().strip().replace("×", "x").replace(" ", "")
        size = _SIZES.get(self.sees.currentText(), text)
        try:
            parse_size(size)
        except ModelError:
            return ""
        return size

    def begin(self, *, resume: bool = False) -> None:
        """Start to train, or go on with what was stopped."""
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
            # The checkpoint fits no other network; another device may continue it.
            device = self.options.values()["--device"]
            self.sees.setCurrentText(_shown_size(record.options["size"]))
            self.options.show_values({**_fields_of(record), "--device": device})
        arguments = [*self.arguments, "--tell"]
        if resume:
            arguments.append("--resume")
            self.progress.words.clear()
            self._unwritten = "\n"
        else:
            if would_overwrite(self.model):
                arguments.append("--overwrite")  # the user has said so
                for file in (*_checkpoints(self.model), self.model / RECORD):
                    file.unlink(missing_ok=True)
            self.progress = TrainingProgress(networks=self._networks)
            values = {k.lstrip("-"): " ".join(w) for k, w in self._values.items() if w}
            options = {"size": self.input_size, **values}
            self._unwritten = Record(str(book.folder.resolve()), options).line
        self._began, self._recalled = True, self.model
        self.program.start("TrainNetwork.py", arguments)
        self._show_progress()
        self._show_state()

    @property
    def arguments(self) -> list[str]:
        """The command line of a new training."""
        book = self.book
        words = ["--data", str(book.folder)] if book is not None else []
        words += ["--output", str(self.model), "--steps", str(self.steps.value())]
        words += ["--size", self.input_size or "usual", *TRAIN.arguments(self._values)]
        if book is not None and book.edges:
            words += ["--edges", *(":".join(edge) for edge in book.edges)]
        return words

    @property
    def _values(self) -> dict[str, list[str]]:
        return self.options.values()

    @property
    def _networks(self) -> int:
        """How many networks are trained one after the other."""
        return max(
            1, *(len(words.split(",")) for words in self._values["--seeds"] or [""])
        )

    def _choose_folder(self) -> bool:
        """Ask where to train if the folder holds something; False: the user cancelled."""
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
        """End the training; `Resume` takes it up again."""
        self.program.stop()

    def _arrange(self) -> None:
        self.name.setToolTip("folder of the network, in models/ beside the settings")
        self.steps.setRange(10, 100_000)
        self.steps.setValue(3000)
        self.steps.setSuffix(" steps")
        self.steps.setToolTip("--steps: batches to train on, 10 to 100000")
        self.steps.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.sees.addItems(list(_SIZES))
        self.sees.setCurrentIndex(1)
        self.sees.setEditable(True)
        self.sees.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.sees.setToolTip(
            "pixels of the network's input: fewer are faster, more are more precise; "
            "or type WIDTHxHEIGHT, multiples of 16"
        )
        self.train.setProperty("starts", True)
        self.resume.setToolTip("continue from the last saved checkpoint (--resume)")
        self.stop.setToolTip("Resume continues from the last saved checkpoint")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        for label in (self.state, self.words):
            label.setWordWrap(True)
        self.words.setObjectName("caption")
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        left = Panel("Train")
        left.setFixedWidth(_WIDTH)
        named = (
            ("Name", self.name),
            ("Training steps", self.steps),
            ("Input size", self.sees),
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
        left.column.addWidget(self.words, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addLayout(self._arrange_views(), 1)

    def _fit_area(self) -> None:
        """Be no higher than the options; with many of them, scroll."""
        if (fields := self.area.widget()) is not None:
            self.area.setMaximumHeight(fields.sizeHint().height())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look for GPUs when the tab is shown for the first time."""
        super().showEvent(event)
        self.gpus.start()
        self._fit_area()

    def _offer_gpus(self, gpus: TrainingGpus) -> None:
        """Offer the GPUs that were found, or say why none can be used."""
        self.options.offer_gpus(gpus)
        self.device_problem.setText(gpus.problem)
        self.device_problem.setVisible(bool(gpus.problem))

    def _arrange_views(self) -> QVBoxLayout:
        plots, curves = Panel("Learning curve"), QHBoxLayout()
        for plot, words in (
            (self.loss, "loss"),
            (self.error, "held-out error, px"),
        ):
            plot.setLabel("bottom", "step")
            plot.setLabel("left", words)
            plot.setMouseEnabled(x=False, y=False)
            plot.hideButtons()
            plot.setMenuEnabled(False)
            plot.setMinimumHeight(150)
            curves.addWidget(plot)
        self.loss.setLogMode(y=True)
        plots.column.addLayout(curves)
        shown = Panel("Held-out frames (ring = label, dot = prediction)")
        grid = QGridLayout()
        grid.setSpacing(6)
        for number, view in enumerate(self.views):
            view.clear("held-out frame")
            grid.addWidget(view, number // _COLUMNS, number % _COLUMNS)
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
        self.name.textChanged.connect(self._recall)
        self.name.textChanged.connect(self._show_state)
        self.sees.editTextChanged.connect(self._show_state)
        self.steps.valueChanged.connect(self._show_command)
        self.options.changed.connect(self._show_command)
        self.options.more.toggled.connect(self._fit_area)
        self.gpus.found.connect(self._offer_gpus)
        self.program.said.connect(self._take)
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
        """Keep the output in the folder of the network, once there is one."""
        self._unwritten += text
        if not self.progress.step:
            return
        try:
            with (self.model / RECORD).open("a", encoding="utf-8") as file:
                file.write(self._unwritten)
        except OSError:  # the training itself says that its folder is gone
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
        self.words.setText("\n".join(progress.words[-12:]))
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
            found = [each or (np.nan, np.nan) for each in points]
            view.compare(
                book.folder / name,
                self.progress.step,
                labels_of(book, name),
                found,
                len(book.bodyparts),
            )
        for view in self.views[len(shown) :]:
            view.clear("held-out frame")

    def _stop(self) -> None:
        self.program.stop()
        self.state.setText(f"Stopped at step {self.progress.step}. {self._rest()}")
        self._show_state()

    def _ended(self, code: int, killed: bool) -> None:
        progress = self.progress
        if not code and not killed:
            self.bar.setValue(self.bar.maximum())
            self.state.setText(self._verdict())
            self.trained.emit()
        elif killed or progress.silent:
            self.state.setText(
                f"Training was ended by another program at step {progress.step}. "
                + self._rest()
            )
        else:
            failed = f"Training failed with exit code {code}"
            self.state.setText(progress.words[-1] if progress.words else failed)
        self._show_state()

    def _verdict(self) -> str:
        """Say that training has ended, and whether the error is too large to be of use."""
        size = image_size(self.book.path(0)) if self.book and self.book.names else None
        error_px = self.progress.errors[-1][1] if self.progress.errors else 0.0
        if size is not None and error_px > _COARSE * size[1]:
            return (
                f"Done, but the median held-out error is {error_px:.0f} px in frames of "
                f"{size[1]} px: label more frames, or train more steps."
            )
        return "Done. See the results under Check."

    def _rest(self) -> str:
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
        for widget in (self.name, self.steps, self.sees, self.options):
            widget.setEnabled(not running)
        self._show_command()
        if self.book is not None and not named:
            self.state.setText(_BAD_NAME)
        elif not self.input_size:
            self.state.setText(_BAD_SIZE)
        elif not self._began or self.state.text() in (_BAD_NAME, _BAD_SIZE):
            count = 0 if self.book is None else int(self.book.done.sum())
            self.state.setText(
                f"{count} labelled frames"
                if enough
                else f"{count} labelled frames; at least {FEWEST} are needed"
            )


def _is_finished(folder: Path) -> bool:
    """Return whether a folder holds a network, or all that its record names."""
    seeds = read_record(folder).options.get("seeds", "")
    if not seeds:
        return (folder / DESCRIPTION).is_file() or bool(members(folder))
    trained = (folder / f"seed{seed}" / DESCRIPTION for seed in seeds.split(","))
    return all(file.is_file() for file in trained)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the last checkpoints of a network, or of an ensemble's networks."""
    return [*folder.glob(_LAST.as_posix()), *folder.glob(f"seed*/{_LAST.as_posix()}")]


def _can_continue(folder: Path) -> bool:
    return bool(_checkpoints(folder))


def _fields_of(record: Record) -> dict[str, list[str]]:
    """Return the words of the fields with which a training was started."""
    found = {}
    for field in TRAIN.fields:
        word = record.options.get(field.key.lstrip("-"), "")
        several = field.kind in ("words", "several")  # other words may contain spaces
        found[field.key] = word.split() if several else [word] if word else []
    del found["--device"]
    return found


def _shown_size(word: str) -> str:
    """Return how an input size is shown."""
    return {value: text for text, value in _SIZES.items()}.get(word, word)


def name_for(labels: Path) -> str:
    """Return the name proposed for a network of these labels: that of their project."""
    folder = labels.resolve()
    name = folder.parent.name if folder.name.casefold() in _PLAIN else folder.name
    return re.sub(r"[^\w -]+", "_", name).strip(" _-") or _UNNAMED


def labels_of(book: LabelBook, name: str) -> NDArray[np.float32]:
    """Return the labels of a frame (animal · body part, 2); NaN where there is none."""
    if name in book.names and book.done[book.names.index(name)]:
        return np.asarray(book.points[book.names.index(name)], np.float32)
    return np.full((book.animals * len(book.bodyparts), 2), np.nan, np.float32)


def _tick_names(
    logarithms: Sequence[float], _scale: float, _spacing: float | None
) -> list[str]:
    """Name 1, 2 and 5 of each decade: more numbers would overlap."""
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
