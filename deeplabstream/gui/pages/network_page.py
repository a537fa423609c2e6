"""Network page: import, label, train, check, predict with, speed up and use a network."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import cached_property, partial
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.dialog_input import run_dialog
from deeplabstream.gui.dialogs.pick_frames import PickDialog
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.dialogs.questions import show_question
from deeplabstream.gui.pages.checking_tab import CheckingTab
from deeplabstream.gui.pages.labelling_tab import LabellingTab
from deeplabstream.gui.pages.training_tab import TrainingTab
from deeplabstream.gui.pages.using_tab import UsingTab, models_of
from deeplabstream.gui.programs import FASTER, IMPORT, PREDICT, PREDICTING, ProgramForm
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.program_form import ProgramPanel
from deeplabstream.gui.widgets.step_row import step_row
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.training.data.label_book import LabelBook, open_book
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.projects import DLC_CONFIG

_LIST_WIDTH = 190  # px
_CONTINUE, _CANCEL = "Continue without saving", "Cancel"
MOST_ANIMALS = 100
"""Largest number of animals in a frame."""
_STEPS = {
    "Import": "importing",
    "Label": "labelling",
    "Train": "training",
    "Check": "checking",
    "Predict videos": "predicting",
    "Make faster": "faster",
    "Use live": "using",
}
"""Attribute with the tab of each step."""
_OF_LABELS = ("Label", "Train", "Check")
"""Steps that need a folder of labels."""
_LABELS = f"Labels (*.slp {DLC_CONFIG})"
_NO_FRAMES = (
    "No frames yet. Start Recording on the page Live,\nthen Pick frames of that "
    "run or of any video"
)


class ProgramsTab(QWidget):
    """Form of one program, or a list of several and the form of the selected one."""

    ended = pyqtSignal(object, int)
    """ProgramPanel of the program that has ended, and its exit code."""

    def __init__(self, programs: Sequence[ProgramForm], models: Path) -> None:
        super().__init__()
        self.panels = [ProgramPanel(program, models) for program in programs]
        self.list, self._stack = QListWidget(), QStackedWidget()
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        if len(programs) > 1:
            left = Panel("Programs")
            left.setFixedWidth(_LIST_WIDTH)
            left.column.addWidget(self.list)
            row.addWidget(left)
        row.addWidget(self._stack, 1)
        for program, panel in zip(programs, self.panels, strict=True):
            self.list.addItem(program.title)
            self._stack.addWidget(panel)
            panel.ended.connect(lambda code, panel=panel: self.ended.emit(panel, code))
        self.list.currentRowChanged.connect(self._stack.setCurrentIndex)
        self.list.setCurrentRow(0)

    def refresh(self) -> None:
        """Update the lists of networks."""
        for panel in self.panels:
            panel.form.refresh()

    def panel(self, program: ProgramForm) -> ProgramPanel:
        """Return the panel of a program."""
        return next(panel for panel in self.panels if panel.program is program)

    def show_program(
        self, program: ProgramForm, values: Mapping[str, Sequence[str]]
    ) -> ProgramPanel:
        """Select a program and fill in some of its fields."""
        panel = self.panel(program)
        self.list.setCurrentRow(self.panels.index(panel))
        panel.form.show_values(values)
        return panel


class NetworkPage(QWidget):
    """Steps from a video or an imported network to a network in use, one tab each.

    Label, Train and Check share one folder of labels, initially the last one.
    `recent` stores the folders.
    """

    def __init__(self, document: Document, recent: Recent) -> None:
        super().__init__()
        self.document = document
        self.recent = recent
        self.book: LabelBook | None = None
        self._newest: Path | None = None
        """The last network that this window has trained, imported or distilled."""
        self.folder = QPushButton("Folder of labels …")
        self.parts_line = QLineEdit()
        self.animals_line = QLineEdit()
        self.pick = QPushButton("Pick frames …")
        self.problem = QLabel()
        self.labelling = LabellingTab()
        self.training = TrainingTab(document)
        self.checking = CheckingTab(document)
        self._forms: list[ProgramsTab] = []
        """Tabs of programs that were shown: each takes long to create."""
        self.using = UsingTab(document)
        self._stack = QStackedWidget()
        self._group = QButtonGroup(self)
        self.tabs = {name: QPushButton(name) for name in _STEPS}
        self._arrange()
        self._connect()
        self._show_state()
        for last in recent.existing("labels")[:1]:
            with suppress(LabelsError, OSError):  # it is no longer a folder of labels
                self._show(open_book(last))

    @cached_property
    def importing(self) -> ProgramsTab:
        """The tab Import."""
        tab = self._create([IMPORT])
        tab.ended.connect(self._take_network)
        return tab

    @cached_property
    def predicting(self) -> ProgramsTab:
        """The tab Predict videos."""
        return self._create(PREDICTING)

    @cached_property
    def faster(self) -> ProgramsTab:
        """The tab Make faster."""
        tab = self._create(FASTER)
        tab.ended.connect(self._take_network)
        gpus = self.training.gpus
        for panel in tab.panels:
            gpus.found.connect(panel.form.offer_gpus)
            if gpus.gpus is not None:
                panel.form.offer_gpus(gpus.gpus)
        return tab

    def _create(self, programs: Sequence[ProgramForm]) -> ProgramsTab:
        """Create a tab of programs, with the newest network preselected."""
        tab = ProgramsTab(programs, models_of(self.document))
        self._stack.addWidget(tab)
        self._forms.append(tab)
        if self._newest is not None:
            _preselect(tab.panels, self._newest)
        return tab

    def open(self, folder: Path) -> None:
        """Show the frames of a folder; a new one gets the body parts and animals entered.

        Unsaved labels of the folder before are saved first, or the user decides.
        """
        if not self.may_leave():
            return
        parts = separated(self.parts_line.text())
        animals = named_animals(self.animals_line.text())
        with busy(self, f"Reading the labels of {folder.name} …"):
            try:
                book = open_book(folder, parts, individuals=animals)
            except (LabelsError, OSError) as error:
                self.book = None
                self.problem.setText(str(error))
                self.labelling.show_book(None, "Choose a folder for your labels")
                self._show_state()
            else:
                self._show(book)

    def show_step(self, name: str) -> None:
        """Show the tab of a step."""
        self.tabs[name].setChecked(True)
        slow = name == "Check" or _STEPS[name] not in vars(self)
        with busy(self, f"Opening the tab {name} …") if slow else nullcontext():
            tab: QWidget = getattr(self, _STEPS[name])
            if name == "Check":
                self.checking.open(self.training.model, self.book)
            self._refresh()
            if name == "Make faster":
                self.training.gpus.start()
            for widget in (self.folder, self.parts_line, self.animals_line, self.pick):
                widget.setVisible(name in _OF_LABELS)
            self._stack.setCurrentWidget(tab)

    def import_network(self, source: Path) -> None:
        """Show the form that imports a network of another program."""
        self.show_step("Import")
        self.importing.show_program(IMPORT, {"Network": [str(source)]})

    def predict_video(self, video: Path) -> None:
        """Show the form that predicts poses, with a video added."""
        self.show_step("Predict videos")
        videos = self.predicting.panel(PREDICT).form.values()["Videos"]
        paths = [*dict.fromkeys([*videos, str(video)])]
        self.predicting.show_program(PREDICT, {"Videos": paths})

    def pick_frames(self, *arguments: str) -> ProgramWindow | None:
        """Add frames of a video or a run, with these options of `utils/PickFrames.py`."""
        book = self.book
        if book is None or not self.may_leave():
            return None
        window = ProgramWindow("Pick frames", "PickFrames.py", arguments, self)
        window.ended.connect(partial(self._reopen, book.folder))
        window.show()
        return window

    def label_queue(self, run: Path) -> ProgramWindow | None:
        """Add the uncertain frames of a run, pre-labelled by the network in use.

        Training will start from that network. Without a folder of labels, the user first
        chooses one.
        """
        self.show_step("Label")
        if self.book is None:
            self._choose_folder()
        if self.book is None:
            return None
        arguments = [str(run), "--into", str(self.book.folder), "--queue"]
        if (in_use := self.using.in_use) is not None:
            arguments += ["--model", str(in_use)]
            self._start_from(in_use)
        return self.pick_frames(*arguments)

    def _start_from_network_in_use(self, book: LabelBook) -> None:
        """Preselect the network in use as the start of training, unless one is selected."""
        skeleton, in_use = self._skeleton_in_use(), self.using.in_use
        chosen = self.training.options.values()["--start-from"]
        if in_use is None or skeleton is None or chosen:
            return
        if {*skeleton.bodyparts} & {*book.bodyparts}:
            self._start_from(in_use)

    def _start_from(self, network: Path) -> None:
        if not members(network):
            self.training.options.show_values({"--start-from": [str(network)]})

    def choose_labels(self) -> None:
        """Import labels of SLEAP or a DeepLabCut project that the user chooses."""
        self.show_step("Label")
        title = "Labels of SLEAP (.slp) or project of DeepLabCut (config.yaml)"
        if name := file_dialogs.open_file(self, title, "", _LABELS):
            self.import_labels(Path(name))

    def import_labels(self, labels: Path) -> None:
        """Convert labels of SLEAP to a new folder, or open a DeepLabCut project."""
        if labels.name == DLC_CONFIG:
            self.show_step("Label")
            self.open(labels.parent)
            return
        title = f"New folder for the labels of {labels.name}"
        if folder := file_dialogs.new_folder(self, title, labels.parent):
            self.convert_labels(labels, folder)

    def convert_labels(self, labels: Path, folder: Path) -> ProgramWindow:
        """Convert labels of another program to a new folder, and show it."""
        arguments = [str(labels), "--output", str(folder)]
        window = ProgramWindow("Convert labels", "ConvertProject.py", arguments, self)
        window.ended.connect(partial(self._take_converted, folder))
        window.show()
        return window

    def _take_converted(self, folder: Path, code: int) -> None:
        if code == 0:
            self.show_step("Label")
            self.open(folder)

    @property
    def undoes(self) -> bool:
        """Whether Undo and Redo apply to labels: the tab Label is shown."""
        return self._stack.currentWidget() is self.labelling and self.book is not None

    def undo(self) -> None:
        """Undo the last change of a label."""
        self.labelling.undo()

    def redo(self) -> None:
        """Redo the change that was undone last."""
        self.labelling.redo()

    @property
    def running(self) -> str:
        """Description of the training that runs; empty: none."""
        training = self.training
        return f"training of {training.model.name}" if training.running else ""

    def may_leave(self) -> bool:
        """Save unsaved labels; if that fails, the user decides. False: cancelled."""
        if self.book is None or not self.book.fault:
            return True
        self.book.save_unsaved()
        self.labelling.show_state()
        if not self.book.fault:
            return True
        question = (
            f"{self.book.fault}. These labels are lost when you continue. Free disk "
            "space or make the folder writable first."
        )
        return show_question(self, question, _CONTINUE, _CANCEL) == _CONTINUE

    def finish(self) -> None:
        """End training and checks; save unsaved labels."""
        if self.book is not None and self.book.fault:
            self.book.save_unsaved()
        self.training.finish()
        self.labelling.checking.stop()

    def _show(self, book: LabelBook) -> None:
        self.problem.setText("")
        self._join(book)
        opened = self.book is None or self.book.folder != book.folder
        self.book = book
        if opened and book.reasons:
            self._start_from_network_in_use(book)
        self.parts_line.setText(", ".join(book.bodyparts))
        self.parts_line.setCursorPosition(0)
        self.animals_line.setText(", ".join(book.individuals))
        self.labelling.show_book(book, _NO_FRAMES)
        self.recent.note("labels", book.folder.resolve())
        self._show_state()

    def _refresh(self) -> None:
        """Update the lists of networks in all forms."""
        for tab in (*self._forms, self.using):
            tab.refresh()
        self.training.options.refresh()

    def _take_network(self, panel: ProgramPanel, code: int) -> None:
        """Preselect a new network in the next steps."""
        self._refresh()
        folder = panel.form.values().get("--output", [])
        if folder and not code:
            self._offer(Path(folder[0]), panel)

    def _take_trained(self) -> None:
        self._show_state()
        self._refresh()
        self._offer(self.training.model)

    def _offer(self, network: Path, maker: ProgramPanel | None = None) -> None:
        """Preselect a network in all forms except that of its `maker`.

        A tab that is created later does it then.
        """
        self._newest = network
        panels = {panel for tab in self._forms for panel in tab.panels}
        _preselect(panels - {maker}, network)
        self.using.choose(network)

    def _arrange(self) -> None:
        self.folder.setToolTip(
            "folder for frames and labels, new or existing, or a DeepLabCut "
            "project; one animal per frame or several"
        )
        self.parts_line.setPlaceholderText(
            "body parts of a new folder, separated by commas"
        )
        self.parts_line.setToolTip(
            "order of labelling; fixed as soon as something is labelled"
        )
        self.animals_line.setPlaceholderText("animals: 1")
        self.animals_line.setToolTip(
            "animals per frame of a new folder: a number, or names separated by commas"
        )
        self.animals_line.setMaximumWidth(180)
        skeleton = self._skeleton_in_use()
        if skeleton is not None:
            self.parts_line.setText(", ".join(skeleton.bodyparts))
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        top = step_row(self.tabs, self._group, self.show_step)
        labels = QHBoxLayout()
        labels.setSpacing(8)
        labels.addWidget(self.folder)
        labels.addWidget(self.parts_line, 1)
        labels.addWidget(self.animals_line)
        labels.addWidget(self.pick)
        for tab in (self.labelling, self.training, self.checking, self.using):
            self._stack.addWidget(tab)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 10, 10)
        column.setSpacing(8)
        column.addLayout(top)
        column.addLayout(labels)
        column.addWidget(self.problem)
        column.addWidget(self._stack, 1)
        self._stack.setCurrentWidget(self.labelling)
        self.tabs["Label"].setChecked(True)

    def _connect(self) -> None:
        self.folder.clicked.connect(self._choose_folder)
        self.labelling.load.clicked.connect(self.choose_labels)
        self.pick.clicked.connect(lambda: self.choose_frames())
        for line in (self.parts_line, self.animals_line):
            line.editingFinished.connect(self._take_names)
        self.labelling.changed.connect(self._take_labels)
        self.training.trained.connect(self._take_trained)

    def _take_labels(self) -> None:
        if self.book is not None:
            self.animals_line.setText(", ".join(self.book.individuals))
        self._show_state()

    def _take_names(self) -> None:
        """Open an unlabelled folder again, with the body parts and animals entered."""
        book = self.book
        if book is None or not book.new:
            return
        parts = separated(self.parts_line.text())
        animals = named_animals(self.animals_line.text())
        if not parts:
            self.parts_line.setText(", ".join(book.bodyparts))
        elif (*parts, *animals) != (*book.bodyparts, *book.individuals):
            self.open(book.folder)

    def _show_state(self) -> None:
        self.problem.setVisible(bool(self.problem.text()))
        self.pick.setEnabled(self.book is not None)
        fixed = self.book is not None and not self.book.new
        self.parts_line.setReadOnly(fixed)
        self.animals_line.setReadOnly(fixed)
        self.training.show_book(self.book)

    def _skeleton_in_use(self) -> Skeleton | None:
        """Return the skeleton of the network in use; None: it can't be read."""
        settings = self.document.settings
        if settings is None:
            return None
        try:
            return load_model_folder(find_model(settings.model)).skeleton
        except DeepLabStreamError:
            return None

    def _join(self, book: LabelBook) -> None:
        """Add the edges of the network in use to labels without edges."""
        skeleton = None if book.edges else self._skeleton_in_use()
        if skeleton is not None:
            book.edges = tuple(
                edge for edge in skeleton.edges if {*edge} <= {*book.bodyparts}
            )

    def _choose_folder(self) -> None:
        last = self.recent.existing("labels")
        start = last[0] if last else self.document.path.parent
        if folder := file_dialogs.new_folder(
            self, "Folder of labels, new or existing", start
        ):
            self.open(folder)

    def choose_frames(self, video: Path | None = None) -> None:
        """Pick frames of a run or a video; without labels, first choose their folder."""
        if self.book is None:
            self._choose_folder()
        if self.book is None:
            return
        dialog = PickDialog(self.document, self.book.folder, self, self._newest)
        if video is not None:
            dialog.use(video)
        if run_dialog(dialog):
            self.pick_frames(*dialog.arguments)
        self.labelling.setFocus()  # Space accepts a frame instead of pressing a button

    def _reopen(self, folder: Path, _code: int) -> None:
        self.open(folder)


def _preselect(panels: Iterable[ProgramPanel], network: Path) -> None:
    """Select a network; an ensemble only where the program accepts one."""
    single = not members(network)
    for panel in panels:
        for key in {"--model", "--teacher"} & panel.form.editors.keys():
            if single or panel.form.editors[key].field.kind == "ensemble":
                panel.form.show_values({key: [str(network)]})


def separated(text: str) -> list[str]:
    """Return the names of a comma-separated list, without duplicates."""
    names = (name.strip() for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name))


def named_animals(text: str) -> list[str]:
    """Return animal names from a number or a list; empty: one animal without a name."""
    names = separated(text)
    if len(names) == 1 and names[0].isdecimal():
        count = min(int(names[0]), MOST_ANIMALS)
        return [f"animal{number}" for number in range(1, count + 1)] * (count > 1)
    return names
