"""INI reading: sections and words of a settings text, with all errors of its form."""

import re
from configparser import (
    ConfigParser,
    DuplicateOptionError,
    DuplicateSectionError,
    MissingSectionHeaderError,
    ParsingError,
)
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from deeplabstream.core.errors import SettingsError
from deeplabstream.files.foreign_files import read_bytes

SectionTexts: TypeAlias = dict[str, str]
"""The keys of one section, in upper case, and their values."""

_MOST_FAULTS = 50


@dataclass(frozen=True)
class Sections:
    """Readable sections of a settings file, and its problems."""

    texts: dict[str, SectionTexts]
    problems: tuple[str, ...]


class _Reader(ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr.strip().upper()


def read_text(path: Path) -> str:
    """Return a settings file as it is; SettingsError: it can't be read or is not text."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError([f"Can't read {path}: {reason}"]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(
            [f"{path} is not UTF-8 text (line {line}). Save it with UTF-8 encoding"]
        ) from error


def read_sections(text: str) -> Sections:
    """Return the sections of `text`; a line that can't be read is named and left out."""
    if "\0" in text:
        return Sections(
            {}, ("the file contains NUL characters: it is not a text file",)
        )
    lines = text.removeprefix("\ufeff").splitlines()
    problems: list[str] = []
    for _ in range(_MOST_FAULTS):
        reader = _Reader(
            interpolation=None, default_section="", empty_lines_in_values=False
        )
        try:
            reader.read_string("\n".join(lines))
        except (DuplicateSectionError, DuplicateOptionError) as error:
            at = error.lineno or 1
            first = _first_line(lines[: at - 1], error)
            problems.append(
                f"line {at}: {lines[at - 1].strip()!r} occurs twice, first in line {first}"
            )
            twice = isinstance(error, DuplicateSectionError)
            lines[at - 1] = f"[?{at}]" if twice else ""
        except MissingSectionHeaderError as error:
            at = error.lineno
            shown = lines[at - 1].strip()
            problems.append(f"line {at}: {shown!r} is not in any [Section]")
            lines[at - 1] = ""
        except ParsingError as error:
            for at, _line in error.errors:
                shown = lines[at - 1].strip()
                problems.append(f"line {at}: {shown!r} is not KEY = value")
                lines[at - 1] = ""
        else:
            return Sections(_normalise_sections(reader, problems), tuple(problems))
    return Sections({}, (*problems, "and more: this is not a settings file"))


def _first_line(
    before: list[str], error: DuplicateSectionError | DuplicateOptionError
) -> int:
    """Return the number of the line that the later one repeats; `before`: all lines above."""
    if isinstance(error, DuplicateSectionError):
        starts = [line.strip().startswith(f"[{error.section}]") for line in before]
        return starts.index(True) + 1

    # The key is in the same section, which began in the last header above.
    headers = [at for at, line in enumerate(before) if line.strip().startswith("[")]
    for at in range(headers[-1], len(before)):
        key = re.split("[=:]", before[at], maxsplit=1)[0]
        if key.strip().upper() == error.option.upper():
            return at + 1
    return headers[-1] + 1


def _normalise_sections(
    reader: ConfigParser, problems: list[str]
) -> dict[str, SectionTexts]:
    sections: dict[str, SectionTexts] = {}
    taken: dict[str, str] = {}
    for title in reader.sections():
        name = " ".join(title.split())
        if re.match(r"\?\d", name):
            continue
        if name.casefold() in taken:
            problems.append(
                f"[{name}]: occurs twice, also as [{taken[name.casefold()]}]"
            )
        taken[name.casefold()] = name
        sections[name] = {
            key: " ".join(value.split("\n")).strip()
            for key, value in reader.items(title)
        }
    return sections
