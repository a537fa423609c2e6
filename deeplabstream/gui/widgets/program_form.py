"""Program form: the fields of a program, its command line, and its output."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.doctor.collection import TrainingGpus
from deeplabstream.gui.form_fields import FormField
from deeplabstream.gui.programs import ProgramForm
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.plot_view import PlotView
from deeplabstream.gui.widgets.program_fields import (
    DeviceField,
    FieldEditor,
    FlagField,
    ModelField,
    field_editor,
)
from deeplabstream.gui.widgets.program_view import CommandLine, ProgramView
from deeplabstream.pose.model.model_folder import DESCRIPTION

FORM_WIDTH = 340  # px


class FieldsForm(QWidget):
    """Editors of fields; advanced ones are initially folded."""

    changed = pyqtSignal()

    def __init__(self, fields: Iterable[FormField], models: Path) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.editors: dict[str, FieldEditor] = {}
        self.captions: dict[str, QLabel] = {}
        self.more = QPushButton("More options")
        self.more.setObjectName("link")
        self.more.setCheckable(True)
        self.more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more.toggled.connect(self._unfold)
        self.advanced = QWidget()
        self.advanced.setObjectName("clear")
        column, folded = QVBoxLayout(self), QVBoxLayout(self.advanced)
        for layout in (column, folded):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
        for of in fields:
            editor = field_editor(of, models)
            editor.changed.connect(self.changed)
            self.editors[of.key] = editor
            into = folded if of.advanced else column
            if not isinstance(editor, FlagField):
                hinted = of.required or of.kind == "paths"
                caption = QLabel(f"{of.label}: {of.hint}" if hinted else of.label)
                caption.setObjectName("caption")
                caption.setWordWrap(True)
                caption.setToolTip(editor.toolTip())
                into.addWidget(caption)
                self.captions[of.key] = caption
            into.addWidget(editor)
        column.addWidget(self.more)
        column.addWidget(self.advanced)
        self.advanced.hide()
        self.more.setVisible(folded.count() > 0)

    def values(self) -> dict[str, list[str]]:
        """Return the arguments of each field."""
        return {key: editor.values() for key, editor in self.editors.items()}

    def show_values(self, values: Mapping[str, Sequence[str]]) -> None:
        """Fill in some fields."""
        for key, arguments in values.items():
            if self.editors[key].values() != list(arguments):
                self.editors[key].show_values(arguments)

    def leave_out(self, keys: Collection[str]) -> None:
        """Hide the fields that have no effect now, and show the others."""
        for key, editor in self.editors.items():
            editor.setVisible(key not in keys)
            if key in self.captions:
                self.captions[key].setVisible(key not in keys)

    def refresh(self) -> None:
        """Update the lists of networks."""
        for editor in self.editors.values():
            if isinstance(editor, ModelField):
                editor.refresh()

    def offer_gpus(self, gpus: TrainingGpus) -> None:
        """Offer the GPUs on which torch can train."""
        for editor in self.editors.values():
            if isinstance(editor, DeviceField):
                editor.offer_gpus(gpus)

    def _unfold(self, shown: bool) -> None:
        self.advanced.setVisible(shown)
        self.more.setText("Fewer options" if shown else "More options")


class ProgramPanel(QWidget):
    """A program: its form on the left, its messages, plot and command line on the right."""

    ended = pyqtSignal(int)
    """The program has ended without `cancel`: its exit code."""

    def __init__(
        self, program: ProgramForm, models: Path, width: int = FORM_WIDTH
    ) -> None:
        super().__init__()
        self.program = program
        self._width = width
        self._models = models
        self._refusal = ""
        self._proposed: dict[str, list[str]] = {}
        """Proposed arguments; a field with other arguments was edited by the user."""
        self.form = FieldsForm(program.fields, models)
        self.begin = QPushButton(program.button)
        self.begin.setProperty("starts", True)
        self.resume = QPushButton("Resume")
        self.resume.setToolTip(f"continues a stopped run ({program.resume})")
        self.resume.setVisible(bool(program.resume))
        self.missing = QLabel()
        self.missing.setObjectName("caption")
        self.missing.setWordWrap(True)
        self.consequence = QLabel()
        self.consequence.setWordWrap(True)
        self.result = QLabel()
        """The result in words."""
        self.result.setWordWrap(True)
        self.result.setTextFormat(Qt.TextFormat.PlainText)
        self.result.hide()
        self.view = ProgramView()
        self.view.program.switches_outputs = program.switches_outputs
        self.plot = PlotView()
        """The plot of the program."""
        self.plot.hide()
        self.command = CommandLine()
        if program.resumes or program.resume:
            button = "Resume" if program.resume else program.button
            self.view.cancelled = f"Stopped. {button} continues where it was."
        self._arrange()
        self.begin.clicked.connect(lambda: self.start())
        self.resume.clicked.connect(lambda: self.start(resume=True))
        self.form.changed.connect(self._take)
        self.view.started.connect(self._show_state)
        self.view.ended.connect(self._ended)
        self.view.stopped.connect(self._show_state)
        self._take()

    @property
    def arguments(self) -> list[str]:
        """Command-line arguments of the form."""
        return self.program.arguments(self.form.values())

    def start(self, *, resume: bool = False) -> None:
        """Run the program, or resume it."""
        values = self.form.values()
        program = self.program
        page = values.get(program.opens, [])[:1]
        self.view.show_results(program.results(values), Path(*page) if page else None)
        self.plot.hide()
        self.result.hide()
        arguments = [*self.arguments, *([program.resume] if resume else [])]
        self.view.start(program.title, program.file, arguments, program.outcomes)

    def refuse(self, why: str) -> None:
        """Disable the start for a reason; empty: enable it. A running program continues."""
        self._refusal = why
        self._show_state()

    def _arrange(self) -> None:
        left = Panel(self.program.title)
        left.setFixedWidth(self._width)
        about = QLabel(self.program.about)
        about.setObjectName("caption")
        about.setWordWrap(True)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        inner.setObjectName("clear")
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 8, 0)
        column.addWidget(self.form)
        column.addStretch(1)
        area.setWidget(inner)
        left.column.addWidget(about)
        left.column.addWidget(area, 1)
        left.column.addWidget(self.consequence)
        left.column.addWidget(self.missing)
        left.column.addWidget(self.begin)
        left.column.addWidget(self.resume)
        right = Panel("Messages")
        right.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        right.column.addWidget(self.result)
        right.column.addWidget(self.view, 1)
        right.column.addWidget(self.plot, 2)
        right.column.addWidget(self.command)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(right, 1)

    def _take(self) -> None:
        """Propose values for fields that depend on others, and show the command line."""
        values = self.form.values()
        proposed: Mapping[str, Sequence[str]] = {}
        with suppress(ValueError, OSError):  # for example an incomplete path: /
            proposed = self.program.propose(values, self._models)
        for key, arguments in proposed.items():
            if values.get(key, []) == self._proposed.get(key, []):
                self._proposed[key] = list(arguments)
                self.form.show_values({key: arguments})
        self._show_state()

    def _show_state(self) -> None:
        values = self.form.values()
        self.form.leave_out(self.program.unused(values))
        missing = self.program.missing(values)
        consequence = self.program.consequence(values)
        self.consequence.setText(consequence)
        self.consequence.setVisible(bool(consequence))
        running = self.view.program.running
        why_not = self._refusal or missing
        self.missing.setText(why_not)
        self.missing.setVisible(bool(why_not))
        self.begin.setEnabled(not why_not and not running)
        self.resume.setEnabled(not why_not and not running and self._unfinished)
        self.form.setEnabled(not running)
        self.command.show_command(self.program.file, self.arguments)

    @property
    def _unfinished(self) -> bool:
        """Whether the output folder exists and has no network yet."""
        arguments = self.form.values().get(self.program.writes, [])
        folder = Path(*arguments[:1])
        with suppress(OSError):  # for example a name that is too long
            exists = bool(arguments) and folder.is_dir()
            return exists and not (folder / DESCRIPTION).is_file()
        return False

    def _ended(self, code: int) -> None:
        self._show_state()
        words = "" if code else self.program.result(self.view.page.toPlainText())
        self.result.setText(words)
        self.result.setVisible(bool(words))
        plot = self.program.plot(self.form.values())
        if not code and plot is not None and plot.is_file():
            self.plot.show_png(plot.read_bytes())
            self.plot.show()
        self.ended.emit(code)
