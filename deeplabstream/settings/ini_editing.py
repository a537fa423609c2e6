"""Comment-preserving INI editing: set, add, remove or rename keys and sections."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HEADER = re.compile(r"\[(?P<title>.+)\]")
_KEY = re.compile(r"(?P<key>[^=:]+?)\s*[=:]")


@dataclass(slots=True)
class _Entry:
    """A key and its lines, including the indented continuation lines of its value."""

    key: str
    first: int
    last: int


@dataclass(slots=True)
class _Section:
    title: str
    header: int
    entries: list[_Entry]

    @property
    def last(self) -> int:
        """The last line that is surely its own: comments after it may not be."""
        return self.entries[-1].last if self.entries else self.header


def set_value(text: str, title: str, key: str, word: str | None) -> str:
    """Return `text` with `key` of section `title` set to `word`; None: without the key.

    A section that is not there is added. A new key comes after the last one of its
    section, or after the comment in which it stood as an example.
    """
    lines, key = text.splitlines(keepends=True), key.upper()
    section = _find(lines, title)
    if section is None:
        return text if word is None else add_section(text, title, {key: word})
    entry = next((entry for entry in section.entries if entry.key == key), None)
    if word is None:
        if entry is not None:
            del lines[entry.first : entry.last + 1]
        return "".join(lines)
    line = _format_entry(key, word, _newline(lines))
    if entry is not None:
        lines[entry.first : entry.last + 1] = [line]
    else:
        place = _example(lines, section, key) or section.last
        _end_line(lines, place)
        lines.insert(place + 1, line)
    return "".join(lines)


def add_section(text: str, title: str, keys: Mapping[str, str]) -> str:
    """Return `text` with a new section, after the last one of its family."""
    lines = text.splitlines(keepends=True)
    newline = _newline(lines)
    new = [f"[{title}]{newline}"]
    new += [_format_entry(key.upper(), word, newline) for key, word in keys.items()]
    family = title.partition(" ")[0]
    alike = [s for s in _sections(lines) if s.title.partition(" ")[0] == family]
    place = alike[-1].last if alike else len(lines) - 1
    if lines:
        _end_line(lines, place)
        new.insert(0, newline)
    lines[place + 1 : place + 1] = new
    return "".join(lines)


def remove_section(text: str, title: str) -> str:
    """Return `text` without a section; comments behind its last key stay."""
    lines = text.splitlines(keepends=True)
    section = _find(lines, title)
    if section is not None:
        end = section.last + 1
        while end < len(lines) and not lines[end].strip():
            end += 1
        del lines[section.header : end]
    return "".join(lines)


def remove_line(text: str, number: int) -> str:
    """Return `text` without the line `number`, from 1 on, and all that belongs to it.

    That is the section of a header, and the further lines of a key's value.
    """
    lines = text.splitlines(keepends=True)
    first = last = number - 1
    for section in _sections(lines):
        if section.header == first:
            last = section.last
        for entry in section.entries:
            if entry.first == first:
                last = max(last, entry.last)
    del lines[first : last + 1]
    return "".join(lines)


def rename_section(text: str, title: str, new_title: str) -> str:
    """Return `text` with a section renamed; references to it are not changed."""
    lines = text.splitlines(keepends=True)
    section = _find(lines, title)
    if section is not None:
        lines[section.header] = f"[{new_title}]{_newline(lines)}"
    return "".join(lines)


def _find(lines: Sequence[str], title: str) -> _Section | None:
    found = (section for section in _sections(lines) if section.title == title)
    return next(found, None)


def _sections(lines: Sequence[str]) -> list[_Section]:
    """Read the lines as `ini_reading` does, and keep the position of each."""
    sections: list[_Section] = []
    entry: _Entry | None = None
    indent = 0
    for number, line in enumerate(lines):
        bare = line.removeprefix("\ufeff").strip()
        if not bare or bare[0] in "#;":
            entry = None
        elif entry is not None and len(line) - len(line.lstrip()) > indent:
            entry.last = number
        elif header := _HEADER.match(bare):
            title = " ".join(header["title"].split())
            sections.append(_Section(title, number, []))
            entry = None
        elif sections and (found := _KEY.match(bare)):
            indent = len(line) - len(line.lstrip())
            entry = _Entry(found["key"].strip().upper(), number, number)
            sections[-1].entries.append(entry)
    return sections


def _example(lines: Sequence[str], section: _Section, key: str) -> int | None:
    """Return the line of a comment `# KEY = …` within the section."""
    pattern = re.compile(rf"[#;]\s*{re.escape(key)}\s*[=:]", re.IGNORECASE)
    numbers = range(section.header, section.last + 1)
    return next((n for n in numbers if pattern.match(lines[n].strip())), None)


def _format_entry(key: str, word: str, newline: str) -> str:
    return f"{key} = {' '.join(word.split())}".rstrip() + newline


def _newline(lines: Sequence[str]) -> str:
    return "\r\n" if lines and lines[0].endswith("\r\n") else "\n"


def _end_line(lines: list[str], place: int) -> None:
    if not lines[place].endswith(("\n", "\r")):
        lines[place] += _newline(lines)
