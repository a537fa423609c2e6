"""Experiment design: an experiment file made from answers about triggers and outputs of a rig.

Questions whose answers fill a section of settings.ini; who asks them is another matter.
"""

from collections.abc import Callable, Container, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from deeplabstream.core.command import OutputName, TriggerName
from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files import rig_folder
from deeplabstream.files.overwriting import check_free
from deeplabstream.plugins.discovery import discover
from deeplabstream.plugins.trigger import DebounceSettings
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.settings import ini_editing
from deeplabstream.settings.fields import Section, about_kind, keys_of
from deeplabstream.settings.ini_reading import SectionTexts, read_sections
from deeplabstream.settings.loading import FAMILIES, FIXED, NAME, load, parse
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.settings_docs import format_value
from deeplabstream.settings.text_rewriting import relocate_paths
from deeplabstream.settings.validation_messages import guess, leaves, wording

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """One question; its answer is one line of text."""

    section: str
    """`Experiment`, `Trigger corner` …; with `key`, what names it on a command line."""
    key: str
    about: str
    expected: str = ""
    """Kind of answer that is expected."""
    default: str | None = None
    """Meaning of an empty answer; None: an answer is required."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """The permitted answers, each with its meaning; empty: any."""
    check: Callable[[str], str | None] = lambda word: None
    """Return the fault of an answer; None: none."""
    problems: tuple[str, ...] = ()
    """Problems of the last answer, for which the question is repeated."""

    @property
    def name(self) -> str:
        """Section and key, as an option names them."""
        return f"{self.section} {self.key}"

    def answer(self, text: str) -> str:
        """Return the value of an answer; ValueError: it is invalid."""
        word = " ".join(text.split())
        if not word:
            if self.default is None:
                raise ValueError("needs an answer")
            return self.default
        if self.choices:
            return self._choose(word)
        if problem := self.check(word):
            raise ValueError(problem)
        return word

    def _choose(self, word: str) -> str:
        names = list(self.choices)
        if word.isdecimal() and 0 < int(word) <= len(names):
            return names[int(word) - 1]
        folded = {name.casefold(): name for name in names}
        if word.casefold() not in folded:
            near = guess(word, names) or f"; available: {', '.join(names)}"
            raise ValueError(f"{word}: unknown{near}")
        return folded[word.casefold()]


Asking: TypeAlias = Generator[Question, str, T]
"""Yields questions, receives checked answers, returns the result."""


def kinds_of(family: str) -> dict[str, str]:
    """Return the kinds of a family, each with the first line of its docstring."""
    folder, contract = FAMILIES[family]
    found: dict[str, type] = discover(folder, contract).classes
    return {name: about_kind(kind) for name, kind in sorted(found.items())}


def kind_named(family: str, name: str) -> type:
    """Return a kind of a family."""
    folder, contract = FAMILIES[family]
    return discover(folder, contract).classes[name]


def question_about(
    title: str,
    kind: type,
    key: str,
    before: SectionTexts,
    folder: Path,
    check: Callable[[str], str | None] = lambda word: None,
) -> Question:
    """Return the question about one key of a kind, after those answered `before`."""
    info = keys_of(kind)[key][1]
    default = None
    if not info.is_required():
        value = info.get_default(call_default_factory=True, validated_data={})
        default = format_value(value)

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


def faults_of(
    title: str, kind: type, keys: SectionTexts, folder: Path
) -> tuple[str, ...]:
    """Return the faults of a whole section."""
    section = Section[Any](title, kind, keys, folder)
    section.maker(lambda _: None)
    return tuple(section.problems)


def yes_or_no(section: str, key: str, about: str) -> Asking[bool]:
    """Ask a yes-or-no question; the default is no."""
    choices = {"no": "", "yes": ""}
    return (yield Question(section, key, about, default="no", choices=choices)) == "yes"


def keys_but(kind: type, without: Container[str]) -> list[str]:
    """Return the keys of a kind that need an answer."""
    return [key for key in keys_of(kind) if key not in without]


SIMULATED = """\
[Streaming]
OUTPUT_DIRECTORY = output

[Pose Estimation]
MODEL = arena

