"""Settings document: text, problems, undo history and drafts of the open settings file."""

import re
from collections.abc import Mapping
from contextlib import suppress
from errno import ENOENT
from pathlib import Path

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.files import rig_folder
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import free_path
from deeplabstream.gui.undo_history import History
from deeplabstream.settings import ini_editing
from deeplabstream.settings.example_rig import is_example
from deeplabstream.settings.ini_reading import SectionTexts, read_sections, read_text
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.text_rewriting import relocate_networks

SESSION = "Session"
CHECK_MS = 200
"""Delay between the last change and the check of the files that the settings name."""
DRAFT_MS = 1000
"""Delay until unsaved changes are in the draft, in case the program is killed."""


class Document(QObject):
    """One settings file; all editors change its text, and are notified of changes."""

    changed = pyqtSignal()
    """Text, problems or settings have changed."""
    checked = pyqtSignal()
    """Findings have changed; text, problems and settings have not."""
    opened = pyqtSignal()
    """Another file was opened."""
    saved = pyqtSignal()
    """The text was saved to the file."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        super().__init__()
        self.history: History[str] = History()
        self.settings: Settings | None = None
        """Settings of the text, with the values of `set_subject`; None: it has problems."""
        self.problems: tuple[str, ...] = ()
        """Problems of the text, which prevent a start."""
        self.findings: tuple[str, ...] = ()
        """Problems of the files that the settings name: networks, classifiers."""
        self.path = Path()
        self._subject: dict[str, str] = {}
        """Values of [Session] for the next runs that are not in the text, by key."""
        self._values: Mapping[str, SectionTexts] = {}
        self._copy: Path | None = None
        """Copy of the text that was written for other programs; None: none."""
        self._draft: Path | None = None
        """Draft that this document has written; None: none."""
        self._drafted = ""
        """Text of the draft: another program may have replaced it."""
        self._drafting = QTimer(self)
        self._drafting.setSingleShot(True)
        self._drafting.timeout.connect(self.keep_draft)
        self._checking = QTimer(self)
        self._checking.setSingleShot(True)
        self._checking.timeout.connect(self.check)
        self.open(path, text)

    def open(self, path: Path, text: str | None = None) -> None:
        """Read another file; SettingsError: it can't be read, and nothing has changed.

        `text` replaces the text of the file.
        """
        text = read_text(path) if text is None else text
        self.delete_copy()
        self.delete_draft()
        other = path.resolve() != self.path
        if other:
            self._subject.clear()
        self.path = path.resolve()
        self.history.clear()
        self._on_disk = text
        self._take(text)
        if other:
            self.opened.emit()

    @property
    def text(self) -> str:
        """The current text, including comments."""
        return self._text

    @property
    def values(self) -> Mapping[str, SectionTexts]:
        """Values of the keys of each section, valid or not."""
        return self._values

    @property
    def title(self) -> str:
        """Name for the title of windows: the rig folder, or the file if it has another name."""
        if self.path.name == rig_folder.SETTINGS and self.path.parent.name:
            return self.path.parent.name
        return self.path.name

    @property
    def problem_count(self) -> str:
        """The file's name and the number of its problems, as the start of a sentence."""
        count = len(self.problems)
        return f"{self.path.name} has {count} problem{'s' * (count != 1)}"

    @property
    def is_example(self) -> bool:
        """Whether the file is the unchanged example of the program."""
        return is_example(self.path, self._on_disk)

    @property
    def unsaved(self) -> bool:
        """Whether the text differs from the file."""
        return self._text != self._on_disk

    def edit(self, text: str) -> None:
        """Replace the text, as one undo step."""
        if text == self._text:
            return
        self.history.remember(self._text)
        self._take(text)

    def set_value(self, title: str, key: str, value: str | None) -> None:
        """Set a key of a section; None removes it, so that its default applies.

        A value that differs only in white space is left as it is written.
        """
        current = self._values.get(title, {}).get(key.upper())
        if (
            value is not None
            and current is not None
            and current.split() == value.split()
        ):
            return
        self.edit(ini_editing.set_value(self._text, title, key, value))

    def set_subject(self, key: str, value: str) -> None:
        """Set a key of [Session] for the next runs; the text and the file stay as they are."""
        self._subject[key] = value
        self._take(self._text)

    def subject_value(self, key: str) -> str:
        """Return the value of a key of [Session] for the next runs."""
        return self._subject.get(key, self._values.get(SESSION, {}).get(key, ""))

    def undo(self) -> None:
        """Undo the last change."""
        self._go_to(self.history.undo(lambda _: self._text))

    def redo(self) -> None:
        """Redo the change that was undone last."""
        self._go_to(self.history.redo(lambda _: self._text))

    def _go_to(self, text: str | None) -> None:
        if text is not None:
            self._take(text)

    def save(self, path: Path | None = None) -> None:
        """Write the file atomically; OSError: it can't be written."""
        target = (path or self.path).resolve()
        moved = target.parent != self.path.parent
        text = self._text
        if moved:  # in the new folder a name could refer to another network
            text = relocate_networks(text, self.path.parent, target.parent)
        if not target.parent.is_dir():
            raise FileNotFoundError(ENOENT, "the folder does not exist", str(target))
        with atomic_file(target) as draft:
            draft.write_text(text, encoding="utf-8", newline="")
        if target != self.path:
            self.delete_copy()
        self.delete_draft()
        self.path, self._on_disk = target, text

        if moved:  # relative paths are now relative to another folder
            self._take(text)
        self.saved.emit()

    @property
    def draft(self) -> Path:
        """File of the unsaved text."""
        return self._draft or self.first_draft

    @property
    def first_draft(self) -> Path:
        """Draft of the first window that opened the file; others get a number."""
        return self.path.with_name(f"{self.path.stem}.unsaved{self.path.suffix}")

    def keep_draft(self) -> None:
        """Write the unsaved text to a draft beside the file.

        A draft of another program is not overwritten: this one gets a number.
        """
        self._drafting.stop()
        with suppress(OSError):  # without write access there is no draft
            if not self._owns_draft():
                self._draft = None
                self._draft = free_path(self.draft)
            if self.path.parent.is_dir():
                with atomic_file(self.draft) as file:
                    file.write_text(self._text, encoding="utf-8", newline="")
                self._drafted = self._text

    def _owns_draft(self) -> bool:
        """Return whether the draft is unchanged since this document has written it."""
        try:
            return self._draft is not None and read_text(self._draft) == self._drafted
        except SettingsError:
            return False

    def delete_draft(self) -> None:
        """Delete the draft of this document, after its text was saved or discarded."""
        self._drafting.stop()
        if self._owns_draft():
            with suppress(OSError):
                self.draft.unlink()
        self._draft = None

    def restore_draft(self, draft: Path) -> None:
        """Restore the draft of an earlier program, as one undo step.

        SettingsError: it can't be read.
        """
        text = read_text(draft)
        self.delete_draft()
        self._draft, self._drafted = draft, text
        self.edit(text)

    def discard_draft(self, draft: Path) -> None:
        """Delete the draft of an earlier program."""
        with suppress(OSError):
            draft.unlink()

    def file_as_shown(self, experiment: str = "") -> Path:
        """Return a file with the current text for another program: the file, or a copy.

        `experiment` replaces the experiment to start. The copy is in the same folder, as
        relative paths start there; `delete_copy` deletes it. DeviceError: it can't be
        written.
        """
        text, key = self._text, "EXP_NAME"
        if experiment and experiment != self._values.get("Experiment", {}).get(key):
            text = ini_editing.set_value(text, "Experiment", key, experiment)
        if text == self._on_disk:
            return self.path
        copy = self.path.with_name(f"{self.path.stem}.as_shown{self.path.suffix}")
        try:
            with atomic_file(copy) as draft:
                draft.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            reason = error.strerror or error
            raise DeviceError(f"Can't write {copy}: {reason}") from error
        self._copy = copy
        return copy

    def delete_copy(self) -> None:
        """Delete the copy for other programs."""
        if self._copy is not None:
            with suppress(OSError):  # the user may have deleted it
                self._copy.unlink()
        self._copy = None

    @property
    def lost(self) -> Path | None:
        """The newest draft of another program that differs from the file; None: none."""
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        name = re.compile(rf"{stem}\.unsaved(_\d+)?{suffix}")
        found: dict[Path, int] = {}
        with suppress(OSError):
            for file in self.path.parent.iterdir():
                other = name.fullmatch(file.name) and file != self._draft
                if other and self._differs(file):
                    # its program has deleted it in the meantime
                    with suppress(OSError):
                        found[file] = file.stat().st_mtime_ns
        return max(found, key=found.__getitem__, default=None)

    def _differs(self, draft: Path) -> bool:
        try:
            return read_text(draft) != self._on_disk
        except SettingsError:
            return True

    def changed_on_disk(self) -> bool:
        """Return whether the file was changed or deleted since it was read or saved."""
        try:
            return read_text(self.path) != self._on_disk
        except SettingsError:
            return True

    def _take(self, text: str) -> None:
        self._text = text

        # An edit of [Session] in the text overrides the value for the next runs.
        before, self._values = self._values, read_sections(text).texts
        written, was = self._values.get(SESSION, {}), before.get(SESSION, {})
        for key in [key for key in self._subject if written.get(key) != was.get(key)]:
            del self._subject[key]
        for key, value in self._subject.items():
            if value != written.get(key):
                text = ini_editing.set_value(text, SESSION, key, value)

        try:
            self.settings, self.problems = parse(text, self.path.parent), ()
        except SettingsError as error:
            self.settings, self.problems = None, tuple(error.problems)

        if self.unsaved:
            self._drafting.start(DRAFT_MS)
        else:
            self.delete_draft()
        if self.settings is None:
            self.findings = ()
        else:  # delayed: reading networks is too slow for every key press
            self._checking.start(CHECK_MS)
        self.changed.emit()

    def check(self) -> None:
        """Check the files that the settings name, and update the findings."""
        found = () if self.settings is None else tuple(rig_problems(self.settings))
        if found != self.findings:
            self.findings = found
            self.checked.emit()
