"""Key conversion: old keys that become new ones, and a report on the others."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_HEADER = re.compile(r"\[(.+)\]")
_KEY = re.compile(r"([^=:]+?)\s*[=:]\s*(.*)")


@dataclass(frozen=True, slots=True)
class Old:
    """One key of an old file."""

    section: str
    key: str
    word: str
    comments: tuple[str, ...] = ()
    """The lines of comment above it."""

    def __str__(self) -> str:
        return f"[{self.section}] {self.key} = {self.word or '(empty)'}"


class OldFile:
    """The keys of an old file; each can be taken once; the rest was not converted."""

    def __init__(self, text: str) -> None:
        self.head: tuple[str, ...] = ()
        """The comments above the first section."""
        self.used: set[str] = set()
        """Sections with at least one converted key."""
        self._keys: dict[str, dict[str, Old]] = {}
        self._read(text)

    @property
    def sections(self) -> tuple[str, ...]:
        """Their names, as written in the file."""
        return tuple(self._keys)

    def has(self, section: str) -> bool:
        """Return whether there is such a section, in any case."""
        return self._section_name(section) in self._keys

    def take(self, section: str, key: str) -> Old | None:
        """Return the value of a key and remove the key; None when it is missing."""
        name = self._section_name(section)
        old = self._keys.get(name, {}).pop(key.upper(), None)
        if old is not None:
            self.used.add(name)
        return old

    def word(self, section: str, key: str, default: str = "") -> str:
        """Take a key and return its word."""
        old = self.take(section, key)
        return default if old is None else old.word

    def left(self) -> Iterator[Old]:
        """Remove and yield all keys that were not converted."""
        for keys in self._keys.values():
            yield from keys.values()
            keys.clear()

    def _section_name(self, section: str) -> str:
        folded = {name.casefold(): name for name in self._keys}
        return folded.get(section.casefold(), section)

    def _read(self, text: str) -> None:
        section, comments = "", list[str]()
        last: Old | None = None
        for line in text.removeprefix("\ufeff").splitlines():
            bare = line.strip()
            if not bare:
                last = None
                if not self._keys and comments:
                    self.head, comments = (*self.head, *comments), []
            elif bare[0] in "#;":
                comments.append(bare)
            elif line[0].isspace() and last is not None:
                last = Old(section, last.key, f"{last.word} {bare}", last.comments)
                self._keys[section][last.key] = last
            elif header := _HEADER.match(bare):
                section, last = header[1].strip(), None
                self._keys.setdefault(section, {})
            elif section and (found := _KEY.match(bare)):
                last = Old(section, found[1].upper(), found[2], tuple(comments))
                self._keys[section][last.key] = last
                comments = []


_AS_IT_CAME = {
    "PATH_TO_CLASSIFIER": "path_to_classifier",
    "TIME_WINDOW": "15",
    "POOL_SIZE": "1",
    "THRESHOLD": "0.9",
    "TRIGGER": "0",
    "PIXPERMM": "1",
    "PORT": "5555",
    "STREAMS": "color, depth, infrared",
    "STACK_FRAMES": "false",
    "PASS_SEPARATE": "false",
    "ANIMALS_NUMBER": "1",
    "CROP": "false",
    "FLATTEN_MA": "false",
    "SPLIT_MA": "false",
    "HANDLE_MISSING": "skip",
    "FILTER_LIKELIHOOD": "true",
    "LIKELIHOOD_THRESHOLD": "0.9",
    "USE_DLSTREAM_POSTURE_DETECTION": "false",
    "REPEAT_VIDEO": "true",
    "DEBUG": "false",
}
"""Default values of old keys, in lower case."""


@dataclass
class Made:
    """The new sections, and a sentence for everything that could not be converted."""

    sentences: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)
    """Keys without a counterpart that still had their default value."""
    _sections: dict[str, list[str]] = field(default_factory=dict)

    def put(self, title: str, key: str, word: str, old: Old | None = None) -> None:
        """Write a key; the comments of the old one stay above it."""
        lines = self._sections.setdefault(title, [])
        lines += [*(old.comments if old else ()), f"{key} = {word}".rstrip()]

    def carry(self, title: str, key: str, old: Old | None) -> None:
        """Write a key with an old one's word, if there is one."""
        if old is not None and old.word:
            self.put(title, key, old.word, old)

    def report(self, old: Old | None, why: str) -> None:
        """Report why an old key is not converted, or not exactly."""
        if old is None:
            return
        if _AS_IT_CAME.get(old.key) == old.word.casefold():
            self.untouched.append(f"[{old.section}] {old.key}")
        else:
            self.sentences.append(f"{old}: {why}")

    def remark(self, title: str, line: str) -> None:
        """Write a line of comment."""
        self._sections.setdefault(title, []).append(f"# {line}")

    def drop(self, file: OldFile, section: str, reasons: Mapping[str, str]) -> None:
        """Take keys that have no counterpart, each with why."""
        for key, why in reasons.items():
            self.report(file.take(section, key), why)

    @property
    def titles(self) -> tuple[str, ...]:
        """The new sections so far."""
        return tuple(self._sections)

    def text(self) -> str:
        """Return the new file."""
        parts = ["\n".join(self.head) + "\n"] if self.head else []
        parts += [
            "\n".join([f"[{title}]", *lines]) + "\n"
            for title, lines in self._sections.items()
        ]
        return "\n".join(parts)


def numbers(word: str) -> list[float]:
    """Return the numbers of a word; none when it has anything else."""
    try:
        return [float(part) for part in word.strip("()[] ").split(",")]
    except ValueError:
        return []


def format_list(word: str) -> str:
    """Return a list of names in the format of the new file."""
    parts = (part.strip(" '\"") for part in word.strip("()[] ").split(","))
    return ", ".join(part for part in parts if part)
