"""Questions whose answers fill a section of settings.ini; who asks them is another matter."""

from collections.abc import Callable, Container, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from core.plugins import discover
from engine.describe import written
from engine.fields import Section, keys_of
from engine.ini import Words
from engine.sentences import guess, wording
from engine.settings import FAMILIES

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """One question; its answer is one line of text."""

    section: str
    """`Experiment`, `Trigger corner` …; with `key`, what names it on a command line."""
    key: str
    about: str
    expected: str = ""
    """What may be answered."""
    default: str | None = None
    """What an empty answer means; None: it must be answered."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """The only answers that there are, each with what it means; empty: any."""
    check: Callable[[str], str | None] = lambda word: None
    """Says what is wrong with an answer."""
    said: tuple[str, ...] = ()
    """Why it is asked again."""

    @property
    def name(self) -> str:
        """Section and key, as an option names them."""
        return f"{self.section} {self.key}"

    def answer(self, words: str) -> str:
        """Return what was meant; ValueError says what is wrong with it."""
        word = " ".join(words.split())
        if not word:
            if self.default is None:
                raise ValueError("this needs an answer")
            return self.default
        if self.choices:
            return self._chosen(word)
        if problem := self.check(word):
            raise ValueError(problem)
        return word

    def _chosen(self, word: str) -> str:
        names = list(self.choices)
        if word.isdecimal() and 0 < int(word) <= len(names):
            return names[int(word) - 1]
        folded = {name.casefold(): name for name in names}
        if word.casefold() not in folded:
            near = guess(word, names) or f", there is: {', '.join(names)}"
            raise ValueError(f"{word}: unknown{near}")
        return folded[word.casefold()]


Asking: TypeAlias = Generator[Question, str, T]
"""Yields questions, is sent answers that were checked, returns what came of them."""


def kinds_of(family: str) -> dict[str, str]:
    """Return the kinds of a family, each with the first line of what it says of itself."""
    folder, contract = FAMILIES[family]
    found: dict[str, type] = discover(folder, contract).classes
    return {
        name: (kind.__doc__ or "").strip().splitlines()[0]
        for name, kind in sorted(found.items())
    }


def kind_named(family: str, name: str) -> type:
    """Return a kind of a family."""
    folder, contract = FAMILIES[family]
    return discover(folder, contract).classes[name]


def question_about(
    title: str,
    kind: type,
    key: str,
    before: Words,
    folder: Path,
    check: Callable[[str], str | None] = lambda word: None,
) -> Question:
    """Return the question about one key of a kind, after those answered `before`."""
    info = keys_of(kind)[key][1]
    default = None
    if not info.is_required():
        value = info.get_default(call_default_factory=True, validated_data={})
        default = written(value)

    def complaint(word: str) -> str | None:
        section = Section[Any](title, kind, {**before, key: word}, folder)
        section.maker(lambda _: None)
        start = f"[{title}] {key}"
        mine = (text for text in section.problems if text.startswith(f"{start} "))
        return next(
            (text.removeprefix(start).strip(" =") for text in mine), check(word)
        )

    section = title.partition(" ")[0] if title.startswith("Experiment") else title
    return Question(
        section,
        key,
        info.description or "",
        wording(info.annotation, info.metadata),
        default,
        check=complaint,
    )


def faults_of(title: str, kind: type, words: Words, folder: Path) -> tuple[str, ...]:
    """Return what is wrong with a whole section."""
    section = Section[Any](title, kind, words, folder)
    section.maker(lambda _: None)
    return tuple(section.problems)


def ask_yes_no(section: str, key: str, about: str) -> Asking[bool]:
    """Ask; the default is no."""
    choices = {"no": "", "yes": ""}
    return (yield Question(section, key, about, default="no", choices=choices)) == "yes"


def keys_but(kind: type, without: Container[str]) -> list[str]:
    """Return the keys of a kind that are asked for."""
    return [key for key in keys_of(kind) if key not in without]
