"""Network page: import, label, train, check, predict with, speed up and use a network."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from PyQt5.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.gui.dialogs.pick_frames import PickDialog
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.dialogs.questions import ask, ask_folder
from deeplabstream.gui.pages.checking_tab import CheckingTab
from deeplabstream.gui.pages.labelling_tab import LabellingTab
from deeplabstream.gui.pages.programs_tab import ProgramsTab
from deeplabstream.gui.pages.training_tab import TrainingTab
from deeplabstream.gui.pages.using_tab import UsingTab, models_of
from deeplabstream.gui.programs import FASTER, IMPORT, PREDICT, PREDICTING
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.program_form import ProgramPanel
from deeplabstream.pose.ensemble import members
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.training.data.label_book import LabelBook, open_book
from deeplabstream.training.data.labels import LabelsError

_LOSE, _STAY = "Continue without saving", "Cancel"
MOST_ANIMALS = 100
"""Of one frame."""
_STEPS = (
    "Import", "Label", "Train", "Check", "Predict videos", "Make faster", "Use live",
)  # fmt: skip
_OF_LABELS = ("Label", "Train", "Check")
"""Steps that need a folder of labels."""
_NO_FRAMES = (
    "No frames yet. Start Recording on the page Live,\nthen Pick frames of that "
    "run or of any video"
)


class NetworkPage(QWidget):
    """Steps from a video or a foreign network to a network in use, shown one at a time.

    Label, Train and Check share one folder of labels, at first the last one.
    `recent` is where folders are remembered.
    """

    def __init__(self, document: Document, recent: Recent) -> None:
        super().__init__()
        self.document = document
        self.recent = recent
        self.book: LabelBook | None = None
        self._newest: Path | None = None
        """The network that was trained, imported or distilled last in this window."""
        self.folder = QPushButton("Folder of labels …")
        self.parts_line = QLineEdit()
        self.animals_line = QLineEdit()
        self.pick = QPushButton("Pick frames …")
        self.problem = QLabel()
        self.labelling = LabellingTab()
        self.training = TrainingTab(document)
        self.checking = CheckingTab(document)
        models = models_of(document)
        self.importing = ProgramsTab([IMPORT], models)
        self.predicting = ProgramsTab(PREDICTING, models)
        self.faster = ProgramsTab(FASTER, models)
        self.using = UsingTab(document)
        self._stack = QStackedWidget()
        self._group = QButtonGroup(self)
        self.tabs = {name: QPushButton(name) for name in _STEPS}
        self._arrange()
        self._connect()
        self._show_state()
        for last in recent.there("labels")[:1]:
            with suppress(LabelsError, OSError):  # nothing was labelled there
                self._show(open_book(last))

    def open(self, folder: Path) -> None:
        """Show the frames of a folder; a new one takes body parts and animals of the lines.

        Labels that are not saved are saved first, or the user is asked.
        """
        if not self.may_leave():
            return
        parts = separated(self.parts_line.text())
        animals = named_animals(self.animals_line.text())
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
        """Show a step by its name."""
        tabs = dict(zip(_STEPS, self._steps(), strict=True))
        if name == "Check":
            self.checking.open(self.training.model, self.book)
        self._refresh()
        if name == "Make faster":
            self.training.gpus.start()
        for widget in (self.folder, self.parts_line, self.animals_line, self.pick):
            widget.setVisible(name in _OF_LABELS)
        self._stack.setCurrentWidget(tabs[name])
        self.tabs[name].setChecked(True)

    def import_network(self, source: Path) -> None:
        """Show the form that imports a network of another program."""
        self.show_step("Import")
        self.importing.show_program(IMPORT, {"Network": [str(source)]})

    def predict_video(self, video: Path) -> None:
        """Show the form that predicts poses, with one video more."""
        self.show_step("Predict videos")
        videos = self.predicting.panel(PREDICT).form.values()["Videos"]
        words = [*dict.fromkeys([*videos, str(video)])]
        self.predicting.show_program(PREDICT, {"Videos": words})

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
        """Add the uncertain frames of a run, with proposals of the present network.

        Training is then to start from that network. Without labels their folder is asked
        for first.
        """
        self.show_step("Label")
        if self.book is None:
            self._ask_folder()
        if self.book is None:
            return None
        words = [str(run), "--into", str(self.book.folder), "--queue"]
        if (present := self.using.present) is not None:
            words += ["--model", str(present)]
            self._start_from(present)
        return self.pick_frames(*words)

    def _start_from_present(self, book: LabelBook) -> None:
        """Start from the present network, as `label_queue` does, unless one is chosen."""
        skeleton, present = self._present(), self.using.present
        chosen = self.training.options.values()["--start-from"]
        if present is None or skeleton is None or chosen:
            return
        if {*skeleton.bodyparts} & {*book.bodyparts}:
            self._start_from(present)

    def _start_from(self, network: Path) -> None:
        if not members(network):
            self.training.options.show_values({"--start-from": [str(network)]})

    def convert_labels(self, labels: Path, folder: Path) -> ProgramWindow:
        """Convert labels of another program into a new folder, and show that."""
        words = [str(labels), "--output", str(folder)]
        window = ProgramWindow("Convert labels", "ConvertProject.py", words, self)
        window.ended.connect(partial(self._take_converted, folder))
        window.show()
        return window

    def _take_converted(self, folder: Path, code: int) -> None:
        if code == 0:
            self.show_step("Label")
            self.open(folder)

    @property
    def undoes(self) -> bool:
        """Whether Undo takes back labels: frames are labelled now."""
        return self._stack.currentWidget() is self.labelling and self.book is not None

    def undo(self) -> None:
        """Take back the last change of a label."""
        self.labelling.undo()

    def redo(self) -> None:
        """Make it again."""
        self.labelling.redo()

    @property
    def running(self) -> str:
        """The training, while one runs."""
        training = self.training
        return f"training of {training.model.name}" if training.running else ""

    def may_leave(self) -> bool:
        """Save labels that are not saved yet; ask if that fails. False: the user stays."""
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
        return ask(self, question, _LOSE, _STAY) == _LOSE

    def finish(self) -> None:
        """End what goes on behind the page; save labels that are not saved yet."""
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
            self._start_from_present(book)
        self.parts_line.setText(", ".join(book.bodyparts))
        self.parts_line.setCursorPosition(0)
        self.animals_line.setText(", ".join(book.individuals))
        self.labelling.show_book(book, _NO_FRAMES)
        self.recent.note("labels", book.folder.resolve())
        self._show_state()

    def _steps(self) -> tuple[QWidget, ...]:
        return (
            *(self.importing, self.labelling, self.training, self.checking),
            *(self.predicting, self.faster, self.using),
        )

    def _refresh(self) -> None:
        """List the networks that are there now, wherever one can be chosen."""
        for tab in (self.importing, self.predicting, self.faster, self.using):
            tab.refresh()
        self.training.options.refresh()

    def _take_network(self, panel: ProgramPanel, code: int) -> None:
        """Offer a new network to the next steps."""
        self._refresh()
        folder = panel.form.values().get("--output", [])
        if folder and not code:
            self._offer(Path(folder[0]), panel)

    def _take_trained(self) -> None:
        self._show_state()
        self._refresh()
        self._offer(self.training.model)

    def _offer(self, network: Path, maker: ProgramPanel | None = None) -> None:
        """Choose a network in all forms but that which made it: its teacher is another.

        An ensemble is chosen where the program takes one.
        """
        self._newest = network
        single = not members(network)
        forms = {*self.predicting.panels, *self.faster.panels} - {maker}
        for each in forms:
            for key in {"--model", "--teacher"} & each.form.editors.keys():
                if single or each.form.editors[key].field.kind == "ensemble":
                    each.form.show_values({key: [str(network)]})
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
        skeleton = self._present()
        if skeleton is not None:
            self.parts_line.setText(", ".join(skeleton.bodyparts))
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        top = QHBoxLayout()
        top.setSpacing(8)
        for name, button in self.tabs.items():
            button.setCheckable(True)
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            button.clicked.connect(partial(self._choose, name))
            self._group.addButton(button)
            top.addWidget(button)
        top.addSpacing(12)
        top.addWidget(self.folder)
        top.addWidget(self.parts_line, 1)
        top.addWidget(self.animals_line)
        top.addWidget(self.pick)
        top.addStretch()
        for tab in self._steps():
            self._stack.addWidget(tab)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 10, 10)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.problem)
        column.addWidget(self._stack, 1)
        self._stack.setCurrentWidget(self.labelling)
        self.tabs["Label"].setChecked(True)

    def _connect(self) -> None:
        self.folder.clicked.connect(self._ask_folder)
        self.pick.clicked.connect(lambda: self.ask_frames())
        for line in (self.parts_line, self.animals_line):
            line.editingFinished.connect(self._take_names)
        self.labelling.changed.connect(self._take_labels)
        self.training.trained.connect(self._take_trained)
        for tab in (self.importing, self.faster):
            tab.ended.connect(self._take_network)
        for panel in self.faster.panels:
            self.training.gpus.found.connect(panel.form.offer_gpus)

    def _choose(self, name: str, _checked: bool = False) -> None:
        self.show_step(name)

    def _take_labels(self) -> None:
        if self.book is not None:
            self.animals_line.setText(", ".join(self.book.individuals))
        self._show_state()

    def _take_names(self) -> None:
        """Open a folder without labels again, with the body parts and animals of the lines."""
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

    def _present(self) -> Skeleton | None:
        """Return the body parts of the network that the settings name."""
        settings = self.document.settings
        if settings is None:
            return None
        try:
            return load_model_folder(find_model(settings.model)).skeleton
        except DeepLabStreamError:
            return None

    def _join(self, book: LabelBook) -> None:
        """Draw the present network's edges in a book that has none."""
        skeleton = None if book.edges else self._present()
        if skeleton is not None:
            book.edges = tuple(
                edge for edge in skeleton.edges if {*edge} <= {*book.bodyparts}
            )

    def _ask_folder(self) -> None:
        last = self.recent.there("labels")
        start = last[0] if last else self.document.path.parent
        if folder := ask_folder(self, "Folder of labels, new or existing", start):
            self.open(folder)

    def ask_frames(self, video: Path | None = None) -> None:
        """Ask for frames of a run or a video; without labels, for their folder first."""
        if self.book is None:
            self._ask_folder()
        if self.book is None:
            return
        dialog = PickDialog(self.document, self.book.folder, self, self._newest)
        if video is not None:
            dialog.use(video)
        if dialog.exec_():
            self.pick_frames(*dialog.arguments)
        self.labelling.setFocus()  # Space accepts a frame; it opens nothing again

    def _reopen(self, folder: Path, _code: int) -> None:
        self.open(folder)


def separated(text: str) -> list[str]:
    """Return names that are separated by commas, each once."""
    words = (word.strip() for word in text.split(","))
    return list(dict.fromkeys(word for word in words if word))


def named_animals(text: str) -> list[str]:
    """Return the names of the animals of a new folder; none: one animal without a name."""
    words = separated(text)
    if len(words) == 1 and words[0].isdecimal():
        count = min(int(words[0]), MOST_ANIMALS)
        return [f"animal{number}" for number in range(1, count + 1)] * (count > 1)
    return words
