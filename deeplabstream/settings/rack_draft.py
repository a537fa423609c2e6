"""Rack draft: the text of a rack file while it is edited; comments stay."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path

from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.settings.ini_editing import (
    add_section,
    remove_section,
    rename_section,
    set_value,
)
from deeplabstream.settings.ini_reading import read_sections, read_text
from deeplabstream.settings.loading import BOX

_HEAD = "# Boxes of a rack, each a rig of its own: docs/rack.md, keys in docs/settings.md.\n"


class RackDraft:
    """The boxes of a rack file that may not exist yet.

    >>> draft = RackDraft(Path("rack.ini"))
    >>> draft.add("box 1", Path("rigs/left"))
    >>> draft.set("box 1", "ANIMAL", "m1")
    >>> draft.rename("box 1", "left")
    >>> draft.boxes
    {'left': {'RIG': 'rigs/left', 'ANIMAL': 'm1'}}
    """

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one; SettingsError: it can't be read."""
        self.path = path
        self.text = read_text(path) if path.exists() else _HEAD
        self._saved = self.text if path.exists() else ""

    @property
    def unsaved(self) -> bool:
        """Whether the file has another text."""
        return self.text != self._saved

    @property
    def boxes(self) -> Mapping[str, Mapping[str, str]]:
        """The keys of each box and their texts, by its name."""
        return {
            name: dict(texts)
            for title, texts in read_sections(self.text).texts.items()
            for family, _, name in [title.partition(" ")]
            if family == BOX and name
        }

    def free_name(self) -> str:
        """Return a name that no box has."""
        names = (f"box {number}" for number in count(1))
        return next(name for name in names if name not in self.boxes)

    def add(self, name: str, rig: Path) -> None:
        """Add a box; the path of a rig below the file's folder becomes relative."""
        folder = self.path.resolve().parent
        if rig.is_relative_to(folder):
            rig = rig.relative_to(folder)
        self.text = add_section(self.text, f"{BOX} {name}", {"RIG": rig.as_posix()})

    def remove(self, name: str) -> None:
        """Remove a box; its rig stays."""
        self.text = remove_section(self.text, f"{BOX} {name}")

    def rename(self, name: str, new: str) -> None:
        """Give a box another name."""
        self.text = rename_section(self.text, f"{BOX} {name}", f"{BOX} {new}")

    def set(self, name: str, key: str, word: str) -> None:
        """Set a key of a box; an empty text removes it."""
        self.text = set_value(self.text, f"{BOX} {name}", key, word.strip() or None)

    def save(self) -> None:
        """Write the file; OSError: it can't be written."""
        with atomic_file(self.path) as draft:
            draft.write_text(self.text, encoding="utf-8", newline="")
        self._saved = self.text
