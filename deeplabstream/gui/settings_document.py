"""Settings document: text of the open settings file, its problems, undo and saving."""

import re
from collections.abc import Mapping
from contextlib import suppress
from errno import ENOENT
from pathlib import Path

from PyQt5.QtCore import QObject, QTimer, pyqtSignal

from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.engine.checks.settings_check import rig_problems
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
"""The files that the settings name are read this long after the last change."""
DRAFT_MS = 1000
"""Unsaved changes are in the draft after this time: a killed program loses no more."""


class Document(QObject):
    """One settings file; all editors change its text, and see each other's changes."""

    changed = pyqtSignal()
    """Text, problems or settings are others now."""
    checked = pyqtSignal()
    """Findings are others now; text, problems and settings are the same."""
    saved = pyqtSignal()
    """The file holds the text."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        super().__init__()
        self.history: History[str] = History()
        self.settings: Settings | None = None
        """What the text says, with the words of `set_subject`; None while something is wrong
        with it."""
        self.problems: tuple[str, ...] = ()
        """What is wrong with it, a sentence each; nothing can be started with it."""
        self.findings: tuple[str, ...] = ()
        """What does not fit in the files that it names: networks, classifiers."""
        self.path = Path()
        self._subject: dict[str, str] = {}
        """Words of [Session] for the next runs, by key, that are not in the text."""
        self._words: Mapping[str, SectionTexts] = {}
        self._copy: Path | None = None
        """What was written for other programs; None: nothing."""
        self._draft: Path | None = None
        """The draft that this document has written; None: none."""
        self._drafted = ""
        """Its text: another program with the same file may have written one since."""
        self._drafting = QTimer(self)
        self._drafting.setSingleShot(True)
        self._drafting.timeout.connect(self.keep_draft)
        self._checking = QTimer(self)
        self._checking.setSingleShot(True)
        self._checking.timeout.connect(self.check)
        self.open(path, text)

    def open(self, path: Path, text: str | None = None) -> None:
        """Read another file; SettingsError: it can't be read, all stays as it was.

        With `text`, that is taken for what the file holds.
        """
        text = read_text(path) if text is None else text
        self.forget_copy()
        self.forget_draft()
        if path.resolve() != self.path:
            self._subject.clear()
        self.path = path.resolve()
        self.history.clear()
        self._on_disk = text
        self._take(text)

    @property
    def text(self) -> str:
        """The file's text as it is now, comments and all."""
        return self._text

    @property
    def words(self) -> Mapping[str, SectionTexts]:
        """What stands behind the keys of each section, right or wrong."""
        return self._words

    @property
    def is_example(self) -> bool:
        """Whether the file is still the example that came with the program."""
        return is_example(self.path, self._on_disk)

    @property
    def unsaved(self) -> bool:
        """Whether the text differs from the file."""
        return self._text != self._on_disk

    def edit(self, text: str) -> None:
        """Take another text; a step that can be undone."""
        if text == self._text:
            return
        self.history.remember(self._text)
        self._take(text)

    def set_word(self, title: str, key: str, word: str | None) -> None:
        """Set one key of one section; None takes it away: its default counts.

        A word that is there already, with other spaces or lines, stays as it is written.
        """
        there = self._words.get(title, {}).get(key.upper())
        if word is not None and there is not None and there.split() == word.split():
            return
        self.edit(ini_editing.set_value(self._text, title, key, word))

    def set_subject(self, key: str, word: str) -> None:
        """Set a key of [Session] for the next runs; the text and the file stay as they are."""
        self._subject[key] = word
        self._take(self._text)

    def subject_word(self, key: str) -> str:
        """Return the word of a key of [Session] for the next runs."""
        return self._subject.get(key, self._words.get(SESSION, {}).get(key, ""))

    def undo(self) -> None:
        """Take the last change back."""
        self._go_to(self.history.undo(lambda _: self._text))

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._go_to(self.history.redo(lambda _: self._text))

    def _go_to(self, text: str | None) -> None:
        if text is not None:
            self._take(text)

    def save(self, path: Path | None = None) -> None:
        """Write the file, whole or not at all; OSError: it can't be written."""
        target = (path or self.path).resolve()
        moved = target.parent != self.path.parent
        text = self._text
        if moved:  # a name must not silently mean another network there
            text = relocate_networks(text, self.path.parent, target.parent)
        if not target.parent.is_dir():
            raise FileNotFoundError(ENOENT, "there is no such folder", str(target))
        with atomic_file(target) as draft:
            draft.write_text(text, encoding="utf-8", newline="")
        if target != self.path:
            self.forget_copy()
        self.forget_draft()
        self.path, self._on_disk = target, text
        if moved:  # relative paths start elsewhere now
            self._take(text)
        self.saved.emit()

    @property
    def draft(self) -> Path:
        """Where text is kept that nobody had the time to save."""
        name = f"{self.path.stem}.unsaved{self.path.suffix}"
        return self._draft or self.path.with_name(name)

    def keep_draft(self) -> None:
        """Write the unsaved text beside the file.

        A draft of another program, ended or not, stays as it is: this one gets a number.
        """
        self._drafting.stop()
        with suppress(OSError):  # the folder can't be written: there is no draft
            if not self._owns_draft():
                self._draft = None
                self._draft = free_path(self.draft)
            if self.path.parent.is_dir():
                with atomic_file(self.draft) as file:
                    file.write_text(self._text, encoding="utf-8", newline="")
                self._drafted = self._text

    def _owns_draft(self) -> bool:
        """Return whether the draft is as this document has written it."""
        try:
            return self._draft is not None and read_text(self._draft) == self._drafted
        except SettingsError:
            return False

    def forget_draft(self) -> None:
        """Remove the draft that this document has written: it is saved or discarded."""
        self._drafting.stop()
        if self._owns_draft():
            with suppress(OSError):
                self.draft.unlink()
        self._draft = None

    def restore_draft(self, draft: Path) -> None:
        """Continue with what an earlier program left unsaved; a step that can be undone.

        SettingsError: it can't be read.
        """
        text = read_text(draft)
        self.forget_draft()
        self._draft, self._drafted = draft, text
        self.edit(text)

    def discard_draft(self, draft: Path) -> None:
        """Remove what an earlier program left unsaved."""
        with suppress(OSError):
            draft.unlink()

    def file_as_shown(self, experiment: str = "") -> Path:
        """Return a file that holds the text, for another program: a copy if need be.

        `experiment`: the one that it starts; empty: that of the text. Paths in it start at
        the same folder. `forget_copy` takes it away. DeviceError: it can't be written.
        """
        text, key = self._text, "EXP_NAME"
        if experiment and experiment != self._words.get("Experiment", {}).get(key):
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

    def forget_copy(self) -> None:
        """Take away what was written for other programs."""
        if self._copy is not None:
            with suppress(OSError):  # a user may have removed it
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
                    with suppress(OSError):  # its window has saved it meanwhile
                        found[file] = file.stat().st_mtime_ns
        return max(found, key=found.__getitem__, default=None)

    def _differs(self, draft: Path) -> bool:
        try:
            return read_text(draft) != self._on_disk
        except SettingsError:
            return True

    def changed_on_disk(self) -> bool:
        """Return whether the file is no longer what was read or saved: changed or gone."""
        try:
            return read_text(self.path) != self._on_disk
        except SettingsError:
            return True

    def _take(self, text: str) -> None:
        self._text = text
        before, self._words = self._words, read_sections(text).texts
        written, was = self._words.get(SESSION, {}), before.get(SESSION, {})
        for key in [key for key in self._subject if written.get(key) != was.get(key)]:
            del self._subject[key]  # it was edited in the text since
        for key, word in self._subject.items():
            if word != written.get(key):
                text = ini_editing.set_value(text, SESSION, key, word)
        try:
            self.settings, self.problems = parse(text, self.path.parent), ()
        except SettingsError as error:
            self.settings, self.problems = None, tuple(error.problems)
        if self.unsaved:
            self._drafting.start(DRAFT_MS)
        else:
            self.forget_draft()
        if self.settings is None:
            self.findings = ()
        else:
            self._checking.start(CHECK_MS)
        self.changed.emit()

    def check(self) -> None:
        """Look at the files that the settings name, and show what does not fit."""
        found = () if self.settings is None else tuple(rig_problems(self.settings))
        if found != self.findings:
            self.findings = found
            self.checked.emit()