[Camera arena]
KIND = SimulatedCamera
"""
"""A rig without any device."""
_CALMER = keys_of(DebounceSettings)


@dataclass(frozen=True)
class Design:
    """Result of the answers."""

    text: str
    path: Path


def design(overwrite: bool = False) -> Asking[Design]:
    """Ask all questions; with `overwrite`, the file may exist."""
    word = yield Question(
        "Rig",
        "FILE",
        "the rig: its folder or settings.ini, or `simulated` for a simulated "
        "mouse without devices",
        default=str(rig_folder.settings_file() or "simulated"),
        check=_faults_of_rig,
    )
    rig = _rig(word)
    answers = _Answers(rig, _skeleton(rig))
    text = yield from answers.questions()
    path = yield Question(
        "File",
        "PATH",
        "the file to write",
        default=str(
            rig_folder.config_places()[0] / f"{answers.name.replace(' ', '_')}.ini"
        ),
        check=lambda word: _faults_of_path(Path(word), overwrite),
    )
    folder = Path(path).absolute().parent
    if rig.text != SIMULATED or folder.is_relative_to(rig_folder.current()):
        text = relocate_paths(text, rig.folder, folder)
    return Design(text, Path(path))


def _rig(word: str) -> Settings:
    if word == "simulated":
        return parse(SIMULATED, rig_folder.current())
    path = Path(word)
    return load(path / rig_folder.SETTINGS if path.is_dir() else path)


def _faults_of_rig(word: str) -> str | None:
    try:
        _rig(word)
    except SettingsError as error:
        return "; ".join(error.problems)
    return None


def _faults_of_path(path: Path, overwrite: bool) -> str | None:
    try:
        check_free([path], overwrite)
    except DeepLabStreamError as error:
        return str(error)
    return None if path.parent.is_dir() else f"{path.parent}: folder not found"


def _skeleton(rig: Settings) -> Skeleton | None:
    """Return the network's body parts, None when it can't be read here."""
    try:
        return load_model_folder(find_model(rig.model)).skeleton
    except DeepLabStreamError:
        return None


@dataclass
class _Answers:
    """The answers so far."""

    rig: Settings
    skeleton: Skeleton | None
    name: str = ""
    sections: dict[str, SectionTexts] = field(default_factory=dict)
    """New sections, in the order of the answers."""
    used: set[str] = field(default_factory=set)
    """Titles of the rig's own triggers and outputs that are named."""
    _open: list[str] = field(default_factory=list)

    def questions(self) -> Asking[str]:
        """Ask for the experiment; return the whole file's text, for the rig's folder."""
        self.name = yield Question(
            "Experiment", "NAME", "a name for the experiment", check=_faults_of_name
        )
        run: SectionTexts = {"EXP_NAME": self.name}
        yield from self._section(f"Experiment {self.name}")
        run["EXP_TIME_S"] = yield question_about(
            "Experiment", FIXED["Experiment"], "EXP_TIME_S", {}, self.rig.folder
        )
        run["RECORD_EXP"] = yield question_about(
            "Experiment", FIXED["Experiment"], "RECORD_EXP", {}, self.rig.folder
        )
        who = yield Question("Experiment", "EXPERIMENTER", "experimenter", default="")
        head = f"# {self.name}{f', by {who}' if who else ''}\n"
        return head + self._text(run)

    def _section(self, title: str) -> Asking[None]:
        """Ask for a kind and its keys, until they fit together."""
        family = title.partition(" ")[0]
        section = family if family == "Experiment" else title
        problems: tuple[str, ...] = ()
        self._open.append(title)
        while True:
            word = yield Question(
                section,
                "KIND",
                f"kind of {family.lower()} {title.partition(' ')[2]}",
                choices=kinds_of(family),
                problems=problems,
            )
            kind = kind_named(family, word)
            keys = yield from self._keys(title, kind)
            problems = faults_of(title, kind, keys, self.rig.folder)
            if not problems:
                break
        self._open.remove(title)
        self.sections[title] = {"KIND": word, **keys}

    def _keys(self, title: str, kind: type) -> Asking[SectionTexts]:
        keys: SectionTexts = {}
        hidden = set(_CALMER) if issubclass(kind, DebounceSettings) else set()
        if sum(camera.analyse for camera in self.rig.cameras.values()) < 2:
            hidden.add("CAMERA")
        for key in keys_but(kind, hidden):
            yield from self._key(title, kind, key, keys)
        if hidden > {"CAMERA"}:
            about = "set debounce, rest, limits or sham stimulation"
            if (yield from yes_or_no(title, "CALMER", about)):
                for key in _CALMER:
                    yield from self._key(title, kind, key, keys)
        return keys

    def _key(
        self, title: str, kind: type, key: str, keys: SectionTexts
    ) -> Asking[None]:
        types = leaves(keys_of(kind)[key][1].annotation)
        family = "Trigger" if TriggerName in types else ""
        family = "Output" if OutputName in types else family
        check = self._check_of_names(family) if family else self._check_of(key)
        question = question_about(title, kind, key, keys, self.rig.folder, check)
        if hint := self._hint(family, key):
            question = replace(question, expected=f"{question.expected}; {hint}")
        word = yield question
        if word != question.default:
            keys[key] = word
        for name in filter(None, map(str.strip, word.split(","))) if family else ():
            new = f"{family} {name}"
            if name in self._existing(family):
                self.used.add(new)
            elif new not in self.sections:
                yield from self._section(new)

    def _hint(self, family: str, key: str) -> str:
        """Return the available choices."""
        if family:
            new = [title.partition(" ")[2] for title in self._new(family)]
            names = dict.fromkeys([*self._existing(family), *new])
            available = f"available: {', '.join(names)}; " if names else ""
            return f"{available}another name adds a new one"
        if "BODYPARTS" in key and self.skeleton:
            return f"available: {', '.join(self.skeleton.bodyparts)}"
        return ""

    def _new(self, family: str) -> list[str]:
        return [title for title in self.sections if title.startswith(f"{family} ")]

    def _existing(self, family: str) -> list[str]:
        return list(self.rig.triggers if family == "Trigger" else self.rig.outputs)

    def _check_of(self, key: str) -> Callable[[str], str | None]:
        def check(word: str) -> str | None:
            known = self.skeleton.bodyparts if self.skeleton else ()
            for part in map(str.strip, word.split(",")):
                if "BODYPARTS" in key and known and part not in known:
                    return f"the network has no body part {part!r}{guess(part, known)}"
            return None

        return check

    def _check_of_names(self, family: str) -> Callable[[str], str | None]:
        def check(word: str) -> str | None:
            for name in map(str.strip, word.split(",")):
                if problem := _faults_of_name(name):
                    return problem
                if f"{family} {name}" in self._open:
                    return f"{name} refers to itself"
            return None

        return check

    def _text(self, run: SectionTexts) -> str:
        """Return the text of the rig without unused sections, and with the new ones."""
        text = self.rig.text
        for title in read_sections(text).texts:
            family, _, name = title.partition(" ")
            old = family == "Experiment" and name
            unused = family in ("Trigger", "Output") and title not in self.needed
            if old or unused:
                text = ini_editing.remove_section(text, title)
        directory = str(self.rig.streaming.output_directory)
        text = ini_editing.set_value(text, "Streaming", "OUTPUT_DIRECTORY", directory)
        for key, word in run.items():
            text = ini_editing.set_value(text, "Experiment", key, word)
        for title, keys in self.sections.items():
            text = ini_editing.add_section(text, title, keys)
        return text

    @property
    def needed(self) -> set[str]:
        """Triggers and outputs of the rig that are used, and those they depend on."""
        sections = read_sections(self.rig.text).texts
        needed = set(self.used)
        while True:
            more = {
                f"Trigger {name.strip()}"
                for title in needed
                for key in ("TRIGGER", "TRIGGERS")
                for name in sections.get(title, {}).get(key, "").split(",")
                if f"Trigger {name.strip()}" in sections
            }
            if more <= needed:
                return needed
            needed |= more


def _faults_of_name(name: str) -> str | None:
    if NAME.fullmatch(name):
        return None
    return (
        f"{name or 'an empty name'}: a NAME may have letters, digits, spaces, - and _"
    )
