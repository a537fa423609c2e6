"""Conversion of DeepLabStream 1 files: one new file, and what could not be converted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.ini_reading import read_text
from deeplabstream.settings.loading import parse
from deeplabstream.settings.ready_made import CONFIGS, combine_with_rig
from deeplabstream.settings.v1_import.key_conversion import Made, Old, OldFile
from deeplabstream.settings.v1_import.moved_keys import MOVED
from deeplabstream.settings.v1_import.v1_experiments import CODED, ExperimentFile
from deeplabstream.settings.v1_import.v1_rig import carry_rig


@dataclass(frozen=True)
class Imported:
    """A new settings file."""

    text: str
    sentences: tuple[str, ...]
    """Settings that could not be converted, or not exactly."""
    problems: tuple[str, ...]
    """Problems that must be corrected before the file can be used."""


def is_experiment(text: str) -> bool:
    """Return whether it is an experiment file, not a settings.ini."""
    return OldFile(text).has("EXPERIMENT") and not OldFile(text).has("Streaming")


def is_version_1(text: str) -> bool:
    """Return whether a file is one of DeepLabStream 1: it has no `[Camera NAME]`."""
    old = OldFile(text)
    cameras = any(name.casefold().startswith("camera ") for name in old.sections)
    return not cameras and (old.has("Streaming") or old.has("EXPERIMENT"))


def check_version_1(file: Path) -> None:
    """Raise SettingsError if a file can't be read or is not one of DeepLabStream 1."""
    if not is_version_1(read_text(file)):
        raise SettingsError(
            [
                f"{file} is not a file of DeepLabStream 1: it has a [Camera NAME] section, "
                "or neither [Streaming] nor [EXPERIMENT]. Settings of this version need "
                "no import: open them"
            ]
        )


def import_file(
    old: Path,
    folder: Path,
    rig: str,
    advanced: Path | None = None,
    experiment: Path | None = None,
) -> Imported:
    """Return the new file for a file of DeepLabStream 1; SettingsError: it is none.

    `folder` is where the new file will be. `rig` is the text of the settings that an
    experiment file gets its cameras and outputs from. `advanced` and `experiment` belong to
    a settings.ini; by default they are searched beside it.
    """
    check_version_1(old)
    text = read_text(old)
    if is_experiment(text):
        return import_experiment(text, old.stem, rig, folder)
    beside = old.parent / "utils" / "advanced_settings.ini"
    more = advanced or (beside if beside.is_file() else None)

    def read_experiment(name: str) -> str | None:
        files = [old.parent / "experiments" / "configs" / f"{name}.ini"]
        files = [experiment] if experiment else files
        return next((read_text(file) for file in files if file.is_file()), None)

    return import_rig(text, read_text(more) if more else "", read_experiment, folder)


def import_rig(
    text: str, advanced: str, experiment: Callable[[str], str | None], folder: Path
) -> Imported:
    """Return the new file for settings.ini, with its experiment.

    `experiment` returns the text of the experiment file of that name, None if there is
    none; the new file will be in `folder`.
    """
    old, more, made = OldFile(text), OldFile(advanced), Made()
    carry_rig(old, more, made)
    made.carry("Experiment", "RECORD_EXP", old.take("Experiment", "RECORD_EXP"))
    origin = old.word("Experiment", "EXP_ORIGIN", "CUSTOM").upper()
    name = old.take("Experiment", "EXP_NAME")
    coded = ""
    if name is not None and name.word and origin == "BASE":
        file = experiment(name.word)
        if file is None:
            made.report(name, "no such file in experiments/configs/")
        else:
            ExperimentFile(OldFile(file), made, OldFile(text)).carry(_plain(name.word))
    elif name is not None and name.word:
        coded = _convert_coded_experiment(name, made)
    for key in (*old.left(), *more.left()):
        moved = MOVED.get((key.section, key.key))
        made.report(key, moved or "unknown key, not converted")
    return _finish(combine_with_rig(made.text(), coded), made, folder)


def import_experiment(text: str, name: str, rig: str, folder: Path) -> Imported:
    """Return a rig with an old experiment file's experiment as `name`."""
    made = Made()
    ExperimentFile(OldFile(text), made, OldFile(rig)).carry(_plain(name))
    return _finish(combine_with_rig(rig, made.text()), made, folder)


def _convert_coded_experiment(name: Old, made: Made) -> str:
    """Return the ready-made file that is equivalent to an experiment in Python."""
    ours = CODED.get(name.word.casefold(), "")
    file = CONFIGS / f"{ours}.ini"
    if not ours or not file.is_file():
        made.report(
            name,
            "was a Python class: write it as a plan, about 30 lines "
            "(docs/experiments.md), then enter its name here",
        )
        return ""
    made.report(
        name,
        f"was a Python class; experiments/configs/{file.name} replaces it: check "
        "the triggers' BODYPARTS and regions, the outputs, and the times",
    )
    return read_text(file)


def _plain(name: str) -> str:
    """Return a name that a section may have."""
    kept = "".join(c if c.isalnum() or c in " _-" else " " for c in name)
    return " ".join(kept.split()) or "imported"


def _finish(text: str, made: Made, folder: Path) -> Imported:
    try:
        parse(text, folder)
        problems: tuple[str, ...] = ()
    except SettingsError as error:
        problems = tuple(error.problems)
    sentences = list(dict.fromkeys(made.sentences))
    if made.untouched:
        came = ", ".join(dict.fromkeys(made.untouched))
        sentences.append(f"left out (default values, no longer needed): {came}")
    return Imported(text, tuple(sentences), problems)
