"""A settings file's text for another folder: its relative paths still lead where they did."""

import os
from collections.abc import Iterator
from pathlib import Path

from deeplabstream.core.paths import is_folder
from deeplabstream.plugins.discovery import discover
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.settings import ini_editing
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.ini_reading import Words, read_sections
from deeplabstream.settings.loading import FAMILIES, FIXED, NAMED
from deeplabstream.settings.validation_messages import leaves


def moved(text: str, old: Path, new: Path) -> str:
    """Return `text`, which stood in the folder `old`, for a file in the folder `new`.

    What the text does not say stays unsaid: its default may mean another folder then.
    """
    if old.resolve() == new.resolve():
        return text
    for title, words in read_sections(text).words.items():
        for key, word in _paths(title, words, old):
            text = ini_editing.with_word(text, title, key, _from(new, old / word))
    return text


def _paths(title: str, words: Words, old: Path) -> Iterator[tuple[str, str]]:
    """Yield the keys of a section that hold a relative path, and their words."""
    kind = _kind(title, words)
    for key, (_, info) in keys_of(kind).items() if kind else ():
        word = words.get(key, "")
        if word and leaves(info.annotation) == {Path}:
            yield key, word
    model = words.get("MODEL", "")
    if title == "Pose Estimation" and model and not is_folder(MODELS / model):
        for place in (model, f"models/{model}"):
            if is_folder(old / place):
                yield "MODEL", place
                return


def _kind(title: str, words: Words) -> type | None:
    family = title.partition(" ")[0]
    if title in FIXED:
        return FIXED[title]
    if family in NAMED:
        return NAMED[family]
    if family not in FAMILIES:
        return None
    folder, contract = FAMILIES[family]
    found: dict[str, type] = discover(folder, contract).classes
    return found.get(words.get("KIND", ""))


def _from(folder: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
