"""Experiment files: combines an experiment file with a rig's settings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.core.errors import SettingsError
from deeplabstream.files.paths import ROOT
from deeplabstream.files.rig_folder import config_places
from deeplabstream.settings.ini_reading import read_sections, read_text
from deeplabstream.settings.loading import load, parse
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.text_rewriting import relocate_paths
from deeplabstream.settings.validation_messages import guess

CONFIGS = ROOT / "experiments" / "configs"
"""The ready-made experiments that come with the program."""
_THEIRS = ("Trigger", "Classifier", "Experiment")
_HEADER = re.compile(r"\s*\[(.+)\]")
_KEY = re.compile(r"\s*([^#;\s=:][^=:]*?)\s*[=:]")


def load_with(rig: Path, experiment: str | None = None) -> Settings:
    """Return the settings of `rig`, with the experiment of another file if one is named.

    `experiment` is a file, or the name of one in experiments/configs/. SettingsError has
    all problems.
    """
    if not experiment:
        return load(rig)
    folder, text = rig.resolve().parent, read_text(rig)
    _require_form(rig, text)
    return parse(with_experiment(text, experiment, folder), folder)


def with_experiment(rig: str, experiment: str, folder: Path) -> str:
    """Return a rig's text with the experiment of a file; see `combine_with_rig`."""
    file = find(experiment, folder)
    text = read_text(file)
    _require_form(file, text)
    return combine_with_rig(rig, relocate_paths(text, file.resolve().parent, folder))


def _require_form(file: Path, text: str) -> None:
    """Raise SettingsError when lines of a file can't be read: numbers change when combined."""
    if problems := read_sections(text).problems:
        raise SettingsError([f"{file.name}: {problem}" for problem in problems])


def ready_made(rig: Path | None = None) -> dict[str, Path]:
    """Return the ready-made experiments by name: a rig's own, and the built-in ones.

    An own file hides a built-in one of the same name.
    """
    places = reversed(config_places(rig))
    files = {file.stem: file for place in places for file in place.glob("*.ini")}
    return dict(sorted(files.items()))


def described(file: Path) -> tuple[str, str]:
    """Return the first line of a ready-made experiment, and the outputs and animals it needs.

    The first line is why the file can't be read, where it can't.
    """
    try:
        text = read_text(file)
    except SettingsError as error:
        return "; ".join(error.problems), ""
    sections = read_sections(text).texts
    outputs = sum(title.startswith("Output ") for title in sections)
    animals = max(
        (_count(keys.get("ANIMALS", "")) for keys in sections.values()), default=1
    )
    needs = [f"{outputs} output{'s' if outputs > 1 else ''}"] if outputs else []
    needs += [f"{animals} animals"] if animals > 1 else []
    return next(iter(text.splitlines()), "").lstrip("# "), ", ".join(needs)


def _count(animals: str) -> int:
    """Return the number of animals that ANIMALS names: a number, or a list of them."""
    numbers = [part.strip() for part in animals.split(",")]
    return max((int(part) for part in numbers if part.isdecimal()), default=1)


def find(experiment: str, rig: Path | None = None) -> Path:
    """Return the file of an experiment; SettingsError: there is none."""
    if Path(experiment).is_file():
        return Path(experiment)
    known = ready_made(rig)
    if file := known.get(experiment.removesuffix(".ini")):
        return file
    near = guess(experiment, known) or f"; available: {', '.join(known)}"
    places = " or ".join(map(str, config_places(rig)))
    reason = f"no such file, and no file of that name in {places}{near}"
    raise SettingsError([f"experiment {experiment}: {reason}"])


def combine_with_rig(rig: str, experiment: str) -> str:
    """Return the text of a rig with the experiment of another text, including comments.

    Of the experiment's text come its triggers, classifiers, experiments, the outputs and
    names of animals that the rig does not have, and what it says in `[Experiment]`; all
    else is the rig's.
    """
    theirs = {part.name: part for part in _parts(experiment)}
    parts: list[str] = []
    for part in _parts(rig):
        other = theirs.get(part.name)
        if other is None or part.family in ("Camera", "Output"):
            parts.append(part.text)
        elif part.name == "experiment":
            parts.append(_of_both(part.text, other.text))
        elif part.family in _THEIRS:
            parts.append(other.text)
        else:
            parts.append(part.text)
    present = {part.name for part in _parts(rig)}
    parts += [
        part.text
        for part in theirs.values()
        if part.family in (*_THEIRS, "Output", "Animals") and part.name not in present
    ]
    return "\n".join(text.strip("\n") + "\n" for text in parts if text.strip())


@dataclass(frozen=True)
class _Part:
    """A section with the comments above it."""

    title: str
    text: str

    @property
    def name(self) -> str:
        return " ".join(self.title.split()).casefold()

    @property
    def family(self) -> str:
        return " ".join(self.title.split()).partition(" ")[0]


def _parts(text: str) -> Iterator[_Part]:
    """Yield the head of a text, with an empty title, then its sections."""
    title, lines = "", list[str]()
    for line in text.removeprefix("\ufeff").splitlines():
        header = _HEADER.match(line)
        if header is None:
            lines.append(line)
            continue
        above = len(lines)
        while above and lines[above - 1].lstrip()[:1] in ("#", ";"):
            above -= 1
        yield _Part(title, "\n".join(lines[:above]))
        title, lines = header[1], [*lines[above:], line]
    yield _Part(title, "\n".join(lines))


def _of_both(rig: str, experiment: str) -> str:
    """Return the experiment's section with the keys that only the rig's has."""
    theirs = {line.strip() for line in experiment.split("\n")}
    keys = {key for texts in read_sections(experiment).texts.values() for key in texts}
    kept: list[str] = []
    above: list[str] = []
    keeping = False
    indent: int | None = None
    """Last key of the section; None: its value has ended."""
    for line in rig.split("\n"):
        bare, depth = line.strip(), len(line) - len(line.lstrip())
        if not bare or bare[0] in "#;":
            indent = None
            above += [line] * (not bare or bare not in theirs)
        elif indent is not None and depth > indent:
            kept += [line] * keeping
        elif found := _KEY.match(line):
            keeping, indent = found[1].upper() not in keys, depth
            kept += [*above, line] if keeping else []
            above = []
        elif not _HEADER.match(line):
            above.append(line)
    return "\n".join([experiment.strip("\n"), *kept, *above])
