"""Animal progress: values that an experiment keeps for the animal's next session, on any rig.

At Start Stream they replace settings of the experiment, so that the record names them and a
replay repeats them. Marks of the experiment change them: see `Experiment.progress`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from deeplabstream.core.command import Mark
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.journal_entries import Step
from deeplabstream.recording.animal_file import (
    Animal,
    AnimalEntry,
    animal_file,
    animal_in_use,
    read_animal,
    write_animal,
)
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings


class AnimalProgress:
    """The file of the animal of a stream, while no other run may use the animal."""

    def __init__(self) -> None:
        self._lock = ExitStack()
        self._file: Path | None = None
        self._animal = Animal(animal="")
        self._experiment = ""
        self._patterns: Mapping[str, str] = {}
        """Patterns of marks by key of the experiment's settings."""

    @property
    def kept(self) -> bool:
        """Whether the animal has a file."""
        return self._file is not None

    def open(self, rig: Settings) -> tuple[Settings, str]:
        """Return the settings with the animal's values, and a sentence on them for the record.

        The sentence is empty without a folder for progress or an animal. DeviceError: the
        animal is in another run, or its file can't be read. SettingsError: the experiment
        can't have its values any more, or its patterns of marks are wrong.
        """
        self.close()
        folder, name = rig.subject.progress_folder, rig.subject.animal
        if folder is None or not name:
            return rig, ""
        file = animal_file(folder, name)
        with ExitStack() as lock:
            lock.enter_context(animal_in_use(file))
            self._animal = read_animal(file)
            used, sentence = self._with_values(rig)
            self._lock, self._file = lock.pop_all(), file
        return used, sentence

    def _with_values(self, rig: Settings) -> tuple[Settings, str]:
        name = self._experiment = rig.experiment.exp_name
        chosen = rig.experiments.get(name)
        progress = chosen.kind.progress if chosen else {}
        self._patterns = {field.upper(): text for field, text in progress.items()}
        about = f"animal {self._animal.animal}"
        if (weighed := self._animal.weight) is not None:
            about += f", {weighed.weight_g:g} g on {weighed.time:%Y-%m-%d}"
        if not self._patterns:
            return rig, about
        if problems := [*_pattern_problems(f"[Experiment {name}]", self._patterns)]:
            raise SettingsError(problems)

        values = {
            key: word
            for key, word in self._animal.values(name).items()
            if key in self._patterns
        }
        last, text = self._animal.last(name), rig.text
        if not values or last is None:
            return rig, f"{about}: no progress in {name} yet"
        for key, word in values.items():
            text = set_value(text, f"Experiment {name}", key, word)
        shown = ", ".join(f"{key} = {word}" for key, word in values.items())
        source = f"{last.time:%Y-%m-%d}" + (f" in {last.run}" if last.run else "")
        sentence = f"{about}: {name} goes on with {shown}, reached on {source}"
        return parse(text, rig.folder), sentence

    def receive(self, step: Step, run: Path | None, now: datetime) -> None:
        """Store what marks of a step say; DeviceError: the file can't be written."""
        if self._file is None or not self._patterns or not step.commands:
            return
        before = self._animal.values(self._experiment)
        values = {
            key: found[1]
            for command in step.commands
            if isinstance(command, Mark)
            for key, pattern in self._patterns.items()
            if (found := re.fullmatch(pattern, command.text)) and found[1] is not None
        }
        if all(before.get(key) == word for key, word in values.items()):
            return
        self._animal = self._animal.after(
            AnimalEntry(
                time=now,
                experiment=self._experiment,
                values=values,
                run=str(run or ""),
            )
        )
        write_animal(self._file, self._animal)

    def close(self) -> None:
        """Let other runs use the animal."""
        self._lock.close()
        self._file, self._patterns = None, {}


def _pattern_problems(title: str, patterns: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each pattern of marks that gives no value."""
    for key, pattern in patterns.items():
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            yield f"{title} progress of {key}: {pattern!r} is not a regular expression ({error})"
        else:
            if not groups:
                yield (
                    f"{title} progress of {key}: {pattern!r} has no group for the value; put "
                    "it in parentheses"
                )
